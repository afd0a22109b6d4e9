"""docs/honest-relay.md is what the manifests and the hooks say of themselves, and what they say is what they do: each
is run over bodies that hold every member of its format, and its changes are held against its rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from vaultd.catalog.hooks.requests import REQUEST_HOOKS, hooks_of
from vaultd.catalog.hooks.shape import Action, Asked, CannotServe, RequestHook, Row
from vaultd.catalog.manifest import Api, Entry, FormatName, Provider
from vaultd.oauth.tokens import Account
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.wire.anthropic_messages import grammar as anthropic_messages
from vaultd.wire.draft import Draft
from vaultd.wire.gemini import grammar as gemini
from vaultd.wire.ir import Request, Target, Text, Turn
from vaultd.wire.loss import Loss
from vaultd.wire.members import Members
from vaultd.wire.openai_chat import grammar as openai_chat
from vaultd.wire.openai_responses import grammar as openai_responses
from vaultd.wire.openai_responses import socket
from vaultd.wire.sse import data_of, frames_of
from vaultd.work import document, headers
from vaultd.work.address import address_of

GRAMMARS: dict[FormatName, Any] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic-messages": anthropic_messages,
    "gemini": gemini,
}
ROOT = Path(__file__).parents[2]
PROVIDERS = document.providers()


def members(names: str, **given: Any) -> dict[str, Any]:
    return dict.fromkeys(names.split(), 1) | given


#: Every member that the formats have (their documentation of November 2026); those that a hook looks into have a value
#: that nobody objects to.
FULL: dict[FormatName, dict[str, Any]] = {
    "openai-chat": members(
        "model audio extra_body frequency_penalty function_call functions image_config logit_bias logprobs metadata n "
        "max_completion_tokens max_tokens messages modalities parallel_tool_calls prediction presence_penalty "
        "prompt_cache_key prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier "
        "stop store temperature thinking tool_choice tools top_k top_logprobs top_p user verbosity web_search_options",
        messages=[{"role": "user", "content": "x"}],
        stream=True,
        stream_options={"include_obfuscation": False},
    ),
    "openai-responses": members(
        "model background client_metadata conversation instructions max_completion_tokens max_output_tokens prompt "
        "max_tool_calls metadata parallel_tool_calls prompt_cache_key prompt_cache_retention reasoning "
        "safety_identifier service_tier store stream stream_options temperature text top_logprobs top_p truncation "
        "user",
        include=["file_search_call.results"],
        input=[{"role": "user", "content": "x"}, {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAA"}],
        instructions="mine",
        previous_response_id=None,
        tool_choice="auto",
        tools=[{"type": "web_search"}],
    ),
    "anthropic-messages": members(
        "model cache_control container context_management diagnostics inference_geo mcp_servers messages metadata "
        "output_config output_format service_tier speed stop_sequences stream temperature tools top_k top_p",
        max_tokens=9000,
        system="mine",
        thinking={"type": "enabled", "budget_tokens": 2000},
        tool_choice={"type": "auto"},
    ),
    "gemini": members(
        "cachedContent generationConfig labels safetySettings serviceTier store toolConfig tools",
        contents=[{"role": "user", "parts": [{"text": "x"}]}],
        systemInstruction={"parts": [{"text": "mine"}]},
    ),
}
#: What makes a hook act: laid over FULL, each alone.
CASES: dict[FormatName, list[dict[str, Any]]] = {
    "openai-chat": [{}],
    "openai-responses": [
        {},
        {"instructions": None},
        {"include": None},
        {"prompt_cache_key": ""},
        {"input": "x"},
        {"input": [{"role": "system", "content": "x"}]},
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
        {"tools": [{"type": "web_search_preview_2025_03_11"}]},
        {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "web_search_preview"}]}},
        {"previous_response_id": "resp_1"},
    ],
    "anthropic-messages": [
        {},
        {"tool_choice": {"type": "any"}},
        {"thinking": {"type": "enabled", "budget_tokens": 9000}},
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}]}]},
    ],
    "gemini": [
        {},
        {"contents": [{"role": "model", "parts": []}]},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 9}}},
    ],
}
REFUSED = b'{"error":{"message":"The encrypted_content or the signature in `thinking` is not mine"}}'
#: What a vendor may answer, by format: a hook that changes answers changes one of these.
ANSWERS: dict[FormatName, bytes] = {
    "openai-chat": b'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n',
    "openai-responses": b'data: {"type":"response.output_item.done","item":{"id":"msg_1"}}\n\n'
    b'data: {"type":"response.completed","response":{"output":[]}}\n\n',
    "anthropic-messages": b'data: {"type":"message_start","message":{"usage":{}}}\n\n',
    "gemini": b'data: {"response":{"candidates":[]}}\n\n',
}
ACTIONS: tuple[Action, ...] = ("generate", "stream", "count")
Deed = tuple[str, str]


def bodies(fmt: FormatName) -> Iterable[dict[str, Any]]:
    for case in CASES[fmt]:
        yield FULL[fmt] | case
        yield {name: value for name, value in case.items() if value is not None}


def done(hook: RequestHook, fmt: FormatName) -> set[Deed]:
    """Everything the hook does to any body or answer of the format: (member, what becomes of it)."""
    deeds: set[Deed] = set()
    for action, translated in product(ACTIONS, (False, True)):
        asked = Asked(
            action=action, model="m", project="p", accounting=True, format=fmt, translated=translated, budgets=(10, 20)
        )
        for given in bodies(fmt):
            text = json.dumps(given).encode()
            draft = Draft(Members(text))
            try:
                if hook.edit is not None:
                    hook.edit(draft, asked)
            except CannotServe as refused:
                deeds |= {(name, "refused") for name in given if str(refused).startswith(f"`{name}`")}
                continue
            deeds |= compared(given, json.loads(draft.body()))
            if hook.mend is not None and hook.mend(draft, REFUSED):
                edited = Draft(Members(text))
                assert hook.edit is not None
                hook.edit(edited, asked)
                before = json.loads(edited.body())
                deeds |= {(name, "mended") for name, _ in compared(before, json.loads(draft.body()))}
            if hook.wrap is not None and (wrapped := hook.wrap(text, asked)) != text:
                deeds |= {(name, "wrapped") for name, inner in json.loads(wrapped).items() if inner == given}
        deeds |= answered(hook, asked)
    return deeds


def compared(before: dict[str, Any], after: dict[str, Any]) -> set[Deed]:
    changed = {(name, "changed") for name in before if name in after and before[name] != after[name]}
    return changed | {(n, "dropped") for n in before if n not in after} | {(n, "set") for n in after if n not in before}


def answered(hook: RequestHook, asked: Asked) -> set[Deed]:
    change = hook.answer(asked) if hook.answer is not None else None
    if change is None:
        return set()
    if change.frames is not None:
        new = [data_of(frame) for frame in frames_of(change.frames(ANSWERS[asked.format]))]
    else:
        new = [told for frame in frames_of(ANSWERS[asked.format]) if (told := change.data(data_of(frame))) is not None]
    old = [data_of(frame) for frame in frames_of(ANSWERS[asked.format])]
    return {(row.member, "answer") for row in hook.rows if row.does == "answer" and old != new}


def agrees(rows: Iterable[Row], deeds: set[Deed]) -> None:
    """`set` covers a member that was there as well as one that was not."""
    declared = {(row.member, row.does) for row in rows}
    undeclared = {(name, does) for name, does in deeds if (name, does) not in declared} - {
        (name, "changed") for name, does in declared if does == "set"
    }
    assert not undeclared, "done, and on no row of the page"
    assert not declared - deeds, "on the page, and never done"


def formats_of(provider: Provider, hook: RequestHook) -> set[Deed]:
    return {deed for fmt in provider.api.formats for deed in done(hook, fmt)}


def test_the_page_is_current() -> None:
    assert (ROOT / document.PAGE).read_text() == document.page(), "run `make docs`"


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_vendors_hooks_do_what_their_rows_say_and_nothing_else(name: str) -> None:
    for hook in hooks_of(PROVIDERS[name].api):
        agrees(hook.rows, formats_of(PROVIDERS[name], hook))


def test_no_hook_is_without_a_vendor() -> None:
    named = {hook for provider in PROVIDERS.values() for hook in provider.api.hooks}
    assert named == set(REQUEST_HOOKS)


@pytest.mark.parametrize("fmt", sorted(FULL))
def test_the_one_option_does_what_its_row_says(fmt: FormatName) -> None:
    (hook,) = hooks_of(Api(formats=[fmt], first_system="FIRST"))
    agrees([document.FIRST_SYSTEM_ROWS[fmt]], done(hook, fmt))


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_vendors_headers_are_those_of_its_rows(name: str) -> None:
    """Of what goes out, all that is not the client's, nor set for everybody."""
    provider = PROVIDERS[name]
    facts = dict.fromkeys(provider.api.fact_headers.values(), "fact")
    credential = Credential(
        id="c", provider=name, kind="key", key=Secret("CANARY-key"), settings=Settings(), account=Account(facts=facts)
    )
    address = address_of(credential, Entry(provider, {}, {}))
    sent = headers.towards_vendor({}, address.defaults, address.fixed, address.appended)
    usual = {"user-agent", "content-type", "accept-encoding"}
    told = {header.partition(":")[0] for header, _ in document.header_rows(provider.api) if header[0] != "?"}
    assert sent.keys() - usual == told
    for header, _ in document.header_rows(provider.api):
        header_name, _, value = header.partition(": ")
        assert header[0] == "?" or value in sent[header_name]


