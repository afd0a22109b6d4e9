"""One sealed file: bytes ⇄ bytes, as JWE General JSON (RFC 7516), so that any JOSE tool with the recovery key opens it.

    protected   {"enc":"A256GCM","typ":…,"vaultd":{"v":1,"name":…,"provider":…,"gen":…}}   authenticated; binds the file
    recipients  A256KW to the keyring's key, by which alone this program opens it; ECDH-ES+A256KW to each recovery key
    iv, ciphertext, tag

The binding sits in the protected header, not in the `aad` member and without `crit`: latchset `jose` fails on every
file with `aad`, and jwcrypto refuses a private `crit`. Names of keys sit in the recipients' own headers, so that a
re-wrap leaves everything else byte for byte. Decryption proves only that header and content belong together; whose
file it is the reader compares itself.

Sans-I/O. Keys come as arguments; joserfc makes its own content keys and IVs.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from joserfc import jwe
from joserfc.jwa import AESAlgKeyWrapping, ECDHESAlgKeyAgreement, GCMEncModel
from joserfc.jwk import ECKey, OctKey
from joserfc.registry import HeaderParameter

from vaultd.errors import Misconfigured

ENC: Final = "A256GCM"
KEK_ALG: Final = "A256KW"
RECOVERY_ALG: Final = "ECDH-ES+A256KW"

Typ = Literal["vaultd-token+jwe", "vaultd-keyring+jwe", "vaultd-client+jwe", "vaultd-request+jwe"]
TOKEN: Final[Typ] = "vaultd-token+jwe"  # noqa: S105  - a media type
KEYRING: Final[Typ] = "vaultd-keyring+jwe"
CLIENT: Final[Typ] = "vaultd-client+jwe"
REQUEST: Final[Typ] = "vaultd-request+jwe"

#: joserfc writes any length but reads at most 65,536 base64 characters: 49,152 bytes come back, 49,153 do not.
PLAIN_LIMIT: Final = 48 * 1024
#: The largest file `seal` can make: 64 KiB of base64, and eight recipients and a header of under 1 KiB each.
FILE_LIMIT: Final = 80 * 1024
#: A file is read by one key here and by a few recovery keys; each costs one key agreement per write.
MAX_RECIPIENTS: Final = 8

#: Also what keeps the protected header ASCII, which joserfc rebuilds (and would otherwise rebuild differently).
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,126}\.json", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}", re.ASCII)
_MEMBERS: Final = frozenset({"protected", "recipients", "iv", "ciphertext", "tag"})

Ring = Mapping[str, OctKey]
Recovery = Sequence[ECKey]


class Refused(Misconfigured):
    """A file is not sealed, not by us, not for this name, or damaged. It is never used, only reported."""

    def __init__(self, message: str, *, code: str = "file-damaged") -> None:
        super().__init__(message, code=code)


class NotSealed(Refused):
    """No sealed file at all: a plain one, or nothing like it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="file-plaintext")


