"""What a request hook is: the shapes that hooks and the relay agree on.

A hook changes one vendor's requests or answers where its backend insists. It is pure, at most a screen long, and a row
of docs/honest-relay.md. `wire` is unknown here: bodies come in as whatever can do what `Body` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec

from vaultd.catalog.manifest import FormatName
from vaultd.errors import VaultdError

Action = Literal["generate", "stream", "count"]


class Row(NamedTuple):
    """One row of docs/honest-relay.md. A test runs every hook and holds what it did against its rows.

    `member`: at the body's top level, in the names of the vendor's format. `set` may find it there or not, `changed`
    and `dropped` only where the client sent it; `mended` is after a 400, `answer` on the way back.
    """

    member: str
    does: Literal["set", "changed", "dropped", "refused", "wrapped", "mended", "answer"]
    what: str
    why: str


class CannotServe(VaultdError):
    """The request asks for what this vendor does not have; leaving it out would give a wrong answer. Says what."""


class Body(Protocol):
    """The top-level members of a request body, one candidate's own copy."""

    def __contains__(self, name: str) -> bool: ...
    def raw(self, name: str) -> bytes | None: ...
    def get(self, name: str, default: Any = None) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...
    def set_raw(self, name: str, text: bytes) -> None: ...
    def drop(self, name: str) -> None: ...


class Envelope(Protocol):
    """The object a client put around its request."""

    def splice(self, edits: Mapping[str, bytes | None]) -> bytes: ...


class Asked(msgspec.Struct, frozen=True):
    """What a hook may know of the request beside its body."""

    action: Action
    #: The vendor's own name of the model.
    model: str
    #: The vendor's format that the body is in.
    format: FormatName
    #: The account's project, where the vendor has such a thing.
    project: str = ""
    #: True where the answer's tokens are counted.
    accounting: bool = False
    #: True where the client itself asked for usage in its stream.
    usage_asked: bool = False
    envelope: Envelope | None = None
    #: The least and the most budget of thinking that a listed model takes, in tokens; none where that is not known.
    budgets: tuple[int, int] | None = None
    #: True where that is not the client's: the answer is read, and none of its bytes pass.
    translated: bool = False


#: A mark that no frame has, for a change with `frames` alone: neither JSON nor SSE holds a NUL.
NOWHERE: Final = b"\0"


@dataclass(frozen=True, slots=True)
class Change:
    """How one answer is changed. `data` gets a whole body or the data of one event; None takes the event out.

    `mark`: only frames in which it stands are looked at; b"" is every one. `frames`, where there is one, is given a
    stream's whole frames in their order instead, and may remember them: it is of one stream.
    """

    data: Callable[[bytes], bytes | None]
    mark: bytes = b""
    frames: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True, slots=True)
class RequestHook:
    """One quirk; a hook has the parts it needs."""

    rows: tuple[Row, ...]
    #: Members edited before the request is sent.
    edit: Callable[[Body, Asked], None] | None = None
    #: The finished body put into another.
    wrap: Callable[[bytes, Asked], bytes] | None = None
    #: The answer changed on its way back.
    answer: Callable[[Asked], Change | None] | None = None
    #: After a 400: given its text, edits the body for one more try and says whether there is to be one.
    mend: Callable[[Body, bytes], bool] | None = None
