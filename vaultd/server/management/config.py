"""The configuration whole: as JSON, as YAML, key by key with its meaning; and how every change of it is answered."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from vaultd.config import keys, legacy, masked, write, yaml
from vaultd.config.masked import Masks, key_at, shown
from vaultd.config.masked_text import masked_text, meant_text
from vaultd.errors import Misconfigured
from vaultd.server.management.route import Call, Query, Refused, Reply, Route
from vaultd.work.editing import Change, Edit, Invalid, Locked, Stale, Unsaved

#: What CLIProxyAPI leaves out of its answer too: of no use to a page, or nobody's business.
_LEFT_OUT: Final = frozenset({"port", "auth-dir", "remote-management"})
_YAML: Final = ("application/yaml", "text/yaml", "application/x-yaml")
_REVEAL: Final = Query("reveal", "Secrets in clear; from this machine only.", "boolean")

#: Twice as many as there are keys. Each is a reading of the whole file, and the next edit waits for the last of them.
_EDITS: Final = 100

#: What a change of the configuration may answer beside its success.
REFUSALS: Final = {
    400: "A mask that stands for no key or for several, or a body that is not as declared.",
    403: "As everywhere; or the key can be changed in the file alone.",
    422: "What it makes is no configuration; `path` names the key.",
    500: "`failed to save config: …`; nothing has changed.",
}


class One(msgspec.Struct):
    """An edit of one key: a value, or `remove`."""

    #: The longest of the model has 39 characters, and what `providers` holds is as deep as a manifest.
    path: Annotated[str, Meta(min_length=1, max_length=500)]
    value: Any = UNSET
    remove: bool = False


class Edits(msgspec.Struct):
    edits: Annotated[list[One], Meta(max_length=_EDITS)]
    etag: str = ""


class Candidate(msgspec.Struct):
    """Edits of the file as it is, or another text."""

    edits: Annotated[list[One], Meta(max_length=_EDITS)] | UnsetType = UNSET
    yaml: str | UnsetType = UNSET


class Fault(msgspec.Struct):
    path: str
    message: str


class Checked(msgspec.Struct):
    ok: bool
    errors: list[Fault]
    warnings: list[str]
    diff: str


class Changed(msgspec.Struct):
    """`changed`: keys whose values are others now. `diff`: of the file, secrets masked."""

    status: Literal["ok"]
    changed: list[str]
    diff: str
    warnings: list[str]
    etag: str


class Written(msgspec.Struct):
    ok: bool
    changed: list[str]


class Row(msgspec.Struct, omit_defaults=True):
    """One key. `set`: it stands in the file. `restart`: counts from the next start on. `locked`: no route changes
    it. `of`: what a list's members are."""

    path: str
    type: Literal["string", "integer", "number", "boolean", "list", "object"]
    default: Any = UNSET
    value: Any = UNSET
    set: bool | UnsetType = UNSET
    says: str | UnsetType = UNSET
    restart: bool | UnsetType = UNSET
    secret: bool | UnsetType = UNSET
    locked: bool | UnsetType = UNSET
    choices: list[str] = []
    of: str = ""


class Rows(msgspec.Struct):
    file: str
    writable: bool
    etag: str
    keys: list[Row]


async def saved(call: Call, make: Edit, *, etag: str | None = None) -> Change:
    """Makes the edit, or says why not as the API says it."""
    try:
        change = await call.house.editor.edit(make, etag=etag)
    except Misconfigured as error:
        raise refused(error) from None
    except Stale as error:
        raise Refused(412, str(error)) from None
    except Unsaved as error:
        raise Refused(500, str(error)) from None
    call.changed.extend(change.changed)
    return change


def refused(error: Misconfigured) -> Refused:
    if isinstance(error, Locked):
        return Refused(403, str(error), path=error.path)
    if isinstance(error, masked.Unclear):
        return Refused(400, str(error), path=error.path)
    return Refused(422, str(error), path=error.path if isinstance(error, Invalid) else "")


def source(call: Call) -> str:
    """The file as errors name it."""
    return str(call.house.editor.file.path)


async def whole(call: Call) -> dict[str, Any]:
    config = call.house.config
    values = msgspec.to_builtins(config) if call.reveal else masked.masked(config)
    return {key: value for key, value in values.items() if key not in _LEFT_OUT}


async def text(call: Call) -> Reply:
    editor = call.house.editor
    try:
        found = editor.text()
        if found is None:
            raise Refused(404, "file not found")
        seen = found if call.reveal else masked_text(found, source(call))
    except Misconfigured as error:
        raise Refused(422, f"the file cannot be shown, for nobody can say what in it is a key: {error}") from None
    except Unsaved as error:
        raise Refused(500, str(error)) from None
    headers = {"ETag": f'"{editor.etag(found)}"', "Cache-Control": "no-store"}
    return Reply(seen.encode(), content_type="application/yaml; charset=utf-8", headers=headers)


