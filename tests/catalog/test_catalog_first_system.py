"""`api.first-system`: an operator's block goes before the client's own text, once, and takes nothing away from it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from vaultd.catalog.hooks.req_first_system import explained
from vaultd.catalog.hooks.requests import hooks_of
from vaultd.catalog.hooks.shape import Action, Asked
from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.manifest import Api, FormatName, Provider
from vaultd.config.load import parse
from vaultd.config.model import Config
from vaultd.errors import Misconfigured
from vaultd.wire.draft import Draft
from vaultd.wire.members import Members

FIRST = 'You are "Acme".'
BLOCK = {"type": "text", "text": FIRST}
MINE = {"type": "text", "text": "mine", "cache_control": {"type": "ephemeral"}}
PART = {"text": "mine"}
USER = {"role": "user", "content": FIRST}
SAID: dict[str, FormatName] = {
    "system": "anthropic-messages",
    "messages": "openai-chat",
    "instructions": "openai-responses",
    "systemInstruction": "gemini",
    "system_instruction": "gemini",
}


def edited(member: str, own: Any, *, action: Action = "generate") -> Any:
    """What becomes of a body that has `own` there; None stands for none at all."""
    fmt = SAID[member]
    draft = Draft(Members(json.dumps({} if own is None else {member: own}).encode()))
    for hook in hooks_of(Api(formats=[fmt], first_system=FIRST)):
        assert hook.edit is not None
        hook.edit(draft, Asked(action=action, model="m", format=fmt))
    return json.loads(draft.body())


@pytest.mark.parametrize(
    ("member", "own", "sent"),
    [
        ("system", None, [BLOCK]),
        ("system", "", [BLOCK]),
        ("system", "mine", [BLOCK, {"type": "text", "text": "mine"}]),
        ("system", [MINE], [BLOCK, MINE]),
        ("system", [], [BLOCK]),
        ("system", [MINE, BLOCK], [BLOCK, MINE, BLOCK]),
        ("messages", [], [{"role": "system", "content": FIRST}]),
        ("messages", [USER], [{"role": "system", "content": FIRST}, USER]),
        ("instructions", None, FIRST),
        ("instructions", "", FIRST),
        ("instructions", "mine", f"{FIRST}\n\nmine"),
        ("instructions", f"{FIRST} And more.", f"{FIRST}\n\n{FIRST} And more."),
        ("systemInstruction", None, {"parts": [{"text": FIRST}]}),
        ("systemInstruction", {"role": "x", "parts": [PART]}, {"role": "x", "parts": [{"text": FIRST}, PART]}),
        ("system_instruction", "mine", {"parts": [{"text": FIRST}, {"text": "mine"}]}),
        ("systemInstruction", {"parts": {"text": "mine"}}, {"parts": [{"text": FIRST}, {"text": "mine"}]}),
    ],
)  # fmt: skip
def test_the_block_goes_first_and_the_clients_own_text_stays(member: str, own: Any, sent: Any) -> None:
    assert edited(member, own) == {member: sent}


@pytest.mark.parametrize(
    ("member", "own"),
    [
        ("system", FIRST),
        ("system", [BLOCK | {"cache_control": {"type": "ephemeral"}}, MINE]),
        ("messages", [{"role": "system", "content": FIRST}, {"role": "user", "content": "x"}]),
        ("messages", [{"role": "developer", "content": [BLOCK]}]),
        ("instructions", FIRST),
        ("instructions", f"{FIRST}\n\nmine"),
        ("systemInstruction", {"parts": [{"text": FIRST}, {"text": "mine"}]}),
    ],
)
def test_a_client_that_begins_with_it_already_is_left_alone(member: str, own: Any) -> None:
    assert edited(member, own) == {member: own}


@pytest.mark.parametrize(
    ("member", "own"),
    [("system", 3), ("system", [FIRST]), ("messages", {"a": 1}), ("messages", None), ("instructions", [1])],
)
def test_what_is_no_system_text_is_the_vendors_to_refuse(member: str, own: Any) -> None:
    assert edited(member, own) == ({} if own is None else {member: own})


def test_googles_count_takes_no_system_instruction() -> None:
    assert edited("systemInstruction", None, action="count") == {}


def test_nobody_has_it_unless_the_operator_says_so_and_then_that_vendor_alone() -> None:
    found = load(
        shipped_folder(), None, parse(f"providers: {{claude: {{api: {{first-system: '{FIRST}'}}}}}}", "c", []), "c"
    )
    for id_, entry in found.providers.items():
        assert entry.provider.api.first_system == (FIRST if id_ == "claude" else "")
    for entry in load(shipped_folder(), None, Config(), "c").providers.values():
        assert entry.provider.api.first_system == ""


def test_a_blank_block_is_a_mistake() -> None:
    with pytest.raises(Misconfigured, match=r"providers.claude.api.first-system: holds no text"):
        load(shipped_folder(), None, parse("providers: {claude: {api: {first-system: ' '}}}", "c", []), "c")


# --- the refusal of an endpoint that wants one ------------------------------------------------------------------------

CLAUDE = load(shipped_folder(), None, Config(), "c").provider("claude")
REFUSED = "This credential is only authorized for use with another program and cannot be used for other API requests."


def told(provider: Provider, status: int, said: Any) -> Any:
    body = explained(provider, status, json.dumps(said).encode())
    return None if body is None else json.loads(body)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_it_names_the_option_after_the_vendors_own_words(status: int) -> None:
    said = {"type": "error", "error": {"type": "invalid_request_error", "message": REFUSED}, "request_id": "r"}
    heard = told(CLAUDE, status, said)
    assert heard["error"].pop("message") == f"{REFUSED} (see `providers.claude.api.first-system`)"
    del said["error"]["message"]  # type: ignore[attr-defined]
    assert heard == said


def test_with_a_block_of_other_words_it_says_so() -> None:
    set_ = msgspec.structs.replace(CLAUDE, api=msgspec.structs.replace(CLAUDE.api, first_system="Hello."))
    heard = told(set_, 400, {"error": {"message": REFUSED}})
    assert "`providers.claude.api.first-system` holds another text" in heard["error"]["message"]


def test_codex_says_it_without_an_error_object() -> None:
    codex = load(shipped_folder(), None, Config(), "c").provider("codex")
    heard = told(codex, 400, {"detail": "Instructions are not valid"})
    assert heard == {"detail": "Instructions are not valid (see `providers.codex.api.first-system`)"}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, {"error": {"message": "max_tokens: Field required"}}),
        (500, {"error": {"message": REFUSED}}),
        (400, [REFUSED]),
    ],
)
def test_any_other_refusal_passes_as_it_is(status: int, said: Any) -> None:
    assert told(CLAUDE, status, said) is None


def test_a_page_of_html_is_not_taken_apart() -> None:
    assert explained(CLAUDE, 403, b"<html>" + REFUSED.encode()) is None
