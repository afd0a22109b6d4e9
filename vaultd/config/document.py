"""Writes `docs/configuration.md` from the model, so that no key is described twice: `make docs`."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from vaultd.config import legacy
from vaultd.config.model import Config

PAGE: Final = Path("docs/configuration.md")

_HEAD: Final = """\
# Configuration

<!-- Generated from vaultd/config/model.py by `make docs`; edit there. -->

One YAML file. It is looked for at `--config`, else `$VAULTD_CONFIG`, else `$CONFIGURATION_DIRECTORY/config.yaml`, else
`$XDG_CONFIG_HOME/vaultd/config.yaml` (`~/.config/vaultd/config.yaml`). None at all is fine: everything has a default.
A running daemon takes up changes by itself; a bad edit keeps the last good configuration, and `vaultd status` says why.

`vaultd config check` names what is wrong (exit 78) or worth knowing; `vaultd config show` prints every value in force.

The file is read strictly. A key nobody knows is an error that names the nearest one. Text stays the text it is (`no`,
`0123`, `1.10`, `08:30`). Aliases, anchors, tags, repeated keys, more than 32 levels and more than 1 MiB are refused.
A relative path starts at the file's folder; `~` is the home folder.
"""

_TAIL: Final = """\
## Coming from CLIProxyAPI

Its `config.yaml` of November 2025 starts vaultd unchanged; every key it has means the same. Older spellings are
folded in: `ws_auth`, top-level `allow-remote-management` and `remote-management-key`, `generative-language-api-key`,
`openai-compatibility[].api-keys`, `auth.providers`. What differs on purpose:

- `host` is `127.0.0.1` unless given (in the image `0.0.0.0`).
- The example file's placeholder keys are refused, and with no key configured vaultd makes one: there is no open relay.
- `request-log` seals its files, leaves secrets out, cuts bodies at 256 KiB, and keeps 500 requests and 64 MiB for a day
  at most. What is refused before it is relayed is not in it.
- Entries of `codex-api-key` and `openai-compatibility` without a `base-url` are left out, as there, but with a warning.

Keys that only its later versions have are ignored, with one warning that names them:
"""


def page() -> str:
    """The whole page."""
    shapes: dict[Any, list[str]] = {}
    top = _table(Config, shapes, "")
    parts = [_HEAD, "## Keys\n", top]
    for kind, places in shapes.items():
        if kind is not Config:
            heading = ", ".join(f"`{place}`" for place in places)
            parts += [f"### {heading}\n", _table(kind, {}, "")]
    return "\n".join([*parts, _TAIL, *_later()]) + "\n"


def _table(kind: type[msgspec.Struct], shapes: dict[Any, list[str]], prefix: str) -> str:
    """One row a key; nested sections go to `shapes`, in the order met, with every place they stand at."""
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        inner, meaning = unwrapped(field.type)
        rows.append(f"| `{field.encode_name}` | {_type(inner)} | {_default(field)} | {meaning} |")
        _collect(inner, f"{prefix}{field.encode_name}", shapes)
    return "\n".join(rows) + "\n"


def _collect(kind: Any, place: str, shapes: dict[Any, list[str]]) -> None:
    member = typing.get_args(kind)[0] if typing.get_origin(kind) is list else kind
    place = f"{place}[]" if member is not kind else place
    if not is_section(member):
        return
    shapes.setdefault(member, []).append(place)
    for field in msgspec.structs.fields(member):
        _collect(unwrapped(field.type)[0], f"{place}.{field.encode_name}", shapes)


def unwrapped(kind: Any) -> tuple[Any, str]:
    """The type without `Annotated` and `| None`, and the key's meaning."""
    meaning = ""
    while True:
        if typing.get_origin(kind) is typing.Annotated:
            kind, *notes = typing.get_args(kind)
            meaning = next((note.description for note in notes if note.description), meaning)
        elif typing.get_origin(kind) in {typing.Union, types.UnionType}:
            kind = next(option for option in typing.get_args(kind) if option is not type(None))
        else:
            return kind, meaning


def _type(kind: Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in args)
    if origin is list:
        return f"list of {_type(unwrapped(args[0])[0])}s".replace("texts", "text")
    if origin is dict:
        return "mapping"
    names = {str: "text", int: "integer", float: "number", bool: "true, false"}
    return names.get(kind, "section")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else None
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, int | float) or (isinstance(value, str) and value) else "–"


def is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _later() -> Iterator[str]:
    for place, names in legacy.LATER.items():
        listed = ", ".join(f"`{name}`" for name in names.split())
        yield f"- at `{place}`: {listed}" if place else f"- {listed}"


if __name__ == "__main__":
    PAGE.write_text(page())
