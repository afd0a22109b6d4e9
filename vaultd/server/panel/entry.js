// Before the panel: the management key is asked for once, tried, and kept for this tab alone. Says where the key is set and
// what a refusal means, because there is no other place to look.
import { html, useState, useStore } from "./view.js";
import { duration, t } from "./i18n.js";
import { get, keepKey, turnedAway } from "./api.js";
import { Button, CopyBlock, Field, Icon, Note } from "./ui.js";

/** Why the last try failed, in words that end with what to do. */
function Reason({ error }) {
  if (!error) return null;
  let kind = { 0: "unreachable", 401: "wrong", 403: "remote", 404: "off" }[error.status] ?? "other";
  if (error.status === 403 && /banned/i.test(error.message)) kind = "banned";
  const wait = error.retryAfter ? t("entry.banned.wait", { time: duration(error.retryAfter) }) : "";
  return html`<div role="alert"><${Note} tone="bad" title=${t(`entry.${kind}.title`)}>
    <p>${t(`entry.${kind}.text`)} ${kind === "banned" && wait}</p>
    <p class="said">${error.message}</p>
  <//></div>`;
}

export default function Entry({ tools }) {
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(null);
  const away = useStore(turnedAway);
  const enter = async (event) => {
    event.preventDefault();
    if (!key.trim()) return;
    setBusy(true);
    try {
      await get("/about", {}, { key: key.trim() });
      keepKey(key.trim());
    } catch (error) {
      setFailed(error);
      setBusy(false);
    }
  };
  return html`<main class="entry">
    <div class="entry-box">
      <div class="entry-head"><span class="brand"><img src="/panel/icon.svg" width="32" height="32" alt="" /><span>vaultd</span></span>${tools}</div>
      <h1>${t("entry.title")}</h1>
      <p class="sub">${t("entry.sub")}</p>
      <form onSubmit=${enter}>
        <${Field} label=${t("entry.label")} type="password" autocomplete="current-password" autofocus required value=${key}
          spellcheck=${false} onInput=${(event) => setKey(event.currentTarget.value)} />
        <${Reason} error=${failed ?? away} />
        <${Button} kind="primary" type="submit" busy=${busy} class="full">${t("entry.go")}<//>
      </form>
      <details>
        <summary><${Icon} name="help" size=${16} />${t("entry.where")}</summary>
        <p>${t("entry.where.text")}</p>
        <${CopyBlock} label="config.yaml" code=${'remote-management:\n  secret-key: "' + t("entry.where.key") + '"\n'} />
        <p>${t("entry.where.env")}</p>
      </details>
      <p class="hint"><${Icon} name="lock" size=${14} /> ${t("entry.kept")}</p>
    </div>
  </main>`;
}
