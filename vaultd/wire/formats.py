"""The formats by name, held to one Protocol: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from vaultd.wire.anthropic_messages import face as anthropic_messages
from vaultd.wire.gemini import face as gemini
from vaultd.wire.ir import Answer, Event, Request, Stamp, Target
from vaultd.wire.listing import Listed
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.openai_chat import face as openai_chat
from vaultd.wire.openai_responses import face as openai_responses
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

FormatName = Literal["openai-chat", "openai-responses", "anthropic-messages", "gemini"]


class Face(Protocol):
    """What relaying a format untranslated needs to know of it."""

    @property
    def NAME(self) -> FormatName: ...  # noqa: N802
    @property
    def PATH(self) -> str:  # noqa: N802
        """Below a vendor's base, unless its manifest says otherwise."""
        ...

    @property
    def COUNT_PATH(self) -> str: ...  # noqa: N802
    @property
    def KEEPALIVE(self) -> bytes:  # noqa: N802
        """A comment frame: no client takes it for output."""
        ...

    @property
    def ENDINGS(self) -> tuple[bytes, ...]:  # noqa: N802
        """A stream whose last frames hold none of these was cut off."""
        ...

    @property
    def USAGE_MARK(self) -> bytes:  # noqa: N802
        """What stands in a frame that may state tokens."""
        ...

    @property
    def USAGE_BEGUN(self) -> bytes:  # noqa: N802
        """What stands in the first event of a stream where that states a part of the tokens; else empty."""
        ...

    def error_body(self, refusal: Refusal) -> bytes: ...
    def error_event(self, refusal: Refusal, last: bytes = b"") -> bytes: ...
    def usage(self, data: bytes, first: bytes = b"") -> Usage | None: ...
    def model_list(self, listed: Iterable[Listed]) -> dict[str, Any]: ...


class Reading(Protocol):
    """A vendor's stream, read as it comes."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Never raises: what cannot be understood ends in Fail, after which nothing is given out any more."""
        ...

    def end(self) -> list[Event]:
        """The vendor has closed: Fail where its grammar had not come to an end, else what was held back."""
        ...


class Writing(Protocol):
    """A client's stream, written as it comes."""

    def feed(self, events: list[Event]) -> bytes: ...


class Grammar(Protocol):
    """A format, both ways (`wire.ir`). What is read raises Refusal: 400 for a client's request, 502 for an answer."""

    def read_request(self, body: bytes, *, model: str, stream: bool) -> Request: ...
    def write_request(self, request: Request, target: Target, lost: Loss) -> tuple[dict[str, Any], Names]:
        """The body's members, their values ready for JSON (`msgspec.Raw` too), and how tools are called in it. Raises
        Refusal 400 for what cannot be done at all."""
        ...

    def read_answer(self, body: bytes, names: Names) -> Answer: ...
    def write_answer(self, answer: Answer, request: Request, stamp: Stamp, lost: Loss) -> bytes: ...
    def reader(self, names: Names, unwrap: Callable[[bytes], bytes] | None = None) -> Reading:
        """`unwrap` takes a vendor's envelope off the data of each event."""
        ...

    def writer(self, request: Request, stamp: Stamp, lost: Loss) -> Writing: ...


FORMATS: Final[MappingProxyType[FormatName, Face]] = MappingProxyType(
    {
        "openai-chat": openai_chat,
        "openai-responses": openai_responses,
        "anthropic-messages": anthropic_messages,
        "gemini": gemini,
    }
)
