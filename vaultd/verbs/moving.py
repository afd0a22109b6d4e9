"""Credentials that come from another program, and leave for one.

An import says what it would do and does it only when told to; a file it does not like is named and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from vaultd.effects import Choose, Effect
from vaultd.errors import Misconfigured, VaultdError
from vaultd.house import House
from vaultd.oauth.account import merged
from vaultd.oauth.grant import after_sign_in
from vaultd.oauth.tokens import Grant
from vaultd.pool.explain import at
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.vault.recipient import Recipient
from vaultd.verbs.arguments import text, texts
from vaultd.work.drive import drive, unattended
from vaultd.work.exporting import sealed_file
from vaultd.work.importing import cliproxyapi_config, fate
from vaultd.work.importing.fate import Fate
from vaultd.work.importing.fields import Around, Found
from vaultd.work.importing.formats import FORMATS, read
from vaultd.work.pending_sign_ins import LONGEST_LABEL

#: Of what was read: sealed by a vault already, not readable, said by a configuration.
_Rows = dict[str, list[dict[str, Any]]]

_WORDS: Final = {
    "new": "",
    "replace": "in the place of the login that is here",
    "here": "is here already, the same login",
    "older": "is older than the login here, which was renewed since: left",
}


async def plan_import(house: House, args: Mapping[str, Any]) -> Any:
    """`{"files": [{"name", "text", "beside": {name: text}}], "format", "label", "passphrase"}`: what would become of
    each login and key, in the files' order. Changes nothing."""
    return await _import(house, args, act=False)


async def import_(house: House, args: Mapping[str, Any]) -> Any:
    """The same, done: each is sealed and durable when this answers."""
    return await _import(house, args, act=True)


async def _import(house: House, args: Mapping[str, Any], *, act: bool) -> Any:
    files = args.get("files")
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise Misconfigured("files: a list of {name, text} is expected")
    wanted = text(args, "format", "")
    if wanted and wanted not in FORMATS:
        raise Misconfigured(f"there is no format {wanted!r}; there are {', '.join(sorted(FORMATS))}")
    rows: _Rows = {"logins": [], "client_keys": [], "sealed_already": [], "refused": [], "stays": []}
    # What the files before have become, or would have: a plan is for all of them.
    held = dict(house.owner.snapshot())
    for file in files:
        name = text(file, "name")
        try:
            if cliproxyapi_config.is_config(name):
                await _configuration(house, file, rows, held, act=act)
                continue
            format_, found = read(text(file, "text", ""), name, _around(house, args, file), wanted)
        except Misconfigured as error:
            rows["refused"].append({"name": name, "reason": str(error)})
            continue
        if format_ == "sealed":
            rows["sealed_already"].append({"name": name})
        for one in found:
            await _login(house, one, {"name": name, "format": format_}, rows, held, act=act)
    return {"acted": act, **rows, "warnings": _warnings(rows)}


def _around(house: House, args: Mapping[str, Any], file: Mapping[str, Any]) -> Around:
    beside = file.get("beside", {})
    if not isinstance(beside, dict) or not all(isinstance(value, str) for value in beside.values()):
        raise Misconfigured("beside: texts by name are expected")
    label = text(args, "label", "").strip()
    if len(label) > LONGEST_LABEL or not label.isprintable():
        raise Misconfigured(f"a label is at most {LONGEST_LABEL} printable characters")
    passphrase = Secret(text(args, "passphrase", ""))
    return Around(house.catalog, house.clock.now(), beside, label, passphrase)


async def _login(
    house: House, found: Found, row: dict[str, Any], rows: _Rows, held: dict[str, Credential], *, act: bool
) -> None:
    """One row: what becomes of it. A login that is saved in memory alone ends the import: TryLater says so."""
    done = await fate.take_in(house.owner, found) if act else fate.judge(found, held)
    if done.does in {"new", "replace"}:
        held[done.id] = replace(done.credential, id=done.id)
    note = await _learn(house, done.id) if act and done.does in {"new", "replace"} else ""
    rows["logins"].append(row | _told(house, found, done) | {"note": note})


