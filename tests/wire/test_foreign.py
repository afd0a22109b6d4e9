"""A conversation that other vendors took part in, passed on as it is: what they sealed is not in it any more."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest

from vaultd.wire import foreign, signature

ANTHROPIC: Final = base64.b64encode(bytes.fromhex("12ce030a46080b18022a40") + b"CANARY" * 9).decode()
OPENAI: Final = base64.urlsafe_b64encode(b"\x80" + bytes(8) + b"CANARY__" * 14).decode()
GOOGLE: Final = base64.b64encode(bytes.fromhex("12ad090aaa0901114d320f") + b"CANARY" * 9).decode()
TRAVELLING: Final = signature.carry(GOOGLE, "gemini")


def cleaned(fmt: str, items: list[Any]) -> Any:
    return json.loads(foreign.without(fmt, json.dumps(items).encode()))


def thought(sealed: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "hm", "signature": sealed}


def test_the_seals_of_these_stories_are_what_they_say() -> None:
    assert [signature.minted(text) for text in (ANTHROPIC, OPENAI, TRAVELLING, GOOGLE, "")] == [
        "anthropic-messages",
        "openai-responses",
        "gemini",
        "",
        "",
    ]


@pytest.mark.parametrize("sealed", [OPENAI, TRAVELLING])
def test_anthropic_is_sent_its_own_thinking_alone(sealed: str) -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"signature": OPENAI}}
    said = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [thought(ANTHROPIC), thought(sealed), thought("nobody's"), thought(""), call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
        {"role": "assistant", "content": [thought(sealed)]},
    ]
    told = cleaned("anthropic-messages", said)
    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert told[1]["content"] == [thought(ANTHROPIC), thought("nobody's"), thought(""), call]


def test_anthropic_is_not_sent_searches_that_it_did_not_make() -> None:
    def search(ident: str) -> list[dict[str, Any]]:
        return [
            {"type": "server_tool_use", "id": ident, "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": ident, "content": []},
        ]

    def text(*indexes: str) -> dict[str, Any]:
        cited = [{"type": "web_search_result_location", "encrypted_index": index} for index in indexes]
        return {"type": "text", "text": "found"} | ({"citations": cited} if cited else {})

    said = [{"role": "assistant", "content": [*search("1"), *search("srvtoolu_1"), text("", "CANARY"), text("")]}]
    told = cleaned("anthropic-messages", said)
    assert told[0]["content"] == [*search("srvtoolu_1"), text("CANARY"), text()]


def test_openai_is_not_sent_searches_that_others_made() -> None:
    items = [{"type": "web_search_call", "id": ident} for ident in ("ws_1", "ws_srvtoolu_1", "ws_search_1")]
    assert cleaned("openai-responses", items) == items[:1]


@pytest.mark.parametrize("sealed", [ANTHROPIC, TRAVELLING])
def test_openai_is_sent_its_own_reasoning_alone(sealed: str) -> None:
    items = [{"type": "reasoning", "summary": [], "encrypted_content": text} for text in (OPENAI, sealed, "opaque")]
    assert cleaned("openai-responses", [*items, {"role": "user", "content": "Hi"}]) == [
        items[0],
        items[2],
        {"role": "user", "content": "Hi"},
    ]


@pytest.mark.parametrize("name", ["thoughtSignature", "thought_signature"])
def test_google_is_sent_calls_and_texts_without_the_seals_of_others(name: str) -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    parts = [
        {"text": "hm", "thought": True, name: ANTHROPIC},
        {"text": "", name: OPENAI},
        {"text": "so", name: OPENAI},
        {**call, name: ANTHROPIC},
        {**call, name: GOOGLE},
    ]
    told = cleaned("gemini", [{"role": "model", "parts": parts}, {"role": "model", "parts": parts[:2]}])
    assert told == [{"role": "model", "parts": [{"text": "so"}, call, {**call, name: GOOGLE}]}]


def test_a_vendor_of_chat_is_sent_calls_without_the_seals_of_others() -> None:
    def call(sealed: str) -> dict[str, Any]:
        return {"id": "1", "extra_content": {"google": {"thought_signature": sealed}}}

    said = {"role": "assistant", "content": None, "tool_calls": [call(TRAVELLING), call(GOOGLE)]}
    told = cleaned("openai-chat", [said])
    assert told == [said | {"tool_calls": [{"id": "1"}, call(GOOGLE)]}]


def test_a_seal_is_known_through_the_escapes_it_was_written_with() -> None:
    item = json.dumps({"role": "model", "parts": [{"text": "hm", "thought": True, "thoughtSignature": OPENAI}]})
    escaped = item.replace("gAAAA", "g\\u0041AAA").encode()
    assert foreign.without("gemini", b"[" + escaped + b"]") == b"[]"


@pytest.mark.parametrize(
    ("fmt", "item"),
    [
        ("anthropic-messages", {"role": "assistant", "content": [thought(ANTHROPIC), thought("")]}),
        (
            "anthropic-messages",
            {"role": "user", "content": [{"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1"}]},
        ),
        ("openai-responses", {"type": "reasoning", "encrypted_content": OPENAI}),
        ("openai-responses", {"type": "web_search_call", "id": "ws_1"}),
        ("gemini", {"role": "model", "parts": [{"text": "", "thoughtSignature": GOOGLE}]}),
        ("openai-chat", {"role": "assistant", "tool_calls": [], "thought_signature": GOOGLE}),
    ],
)
def test_where_all_is_the_vendors_own_the_bytes_are_the_clients(fmt: str, item: Any) -> None:
    text = b'[ {"n": 1.0, "signature" : 7}, ' + json.dumps(item).encode() + b" ]"
    assert foreign.without(fmt, text) is text


def test_an_item_in_which_nothing_is_foreign_keeps_its_bytes() -> None:
    kept = b'{"role":"user", "content":"\\u0043ANARY 1.0"}'
    told = json.dumps({"role": "assistant", "content": [thought(OPENAI)]}).encode()
    assert foreign.without("anthropic-messages", b"[" + kept + b"," + told + b"]") == b"[" + kept + b"]"


@pytest.mark.parametrize("text", ['"Hi"', "[", f'[{{"signature":"{OPENAI}"', '["signature",{"signature"', "7"])
def test_what_is_no_conversation_is_the_vendors_to_judge(text: str) -> None:
    for fmt in ("anthropic-messages", "openai-responses", "openai-chat", "gemini"):
        assert foreign.without(fmt, text.encode()) == text.encode()
