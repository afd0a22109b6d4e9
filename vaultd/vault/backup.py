"""A backup: lines of JWE (RFC 7516, general JSON), one a member, each sealed to the same P-256 keys by ECDH-ES+A256KW.

    line 1   the index: {"v": 1, "made_at", "members": [{"name", "parts": [sha256 of a line, …]}]}
    then     every part of every member, in that order
    header of each   {"enc", "typ": "vaultd-backup+jwe", "vaultd": {"v": 1, "backup": id, "member": name, "part": n}}

A member is cut where a JWE could not be read again (`envelope.PLAIN_LIMIT`). The index names each line by its hash, so
that none can be left out, doubled, or come from another backup. Whoever knows the public key can make a backup, so that
nothing in here says who made it: the id is shown when it is made and when it is put back. Opened by any JOSE tool.

Sans-I/O.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

import msgspec
from joserfc import jwe
from joserfc.jwk import ECKey
from joserfc.registry import HeaderParameter

from vaultd.errors import Misconfigured
from vaultd.vault.envelope import ENC, MAX_RECIPIENTS, RECOVERY_ALG

TYP: Final = "vaultd-backup+jwe"
FORMAT: Final = 1
#: Below `envelope.PLAIN_LIMIT`, which is where joserfc ends.
_PART: Final = 40 * 1024
#: A part and eight recipients.
LINE_LIMIT: Final = 80 * 1024
#: 10,000 credentials and client keys, and what is around them.
_MOST_LINES: Final = 65_536
_MEMBER: Final = re.compile(
    r"(credential|client-key|providers)/[A-Za-z0-9][A-Za-z0-9._@+-]{0,130}|config|prices", re.ASCII
)
_ID: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_INDEX: Final = "index"


@dataclass(frozen=True, slots=True)
class Member:
    """What `name` is: `credential/<id>`, `client-key/<id>`, `config`, `providers/<file>`, `prices`."""

    name: str
    data: bytes

    def __repr__(self) -> str:
        return f"Member({self.name!r}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class Opened:
    id: str
    made_at: float
    members: tuple[Member, ...]


class _Version(msgspec.Struct):
    v: int


class _Entry(msgspec.Struct):
    name: str
    parts: list[str]


class _Index(msgspec.Struct):
    #: To the end of the year 9999: what is later is no time.
    made_at: Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
    members: list[_Entry]


def recipients(jwks: Sequence[Mapping[str, Any]]) -> list[ECKey]:
    """Public P-256 keys. Raises Misconfigured with what is wrong with one; quotes none of it."""
    if not 0 < len(jwks) <= MAX_RECIPIENTS:
        raise Misconfigured(f"a backup is sealed for 1 to {MAX_RECIPIENTS} keys")
    return [_key(jwk, private=False) for jwk in jwks]


def seal(member: Member, id_: str, keys: Sequence[ECKey]) -> list[str]:
    """The member's lines."""
    if not is_member(member.name) or not _ID.fullmatch(id_):
        raise Misconfigured(f"{member.name!r} cannot be a member of a backup")
    cuts = range(0, max(1, len(member.data)), _PART)
    return [_line(member.data[cut : cut + _PART], _header(id_, member.name, n), keys) for n, cut in enumerate(cuts)]


def index(lines: Mapping[str, Sequence[str]], id_: str, keys: Sequence[ECKey], *, made_at: float) -> list[str]:
    """The index's own lines over those of each member. It is cut as any other: its last part says that it is."""
    members = [{"name": name, "parts": [_hash(line) for line in parts]} for name, parts in lines.items()]
    data = msgspec.json.encode({"v": FORMAT, "made_at": made_at, "members": members})
    cuts = range(0, len(data), _PART)
    return [_line(data[cut : cut + _PART], _header(id_, _INDEX, n, of=len(cuts)), keys) for n, cut in enumerate(cuts)]


def open_(text: str, jwk: Mapping[str, Any]) -> Opened:
    """Raises Misconfigured where it is no backup, damaged, or sealed for another key; quotes nothing."""
    key = _key(jwk, private=True)
    lines = text.splitlines()
    if not lines or len(lines) > _MOST_LINES or any(len(line) > LINE_LIMIT for line in lines):
        raise Misconfigured("this is no backup of vaultd")
    parts = [_opened(lines[0], key)]
    id_, of = parts[0][0]["backup"], parts[0][0].get("of")
    if not isinstance(id_, str) or not _ID.fullmatch(id_) or type(of) is not int or not 0 < of <= len(lines):
        raise Misconfigured("this is no backup of vaultd")
    parts += [_opened(line, key) for line in lines[1:of]]
    if [header for header, _ in parts] != [_header(id_, _INDEX, n, of=of)["vaultd"] for n in range(of)]:
        raise Misconfigured("the backup's index is damaged")
    about = _about(b"".join(data for _, data in parts))
    return Opened(id_, about.made_at, tuple(_members(about.members, lines[of:], id_, key)))