def _told(house: House, found: Found, done: Fate) -> dict[str, Any]:
    credential = done.credential
    tokens = credential.tokens
    expired = tokens is not None and tokens.expires_at <= house.clock.now()
    return {
        "provider": credential.provider,
        "account": credential.account.email or credential.account.person or credential.settings.label,
        "kind": credential.kind,
        "does": done.does,
        "id": done.id,
        "says": _WORDS[done.does],
        "expires_at": at(tokens.expires_at) if tokens is not None else None,
        "renewed_at_first_use": expired and tokens is not None and tokens.refresh is not None,
        "named_by_label": fate.nameless([found]),
    }


async def _learn(house: House, id_: str) -> str:
    """What a sign-in asks the vendor once and no renewal repeats (Google's project). Why it is not known, in words; a
    login whose project is not known is kept all the same."""
    credential = house.owner.get(id_)
    provider = house.catalog.provider(credential.provider) if credential is not None else None
    if credential is None or provider is None or provider.oauth is None or credential.tokens is None:
        return ""
    if not provider.oauth.signed_in or provider.oauth.renewed or credential.account.facts.get("projects"):
        return ""
    try:
        fresh = await house.renewer.fresh(id_)
        assert fresh.tokens is not None
        world = unattended(house.client.send, house.clock)

        async def perform(effect: Effect) -> Any:
            return [effect.default] if isinstance(effect, Choose) else await world(effect)

        grant = await drive(after_sign_in(provider, Grant(fresh.tokens, fresh.account)), perform)
        async with house.owner.leased(id_) as lease:
            if lease.current is not None and grant.account is not None:
                account = merged(lease.current.account, grant.account)
                await lease.put(replace(lease.current, account=account))
    except VaultdError as error:
        return f"its project is not known ({error}): vaultd credentials set {id_} --project NAME"
    return ""


async def _configuration(
    house: House, file: Mapping[str, Any], rows: _Rows, held: dict[str, Credential], *, act: bool
) -> None:
    name = text(file, "name")
    contents = cliproxyapi_config.read(text(file, "text", ""), name, house.catalog, now=house.clock.now())
    for key in contents.vendor_keys:
        await _login(house, key, {"name": name, "format": "cliproxyapi"}, rows, held, act=act)
    known = {key.value.reveal() for key in house.clients.list()}
    for alias, value in contents.client_keys.items():
        here = value.reveal() in known
        if act and not here:
            await house.clients.adopt(alias, value)
        rows["client_keys"].append({"name": name, "alias": alias, "does": "here" if here else "new"})
    where = house.places.config_file or house.places.config_dir / "config.yaml"
    rows["stays"].append({"name": name, "keys": contents.stays, "config": str(where)})


def _warnings(rows: _Rows) -> list[dict[str, str]]:
    """What taking over means for each program whose login is taken (SEC-53)."""
    taken = {row["format"] for row in rows["logins"] if row["kind"] == "oauth" and row["does"] in {"new", "replace"}}
    return [
        {"client": about.client, "taken": about.taken, "instead": about.instead}
        for format_, about in FORMATS.items()
        if format_ in taken
    ]


async def export(house: House, args: Mapping[str, Any]) -> Any:
    """`{"ids", "recipient"}`: each login as CLIProxyAPI's file, sealed to the recipient's key (THR-19)."""
    jwk = args.get("recipient")
    if not isinstance(jwk, dict):
        raise Misconfigured("recipient: a public JWK is expected")
    recipient = Recipient(jwk)
    ids = texts(args, "ids") or ()
    return {"recipient": recipient.thumbprint, "data": list(_exported(house, ids, recipient))}


def _exported(house: House, ids: tuple[str, ...], recipient: Recipient) -> Iterator[dict[str, Any]]:
    if not ids:
        raise Misconfigured("ids: name at least one credential")
    for id_ in (given.removesuffix(".json") for given in ids):
        credential = house.owner.get(id_)
        if credential is None:
            raise Misconfigured(f"no credential {id_!r}; `vaultd credentials list` shows them all")
        provider = house.catalog.provider(credential.provider)
        yield {"id": id_, "file": f"{id_}.json", "jwe": sealed_file(credential, provider, recipient)}
