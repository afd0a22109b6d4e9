"""One candidate's version of a request in another format than the client's, and its answer's way back. Pure.

client's bytes → its grammar's request → fitted to the model → the vendor's grammar's body → the vendor's hooks;
and back: the vendor's events → custom tools unwrapped → the client's grammar's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from vaultd.catalog.hooks import req_gemini_envelope, req_rules
from vaultd.catalog.hooks.shape import Action, Asked, Change, RequestHook
from vaultd.catalog.manifest import FormatName
from vaultd.config.model import Config
from vaultd.vault.compaction_seal import CompactionSeal
from vaultd.vault.credential import Credential
from vaultd.wire import sse, thinking, tokens
from vaultd.wire.custom import Unwrap
from vaultd.wire.draft import Fresh
from vaultd.wire.formats import CLIENTS, COUNTING, VENDORS, Reading, Writing
from vaultd.wire.ir import Answer, Event, Reasoning, Request, Stamp
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.openai_responses.grammar import cannot_translate
from vaultd.wire.refusal import Refusal
from vaultd.work import compacting
from vaultd.work.ask import OWN, Ask
from vaultd.work.plan import Candidate
from vaultd.work.target import target_of


class Understanding:
    """The client's request, read only if a candidate speaks another format, and for each anew: few requests need a
    second one, and what is read need not be kept for it."""

    __slots__ = ("_ask", "_refusal", "_seal")

    def __init__(self, ask: Ask, seal: CompactionSeal) -> None:
        self._ask, self._seal = ask, seal
        self._refusal: Refusal | None = None

    def request(self) -> Request:
        """The caller's own. Raises Refusal 400."""
        if self._refusal is not None:
            raise self._refusal
        try:
            return self._read()
        except Refusal as refusal:
            self._refusal = refusal
            raise

    def _read(self) -> Request:
        ask = self._ask
        grammar = CLIENTS[ask.reads or ask.format]
        read = grammar.read_request(ask.body.body, model=ask.model, stream=ask.action == "stream")
        read.sse = ask.format != "gemini" or "alt=sse" in ask.query
        if ask.envelope is not None and not read.sse and read.stream:
            raise Refusal(400, "bad-request", "a stream of /v1internal is served as events: add `?alt=sse`")
        if read.format == "openai-responses" and OWN in ask.body.body:
            compacting.open_summaries(read, self._seal)
        return read


