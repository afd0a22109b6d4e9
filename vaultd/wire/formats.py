"""The formats by name, held to one Protocol: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from vaultd.wire.anthropic_messages import face as anthropic_messages
from vaultd.wire.gemini import face as gemini
from vaultd.wire.listing import Listed
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


FORMATS: Final[MappingProxyType[FormatName, Face]] = MappingProxyType(
    {
        "openai-chat": openai_chat,
        "openai-responses": openai_responses,
        "anthropic-messages": anthropic_messages,
        "gemini": gemini,
    }
)
