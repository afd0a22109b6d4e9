// Opens and seals with npm `jose`: argv is the folder of its node_modules; one JSON request on stdin, one answer out.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const found = createRequire(`${process.argv[2]}/x.js`).resolve("jose");
const jose = await import(pathToFileURL(found).href);
const { what, file, key, kek, protectedHeader, plain } = JSON.parse(readFileSync(0, "utf8"));

if (what === "open") {
  const { plaintext } = await jose.generalDecrypt(file, await jose.importJWK(key, key.kty === "oct" ? "A256KW" : "ECDH-ES+A256KW"));
  process.stdout.write(plaintext);
} else {
  const sealing = new jose.GeneralEncrypt(new TextEncoder().encode(plain)).setProtectedHeader(protectedHeader);
  sealing.addRecipient(await jose.importJWK(kek, "A256KW")).setUnprotectedHeader({ alg: "A256KW", kid: kek.kid });
  sealing
    .addRecipient(await jose.importJWK(key, "ECDH-ES+A256KW"))
    .setUnprotectedHeader({ alg: "ECDH-ES+A256KW", kid: key.kid });
  process.stdout.write(JSON.stringify(await sealing.encrypt()));
}
