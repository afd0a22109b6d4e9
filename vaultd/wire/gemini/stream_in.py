"""A Gemini vendor's stream, read. Every chunk is a whole answer in small, and nothing says which is the last: a finish
reason may be followed by more text, another reason and the true count of tokens (all recorded), so the end is told when
the vendor closes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from vaultd.wire import sse
from vaultd.wire.failing import refused
from vaultd.wire.gemini import sealed
from vaultd.wire.gemini.chunk import Candidate, Chunk, Count, decoded, reason_of
from vaultd.wire.gemini.grounding import citations_of, search_of, sources_of
from vaultd.wire.gemini.partial_call import PartialCall
from vaultd.wire.gemini.parts_in import part_of
from vaultd.wire.gemini.spelling import camel
from vaultd.wire.ir import Begin, Call, Close, Delta, End, Event, Fail, Open, Part, Reason, Text, Thinking
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal

#: Google makes at most eight answers to one request.
_CHOICES: Final = 16
_NO_ID: Final = re.compile(r"[^A-Za-z0-9_-]")
_CUT: Final = "the vendor ended its answer in the middle"


class _Choice:
    """One candidate as far as it has come. `part` is the open block's: it stays open until another kind of part comes,
    for a text goes on in the next chunk, and a seal may come after what it seals."""

    __slots__ = (
        "before",
        "block",
        "called",
        "cited",
        "grounding",
        "number",
        "part",
        "partial",
        "pieces",
        "reason",
        "seal",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.block = -1
        self.part: Part | None = None
        self.seal = ""
        #: The open text's, and how many bytes of text there are before it.
        self.pieces: list[str] = []
        self.before = 0
        self.called = False
        self.reason = ""
        self.partial: PartialCall | None = None
        self.grounding: dict[str, Any] | None = None
        self.cited: dict[str, Any] | None = None


class Reading:
    __slots__ = (
        "_begun",
        "_blocked",
        "_blocks",
        "_calls",
        "_choices",
        "_count",
        "_done",
        "_first",
        "_frames",
        "_names",
        "_unwrap",
    )

    def __init__(self, names: Names, unwrap: Callable[[bytes], bytes] | None = None) -> None:
        self._names = names
        self._unwrap = unwrap
        self._frames = sse.Frames()
        self._begun = False
        self._done = False
        self._blocked = False
        self._first = b""
        self._blocks = 0
        self._calls = 0
        self._count = Count()
        self._choices: dict[int, _Choice] = {}

    def feed(self, chunk: bytes) -> list[Event]:
        if self._done:
            return []
        out: list[Event] = []
        try:
            whole = self._frames.feed(chunk)
        except sse.TooLong:
            return self._failed(out, Refusal(502, "upstream", "the vendor sent an event that is too large"))
        if whole.startswith(b"data: ") and whole.count(b"\n") == 2:  # one event on one line, as nearly all reads are
            self._data(whole[6:], out)
        elif whole:
            for frame in sse.frames_of(whole):
                self._frame(frame, out)
                if self._done:
                    break
        return out

    def end(self) -> list[Event]:
        out: list[Event] = []
        if not self._done and (rest := self._frames.rest()).strip():
            self._frame(rest, out)
        if not self._done:
            self.finish(out, cut=Refusal(502, "upstream", _CUT))
        return out

    def _frame(self, frame: bytes, out: list[Event]) -> None:
        if data := sse.data_of(frame):
            self._data(data, out)
        elif frame.lstrip()[:1] == b"{" and not self._complete():
            # An error in mid-stream comes bare, without `data:` (recorded). It is no event, so after the vendor's own
            # word that the answer is complete it changes nothing.
            self._data(frame, out)

    def _data(self, data: bytes, out: list[Event]) -> None:
        if self._unwrap is not None:
            data = self._unwrap(data)
        chunk = decoded(data)
        if chunk is not None and chunk.error is None:
            if not self._begun:
                self._first = data
            self.take(chunk, out)
        elif chunk is not None:
            self._failed(out, refused(data))
        elif data.strip() != b"[DONE]":
            self._failed(out, Refusal(502, "upstream", "the vendor sent an event that is no JSON object"))

    def _complete(self) -> bool:
        return bool(self._choices) and all(choice.reason for choice in self._choices.values())

    def _failed(self, out: list[Event], refusal: Refusal) -> list[Event]:
        self._done = True
        out.append(Fail(refusal))
        return out

    def take(self, chunk: Chunk, out: list[Event]) -> None:
        """One chunk, or a whole answer."""
        if not self._begun:
            self._begun = True
            out.append(Begin(chunk.response_id or "", chunk.model_version or "", _seconds(chunk.create_time)))
            if chunk.response_id:
                self._first = chunk.response_id.encode()
        if chunk.usage_metadata is not None:
            self._count.add(chunk.usage_metadata)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._blocked = True
        for candidate in chunk.candidates or ():
            number = candidate.index or 0
            choice = self._choices.get(number)
            if choice is None:
                if not 0 <= number < _CHOICES:
                    continue
                choice = self._choices[number] = _Choice(number)
            self._candidate(choice, candidate, out)

    def _candidate(self, choice: _Choice, candidate: Candidate, out: list[Event]) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts:
                words = part.get("text")
                if words.__class__ is str and len(part) == 1:
                    if words:
                        self._text(choice, words, out)
                else:
                    self._part(choice, part, out)
        if candidate.finish_reason:
            choice.reason = candidate.finish_reason
        if candidate.grounding_metadata:
            choice.grounding = candidate.grounding_metadata
        if candidate.citation_metadata:
            choice.cited = candidate.citation_metadata

    def _text(self, choice: _Choice, words: str, out: list[Event]) -> None:
        if type(choice.part) is not Text or choice.seal:
            self._open(choice, Text(""), out)
        choice.pieces.append(words)
        out.append(Delta(choice.block, words))

    def _part(self, choice: _Choice, given: dict[str, Any], out: list[Event]) -> None:
        raw = given.get("functionCall")
        if isinstance(raw, dict) and self._goes_on(choice, camel(raw), given, out):
            return
        part = part_of(given, sealed.minted, [])
        match part:
            case None:
                return
            case Text() | Thinking():
                self._said(choice, part, out)
            case Call():
                self._call(choice, part, out)
            case _:
                self._open(choice, part, out)
                self._close(choice, out)

    def _said(self, choice: _Choice, part: Text | Thinking, out: list[Event]) -> None:
        if not part.text:
            if choice.part is not None and part.signature:
                choice.seal = choice.seal or part.signature
            return
        if type(part) is Text:
            self._text(choice, part.text, out)
        else:
            if type(choice.part) is not Thinking or choice.seal:
                self._open(choice, Thinking(""), out)
            out.append(Delta(choice.block, part.text))
        choice.seal = part.signature

    def _call(self, choice: _Choice, call: Call, out: list[Event]) -> None:
        arguments, call.arguments = call.arguments, ""
        if not call.name and arguments == "{}":
            return
        self._begin_call(choice, call, out)
        out.append(Delta(choice.block, arguments))

    def _begin_call(self, choice: _Choice, call: Call, out: list[Event]) -> None:
        self._calls += 1
        call.name = self._names.restore(call.name) if call.name else f"tool_{self._calls}"
        call.id = call.id or self._id()
        choice.called = True
        self._open(choice, call, out)
        choice.seal = call.signature

    def _id(self) -> str:
        """Counted, within the answer's own name: ids must differ over a whole conversation, and be the same when it is
        told again."""
        name = self._first.decode("latin-1") if len(self._first) <= 40 else hashlib.sha256(self._first).hexdigest()[:24]
        return f"call_{_NO_ID.sub('_', name)}_{self._calls}"

    def _goes_on(self, choice: _Choice, raw: dict[str, Any], given: dict[str, Any], out: list[Event]) -> bool:
        """True where the part is a piece of a call (`PartialCall`)."""
        if raw.get("name"):
            if not raw.get("willContinue") and not raw.get("partialArgs"):
                return False
            call = part_of(given, sealed.minted, [])
            if not isinstance(call, Call):
                return False
            call.arguments = ""
            self._begin_call(choice, call, out)
            choice.partial = PartialCall()
        if choice.partial is None:
            return False
        choice.partial.add(raw.get("partialArgs"))
        if raw.get("willContinue") is not True:
            self._close(choice, out)
        return True

    def _open(self, choice: _Choice, part: Part, out: list[Event]) -> None:
        if choice.part is not None:
            self._close(choice, out)
        choice.part = part
        choice.block = self._blocks
        self._blocks += 1
        out.append(Open(choice.block, part, choice.number))

    def _close(self, choice: _Choice, out: list[Event], last: bool = False) -> None:
        part = choice.part
        if part is None:
            return
        if choice.partial is not None:
            out.append(Delta(choice.block, choice.partial.arguments()))
            choice.partial = None
        told: Part | None = None
        match part:
            case Text():
                text = "".join(choice.pieces)
                cited = _cited(choice, text) if last else []
                if choice.seal or cited:
                    told = Text("", signature=choice.seal, citations=cited)
                choice.before += len(text.encode())
                choice.pieces = []
            case Thinking():
                told = Thinking("", choice.seal) if choice.seal else None
            case Call():
                told = Call(part.id, part.name, signature=choice.seal) if choice.seal != part.signature else None
        out.append(Close(choice.block, told))
        choice.part = None
        choice.seal = ""

    def finish(self, out: list[Event], cut: Refusal | None) -> None:
        """All has come. `cut` is what it means if no reason was given; None takes that for a stop."""
        self._done = True
        first = self._choices.get(0)
        if not self._blocked and not (first and (first.reason or cut is None)):
            out.append(Fail(cut or Refusal(502, "upstream", "the vendor's answer holds no candidate")))
            return
        reasons: list[Reason] = []
        for number in range(max(self._choices, default=0) + 1):
            choice = self._choices.get(number)
            if choice is None:
                reasons.append("filter" if self._blocked and number == 0 else "stop")
                continue
            self._close(choice, out, last=True)
            search = search_of(choice.grounding, number + 1) if choice.grounding else None
            if search is not None:
                self._open(choice, search, out)
                self._close(choice, out)
            blocked = self._blocked and not choice.reason
            reasons.append("filter" if blocked else reason_of(choice.reason, choice.called))
        out.append(End(reasons[0], self._count.usage(), others=reasons[1:]))


def _cited(choice: _Choice, text: str) -> list[Any]:
    cited = citations_of(choice.grounding, text, choice.before) if choice.grounding else []
    return cited + (sources_of(choice.cited, text, choice.before) if choice.cited else [])


def _seconds(time: str | None) -> int:
    """Unix seconds of RFC 3339; 0 where it is none."""
    if not time:
        return 0
    try:
        when = datetime.fromisoformat(time)
        return int(when.timestamp()) if when.tzinfo else 0
    except (ValueError, OverflowError):
        return 0
