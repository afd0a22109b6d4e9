"""The one representation of an LLM exchange: every format is read into it and written from it.

Bytes only pass through here when a client and a vendor speak different formats. A reader normalises (`wire.turns`), so
a writer never guesses; what a writer cannot carry it says (`wire.loss`). `extra` holds, by format name, what only that
format can read back (R3): it is never interpreted by another. Nothing here points back at what holds it, so what there
are thousands of is kept from the search for cycles (`gc=False`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

Extra = dict[str, Any]
Role = Literal["user", "assistant", "system"]
#: `function`: arguments are the JSON text of an object. `custom`: they are free text (OpenAI's custom tools).
CallKind = Literal["function", "custom"]
#: Why an answer ended. `stop-sequence` is a stop that names its sequence; `pause` asks to be sent back as it is
#: (Anthropic's server tools); `malformed` is a call the model failed to write; `other` is a word nobody documented: it
#: is told as such, for an answer that broke off must not look finished.
Reason = Literal["stop", "stop-sequence", "tool", "length", "filter", "pause", "malformed", "other"]


# Parts: what a turn or an answer is made of.


class Citation(msgspec.Struct, kw_only=True):
    """Where a text says it comes from. `start` and `end` are characters of the text, None where unknown."""

    url: str = ""
    title: str = ""
    quote: str = ""
    start: int | None = None
    end: int | None = None


class Text(msgspec.Struct, gc=False):
    text: str
    #: Anthropic's `cache_control`, which chat bodies carry too.
    cache: Any = None
    citations: list[Citation] = []
    #: True where the model says that it will not answer (chat and Responses tell it apart from an answer).
    refusal: bool = False
    #: Gemini signs texts too.
    signature: str = ""
    extra: Extra = {}


class Thinking(msgspec.Struct, gc=False):
    """Reasoning as far as it is shown. `signature` is the vendor's seal or encrypted text, opaque (`wire.signature`
    knows whose it is and in which words it travels); `redacted`: the vendor shows nothing but that."""

    text: str
    signature: str = ""
    redacted: bool = False
    #: The vendor's id of the item (`rs_…`), where it has one.
    id: str = ""
    extra: Extra = {}


class Media(msgspec.Struct, kw_only=True):
    """An image, sound, film or document: exactly one of `data` (base64), `url`, `file_id` is set; a document may be
    `text` instead."""

    kind: Literal["image", "audio", "video", "file"]
    mime: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    text: str = ""
    name: str = ""
    #: OpenAI's `detail` of an image: `auto`, `low`, `high`.
    detail: str = ""
    cache: Any = None
    extra: Extra = {}


class Call(msgspec.Struct, gc=False):
    """A tool call. `name` is the client's own (a namespaced tool's is `namespace__name`); `arguments` is text as the
    model wrote it, which need not be sound JSON."""

    id: str
    name: str
    arguments: str = ""
    kind: CallKind = "function"
    #: Gemini's `thoughtSignature` of this call.
    signature: str = ""
    cache: Any = None
    extra: Extra = {}


class Result(msgspec.Struct, gc=False):
    """What a tool answered. `name` is that of its call. `parts` hold Text and Media alone."""

    call_id: str
    name: str = ""
    parts: list[Text | Media] = []
    is_error: bool = False
    kind: CallKind = "function"
    cache: Any = None
    extra: Extra = {}


class Search(msgspec.Struct):
    """A web search that the vendor made by itself, with what it found where that is told."""

    id: str
    query: str = ""
    found: list[Citation] = []
    extra: Extra = {}


class Compaction(msgspec.Struct):
    """What stands for a conversation that was cut short (Responses' `compaction` item). `content` is opaque to all but
    its maker; `summary` is set where vaultd itself made it, and is then what other formats are told."""

    content: str
    summary: str = ""
    id: str = ""


class Opaque(msgspec.Struct):
    """A part that only its own format knows: `format` names it, `value` is the decoded JSON as it came."""

    format: str
    kind: str
    value: Any = None


Part = Text | Thinking | Media | Call | Result | Search | Compaction | Opaque


class Turn(msgspec.Struct, gc=False):
    """One side's say; in which form and order, `turns.settle` sees to. A system turn stands where it was said."""

    role: Role
    parts: list[Part]
    #: A system turn that belongs just there (Anthropic's mid-conversation ones): formats without system turns tell it
    #: to the user in its place. Other system turns go to the head there.
    anchored: bool = False


# The request.


class Tool(msgspec.Struct, kw_only=True):
    name: str
    description: str = ""
    #: JSON Schema of the arguments, decoded; None where the client gave none.
    schema: Any = None
    kind: CallKind = "function"
    #: The namespace a Responses tool stands in; `name` begins with it and two underscores.
    namespace: str = ""
    strict: bool | None = None
    #: A custom tool's grammar (`format`), decoded.
    grammar: Any = None
    cache: Any = None
    extra: Extra = {}


class Hosted(msgspec.Struct, kw_only=True):
    """A tool that the vendor runs. `web_search` has the members all vendors share; any other kind (`code_execution`,
    `url_context`, `image_generation`, `file_search`, …) is its own format's and stands in `extra`."""

    kind: str
    #: The name the client gave it; a tool choice may use it.
    name: str = ""
    allowed_domains: list[str] = []
    blocked_domains: list[str] = []
    location: Any = None
    max_uses: int | None = None
    #: The declaration as it came, by its format.
    extra: Extra = {}


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """`names` limits `required` (one name: exactly that tool) and `auto` (`allowed_tools`), hosted tools included."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much to think, as the client said it; `wire.thinking` makes it fit a model. Level or budget, not both.

    `budget` is in tokens; 0 is off, -1 leaves it to the model. `summary`: what the client wants to see of it: ""
    unsaid, `none`, or `auto`, `concise`, `detailed`.
    """

    level: str = ""
    budget: int | None = None
    summary: str = ""


class Output(msgspec.Struct, kw_only=True):
    """What form the answer is to have. `json` has no schema."""

    kind: Literal["text", "json", "schema"]
    name: str = ""
    description: str = ""
    schema: Any = None
    strict: bool | None = None


class Request(msgspec.Struct, kw_only=True):
    """One request. Absent is None or empty: no writer makes up what a client did not say, but where its format demands
    it (Anthropic's `max_tokens`)."""

    #: The format it was read from.
    format: str
    #: The client's own name of the model: for echoes, never for a vendor.
    model: str
    stream: bool = False
    #: False where the client wants its stream as one JSON array (Gemini without `alt=sse`).
    sse: bool = True
    #: Chat: usage in the stream was asked for. Formats that always tell it have True.
    usage_asked: bool = True
    system: list[Text] = []
    turns: list[Turn] = []
    tools: list[Tool] = []
    hosted: list[Hosted] = []
    choice: Choice | None = None
    parallel: bool | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = []
    n: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning: Reasoning | None = None
    output: Output | None = None
    verbosity: str = ""
    #: Lower case: `text`, `image`, `audio`.
    modalities: list[str] = []
    #: `aspect_ratio` and `image_size`.
    image: dict[str, str] = {}
    user: str = ""
    cache_key: str = ""
    #: `auto`, `default`, `flex`, `priority`, …
    tier: str = ""
    metadata: Any = None
    #: The body's other members, decoded, by the name its own format gives them: lost to every other (`wire.loss`).
    rest: dict[str, Any] = {}
    #: What the reader could not make sense of, in the client's words (`wire.loss`).
    unread: list[str] = []
    #: Members that the answer repeats as the client said them (Responses), decoded.
    echo: dict[str, Any] = {}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a request is written for: the vendor's model and what is known of it. 0 and empty are "unknown"."""

    model: str
    max_output: int = 0
    #: The reasoning range: budgets in tokens, or named levels; `thinks` False where the model is known not to.
    thinks: bool | None = None
    least_budget: int = 0
    most_budget: int = 0
    zero_allowed: bool = False
    dynamic_allowed: bool = False
    levels: tuple[str, ...] = ()
    #: Kinds of input the model takes; empty is unknown.
    input: tuple[str, ...] = ()


class Stamp(msgspec.Struct, frozen=True):
    """What a writer puts where the vendor said nothing: the time in unix seconds, and text for ids, new each time."""

    now: int
    token: str


# The answer.


class Variant(msgspec.Struct):
    """One of several answers to one request (`n`, `candidateCount`)."""

    parts: list[Part]
    reason: Reason = "stop"


class Answer(msgspec.Struct, kw_only=True):
    """A whole answer. `model` and `id` are the vendor's; `created` is in unix seconds, 0 where untold."""

    id: str = ""
    model: str = ""
    created: int = 0
    parts: list[Part] = []
    reason: Reason = "stop"
    #: The sequence that stopped it.
    stop: str = ""
    usage: Usage | None = None
    #: The second and further answers.
    others: list[Variant] = []
    tier: str = ""


# The stream: an answer in time. Begin, then Open Delta* Close in any interleaving of blocks, then End or Fail, last.


class Begin(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""
    created: int = 0
    #: What the vendor says at the start (Anthropic's input tokens); End has the whole truth.
    usage: Usage | None = None


class Open(msgspec.Struct, gc=False):
    """Block numbers count from 0 in order of opening, over all choices. `part` is what is known: of Text, Thinking and
    Call the text is empty and comes in Deltas; every other part is whole already, and closes with no Delta."""

    block: int
    part: Part
    choice: int = 0


class Delta(msgspec.Struct, gc=False):
    """More of the block's text, or of a call's arguments. Never empty."""

    block: int
    text: str


class Close(msgspec.Struct, gc=False):
    """The block is complete. `part` has what only the end tells (a signature, citations, an id), else None; its text is
    not looked at."""

    block: int
    part: Part | None = None


class End(msgspec.Struct, gc=False):
    reason: Reason = "stop"
    usage: Usage | None = None
    stop: str = ""
    #: The reasons of the second and further choices.
    others: list[Reason] = []
    tier: str = ""


class Fail(msgspec.Struct):
    """The vendor failed, or broke off. Nothing comes after it."""

    refusal: Refusal


Event = Begin | Open | Delta | Close | End | Fail
