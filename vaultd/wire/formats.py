"""The formats by name, held to one Protocol: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from vaultd.wire.anthropic_messages import face as anthropic_messages
from vaultd.wire.anthropic_messages import grammar as messages_grammar
from vaultd.wire.gemini import face as gemini
from vaultd.wire.gemini import grammar as gemini_grammar
from vaultd.wire.ir import Answer, Event, Request, Stamp, Target
from vaultd.wire.listing import Listed
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.openai_chat import completions
from vaultd.wire.openai_chat import face as openai_chat
from vaultd.wire.openai_chat import grammar as chat_grammar
from vaultd.wire.openai_responses import face as openai_responses
from vaultd.wire.openai_responses import grammar as responses_grammar
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

FormatName = Literal["openai-chat", "openai-responses", "anthropic-messages", "gemini"]
#: Completions is what some clients still speak, and no vendor here.
ClientFormat = FormatName | Literal["openai-completions"]


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


class ClientSide(Protocol):
    """A format that clients speak: what they ask is read (Refusal 400), what they are told is written (`wire.ir`)."""

    def read_request(self, body: bytes, *, model: str, stream: bool) -> Request: ...
    def write_answer(self, answer: Answer, request: Request, stamp: Stamp, lost: Loss) -> bytes: ...
    def writer(self, request: Request, stamp: Stamp, lost: Loss) -> Writing: ...


class VendorSide(Protocol):
    """A format that vendors speak: what they are asked is written, what they answer is read (Refusal 502)."""

    def write_request(self, request: Request, target: Target, lost: Loss) -> tuple[dict[str, Any], Names]:
        """The body's members, their values ready for JSON (`msgspec.Raw` too), and how tools are called in it. Raises
        Refusal 400 for what cannot be done at all."""
        ...

    def read_answer(self, body: bytes, names: Names) -> Answer: ...
    def reader(self, names: Names, unwrap: Callable[[bytes], bytes] | None = None) -> Reading:
        """`unwrap` takes a vendor's envelope off the data of each event."""
        ...


class Counting(Protocol):
    """A format in which tokens can be counted."""

    def count_members(self, members: dict[str, Any]) -> dict[str, Any]:
        """Of a written request what a count takes."""
        ...

    def read_count(self, body: bytes) -> int: ...
    def write_count(self, tokens: int) -> bytes: ...


FORMATS: Final[MappingProxyType[FormatName, Face]] = MappingProxyType(
    {
        "openai-chat": openai_chat,
        "openai-responses": openai_responses,
        "anthropic-messages": anthropic_messages,
        "gemini": gemini,
    }
)

#: By the name of a client's format.
CLIENTS: Final[MappingProxyType[ClientFormat, ClientSide]] = MappingProxyType(
    {
        "openai-chat": chat_grammar,
        "openai-completions": completions,
        "openai-responses": responses_grammar,
        "anthropic-messages": messages_grammar,
        "gemini": gemini_grammar,
    }
)
VENDORS: Final[MappingProxyType[FormatName, VendorSide]] = MappingProxyType(
    {
        "openai-chat": chat_grammar,
        "openai-responses": responses_grammar,
        "anthropic-messages": messages_grammar,
        "gemini": gemini_grammar,
    }
)
COUNTING: Final[MappingProxyType[FormatName, Counting]] = MappingProxyType(
    {"anthropic-messages": messages_grammar, "gemini": gemini_grammar}
)
