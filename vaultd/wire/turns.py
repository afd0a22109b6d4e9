"""A conversation in its normal form, so that no writer has to guess (R5).

Neighbouring turns have different roles, but for user turns: those stay apart as they were said. Every call has an id of
its own. A result stands in the user turn right after the assistant turn that made its call, before anything else and in
the order of the calls. In an assistant turn no text follows a call. Anthropic and Google refuse anything else; OpenAI
takes this as well.
"""

from __future__ import annotations

from collections import deque

from vaultd.wire.ir import Call, Part, Request, Result, Text, Turn


def settle(request: Request) -> Request:
    """Brings `request.turns` into the normal form, in place; a result without a call is taken out, and said so."""
    turns = _merged(request.turns)
    if _tools_used(turns):
        calls = _identified(turns)
        if calls or any(type(part) is Result for turn in turns if turn.role == "user" for part in turn.parts):
            turns = _merged(_with_results(turns, calls, request))
        for turn in turns:
            if turn.role == "assistant":
                _texts_first(turn)
    request.turns = turns
    return request


def plain_text(turn: Turn) -> str | None:
    """What is said in a turn of one text with nothing beside it, as most are; None for any other and for a blank one.
    Writers ask this first: a conversation of 170 kB is hundreds of them."""
    parts = turn.parts
    if len(parts) != 1 or type(part := parts[0]) is not Text or turn.anchored:
        return None
    if part.cache is not None or part.citations or part.refusal or part.signature or part.extra:
        return None
    text = part.text
    return text if text and not text.isspace() else None


def _tools_used(turns: list[Turn]) -> bool:
    for turn in turns:
        for part in turn.parts:
            if type(part) is Call or type(part) is Result:
                return True
    return False


def _merged(turns: list[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    last: Turn | None = None
    own: Turn | None = None  # the one whose list of parts was made here
    for turn in turns:
        if not turn.parts:
            continue
        if last is None or last.role != turn.role or not _one(last, turn):
            merged.append(turn)
            last = turn
            continue
        if last is not own:
            last.parts = list(last.parts)
            own = last
        last.parts += turn.parts
    return merged


def _one(before: Turn, turn: Turn) -> bool:
    """Of two of the same role. Two messages of a user are two things said; results and what is said after them are one
    turn."""
    if before.anchored != turn.anchored:
        return False
    return turn.role != "user" or any(type(part) is Result for part in (before.parts[0], turn.parts[0]))


def _identified(turns: list[Turn]) -> dict[str, Call]:
    """Ids for calls that have none: counted, not random, for a prompt that changes is not found in any cache. Results
    without one take the calls of their name in order, or any calls where they have no name either."""
    waiting = _Waiting()
    number = 0
    for turn in turns:
        for part in turn.parts:
            if type(part) is Call:
                number += 1
                waiting.made(part, turn, number)
            elif type(part) is Result:
                waiting.answered(part)
    return waiting.calls


class _Waiting:
    """Calls by their id, and those that have no result yet. Some vendors count their ids anew in each answer: of the
    calls of one id a result is that of the turn before it, and of several there the first that has none."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        #: By name, then by id, those without a result; a name that has none is not in it.
        self._named: dict[str, dict[str, Call]] = {}
        #: By the id that the client gave: the turn of the latest calls, those that wait, and the last that does not.
        self._given: dict[str, tuple[Turn, deque[Call]]] = {}
        self._last: dict[str, Call] = {}

    def made(self, call: Call, turn: Turn, number: int) -> None:
        given = call.id = call.id or f"call_{number:016d}"
        if given in self.calls:
            call.id = f"{given}_{number}"
        self.calls[call.id] = call
        self._named.setdefault(call.name, {})[call.id] = call
        at = self._given.get(given)
        if at is None or at[0] is not turn:
            at = self._given[given] = turn, deque()
        at[1].append(call)

    def answered(self, result: Result) -> None:
        if not result.call_id:
            named = self._named.get(result.name) if result.name else next(iter(self._named.values()), None)
            if named:
                result.call_id = next(iter(named))
                self._done(self.calls[result.call_id])
            return
        given = result.call_id
        at = self._given.get(given)
        if at is None:
            return
        call = self._last[given] = at[1].popleft() if at[1] else self._last.get(given, self.calls[given])
        result.call_id = call.id
        self._done(call)

    def _done(self, call: Call) -> None:
        named = self._named.get(call.name, {})
        named.pop(call.id, None)
        if not named:
            self._named.pop(call.name, None)


def _with_results(turns: list[Turn], calls: dict[str, Call], request: Request) -> list[Turn]:
    results: dict[str, Result] = {}
    for turn in turns:
        kept: list[Part] = []
        for part in turn.parts:
            if type(part) is not Result:
                kept.append(part)
            elif (call := calls.get(part.call_id)) is not None:
                part.name, part.kind = call.name, call.kind
                results[part.call_id] = part  # of two answers to one call the last counts
            else:
                request.unread.append("tool_result.without_call")
        turn.parts = kept
    ordered: list[Turn] = []
    for turn in turns:
        ordered.append(turn)
        if turn.role == "assistant":
            made = [part for part in turn.parts if type(part) is Call]
            answers: list[Part] = [results[call.id] for call in made if call.id in results]
            ordered.append(Turn("user", answers))
    return ordered


def _texts_first(turn: Turn) -> None:
    first = next((at for at, part in enumerate(turn.parts) if type(part) is Call), None)
    if first is None:
        return
    late = [part for part in turn.parts[first:] if type(part) is Text]
    if late:
        rest = [part for part in turn.parts[first:] if type(part) is not Text]
        turn.parts = [*turn.parts[:first], *late, *rest]