class Translated:
    """An errand in the vendor's format."""

    __slots__ = (
        "_asked",
        "_compacting",
        "_draft",
        "_enveloped",
        "_hooks",
        "_names",
        "_request",
        "_seal",
        "_stamp",
        "_writes",
        "action",
        "changes",
        "format",
        "lost",
    )

    def __init__(
        self,
        ask: Ask,
        request: Request,
        candidate: Candidate,
        credential: Credential,
        hooks: Sequence[RequestHook],
        config: Config,
        stamp: Stamp,
        seal: CompactionSeal,
    ) -> None:
        """`request` is this one's to keep: its conversation is let go once it is written. Raises Refusal 400 where this
        vendor cannot be asked that at all."""
        model, provider = candidate.model, candidate.provider
        self.format: FormatName = candidate.format
        self._writes = ask.writes or ask.format
        self._enveloped = ask.envelope is not None and ask.action != "count"
        self._request, self._stamp, self._hooks, self._seal = request, stamp, hooks, seal
        if request.format == "openai-responses" and (name := cannot_translate(request)):
            raise Refusal(400, "bad-request", f"`{name}` cannot be asked of {provider.id}, which keeps no answers")
        self._compacting = compacting.asks(request)
        #: What the vendor is asked for: a summary for a client that streams as a stream too, for it takes its time.
        self.action: Action = ask.action
        if ask.action == "generate" and (provider.api.streams_only or provider.api.streams_translated):
            self.action = "stream"
        #: What the request loses, by the client's names.
        self.lost = Loss()
        for name in request.unread:
            self.lost.add(name)
        self._asked = Asked(
            action=self.action,
            model=model.upstream or model.id,
            project=candidate.project,
            format=candidate.format,
            translated=True,
        )
        self._draft, self._names = self._written(candidate, config)
        for hook in hooks:
            if hook.edit is not None:
                hook.edit(self._draft, self._asked)
        for name in self._draft.dropped:
            self.lost.add(name)
        #: How the answer is changed before it is read.
        self.changes: list[Change] = [
            change for hook in hooks if hook.answer is not None and (change := hook.answer(self._asked)) is not None
        ]

    def _written(self, candidate: Candidate, config: Config) -> tuple[Fresh, Names]:
        model, target = candidate.model, target_of(candidate.model)
        source = msgspec.structs.replace(self._request, stream=self.action == "stream")
        if candidate.asked is not None:
            said = source.reasoning or Reasoning()
            source.reasoning = msgspec.structs.replace(candidate.asked, summary=said.summary)
        if self._compacting:
            source = compacting.summarising(source)
        source.reasoning = thinking.fit(source, target)
        members, names = VENDORS[self.format].write_request(source, target, self.lost)
        if self.action == "count":
            members = COUNTING[self.format].count_members(members)
        self._request.turns, self._request.system = [], []
        draft = Fresh(members)
        if config.payload.default or config.payload.override:
            req_rules.apply_payload(draft, self.format, (target.model, model.id), config.payload)
        return draft, names

    @property
    def query(self) -> str:
        return "alt=sse" if self.format == "gemini" and self.action == "stream" else ""

    @property
    def request(self) -> Request:
        return self._request

    @property
    def whole(self) -> bool:
        """True where the vendor's answer is needed whole before anything can be told."""
        return self._compacting or not self._request.stream

    def body(self) -> bytes:
        body = self._draft.body()
        for hook in self._hooks:
            if hook.wrap is not None:
                body = hook.wrap(body, self._asked)
        return body

    def mend(self, error: bytes) -> bool:
        return any(hook.mend(self._draft, error) for hook in self._hooks if hook.mend is not None)

    def release(self) -> None:
        """The answer has begun, and nothing is asked again: of the request only what its answer repeats is kept."""
        self._draft = Fresh({})

    # The way back.

    def reader(self) -> Reading:
        return VENDORS[self.format].reader(self._names, _composed(self.changes))

    def unwrap(self) -> Unwrap:
        return Unwrap(self._names)

    def read(self, body: bytes) -> Answer:
        """The vendor's whole answer. Raises Refusal 502."""
        return VENDORS[self.format].read_answer(self._unwrapped(body), self._names)

    def _unwrapped(self, body: bytes) -> bytes:
        unwrap = _composed(self.changes)
        return unwrap(body) if unwrap else body

    def told(self, answer: Answer) -> Answer:
        """What the client is to be told of it."""
        answer = Unwrap(self._names).answer(answer)
        return compacting.compacted(answer, self._seal) if self._compacting else answer

    def write(self, answer: Answer, lost: Loss) -> bytes:
        body = CLIENTS[self._writes].write_answer(answer, self._request, self._stamp, lost)
        return req_gemini_envelope.wrapped(body) if self._enveloped else body

    def writer(self, lost: Loss) -> Callable[[list[Event]], bytes]:
        """What writes events for the client."""
        writing: Writing = CLIENTS[self._writes].writer(self._request, self._stamp, lost)
        if not self._enveloped:
            return writing.feed
        return lambda events: sse.rewrite(writing.feed(events), req_gemini_envelope.wrapped)

    def counted(self, body: bytes) -> bytes:
        """The vendor's count in the client's words. Raises Refusal 502."""
        count = COUNTING[self.format].read_count(self._unwrapped(body))
        return COUNTING[_counting(self._request)].write_count(count)


def estimated(request: Request) -> bytes:
    """A count made here, in the client's words."""
    return COUNTING[_counting(request)].write_count(tokens.estimate(request))


def _counting(request: Request) -> FormatName:
    return "gemini" if request.format == "gemini" else "anthropic-messages"


def _composed(changes: Sequence[Change]) -> Callable[[bytes], bytes] | None:
    if not changes:
        return None

    def apply(data: bytes) -> bytes:
        for change in changes:
            if change.mark in data:
                data = change.data(data) or b""
        return data

    return apply
