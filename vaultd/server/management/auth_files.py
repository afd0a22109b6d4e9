"""Credential files as CLIProxyAPI's programs know them: list, upload, download, delete.

What they call a file is a credential of the vault by the name it was uploaded under (`work.uploads`). A token in clear
comes in by an upload and goes out by none of these: `download` gives the sealed file, `export` one that only the
recipient named in the request can open (THR-19).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from vaultd.errors import Misconfigured
from vaultd.house import House
from vaultd.pool import explain
from vaultd.server.management.route import Call, Done, Query, Refused, Reply, Route
from vaultd.vault.credential import Credential
from vaultd.vault.envelope import NAME
from vaultd.vault.recipient import Recipient
from vaultd.verbs import credentials as verbs
from vaultd.wire.refusal import Refusal
from vaultd.work import uploads
from vaultd.work.exporting import sealed_file

_log = logging.getLogger("vaultd.server")

_GROUP: Final = "auth files"
#: A form with some files, each as large as one may be, and what a form adds.
_UPLOAD_LIMIT: Final = 16 * uploads.FILE_LIMIT
_LIMIT: Final = 64 * 1024
#: What CLIProxyAPI calls the provider of a login whose manifest is called otherwise here.
_THEIR_PROVIDERS: Final = {"gemini": "gemini-cli"}
_FORM: Final = "multipart/form-data"
_EVERYBODY: Final = frozenset({"true", "1", "*"})


class AuthFile(msgspec.Struct, omit_defaults=True):
    """One credential as CLIProxyAPI's panel and apps list it."""

    id: str
    name: str
    type: str
    provider: str
    label: str
    status: str
    status_message: str
    disabled: bool
    unavailable: bool
    runtime_only: bool
    source: str
    size: int
    #: By which later panels find this credential's requests in `/usage`.
    auth_index: str
    priority: int
    note: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    account_type: str | UnsetType = UNSET
    account: str | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    modtime: str | UnsetType = UNSET
    updated_at: str | UnsetType = UNSET
    last_refresh: str | UnsetType = UNSET
    path: str | UnsetType = UNSET


class AuthFiles(msgspec.Struct):
    files: list[AuthFile]


class Taken(msgspec.Struct):
    """One file that was taken in: its name, and the credential it is."""

    name: str
    id: str


class Uploaded(msgspec.Struct):
    """`files` are names, as later panels read them."""

    uploaded: int
    files: list[str]
    credentials: list[Taken]
    status: str = "ok"


class Names(msgspec.Struct):
    """How later panels name the files to delete."""

    names: list[str]


class Deleted(msgspec.Struct, omit_defaults=True):
    """`files` where a body named them."""

    deleted: int
    status: str
    files: list[str] | UnsetType = UNSET


class Switched(msgspec.Struct):
    status: str
    disabled: bool


class Switch(msgspec.Struct):
    name: str
    disabled: bool


class Fields(msgspec.Struct):
    """What is not there stays. `note` is the label; an empty `proxy_url` takes it away."""

    name: str
    priority: int | UnsetType = UNSET
    proxy_url: str | UnsetType = UNSET
    note: str | UnsetType = UNSET
    weight: int | UnsetType = UNSET
    excluded_models: list[str] | UnsetType = UNSET


class ModelOf(msgspec.Struct):
    id: str
    display_name: str
    type: str
    owned_by: str


class ModelsOf(msgspec.Struct):
    models: list[ModelOf]


class Export(msgspec.Struct):
    """`recipient`: a public JWK."""

    name: str
    recipient: dict[str, Any]


class Jwe(msgspec.Struct, omit_defaults=True):
    """RFC 7516 §7.2.2."""

    protected: str
    iv: str
    ciphertext: str
    tag: str
    encrypted_key: str = ""


async def list_(call: Call) -> AuthFiles:
    rows = {row["id"]: row for row in verbs.rows_of(call.house)}
    snapshot = call.house.owner.snapshot()
    named = sorted(uploads.names(snapshot).items())
    return AuthFiles([_listed(call, name, snapshot[id_], rows[id_]) for name, id_ in named if id_ in rows])


async def download(call: Call) -> Reply:
    """The sealed file as it lies on the disk."""
    name = _checked(call.query.get("name", ""))
    credential = _named(call, name)
    try:
        data, _ = call.house.keyring.credentials.read(f"{credential.id}.json")
    except (OSError, Misconfigured):
        raise Refused(404, "file not found") from None
    # The name is of the characters that need no quoting (`envelope.NAME`).
    return Reply(data, headers={"Content-Disposition": f'attachment; filename="{name}"'})