@pytest.mark.parametrize("fmt", sorted(FULL))
def test_translation_adds_to_a_request_that_asks_for_nothing_what_its_rows_say(fmt: FormatName) -> None:
    added: set[str] = set()
    for stream, thinks in product((False, True), repeat=2):
        bare = Request(format="nobody's", model="m", stream=stream, turns=[Turn("user", [Text("x")])])
        members, _ = GRAMMARS[fmt].write_request(bare, Target(model="m", thinks=thinks), Loss())
        added |= members.keys() - {"model", "messages", "input", "contents", "stream"}
    assert added == {row.member for row in document.TRANSLATION_ROWS if row.format == fmt}


def test_a_message_on_codexs_socket_becomes_the_request_that_its_rows_say() -> None:
    metadata = {"session": "s", "ws_request_header_x_codex_a": "b"}
    deeds: set[Deed] = set()
    cases: list[dict[str, Any]] = [
        {},
        {"stream": None},
        {"client_metadata": metadata},
        {"previous_response_id": "resp_1"},
    ]
    for own in cases:
        given = FULL["openai-responses"] | {"type": "response.create", "model": "m", "generate": True, "stream_id": "1"}
        given = {name: value for name, value in (given | own).items() if value is not None}
        message = socket.read(json.dumps(given).encode())
        assert message is not None
        deeds |= compared(given, json.loads(message.body(message.items(b'[{"type":"message"}]'))))
    agrees(document.SOCKET_ROWS, deeds)


def test_every_row_has_its_place_on_the_page() -> None:
    page = document.page()
    for provider in PROVIDERS.values():
        for row in document.body_rows(provider.api):
            assert f"`{row.member}`" in page and row.what in page and row.why in page