def _about(data: bytes) -> _Index:
    """Whoever knows the public key may have written it."""
    try:
        version = msgspec.json.decode(data, type=_Version).v
        if version != FORMAT:
            raise Misconfigured(f"a backup in format {version}, this vaultd knows {FORMAT}: use its writer")
        about = msgspec.json.decode(data, type=_Index)
    except (msgspec.DecodeError, RecursionError):
        raise Misconfigured("the backup's index is damaged") from None
    names = [entry.name for entry in about.members]
    if len(set(names)) != len(names) or not all(is_member(name) for name in names):
        raise Misconfigured("the backup holds a member that this program does not know, or one twice")
    return about


def is_member(name: str) -> bool:
    return _MEMBER.fullmatch(name) is not None


def _members(listed: Sequence[_Entry], lines: list[str], id_: str, key: ECKey) -> Iterator[Member]:
    if [digest for entry in listed for digest in entry.parts] != [_hash(line) for line in lines]:
        raise Misconfigured("the backup is cut short, or lines of it were changed")
    left = iter(lines)
    for entry in listed:
        name, data = entry.name, b""
        for n in range(len(entry.parts)):
            header, part = _opened(next(left), key)
            if header != _header(id_, name, n)["vaultd"]:
                raise Misconfigured("the backup holds a line of another one")
            data += part
        yield Member(name, data)


def _opened(line: str, key: ECKey) -> tuple[dict[str, Any], bytes]:
    try:
        document = json.loads(line)
        mine = [one for one in document["recipients"] if one["header"].get("kid") == key.kid]
        if len(mine) != 1 or len(document["recipients"]) > MAX_RECIPIENTS:
            raise Misconfigured("the backup is sealed for another key than this one")
        message = jwe.decrypt_json(
            cast("jwe.GeneralJSONSerialization", {**document, "recipients": mine}), key, registry=_registry()
        )
        if message.protected.get("typ") != TYP or message.plaintext is None:
            raise ValueError("another kind")
        return dict(message.protected["vaultd"]), message.plaintext
    except Misconfigured:
        raise
    except Exception:  # noqa: BLE001  - joserfc raises seven classes of its own and nearly all of Python's
        raise Misconfigured("this is no backup of vaultd, or it is damaged") from None


def _line(data: bytes, header: dict[str, Any], keys: Sequence[ECKey]) -> str:
    message = jwe.GeneralJSONEncryption(header, data)
    for key in keys:
        message.add_recipient({"alg": RECOVERY_ALG, "kid": key.kid}, key)
    sealed = jwe.encrypt_json(message, None, registry=_registry())
    return json.dumps(dict(sealed), separators=(",", ":"), ensure_ascii=True)


def _header(id_: str, name: str, part: int, *, of: int = 0) -> dict[str, Any]:
    bound: dict[str, Any] = {"v": FORMAT, "backup": id_, "member": name, "part": part}
    return {"enc": ENC, "typ": TYP, "vaultd": bound | ({"of": of} if of else {})}


def _hash(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def _key(jwk: Mapping[str, Any], *, private: bool) -> ECKey:
    """Named by its thumbprint (RFC 7638), whatever name it came with: `vaultd vault recovery list` shows these."""
    wanted = ("kty", "crv", "x", "y", *(("d",) if private else ()))
    if (
        jwk.get("kty") != "EC"
        or jwk.get("crv") != "P-256"
        or any(not isinstance(jwk.get(name), str) for name in wanted)
    ):
        half = "private" if private else "public"
        raise Misconfigured(f"a recovery key is a {half} JWK of kty EC on the curve P-256")
    try:
        key = ECKey.import_key({name: jwk[name] for name in wanted})
        return ECKey.import_key({name: jwk[name] for name in wanted} | {"kid": key.thumbprint()})
    except Exception:  # noqa: BLE001  - as in _opened
        raise Misconfigured("the recovery key is no point of the curve P-256") from None


def _registry() -> jwe.JWERegistry:
    return jwe.JWERegistry(
        header_registry={"vaultd": HeaderParameter("member of a backup", _is_binding, required=True)},
        algorithms=[RECOVERY_ALG, ENC],
        max_recipients=MAX_RECIPIENTS,
    )


def _is_binding(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValueError("must be a member's binding")