class UnknownKey(Refused):
    """Sealed, but by no key of the ring that was tried."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="file-foreign")


@dataclass(frozen=True, slots=True)
class Opened:
    plain: bytes
    generation: int
    provider: str

    def __repr__(self) -> str:
        return f"Opened({self.provider!r}, generation {self.generation})"


def seal(
    plain: bytes,
    *,
    typ: Typ,
    name: str,
    provider: str,
    generation: int,
    keks: Sequence[OctKey],
    recovery: Recovery = (),
) -> bytes:
    """Seals for each of `keks` (one, but while the root key is being changed) and each recovery key."""
    if len(plain) > PLAIN_LIMIT:
        raise Misconfigured(f"{name} would hold {len(plain)} bytes; a sealed file holds at most {PLAIN_LIMIT}")
    if not NAME.fullmatch(name) or not _WORD.fullmatch(provider) or generation < 0:
        raise Misconfigured(f"{name!r} of {provider!r} cannot name a sealed file")
    if not keks or len(keks) + len(recovery) > MAX_RECIPIENTS:
        raise Misconfigured(f"a file is sealed for 1 to {MAX_RECIPIENTS} keys, recovery keys included")
    message = jwe.GeneralJSONEncryption(_header(typ, name, provider, generation), plain)
    for kek in keks:
        message.add_recipient({"alg": KEK_ALG, "kid": kek.kid}, kek)
    for public in recovery:
        message.add_recipient({"alg": RECOVERY_ALG, "kid": public.kid}, public)
    return _write(dict(jwe.encrypt_json(message, None, registry=_registry(KEK_ALG, RECOVERY_ALG))))


def open_(
    data: bytes,
    *,
    typ: Typ,
    name: str,
    ring: Ring,
    provider: str | None = None,
    min_generation: int = 0,
) -> Opened:
    """Opens by our own recipient alone. `provider` None: whichever the file is bound to, told in the answer."""
    try:
        return _open(data, typ, name, ring, provider, min_generation)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001  - joserfc raises seven classes of its own and nearly all of Python's
        raise Refused(f"damaged ({type(error).__name__}): restore it from a backup or sign in again") from None


def rewrap(data: bytes, *, ring: Ring, kek: OctKey, recovery: Recovery = ()) -> bytes:
    """The same file for other keys: only `recipients` change, what is authenticated stays byte for byte."""
    try:
        document = _read(data)
        mine = _ours(document, ring)
        wrapping = AESAlgKeyWrapping(256)
        cek = wrapping.unwrap_cek(_decode(mine["encrypted_key"]), ring[mine["header"]["kid"]].raw_value)
        wrapped = [_recipient({"alg": KEK_ALG, "kid": kek.kid}, wrapping.wrap_cek(cek, kek.raw_value))]
        wrapped += [_wrap_for(public, cek) for public in recovery]
        return _write({**document, "recipients": wrapped})
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001  - as in open_
        raise Refused(f"damaged ({type(error).__name__}): restore it from a backup or sign in again") from None


def kids(data: bytes) -> list[str]:
    """Which keys a file names, in its order. Not authenticated: good for finding out what must be re-wrapped."""
    try:
        return [str(recipient["header"]["kid"]) for recipient in _read(data)["recipients"]]
    except Refused:
        raise
    except Exception:  # noqa: BLE001  - anything may stand in a planted file
        raise Refused("its recipients are damaged") from None


def bound_name(data: bytes) -> str:
    """The name that a file says it was sealed for. Not authenticated before it is opened under it."""
    try:
        name = json.loads(_decode(_read(data)["protected"]))["vaultd"]["name"]
    except Refused:
        raise
    except Exception:  # noqa: BLE001  - as in kids
        raise Refused("its header is damaged") from None
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Refused("its header names no file")
    return name


def _header(typ: Typ, name: str, provider: str, generation: int) -> dict[str, Any]:
    return {"enc": ENC, "typ": typ, "vaultd": {"v": 1, "name": name, "provider": provider, "gen": generation}}


def _open(data: bytes, typ: Typ, name: str, ring: Ring, provider: str | None, min_generation: int) -> Opened:
    document = _read(data)
    mine = _ours(document, ring)
    for member in ("protected", "iv", "ciphertext", "tag"):
        _decode(document[member])
    message = jwe.decrypt_json(
        cast("jwe.GeneralJSONSerialization", {**document, "recipients": [mine]}),
        ring[mine["header"]["kid"]],
        registry=_registry(KEK_ALG),
    )
    binding = message.protected["vaultd"]
    generation, bound = binding["gen"], binding["provider"]
    # The types too: in Python `True == 1 == 1.0`, and nothing but an integer orders generations.
    if type(generation) is not int or type(binding["v"]) is not int or type(bound) is not str:
        raise Refused("its binding is malformed")
    if message.protected != _header(typ, name, bound, generation) or generation < 0:
        raise Refused(
            f"it was sealed under another name than {name} or as another kind: put it back where it was",
            code="file-renamed",
        )
    if provider is not None and bound != provider:
        raise Refused(f"it belongs to the provider {bound}, not {provider}")
    if generation < min_generation:
        raise Refused(f"rolled back: it is generation {generation}, and {min_generation} was seen", code="rolled-back")
    assert message.plaintext is not None
    return Opened(message.plaintext, generation, bound)


def _read(data: bytes) -> dict[str, Any]:
    if len(data) > FILE_LIMIT:
        raise Refused(f"larger than {FILE_LIMIT} bytes, so no sealed file")
    try:
        document = json.loads(data.decode("ascii"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        if b'"ciphertext"' in data:
            raise Refused("damaged: cut short or overwritten; restore it from a backup or sign in again") from None
        raise NotSealed("not a sealed file") from None
    if not isinstance(document, dict) or "ciphertext" not in document:
        raise NotSealed("not a sealed file")
    # `aad`, `unprotected` and the flattened form have no place in our files; what we do not write we do not read.
    if document.keys() != _MEMBERS:
        raise Refused("damaged: it has members that no sealed file of ours has, or lacks some")
    recipients = document["recipients"]
    if not isinstance(recipients, list) or not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise Refused(f"damaged: it names no recipients, or more than {MAX_RECIPIENTS}")
    return document


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated member")
    return members


def _ours(document: dict[str, Any], ring: Ring) -> dict[str, Any]:
    """Our one recipient. Picked before decryption: joserfc refuses a file for one key id that it does not know."""
    mine = [
        recipient
        for recipient in document["recipients"]
        if recipient["header"].get("alg") == KEK_ALG and recipient["header"].get("kid") in ring
    ]
    if not mine:
        raise UnknownKey("sealed, but by no key of this vault's keyring")
    if len(mine) > 1:
        raise Refused("damaged: it is sealed for this vault twice")
    recipient: dict[str, Any] = mine[0]
    if recipient.keys() != {"header", "encrypted_key"} or recipient["header"].keys() != {"alg", "kid"}:
        raise Refused("damaged: its recipient has members that ours have not")
    ring[recipient["header"]["kid"]].check_alg(KEK_ALG)
    _decode(recipient["encrypted_key"])
    return recipient


def _wrap_for(public: ECKey, cek: bytes) -> dict[str, Any]:
    wrapping = AESAlgKeyWrapping(256)
    agreement = ECDHESAlgKeyAgreement(wrapping)
    parent = jwe.GeneralJSONEncryption({"enc": ENC})
    recipient: jwe.Recipient[Any] = jwe.Recipient(parent, {"alg": RECOVERY_ALG, "kid": public.kid}, public)
    agreement.prepare_ephemeral_key(recipient)
    key = agreement.encrypt_agreed_upon_key(GCMEncModel(256), recipient)
    return _recipient(dict(recipient.header or {}), agreement.wrap_cek_with_auk(cek, key))


def _recipient(header: dict[str, Any], encrypted_key: bytes) -> dict[str, Any]:
    return {"header": header, "encrypted_key": urlsafe_b64encode(encrypted_key).rstrip(b"=").decode()}


def _decode(text: Any) -> bytes:
    """RFC 7515 §2 base64url in its one spelling: no padding, no stray characters, no loose bits at the end."""
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise binascii.Error("not canonical")
    return raw


def _write(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _is_binding(value: Any) -> None:
    if not isinstance(value, dict) or value.keys() != {"v", "name", "provider", "gen"}:
        raise ValueError("must be the file's binding")


def _registry(*algorithms: str) -> jwe.JWERegistry:
    return jwe.JWERegistry(
        header_registry={"vaultd": HeaderParameter("file binding", _is_binding, required=True)},
        algorithms=[*algorithms, ENC],
        max_recipients=MAX_RECIPIENTS,
    )
