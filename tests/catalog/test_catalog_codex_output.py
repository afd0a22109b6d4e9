"""The last event of a Codex stream holds the answer, also where the backend left it empty."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vaultd.catalog.hooks.req_codex_output import Hydrated
from vaultd.wire.sse import data_of, frames_of

MESSAGE = {"id": "msg_1", "type": "message", "content": [{"type": "output_text", "text": 'say "response.completed"'}]}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
TEXT = {"type": "response.output_text.delta", "delta": '"response.output_item.done"'}


def frame(event: dict[str, Any], end: str = "\n") -> bytes:
    return f"event: {event['type']}{end}data: {json.dumps(event)}{end}{end}".encode()


def done(item: dict[str, Any], at: int) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": at, "item": item}


def last(output: Any, kind: str = "response.completed") -> dict[str, Any]:
    return {"type": kind, "sequence_number": 9, "response": {"id": "r", "output": output, "usage": {"input_tokens": 3}}}


STREAM = [TEXT, done(MESSAGE, 0), TEXT, done(CALL, 1)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
@pytest.mark.parametrize("burst", [True, False])
def test_an_empty_output_is_filled_with_the_items_in_their_order(burst: bool, kind: str, end: str) -> None:
    pieces = [frame(event, end) for event in [*STREAM, last([], kind)]]
    hook = Hydrated()
    passed = hook(b"".join(pieces)) if burst else b"".join(map(hook, pieces))
    assert passed.startswith(b"".join(pieces[:-1])), "what came before is as it was"
    told = [json.loads(data_of(one)) for one in frames_of(passed)]
    assert told == [*STREAM, last([MESSAGE, CALL], kind)]


@pytest.mark.parametrize(
    "ending",
    [
        last([MESSAGE]),
        {"type": "response.completed", "response": None},
        {"type": "response.completed"},
        {"type": "response.failed", "response": {"output": []}},
    ],
)
def test_every_other_stream_passes_as_it_is(ending: dict[str, Any]) -> None:
    whole = b"".join(map(frame, [*STREAM, ending]))
    assert Hydrated()(whole) == whole


def test_so_does_one_without_items_and_one_that_is_no_json() -> None:
    empty = frame(last([]))
    assert Hydrated()(empty) == empty
    noise = b'data: {"response.output_item.done"\n\ndata: "response.output_item.done"\n\n' + empty
    assert Hydrated()(noise) == noise
