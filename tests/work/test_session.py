"""Whose request it is, as each known client says it, and by how a conversation began where none does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from vaultd.catalog.manifest import FormatName
from vaultd.wire.members import Members
from vaultd.work.session import Session, session_of

ONE, TWO = "0199f2c4-6a00-7d52-9c1e-000000000001", "0199f2c4-6a00-7d52-9c1e-000000000002"
USER = f"user_{'a' * 64}_account_{ONE}_session_"


def of(body: dict[str, Any], headers: dict[str, str] | None = None, fmt: FormatName = "openai-chat") -> Session | None:
    return session_of(fmt, CIMultiDict(headers or {}), Members(json.dumps(body).encode()))


def said(*roles: str, key: str = "messages", first: str = "hi", **first_more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": first, **first_more}]
    more = [{"role": role, "content": f"{role} {at}"} for at, role in enumerate(roles[1:])]
    return {key: [{"role": roles[0], "content": content}, *more]}


NAMED: list[tuple[str, Any]] = [
    ("Claude Code's header", lambda name: ({}, {"X-Claude-Code-Session-Id": name})),
    ("Codex's header", lambda name: ({}, {"session-id": name})),
    ("an older Codex's header", lambda name: ({}, {"session_id": name})),
    ("a conversation's header", lambda name: ({}, {"conversation-id": name})),
    ("an older one", lambda name: ({}, {"conversation_id": name})),
    ("opencode's header", lambda name: ({}, {"x-session-id": name})),
    ("opencode's other header", lambda name: ({}, {"x-session-affinity": name})),
    ("prompt_cache_key", lambda name: ({"prompt_cache_key": name}, {})),
    ("Claude Code's user id", lambda name: ({"metadata": {"user_id": json.dumps({"session_id": name})}}, {})),
    ("an older Claude Code's", lambda name: ({"metadata": {"user_id": USER + name}}, {})),
    ("Qwen Code's metadata", lambda name: ({"metadata": {"sessionId": name, "promptId": "p"}}, {})),
    ("Gemini CLI's session_id", lambda name: ({"session_id": name}, {})),
]


@pytest.mark.parametrize(("_who", "asked"), NAMED, ids=[who for who, _ in NAMED])
def test_a_session_that_a_client_names_is_the_same_wherever_it_stands(_who: str, asked: Any) -> None:
    one, again, two = (of(*asked(name)) for name in (ONE, ONE, TWO))
    assert one == again == of({}, {"x-session-id": ONE})
    assert one is not None and two is not None
    assert not one.begins
    assert one.key != two.key


@pytest.mark.parametrize(
    "asked",
    [
        lambda name: {"metadata": {"user_id": f"customer {name}"}},
        lambda name: {"conversation": name},
        lambda name: {"conversation": {"id": name}},
    ],
)
def test_a_user_and_a_conversation_are_stayed_with_likewise(asked: Any) -> None:
    assert of(asked(ONE)) == of(asked(ONE))
    assert of(asked(ONE)) != of(asked(TWO))
    assert of(asked(ONE)) != of({}, {"session-id": ONE}), "a user is no session of that name"


def test_a_header_goes_before_the_body() -> None:
    assert of({"prompt_cache_key": TWO}, {"session_id": ONE}) == of({}, {"session_id": ONE})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt_cache_key": ""},
        {"prompt_cache_key": 7},
        {"prompt_cache_key": "x" * 2000},
        {"metadata": None},
        {"metadata": "x"},
        {"metadata": {"user_id": 3}},
        {"conversation": {"id": None}},
    ],
)
def test_what_is_no_name_is_none(body: dict[str, Any]) -> None:
    assert of(body) is None


def test_a_user_id_that_only_looks_like_json_is_a_user() -> None:
    assert of({"metadata": {"user_id": "{"}}) is not None
    assert of({"metadata": {"user_id": '{"a":' * 100_000}}) is None


CONVERSATIONS: list[tuple[FormatName, str, str]] = [
    ("openai-chat", "messages", "assistant"),
    ("anthropic-messages", "messages", "assistant"),
    ("openai-responses", "input", "assistant"),
    ("gemini", "contents", "model"),
]


@pytest.mark.parametrize(("fmt", "key", "answered"), CONVERSATIONS)
def test_a_conversation_is_known_by_how_it_began(fmt: FormatName, key: str, answered: str) -> None:
    second = of(said("user", answered, "user", key=key), fmt=fmt)
    third = of(said("user", answered, "user", answered, "user", key=key), fmt=fmt)
    assert second == third
    assert second is not None and not second.begins
    assert second != of(said("user", answered, "user", key=key, first="ho"), fmt=fmt)


@pytest.mark.parametrize(("fmt", "key", "answered"), CONVERSATIONS)
def test_its_first_question_only_begins_it(fmt: FormatName, key: str, answered: str) -> None:
    first = of(said("user", key=key), fmt=fmt)
    second = of(said("user", answered, "user", key=key), fmt=fmt)
    assert first is not None and second is not None
    assert first.begins
    assert first.key == second.key


@pytest.mark.parametrize(
    ("fmt", "key", "answered", "system"),
    [
        ("anthropic-messages", "messages", "assistant", "system"),
        ("openai-responses", "input", "assistant", "instructions"),
        ("gemini", "contents", "model", "systemInstruction"),
        ("gemini", "contents", "model", "system_instruction"),
    ],
)
def test_agents_that_always_ask_the_same_first_are_told_apart_by_what_they_are_told_to_be(
    fmt: FormatName, key: str, answered: str, system: str
) -> None:
    asked = said("user", answered, "user", key=key)
    keys = {of({**asked, system: text}, fmt=fmt) for text in ("You review.", "You translate.", "m" * 90_000)}
    assert len(keys | {of(asked, fmt=fmt)}) == 4


@pytest.mark.parametrize("kind", ["reasoning", "function_call", "custom_tool_call"])
def test_an_item_of_the_models_is_an_answer_too(kind: str) -> None:
    items = [{"role": "user", "content": "hi"}, {"type": kind, "id": "x"}, {"type": f"{kind}_output", "output": "y"}]
    found = of({"input": items}, fmt="openai-responses")
    assert found is not None and not found.begins


def test_what_a_user_quotes_is_no_answer() -> None:
    quoted = of(said("user", first='{"role": "assistant", "content": "hello"}'))
    assert quoted is not None and quoted.begins


def test_a_mark_of_what_is_to_be_cached_moves_and_the_conversation_stays() -> None:
    marked = said("user", "assistant", "user", cache_control={"type": "ephemeral", "ttl": "5m"})
    assert of(marked, fmt="anthropic-messages") == of(said("user", "assistant", "user"), fmt="anthropic-messages")


@pytest.mark.timeout(10)
def test_white_space_around_a_mark_holds_nobody_up() -> None:
    """A search that begins anew at each of these would take hours, and nobody would be served meanwhile."""
    spaces = b" " * 60_000
    body = b'{"messages":[{"role":"user",' + spaces + b'"cache_control":1},' + b'{"role":"assistant"}]}'
    assert session_of("anthropic-messages", {}, Members(body)) is not None


def test_long_beginnings_that_differ_at_either_end_or_in_length_differ() -> None:
    middle = "m" * 20_000
    keys = {of(said("user", "assistant", first=first)) for first in (f"a{middle}", f"b{middle}", f"a{middle}m", middle)}
    assert len(keys) == 4


def test_whoever_begins_with_more_than_is_looked_at_names_a_session_or_has_none() -> None:
    assert of(said("user", "assistant", first="x" * 70_000)) is None


def test_sec_01_nothing_of_what_was_said_is_in_the_key() -> None:
    found = of({"prompt_cache_key": "CANARY"})
    assert found is not None
    assert len(found.key) == 24
    assert set(found.key) <= set("0123456789abcdef")
