"""A conversation in its normal form, so that no writer has to guess (R5).

Neighbouring turns have different roles, but for user turns: those stay apart as they were said. Every call has an id of
its own. A result stands in the user turn right after the assistant turn that made its call, before anything else and in
the order of the calls. In an assistant turn no text follows a call. Anthropic and Google refuse anything else; OpenAI
takes this as well.
"""

from __future__ import annotations

from collections import defaultdict, deque

from vaultd.wire.ir import Call, Part, Request, Result, Text, Turn


def settle(request: Request) -> Request:
    """Brings `request.turns` into the normal form, in place; a result without a call is taken out, and said so."""
    turns = _merged(request.turns)
    calls = _identified(turns)
    if calls or any(type(part) is Result for turn in turns if turn.role == "user" for part in turn.parts):
        turns = _merged(_with_results(turns, calls, request))
    for turn in turns:
        if turn.role == "assistant":
            _texts_first(turn)
    request.turns = turns
    return request


def _merged(turns: list[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        if not turn.parts:
            continue
        last = merged[-1] if merged else None
        if last is not None and _one(last, turn):
            last.parts = [*last.parts, *turn.parts]
        else:
            merged.append(turn)
    return merged


def _one(before: Turn, turn: Turn) -> bool:
    """Two messages of a user are two things said; results and what is said after them are one turn."""
    if before.role != turn.role or before.anchored != turn.anchored:
        return False
    return turn.role != "user" or any(type(part) is Result for part in (before.parts[0], turn.parts[0]))


def _identified(turns: list[Turn]) -> dict[str, Call]:
    """Ids for calls that have none: counted, not random, for a prompt that changes is not found in any cache. Results
    without one take the calls of their name in order, or any calls where they have no name either."""
    calls: dict[str, Call] = {}
    waiting: defaultdict[str, deque[Call]] = defaultdict(deque)
    number = 0
    for turn in turns:
        for part in turn.parts:
            if type(part) is Call:
                number += 1
                part.id = part.id or f"call_{number:016d}"
                if part.id in calls:
                    part.id = f"{part.id}_{number}"
                calls[part.id] = part
                waiting[part.name].append(part)
            elif type(part) is Result:
                _answered(part, calls, waiting)
    return calls


def _answered(result: Result, calls: dict[str, Call], waiting: dict[str, deque[Call]]) -> None:
    if not result.call_id:
        queue = waiting.get(result.name) if result.name else next((q for q in waiting.values() if q), None)
        if queue:
            result.call_id = queue[0].id
    call = calls.get(result.call_id)
    if call is not None and call in waiting[call.name]:
        waiting[call.name].remove(call)


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