async def upload(call: Call) -> Uploaded:
    """All files are read before the first is kept: one that is bad leaves everything as it was."""
    house = call.house
    files = [part async for part in _files(call)]
    if not files:
        raise Refused(400, "no file uploaded")
    found = []
    for name, data in files:
        _checked(name)
        if len(data) > uploads.FILE_LIMIT:
            raise Refused(413, "body too large", message=f"{name}: at most {uploads.FILE_LIMIT} bytes")
        found.append(uploads.read(name, data, house.catalog, house.keyring, now=house.clock.now()))
    taken: list[Taken] = []
    for one in found:
        try:
            credential = await uploads.take_in(house.owner, one)
        except uploads.Conflict as refusal:
            raise Refused(409, str(refusal), files=[row.name for row in taken]) from None
        call.changed.append(credential.id)
        taken.append(Taken(one.name, credential.id))
    house.renewer.wake()
    return Uploaded(len(taken), [row.name for row in taken], taken)


async def delete(call: Call) -> Deleted:
    """By name in the query, or in a body as later panels send it: all that are named, or none."""
    names: list[str] = []
    if call.query.get("all", "").lower() in _EVERYBODY:
        ids: Sequence[str] = sorted(call.house.owner.snapshot())
    else:
        names = list(dict.fromkeys(_asked(call)))
        ids = [_named(call, _checked(name)).id for name in names]
    for id_ in ids:
        async with call.house.owner.leased(id_) as lease:
            await lease.remove()
        call.changed.append(id_)
    return Deleted(len(ids), "ok", names if call.body else UNSET)


def _asked(call: Call) -> list[str]:
    if not call.body:
        return [call.query.get("name", "")]
    try:
        return msgspec.json.decode(call.body, type=Names).names
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise Refused(400, "invalid body") from None


async def models(call: Call) -> ModelsOf:
    """What it serves now; what rests is served too."""
    house, credential = call.house, _named(call, _checked(call.query.get("name", "")))
    maker = house.catalog.provider(credential.provider).name or credential.provider
    served = [
        ModelOf(name, name, credential.provider, maker)
        for name, (_, providers) in house.pool.models(house).items()
        if credential.provider in providers and credential.id in _servers(house, providers, name)
    ]
    return ModelsOf(served)


def _servers(house: House, providers: Sequence[str], model: str) -> frozenset[str]:
    form = house.catalog.provider(providers[0]).api.formats[0]
    try:
        tiers = house.pool.route(house, form, model).tiers
    except Refusal:
        return frozenset()
    return frozenset(member.id for tier in tiers for member in tier.members)


async def switch(call: Call) -> Switched:
    credential = _named(call, _checked(call.body.name))
    call.changed.append(credential.id)
    verb = verbs.disable if call.body.disabled else verbs.enable
    await verb(call.house, {"id": credential.id})
    return Switched("ok", call.body.disabled)


async def change(call: Call) -> Done:
    fields: Fields = call.body
    credential = _named(call, _checked(fields.name))
    given = {
        "priority": fields.priority,
        "proxy": fields.proxy_url,
        "label": fields.note,
        "weight": fields.weight,
        "excluded_models": fields.excluded_models,
    }
    args = {name: value for name, value in given.items() if value is not UNSET}
    if not args:
        raise Refused(400, "no fields to update")
    call.changed.extend([credential.id, *args])
    await verbs.set_(call.house, {"id": credential.id, **args})
    return Done()


async def export(call: Call) -> Jwe:
    """Told to the log beside the audit line: which login left, and to whose key."""
    recipient = Recipient(call.body.recipient)
    credential = _named(call, _checked(call.body.name))
    sealed = sealed_file(credential, call.house.catalog.provider(credential.provider), recipient)
    call.changed.extend([credential.id, recipient.thumbprint])
    _log.warning("a login was handed out, sealed to a recipient", extra={"credential": credential.id})
    return Jwe(**sealed)


async def vertex(_call: Call) -> Done:
    raise Refused(
        400,
        "Vertex AI service accounts are not supported yet: add a Gemini API key (POST /credentials with provider "
        "gemini-api-key), or sign in with a Google account (/gemini-cli-auth-url)",
    )


async def _files(call: Call) -> AsyncIterator[tuple[str, bytes]]:
    """A form's parts called `file`, or the one raw body under `?name=`."""
    if call.request.content_type == _FORM:
        async for part in call.parts():
            if part.name == "file":
                yield part.filename, part.data
    else:
        yield call.query.get("name", ""), call.body


def _checked(name: str) -> str:
    """THR-17: the decoded value, whole. What is left cannot leave the folder, be another's, or end a header."""
    if not name.lower().endswith(".json"):
        raise Refused(400, "name must end with .json")
    if not NAME.fullmatch(name):
        raise Refused(400, "invalid name")
    return name


