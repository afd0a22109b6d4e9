"""Stream ⇄ whole: `fold(events)` is the answer they tell, `unfold(answer)` the events that tell it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from vaultd.wire.ir import (
    Answer,
    Begin,
    Call,
    Close,
    Delta,
    End,
    Event,
    Fail,
    Open,
    Part,
    Reason,
    Text,
    Thinking,
    Variant,
)
from vaultd.wire.refusal import Refusal


class Fold:
    """Fed events; `answer` once `ended`. Raises Refusal where the stream fails."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._parts: dict[int, Part] = {}
        self._choices: dict[int, int] = {}
        self._pieces: dict[int, list[str]] = {}
        self._reasons: list[Reason] = []
        self.ended = False

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Delta():
                    self._pieces[event.block].append(event.text)
                case Open():
                    self._parts[event.block] = event.part
                    self._choices[event.block] = event.choice
                    self._pieces[event.block] = []
                case Close():
                    if event.part is not None:
                        self._parts[event.block] = event.part
                case Begin():
                    self._answer.id, self._answer.model = event.id, event.model
                    self._answer.created, self._answer.usage = event.created, event.usage
                case End():
                    self._answer.reason, self._answer.stop, self._answer.tier = event.reason, event.stop, event.tier
                    self._answer.usage = event.usage or self._answer.usage
                    self._reasons = event.others
                    self.ended = True
                case Fail():
                    raise event.refusal

    def answer(self) -> Answer:
        """Raises Refusal where the stream has not ended."""
        if not self.ended:
            raise Refusal(502, "upstream", "the vendor ended its answer in the middle")
        chosen: dict[int, list[Part]] = {}
        for block in sorted(self._parts):
            chosen.setdefault(self._choices[block], []).append(self._whole(block))
        self._answer.parts = chosen.get(0, [])
        others = max([len(self._reasons), *chosen])
        self._answer.others = [
            Variant(chosen.get(at, []), self._reasons[at - 1] if at <= len(self._reasons) else "stop")
            for at in range(1, others + 1)
        ]
        return self._answer

    def _whole(self, block: int) -> Part:
        part = self._parts[block]
        text = "".join(self._pieces[block])
        if isinstance(part, Text | Thinking):
            return msgspec.structs.replace(part, text=text)
        if isinstance(part, Call):
            return msgspec.structs.replace(part, arguments=text)
        return part


def fold(events: Iterable[Event]) -> Answer:
    folding = Fold()
    folding.feed(events)
    return folding.answer()


def unfold(answer: Answer) -> list[Event]:
    events: list[Event] = [Begin(answer.id, answer.model, answer.created)]
    block = 0
    for choice, parts in enumerate([answer.parts, *[variant.parts for variant in answer.others]]):
        for part in parts:
            events += _told(block, choice, part)
            block += 1
    others = [variant.reason for variant in answer.others]
    events.append(End(answer.reason, answer.usage, answer.stop, others, answer.tier))
    return events


def _told(block: int, choice: int, part: Part) -> list[Event]:
    match part:
        case Call():
            text, bare = part.arguments, _bare(part, "arguments")
        case Text() | Thinking():
            text, bare = part.text, _bare(part, "text")
        case _:
            return [Open(block, part, choice), Close(block)]
    said: list[Event] = [Delta(block, text)] if text else []
    return [Open(block, bare, choice), *said, Close(block, bare)]


def _bare(part: Part, spoken: str) -> Part:
    return msgspec.structs.replace(part, **{spoken: ""})
