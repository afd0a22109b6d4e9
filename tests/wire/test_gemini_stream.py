"""A Gemini vendor's answers, read, and any answer told to a Gemini client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.genai import types

from vaultd.wire.folding import fold
from vaultd.wire.gemini import grammar
from vaultd.wire.ir import (
    Answer,
    Begin,
    Call,
    Citation,
    Close,
    Delta,
    End,
    Event,
    Fail,
    Media,
    Opaque,
    Open,
    Part,
    Request,
    Search,
    Stamp,
    Text,
    Thinking,
    Tool,
    Variant,
)
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names, google
from vaultd.wire.refusal import Refusal
from vaultd.wire.signature import carry
from vaultd.wire.usage import Usage

STAMP = Stamp(1_760_000_000, "token")
ASKED = Request(format="gemini", model="m", stream=True)


def chunk(*parts: Any, finish: str = "", index: int = 0, **members: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": index}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-pro", "responseId": "rid", **members}


def sse(*chunks: Any) -> bytes:
    return b"".join([b"data: " + msgspec.json.encode(one) + b"\r\n\r\n" for one in chunks])


def events(*chunks: Any, names: Names | None = None) -> list[Event]:
    reading = grammar.reader(names or Names())
    return [*reading.feed(sse(*chunks)), *reading.end()]


def heard(*chunks: Any) -> Answer:
    return fold(events(*chunks))


def text_of(part: Part) -> str:
    assert isinstance(part, Text)
    return part.text


# Reading.


def test_the_last_word_on_tokens_counts_and_thoughts_and_tools_are_in_it() -> None:
    counted = {"promptTokenCount": 8, "cachedContentTokenCount": 3, "totalTokenCount": 8}
    last = {"promptTokenCount": 8, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "toolUsePromptTokenCount": 2}
    answer = heard(
        chunk({"text": "4"}, usageMetadata=counted),
        chunk({"text": " C"}, finish="STOP", usageMetadata={**counted, "candidatesTokenCount": 4}),
        {"usageMetadata": last},
    )
    assert [text_of(part) for part in answer.parts] == ["4 C"]
    assert answer.usage == Usage(input=10, output=12, cached=3, reasoning=7)
    assert (answer.id, answer.model, answer.reason) == ("rid", "gemini-2.5-pro", "stop")


def test_nothing_that_comes_after_a_finish_reason_is_lost() -> None:
    answer = heard(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="STOP"), chunk(finish="RECITATION"))
    assert answer.parts == [Text("ab")]
    assert answer.reason == "filter"


def test_a_seal_on_an_empty_part_is_that_of_the_part_before() -> None:
    told = events(
        chunk({"text": "Plan", "thought": True}),
        chunk({"text": "", "thoughtSignature": "CiQB"}),
        chunk({"text": "4 C"}),
        chunk({"text": "", "thoughtSignature": "CiQC"}, finish="STOP"),
    )
    first, second = carry("CiQB", "gemini"), carry("CiQC", "gemini")
    assert [event for event in told if isinstance(event, Open)] == [Open(0, Thinking("")), Open(1, Text(""))]
    assert fold(told).parts == [Thinking("Plan", first), Text("4 C", signature=second)]


def test_calls_are_whole_have_ids_of_their_own_and_go_before_a_stop() -> None:
    asked = Request(format="openai-chat", model="m", tools=[Tool(name="read file")])
    names = Names.of(asked, google, customs=False)
    told = events(
        chunk({"functionCall": {"name": "read_file", "args": {"a": 1}}, "thoughtSignature": "CiQB"}),
        chunk({"functionCall": {"name": "read_file"}}, {"functionCall": {"id": "theirs", "name": "READ_FILE"}}),
        chunk({"text": ""}, finish="STOP"),
        names=names,
    )
    answer = fold(told)
    assert answer.parts == [
        Call("call_rid_1", "read file", '{"a":1}', signature=carry("CiQB", "gemini")),
        Call("call_rid_2", "read file", "{}"),
        Call("theirs", "read file", "{}"),
    ]
    assert answer.reason == "tool"


def test_ids_of_two_answers_differ_where_the_vendor_names_neither() -> None:
    def call_id(text: str) -> str:
        call = {"candidates": [{"content": {"parts": [{"text": text}, {"functionCall": {"name": "f"}}]}}]}
        part = fold(events(call, chunk(finish="STOP"))).parts[1]
        assert isinstance(part, Call)
        return part.id

    assert call_id("a") == call_id("a") != call_id("b")


def test_arguments_that_come_one_by_one_are_one_call() -> None:
    def piece(more: bool, *args: Any) -> dict[str, Any]:
        return chunk({"functionCall": {"partialArgs": list(args), **({"willContinue": True} if more else {})}})

    answer = heard(
        chunk({"functionCall": {"name": "cook", "willContinue": True}}),
        piece(True, {"jsonPath": "$.steps[1].do", "stringValue": "st", "willContinue": True}),
        piece(True, {"jsonPath": "$.steps[1].do", "stringValue": "ir"}, {"jsonPath": "$['hot']", "boolValue": True}),
        piece(False, {"jsonPath": "$.steps[0]", "numberValue": 1.5}, {"jsonPath": "$.n", "nullValue": None}),
        chunk({"text": "Done."}, finish="STOP"),
    )
    call = answer.parts[0]
    assert isinstance(call, Call)
    assert msgspec.json.decode(call.arguments) == {"steps": [1.5, {"do": "stir"}], "hot": True, "n": None}
    assert answer.parts[1:] == [Text("Done.")]


def test_several_candidates_are_several_choices() -> None:
    answer = heard(
        chunk({"text": "a"}),
        chunk({"text": "x"}, index=1),
        chunk({"text": "b"}, finish="STOP"),
        chunk({"functionCall": {"name": "f"}}, index=1, finish="STOP"),
        chunk({"text": "far"}, index=10**9, finish="STOP"),
    )
    assert answer.parts == [Text("ab")]
    assert answer.others == [Variant([Text("x"), Call("call_rid_1", "f", "{}")], "tool")]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("MAX_TOKENS", "length"),
        ("SAFETY", "filter"),
        ("MODEL_ARMOR", "filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed"),
        ("OTHER", "other"),
    ],
)
def test_reasons(finish: str, reason: str) -> None:
    assert heard(chunk({"text": "I"}), {"candidates": [{"finishReason": finish}]}).reason == reason


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    assert heard(blocked) == Answer(reason="filter", usage=Usage(4))
    assert grammar.read_answer(msgspec.json.encode(blocked), Names()) == heard(blocked)


def test_other_parts() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    image = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    sound = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AA=="}}
    answer = heard(chunk({}, code, {"hologram": 1}), chunk(image, sound, finish="STOP"))
    assert answer.parts == [
        Opaque("gemini", "executable_code", code),
        Media(kind="image", mime="image/png", data="AA=="),
        Media(kind="audio", mime="audio/L16;rate=24000", data="AA=="),
    ]


def test_what_was_found_on_the_web_and_what_rests_on_it() -> None:
    grounding = {
        "webSearchQueries": ["oslo weather", "oslo cold"],
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {"retrievedContext": {"text": "x"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 8}, "groundingChunkIndices": [0, 9]}],
    }
    last = chunk({"text": "cold."}, finish="STOP")
    last["candidates"][0]["groundingMetadata"] = grounding
    site = Citation(url="https://a.example", title="A")
    search = Search("search_1", "oslo weather\noslo cold", [site])
    cited = Citation(url="https://a.example", title="A", start=2, end=7)
    assert heard(chunk({"text": "Å "}), last).parts == [Text("Å cold.", citations=[cited]), search]
    cited = Citation(url="https://a.example", title="A", start=0, end=5)
    divided = heard(chunk({"text": "Å "}, {"text": "Hm", "thought": True}), last).parts
    assert divided == [Text("Å "), Thinking("Hm"), Text("cold.", citations=[cited]), search]


def failure(*pieces: bytes) -> Refusal:
    reading = grammar.reader(Names())
    told = [event for piece in pieces for event in reading.feed(piece)] + reading.end()
    assert isinstance(told[-1], Fail)
    assert not reading.feed(sse(chunk({"text": "late"}))) + reading.end()
    return told[-1].refusal


def test_an_error_says_its_status_and_its_words_and_is_the_last() -> None:
    error = {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}
    refusal = failure(sse(chunk({"text": "4"}), error))
    assert (refusal.status, refusal.message) == (429, "Slow down.")
    bare = failure(sse(chunk({"text": "4"})), b'{\n "error": {"code": 499,\n  "message": "Gone."}\n}\n')
    assert (bare.status, bare.message) == (499, "Gone.")


@pytest.mark.parametrize(
    "stream",
    [b"", sse(chunk({"text": "4"})), b"data: {\n\n", b"data: 7\n\n", b": comment\n\n", b'data: {"candidates":[]}\n\n'],
)
def test_a_stream_without_an_end_is_a_failure(stream: bytes) -> None:
    assert failure(stream).status == 502


def test_a_bare_error_after_the_vendors_finish_takes_nothing_back() -> None:
    reading = grammar.reader(Names())
    told = reading.feed(sse(chunk({"text": "4"}, finish="STOP")) + b'{"error": {"code": 499}}') + reading.end()
    assert fold(told).parts == [Text("4")]


def test_what_has_the_wrong_type_is_as_if_it_were_not_there() -> None:
    strange = {
        "candidates": [
            None,
            {"content": [1], "finishReason": 3, "index": "0"},
            {"content": {"parts": [None, 3, {"text": 5}, {"text": "ok"}, {"functionCall": []}]}, "index": None},
        ],
        "usageMetadata": {"promptTokenCount": "many", "candidatesTokenCount": 3},
        "promptFeedback": [],
        "modelVersion": 2.5,
        "responseId": None,
        "createTime": "yesterday",
    }
    answer = heard(strange, chunk(finish="STOP"))
    assert answer.parts == [Text("ok")]
    assert answer.usage == Usage(0, 3)


def test_an_envelope_is_taken_off() -> None:
    reading = grammar.reader(Names(), lambda data: bytes(msgspec.json.decode(data, type=dict[str, msgspec.Raw])["r"]))
    told = reading.feed(sse({"r": chunk({"text": "4"}, finish="STOP")})) + reading.end()
    assert fold(told).parts == [Text("4")]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"7", b"[7]", b'{"candidates":[]}', b"\xff", b'{"error":"no"}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        grammar.read_answer(body, Names())
    assert refused.value.status == 502


def test_every_recorded_answer_is_read_whole(shared: Path) -> None:
    read = 0
    for path in sorted((shared / "fixtures" / "gemini").glob("*.json")):
        recorded = msgspec.json.decode(path.read_bytes())
        response = recorded["response"]
        if response["status"] != 200 or {"count-tokens", "no-finish-reason"} & set(recorded["features"]):
            continue
        if "sse" in response:
            reading = grammar.reader(Names())
            text = response["sse_separator"].join(response["sse"]) + response["sse_tail"]
            answer = fold(reading.feed(text.encode()) + reading.end())
        else:
            answer = grammar.read_answer(msgspec.json.encode(response["body"]), Names())
        assert answer.parts or answer.reason != "stop" or "empty-content" in recorded["features"], path.name
        read += 1
    assert read > 60


# Writing.


def written(*told: Event, request: Request = ASKED) -> tuple[list[dict[str, Any]], list[str]]:
    """The chunks as a client gets them, each of them sound by Google's own types, and what was lost."""
    lost = Loss()
    writing = grammar.writer(request, STAMP, lost)
    stream = b"".join([writing.feed([event]) for event in told])
    chunks = [msgspec.json.decode(frame.removeprefix(b"data: ")) for frame in stream.split(b"\n\n") if frame]
    for one in chunks:
        if "error" not in one:
            types.GenerateContentResponse.model_validate(one)
    return chunks, list(lost)


