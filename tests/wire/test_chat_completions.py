"""Legacy Completions: a prompt is one user message, and text is all that comes back."""

from __future__ import annotations

import json
from typing import Any

import openai.types
import pytest

from vaultd.wire.folding import unfold
from vaultd.wire.ir import Answer, Begin, Call, Fail, Open, Request, Stamp, Target, Text, Thinking, Turn, Variant
from vaultd.wire.loss import Loss
from vaultd.wire.openai_chat import completions
from vaultd.wire.openai_chat.grammar import write_request
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import data_of, frames_of
from vaultd.wire.usage import Usage

STAMP = Stamp(1_760_000_000, "0123456789abcdef")
ANSWER = Answer(
    id="x",
    model="up-model",
    created=1,
    parts=[Thinking("hm"), Text("Once"), Text(" upon")],
    reason="length",
    usage=Usage(3, 2),
    others=[Variant([Text("Twice"), Call("a", "now")], "tool")],
)


def read(**members: Any) -> Request:
    return completions.read_request(json.dumps(members).encode(), model="m", stream=bool(members.get("stream")))


def asking(**members: Any) -> Request:
    return read(prompt="Once upon", **members)


@pytest.mark.parametrize("prompt", ["Once upon", ["Once upon"]])
def test_a_prompt_is_a_message(prompt: Any) -> None:
    request = read(prompt=prompt, max_tokens=5, temperature=0.1, stop=["\n"], echo=False, best_of=1, logprobs=None)
    assert request.turns == [Turn("user", [Text("Once upon")])]
    lost = Loss()
    assert write_request(request, Target(model="target-model"), lost)[0] == {
        "model": "target-model",
        "messages": [{"role": "user", "content": "Once upon"}],
        "max_tokens": 5,
        "temperature": 0.1,
        "stop": ["\n"],
    }
    assert not lost


def test_what_only_completions_can_is_lost() -> None:
    lost = Loss()
    write_request(asking(echo=True, suffix="end", best_of=3, logprobs=2), Target(model="target-model"), lost)
    assert set(lost) == {"echo", "suffix", "best_of", "logprobs"}


@pytest.mark.parametrize("prompt", [[1, 2], [[1, 2], [3]], ["a", "b"], 7, {"text": "a"}])
def test_tokens_and_several_prompts_are_refused(prompt: Any) -> None:
    with pytest.raises(Refusal) as refused:
        read(prompt=prompt)
    assert refused.value.status == 400
    assert "'prompt'" in refused.value.message


@pytest.mark.parametrize("prompt", [None, "", []])
def test_a_request_without_a_prompt_is_refused(prompt: Any) -> None:
    with pytest.raises(Refusal) as refused:
        read(prompt=prompt)
    assert "'prompt'" in refused.value.message


def test_a_whole_answer() -> None:
    lost = Loss()
    body = json.loads(completions.write_answer(ANSWER, asking(), STAMP, lost))
    openai.types.Completion.model_validate(body)
    assert body["object"] == "text_completion"
    assert [(choice["text"], choice["finish_reason"]) for choice in body["choices"]] == [
        ("Once upon", "length"),
        ("Twice", "stop"),
    ]
    assert body["usage"]["total_tokens"] == 5
    assert set(lost) == {"reasoning_content", "tool_calls"}


def test_a_stream_has_no_chunk_without_text_or_end() -> None:
    lost = Loss()
    writing = completions.writer(asking(stream=True, stream_options={"include_usage": True}), STAMP, lost)
    stream = b"".join([writing.feed([event]) for event in unfold(ANSWER)])
    data = [data_of(frame) for frame in frames_of(stream)]
    assert data.pop() == b"[DONE]"
    chunks = [json.loads(piece) for piece in data]
    assert {(chunk["id"], chunk["object"], chunk["model"]) for chunk in chunks} == {
        ("x", "text_completion", "up-model")
    }
    said = [(c["index"], c["text"], c["finish_reason"]) for chunk in chunks for c in chunk["choices"]]
    assert said == [
        (0, "Once", None),
        (0, " upon", None),
        (1, "Twice", None),
        (0, "", "length"),
        (1, "", "stop"),
    ]
    assert chunks[-1]["usage"]["prompt_tokens"] == 3
    assert set(lost) == {"reasoning_content", "tool_calls"}


def test_a_failure_ends_the_stream() -> None:
    writing = completions.writer(asking(stream=True), STAMP, Loss())
    writing.feed([Begin(), Open(0, Text(""))])
    assert b"overloaded" in writing.feed([Fail(Refusal(503, "upstream", "overloaded"))])
    assert writing.feed(unfold(ANSWER)) == b""
