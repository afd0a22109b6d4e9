"""Who asks a chat stream for its tokens, and who is told of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vaultd.catalog.hooks.req_chat_usage import HOOK
from vaultd.catalog.hooks.shape import Action, Asked
from vaultd.wire.draft import Draft
from vaultd.wire.members import Members

STREAM: Action = "stream"


def seen(**asked: Any) -> tuple[bool, bool]:
    """Whether tokens are asked for, and whether the chunk that states them is taken out."""
    given: dict[str, Any] = {"action": STREAM, "model": "m", "accounting": True, "format": "openai-chat"} | asked
    draft, known = Draft(Members(b"{}")), Asked(**given)
    assert HOOK.edit is not None and HOOK.answer is not None
    HOOK.edit(draft, known)
    return json.loads(draft.body()) == {"stream_options": {"include_usage": True}}, HOOK.answer(known) is not None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, (True, True)),
        ({"usage_asked": True}, (False, False)),
        ({"accounting": False}, (False, False)),
        ({"action": "generate"}, (False, False)),
        ({"format": "openai-responses"}, (False, False)),
        ({"translated": True}, (True, False)),
        ({"translated": True, "accounting": False}, (True, False)),
        ({"translated": True, "action": "generate"}, (False, False)),
    ],
)
def test_tokens_are_asked_for_where_somebody_counts_and_taken_out_where_nobody_asked(
    asked: dict[str, Any], expected: tuple[bool, bool]
) -> None:
    assert seen(**asked) == expected
