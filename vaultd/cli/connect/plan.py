"""What is written where, and how it is taken back. Pure: texts in, texts out, and what a record has to remember.

An edit is taken back only where it still stands as it was made: what a person or the client changed since is theirs.
What was written is remembered by its hash, so that no record holds the client key; what stood there before as it was,
as the backup has it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any, Final

import msgspec

from vaultd.cli.connect import env_text, json_text, key_text, toml_text
from vaultd.cli.connect.edit import NOTHING, Edit, Path, Text, at

FORMATS: Final[Mapping[str, Text]] = {"json": json_text, "toml": toml_text, "env": env_text, "key": key_text}


@dataclass(frozen=True, slots=True)
class Target:
    """A file of a client's, and what is to stand in it."""

    path: File
    format: str
    edits: tuple[Edit, ...]
    #: What a file that is not there yet begins with; one that says no more in the end is taken away again.
    seed: str = ""

    @property
    def secret(self) -> bool:
        return any(edit.secret for edit in self.edits)


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One edit that was made. `wrote`: the value's hash, "" where something was taken away. `before`: what stood there,
    in a list; an empty one where nothing did. `above`: how many steps of the path stood already."""

    path: list[str]
    wrote: str
    before: list[Any] = []
    above: int = 0
    ours: bool = False


def applied(format: str, text: str, edits: Sequence[Edit]) -> tuple[str, list[Done]]:  # noqa: A002
    """Raises Odd."""
    form, done = FORMATS[format], []
    for edit in edits:
        raw = form.read(text)
        before = at(raw, edit.path)
        if before is NOTHING and edit.value is NOTHING:
            continue
        above = next(n for n in range(len(edit.path), -1, -1) if at(raw, edit.path[:n]) is not NOTHING)
        text = form.remove(text, edit.path) if edit.value is NOTHING else form.put(text, edit.path, edit.value)
        done.append(
            Done(
                path=list(edit.path),
                wrote="" if edit.value is NOTHING else _hash(edit.value),
                before=[] if before is NOTHING else [before],
                above=above,
                ours=edit.ours,
            )
        )
    return text, done


def undone(format: str, text: str, done: Sequence[Done]) -> tuple[str, list[Path]]:  # noqa: A002
    """`text` without those edits, and which of them stay, for they say something else by now. Raises Odd."""
    form, kept = FORMATS[format], []
    for edit in reversed(done):
        path: Path = tuple(edit.path)
        now = at(form.read(text), path)
        if now is NOTHING:
            if not edit.wrote:
                text = form.put(text, path, edit.before[0])
        elif edit.wrote and (edit.ours or _hash(now) == edit.wrote):
            text = form.put(text, path, edit.before[0]) if edit.before else form.remove(text, path)
        else:
            kept.append(path)
        for length in range(len(path) - 1, edit.above, -1):
            if at(form.read(text), path[:length]) == {}:
                text = form.remove(text, path[:length])
    return text, kept


def stands(format: str, text: str, done: Sequence[Done]) -> bool:  # noqa: A002
    """Whether every edit still is as it was made. Raises Odd."""
    raw = FORMATS[format].read(text)
    return all(_hash(at(raw, tuple(edit.path))) == edit.wrote for edit in done)


def _hash(value: Any) -> str:
    if value is NOTHING:
        return ""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
