"""Edits to one request body, gathered before anything is written: hooks, rules and the model's name each add theirs.

`Draft` is of a client's own bytes: only members that differ in the end are spliced, so that nothing asked for is no
change. `Fresh` is of a body that a grammar wrote, and knows what was taken out of it. Reads see earlier edits.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.members import DELETE, Members


class Draft:
    """One candidate's version of a request body."""

    __slots__ = ("_edits", "_members")

    def __init__(self, members: Members) -> None:
        self._members = members
        self._edits: dict[str, bytes | None] = {}

    def __contains__(self, name: str) -> bool:
        if name in self._edits:
            return self._edits[name] is not DELETE
        return name in self._members

    def raw(self, name: str) -> bytes | None:
        """The member's JSON text, or None."""
        if name in self._edits:
            return self._edits[name]
        return self._members.raw(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The member's value, decoded: a copy, to be given back by `set`."""
        if name in self._edits:
            edit = self._edits[name]
            return default if edit is DELETE else msgspec.json.decode(edit)
        return self._members.get(name, default)

    def set(self, name: str, value: Any) -> None:
        self.set_raw(name, msgspec.json.encode(value))

    def set_raw(self, name: str, text: bytes) -> None:
        if self._members.raw(name) == text:
            self._edits.pop(name, None)
        else:
            self._edits[name] = text

    def drop(self, name: str) -> None:
        if name in self._members:
            self._edits[name] = DELETE
        else:
            self._edits.pop(name, None)

    def body(self) -> bytes:
        return self._members.splice(self._edits) if self._edits else self._members.body


class Fresh:
    """One candidate's body in another format than the client's.

    Once the body is there, its members are let go, and found again in it where one is asked for: the thousand pieces of
    a long conversation cost least while they are still in the processor's cache, and the vendor takes its time.
    """

    __slots__ = ("_body", "_given", "dropped")

    def __init__(self, members: dict[str, Any]) -> None:
        self._given: dict[str, Any] | None = members
        self._body = b""
        #: Members that were written and then taken out again, because the vendor refuses them.
        self.dropped: list[str] = []

    @property
    def _members(self) -> dict[str, Any]:
        if self._given is None:
            self._given = _members.decode(self._body)
        return self._given

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def raw(self, name: str) -> bytes | None:
        value = self._members.get(name, _ABSENT)
        if value is _ABSENT:
            return None
        if not isinstance(value, msgspec.Raw):
            value = self._members[name] = msgspec.Raw(msgspec.json.encode(value))
        return bytes(value)

    def get(self, name: str, default: Any = None) -> Any:
        raw = self.raw(name)
        return default if raw is None else msgspec.json.decode(raw)

    def set(self, name: str, value: Any) -> None:
        self._members[name] = value

    def set_raw(self, name: str, text: bytes) -> None:
        self._members[name] = msgspec.Raw(text)

    def drop(self, name: str) -> None:
        if self._members.pop(name, _ABSENT) is not _ABSENT:
            self.dropped.append(name)

    def body(self) -> bytes:
        if self._given is not None:
            self._body, self._given = msgspec.json.encode(self._given), None
        return self._body


_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ABSENT: Final = object()