async def replace(call: Call) -> Written:
    try:
        new = call.body.decode()
        yaml.load(new, source(call))
    except UnicodeDecodeError:
        raise Refused(400, "invalid_yaml", message="is not UTF-8") from None
    except Misconfigured as error:
        raise Refused(400, "invalid_yaml", message=str(error)) from None
    match = call.request.headers.get("If-Match", "").strip().removeprefix("W/").strip('"')
    try:
        await saved(call, _instead(new, source(call)), etag=match if match not in {"", "*"} else None)
    except Refused as error:
        said = {422: "invalid_config", 500: "write_failed"}.get(error.status, error.message)
        raise Refused(error.status, said, **({"message": error.message} | error.more)) from None
    return Written(True, ["config"])


async def rows(call: Call) -> Rows:
    house, editor = call.house, call.house.editor
    try:
        found = editor.text()
        written = write.tree(found or "", source(call))
        legacy.fold(written, [])
    except (Misconfigured, Unsaved):  # what is in force is told all the same
        found, written = None, {}
    values = keys.values(house.config)

    def row(key: keys.Key) -> Row:
        steps = write.steps(key.path)
        value = values[key.path] if call.reveal and not key.locked else shown(key_at(steps), values[key.path])
        return Row(
            path=key.path,
            type=key.type,  # type: ignore[arg-type]
            default=msgspec.to_builtins(key.default),
            value=value,
            set=write.at(written, steps) not in (write.NOTHING, None),
            says=key.says,
            restart=key.restart,
            secret=key.secret,
            locked=key.locked,
            choices=list(key.choices),
            of=key.of,
        )

    return Rows(source(call), editor.writable, editor.etag(found), [row(key) for key in keys.every()])


async def check(call: Call) -> Checked:
    body: Candidate = call.body
    if (body.edits is UNSET) == (body.yaml is UNSET):
        raise Refused(400, "invalid body", message="either `edits` or `yaml`")
    if body.yaml is not UNSET:
        make = _instead(body.yaml, source(call))
    else:
        assert not isinstance(body.edits, UnsetType)
        make = edited(body.edits, source(call))
    try:
        change = await call.house.editor.check(make)
    except Misconfigured as error:
        fault = Fault(getattr(error, "path", ""), str(error))
        return Checked(False, [fault], [], "")
    except Unsaved as error:
        raise Refused(500, str(error)) from None
    return Checked(True, [], list(change.warnings), change.diff)


async def patch(call: Call) -> Changed:
    body: Edits = call.body
    change = await saved(call, edited(body.edits, source(call)), etag=body.etag or None)
    return Changed("ok", list(change.changed), change.diff, list(change.warnings), change.etag)


def edited(edits: list[One], source: str) -> Edit:
    """Each in turn; masks stand for the keys of the text as it was."""

    def make(text: str) -> str:
        masks = Masks(write.tree(text, source))
        for one in edits:
            path = write.steps(one.path)
            text = write.modern(text, str(path[0]), source)
            if one.remove or one.value is None or one.value is UNSET:
                text = write.remove(text, path, source)
                continue
            old = write.at(write.tree(text, source), path)
            # Without defaults, of which an answer is full: only then can be seen what is the same.
            value = keys.tidied(path, one.value, None)
            value = masks.meant(key_at(path), value, keys.tidied(path, old, None), one.path)
            text = write.put(text, path, keys.tidied(path, value, old), source)
        return text

    return make


def _instead(new: str, source: str) -> Edit:
    def make(old: str) -> str:
        try:
            write.tree(old, source)
        except Misconfigured:  # broken by hand: this mends it, and a mask in it stands for nothing
            return new
        return meant_text(new, old, source)

    return make


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/config", whole, "Every key in force, secrets masked; without port, auth-dir and remote-management.",
        "config", query=(_REVEAL,), answers=dict[str, Any], theirs=True,
    ),
    Route(
        "GET", "/config.yaml", text, "The file, secrets masked where they stand; its `ETag` names this text.",
        "config", query=(_REVEAL,), answers=bytes, gives="application/yaml", theirs=True,
        also={404: "There is no file; everything has its default.", 422: "The file is broken, and is not shown."},
    ),
    Route(
        "PUT", "/config.yaml", replace, "Replaces the file; a masked value stands for the key it masks. With "
        "`If-Match` only the text of that `ETag`.",
        "config", body=bytes, takes=_YAML, answers=Written, theirs=True,
        also=REFUSALS | {400: "`invalid_yaml`", 412: "The file has changed meanwhile.", 422: "`invalid_config`"},
    ),
    Route(
        "PATCH", "/config", patch, "Sets and removes keys by dotted path, all or none; comments and order stay.",
        "config", body=Edits, answers=Changed, also=REFUSALS | {412: "The file has changed meanwhile."},
    ),
    Route(
        "GET", "/config/keys", rows, "Every key with its meaning, type, default and value.",
        "config", query=(_REVEAL,), answers=Rows,
    ),
    Route(
        "POST", "/config/check", check, "What a change would do: errors, warnings, a diff of the file. Writes nothing.",
        "config", body=Candidate, answers=Checked, also={400: "Both, or neither, of `edits` and `yaml`."},
    ),
)  # fmt: skip
