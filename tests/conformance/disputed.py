"""What the conformance runs judge wrongly, with the reason and the vendor's own word: at most five of the translation
cases. docs/conformance.md shows both tables."""

from __future__ import annotations

from typing import NamedTuple


class Disputed(NamedTuple):
    why: str
    #: Where the vendor says so.
    documentation: str


_JSON = (
    "the vendor fails before it has said anything, so nobody has heard a byte and the client gets an ordinary error "
    "with its true status, as the case's own note asks; the runner only takes an event stream for an answer"
)
_SAME = (
    "client and vendor speak one format: where nobody else can answer, the client hears the vendor's own bytes, its "
    "200 included, as the recordings with an error in their first event ask for byte by byte"
)
_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
DISPUTED: dict[str, Disputed] = {
    "err-first-openai-responses": Disputed(_JSON, _OPENAI),
    "c2x-str-11-failed-event": Disputed(_JSON, _OPENAI),
    "a2x-str-11-error-event": Disputed(_JSON, "https://docs.anthropic.com/en/api/errors"),
    "err-first-gemini": Disputed(_JSON, "https://ai.google.dev/gemini-api/docs/troubleshooting"),
    "err-first-openai-chat": Disputed(_SAME, _OPENAI),
}

_PIECES = (
    "a call that Google sends in pieces (`partialArgs`): the digest takes each piece for a call without a name, the "
    "client is told the one call with all its arguments"
)
_CUSTOM = 'a custom tool\'s free text, where arguments must be an object: told as `{"input": …}`'
_TOMORROW = "a reason of tomorrow: the digest wants it told as `other`, and its grammar of chat forbids that"
_NOTHING = (
    "an empty `function_call` beside the real call, and an empty reason: told as no call, and as a stop for a tool"
)
_COMPLETE = "a status `complete`, which no documentation knows: told as completed, the digest wants `other`"
#: Recorded answers that are judged not to arrive whole, by the name they begin with: at how many clients, and why.
RECORDED: dict[str, tuple[int, str]] = {
    "gem-024": (3, _PIECES),
    "gem-110": (3, _PIECES),
    "gem-120": (3, _PIECES),
    "gem-116": (1, _TOMORROW),
    "oac-005": (3, _NOTHING),
    "oac-100": (2, _CUSTOM),
    "oar-102": (2, _CUSTOM),
    "oar-064": (3, _COMPLETE),
}