def _named(call: Call, name: str) -> Credential:
    snapshot = call.house.owner.snapshot()
    id_ = uploads.find(snapshot, name)
    if id_ is None:
        raise Refused(404, "file not found")
    return snapshot[id_]


_STATUS: Final = {"available": "active", "disabled": "disabled"}


@dataclass(frozen=True, slots=True)
class _File:
    """What of the sealed file is to be seen from outside; nothing where it is in memory alone."""

    path: str = ""
    size: int = 0
    changed: float = 0.0


def _listed(call: Call, name: str, credential: Credential, row: dict[str, Any]) -> AuthFile:
    file, account = _on_disk(call, credential.id), credential.account
    email = account.email or account.person
    return AuthFile(
        id=credential.id,
        name=name,
        type=credential.provider,
        provider=_THEIR_PROVIDERS.get(credential.provider, credential.provider),
        label=credential.settings.label or email or credential.id,
        status=_STATUS.get(row["state"], "error"),
        status_message=row["reason"],
        disabled=credential.settings.disabled,
        unavailable=row["state"] not in _STATUS,
        runtime_only=False,
        source="file" if file.path else "memory",
        size=file.size,
        auth_index=credential.id,
        priority=credential.settings.priority,
        note=credential.settings.label or UNSET,
        email=email or UNSET,
        account_type="oauth" if credential.kind == "oauth" else "api_key",
        account=email or credential.settings.label or UNSET,
        created_at=_at(credential.created_at),
        modtime=_at(file.changed),
        updated_at=_at(file.changed or credential.renewed_at),
        last_refresh=_at(credential.renewed_at),
        path=file.path or UNSET,
    )


def _on_disk(call: Call, id_: str) -> _File:
    path = call.house.owner.folder / f"{id_}.json"
    try:
        facts = path.stat(follow_symlinks=False)
    except OSError:
        return _File()
    return _File(str(path), facts.st_size, facts.st_mtime)


def _at(wall: float) -> str | UnsetType:
    return explain.at(wall) if wall else UNSET


_NAME: Final = Query("name", "The file's name, as listed.", required=True)
_NOT_FOUND: Final = {400: "`name must end with .json`", 404: "`file not found`"}

ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/auth-files", list_, "Every credential file with how it stands.", _GROUP, answers=AuthFiles,
          theirs=True),
    Route("GET", "/auth-files/download", download, "The sealed file as it lies on the disk.", _GROUP, query=(_NAME,),
          answers=dict[str, Any], also=_NOT_FOUND, theirs=True, hands_out=True),
    Route(
        "POST", "/auth-files", upload,
        "Takes token files of CLIProxyAPI, or sealed ones of this vault; each is sealed before it touches the disk.",
        _GROUP, query=(Query("name", "For a raw body: the file's name."),), body=bytes,
        takes=("application/json", _FORM, "application/octet-stream"), answers=Uploaded,
        also={400: "the file is none that can be taken, or its name does not end with .json",
              409: "the name is another account's, or the sealed file was overtaken since"},
        limit=_UPLOAD_LIMIT, theirs=True,
    ),
    Route(
        "DELETE", "/auth-files", delete, "Deletes one credential file, or all.", _GROUP,
        query=(Query("name", "The file's name, as listed."), Query("all", "true, 1 or *: every file.")),
        body=bytes, bare=True, answers=Deleted, also=_NOT_FOUND, limit=_LIMIT, theirs=True,
    ),
    Route("GET", "/auth-files/models", models, "What one credential serves.", _GROUP, query=(_NAME,), answers=ModelsOf,
          also=_NOT_FOUND),
    Route("PATCH", "/auth-files/status", switch, "Switches one off or on.", _GROUP, body=Switch, answers=Switched,
          also=_NOT_FOUND, limit=_LIMIT),
    Route("PATCH", "/auth-files/fields", change, "Changes priority, weight, proxy, label or excluded models of one.",
          _GROUP, body=Fields, also=_NOT_FOUND, limit=_LIMIT),
    Route(
        "POST", "/auth-files/export", export,
        "A login in CLIProxyAPI's format, sealed to a public key of the asker's; whoever uses it ends it here.",
        _GROUP, body=Export, answers=Jwe, limit=_LIMIT,
        also={400: "the recipient is no public key of a kind that can be sealed to", 404: "`file not found`"},
    ),
    Route(
        "POST", "/vertex/import", vertex, "Not supported yet.", _GROUP, body=bytes,
        takes=(_FORM, "application/json"), also={400: "Vertex AI service accounts are not supported yet"},
        limit=_LIMIT, theirs=True,
    ),
)  # fmt: skip