def parts(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [part for one in chunks for candidate in one["candidates"] for part in candidate["content"]["parts"]]


def test_an_answer_is_told_as_it_comes_with_one_finish_and_the_tokens_at_its_end() -> None:
    chunks, lost = written(
        Begin("id", "gpt", 1_760_000_000, Usage(9)),
        Open(0, Thinking("")),
        Open(1, Call("c1", "f")),
        Delta(1, '{"a"'),
        Delta(0, "Pl an "),
        Open(2, Text("")),
        Delta(2, "4 \u2028C"),
        Delta(1, ":1}"),
        Close(1),
        Close(0, Thinking("", "seal")),
        Close(2),
        End("tool", Usage(input=9, output=7, cached=4, reasoning=2)),
    )
    assert parts(chunks) == [
        {"text": "Pl an ", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "seal"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
        {"text": "4 \u2028C"},
        {"text": ""},
    ]
    assert [one["candidates"][0].get("finishReason") for one in chunks] == [None] * 4 + ["STOP"]
    assert [one.get("usageMetadata") for one in chunks[:-1]] == [None] * 4
    assert chunks[-1]["usageMetadata"] == {
        "promptTokenCount": 9,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 16,
    }
    named = {"modelVersion": "gpt", "createTime": "2025-10-09T08:53:20Z", "responseId": "id"}
    assert all(named.items() <= one.items() for one in chunks)
    assert lost == []


def test_an_empty_answer_is_one_all_the_same() -> None:
    chunks, _ = written(Begin(usage=Usage(9)), End("length"))
    content = {"parts": [{"text": ""}], "role": "model"}
    assert chunks == [
        {
            "candidates": [{"content": content, "finishReason": "MAX_TOKENS", "index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 0, "totalTokenCount": 9},
            "modelVersion": "m",
            "responseId": "token",
        }
    ]


def test_arguments_that_are_no_object_are_empty_and_said_to_be_lost() -> None:
    chunks, lost = written(Begin(), Open(0, Call("1", "f")), Delta(0, '{"a": tru'), Close(0), End("tool"))
    assert parts(chunks)[0]["functionCall"]["args"] == {}
    assert lost == ["functionCall.args"]


@pytest.mark.parametrize("reason", ["length", "filter", "other"])
def test_a_call_that_was_cut_off_is_not_told_for_a_client_would_run_it(reason: Any) -> None:
    cut: list[Event] = [Begin(), Open(0, Call("1", "f")), Delta(0, '{"a": tru'), Close(0), End(reason)]
    chunks, lost = written(*cut)
    assert not any("functionCall" in part for part in parts(chunks)) and lost == ["functionCall"]
    whole, gone = Loss(), Loss()
    answer = grammar.write_answer(fold(cut), ASKED, STAMP, gone)
    assert b"functionCall" not in answer and list(gone) == ["functionCall"]
    answer = grammar.write_answer(Answer(parts=[Call("1", "f", "{}")], reason=reason), ASKED, STAMP, whole)
    assert b"functionCall" in answer and not whole


def test_choices_pictures_searches_and_what_cannot_be_told() -> None:
    cited = Text("", citations=[Citation(url="u", title="t", start=0, end=1)])
    chunks, lost = written(
        Begin(),
        Open(0, Search("s", "q", [Citation(url="v", title="w")])),
        Close(0),
        Open(1, Text("")),
        Delta(1, "Å"),
        Close(1, cited),
        Open(2, Media(kind="image", mime="image/png", data="AA=="), 1),
        Close(2),
        Open(3, Opaque("openai-responses", "mcp_call"), 1),
        Close(3),
        End("stop", others=["filter"]),
    )
    last = chunks[-1]["candidates"]
    assert [(one["index"], one["finishReason"]) for one in last] == [(0, "STOP"), (1, "SAFETY")]
    assert last[0]["groundingMetadata"] == {
        "webSearchQueries": ["q"],
        "groundingChunks": [{"web": {"uri": "v", "title": "w"}}, {"web": {"uri": "u", "title": "t"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 2, "text": "Å"}, "groundingChunkIndices": [1]}],
    }
    assert chunks[1]["candidates"][0]["content"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]
    assert lost == ["mcp_call"]


def test_a_client_without_sse_gets_one_array() -> None:
    request = Request(format="gemini", model="m", stream=True, sse=False)
    writing = grammar.writer(request, STAMP, Loss())
    stream = writing.feed([Begin(), Open(0, Text("")), Delta(0, "a"), Delta(0, "b")]) + writing.feed([Close(0), End()])
    chunks = msgspec.json.decode(stream)
    assert [part["text"] for part in parts(chunks)] == ["a", "b", ""]


def test_a_failure_is_told_in_the_streams_own_words() -> None:
    refusal = Refusal(503, "upstream", "Busy.")
    chunks = grammar.writer(ASKED, STAMP, Loss()).feed([Begin(), Open(0, Text("")), Delta(0, "a"), Fail(refusal)])
    assert chunks.endswith(b'event: error\ndata: {"error":{"code":503,"message":"Busy.","status":"UNAVAILABLE"}}\n\n')
    for told in ([Fail(refusal)], [Open(0, Text("")), Delta(0, "a"), Fail(refusal)]):
        array = Request(format="gemini", model="m", stream=True, sse=False)
        assert msgspec.json.decode(grammar.writer(array, STAMP, Loss()).feed(told))[-1]["error"]["code"] == 503
