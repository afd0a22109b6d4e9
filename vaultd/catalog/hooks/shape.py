"""What a request hook is: the shapes that hooks and the relay agree on.

A hook changes one vendor's requests or answers where its backend insists. It is pure, at most a screen long, and a row
of docs/honest-relay.md. `wire` is unknown here: bodies come in as whatever can do what `Body` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from vaultd.errors import VaultdError

Action = Literal["generate", "stream", "count"]


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
    #: The account's project, where the vendor has such a thing.
    project: str = ""
    #: True where the answer's tokens are counted.
    accounting: bool = False
    #: True where the client itself asked for usage in its stream.
    usage_asked: bool = False
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """How one answer is changed. `data` gets a whole body or the data of one event; None takes the event out.

    `mark`: only frames in which it stands are looked at; b"" is every one.
    """

    data: Callable[[bytes], bytes | None]
    mark: bytes = b""


@dataclass(frozen=True, slots=True)
class RequestHook:
    """One quirk; a hook has the parts it needs."""

    #: Members edited before the request is sent.
    edit: Callable[[Body, Asked], None] | None = None
    #: The finished body put into another.
    wrap: Callable[[bytes, Asked], bytes] | None = None
    #: The answer changed on its way back.
    answer: Callable[[Asked], Change | None] | None = None
    #: After a 400: given its text, edits the body for one more try and says whether there is to be one.
    mend: Callable[[Body, bytes], bool] | None = None
