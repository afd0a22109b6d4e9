"""What may be shown of a configuration, and what a mask that comes back stands for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaultd.config import masked_text
from vaultd.config.masked import Masks, Unclear, shown
from vaultd.config.masked_text import meant_text

SECRET = "$2b$10$CANARYhash0123456789012345678901234567890123456789012"
LONG = "sk-CANARY-long-0123456789abcdef"
TEXT = f"""\
proxy-url: "socks5://ann:CANARY-pw@127.0.0.1:1080"   # socks5://ann:CANARY-pw@127.0.0.1:1080
api-keys: ['{LONG}',  CANARY-short, "CANARY-small"] # {LONG} is Ann's
# api-key: CANARY-switched-off-and-unknown
#   - sk-CANARY-unknown-0123456789
# claude-sonnet-4-5-20250929 stays, as does https://vaultd.example/docs
claude-api-key:
  - api-key: >-
      CANARY-folded-0123456789abc
    headers: {{X-Key: CANARY-header-0123456789, X-Team: red}} # seeing red
  - {{base-url: 'https://x.example/{LONG}?a=b&key=CANARY-q', api-key: {LONG}}}
remote-management: {{secret-key: $2b$10$CANARYhash0123456789012345678901234567890123456789012}}
generative-language-api-key: [CANARY-older]
alerts: {{webhook-url: https://hooks.example/CANARY/path?x}}
providers: {{claude: {{oauth: {{client-secret: CANARY-client-secret-1234}}}}}}
"""


def test_every_key_in_the_text_is_masked_in_its_place_and_in_comments_too() -> None:
    seen = masked_text.masked_text(TEXT, "f")
    assert "CANARY" not in seen
    assert "# seeing red" in seen
    assert "# claude-sonnet-4-5-20250929 stays, as does https://vaultd.example/docs" in seen
    assert """api-keys: ['sk-C****cdef',  "****", "****"] # sk-C****cdef is Ann's\n""" in seen
    assert """proxy-url: "socks5://****@127.0.0.1:1080"   # socks5://****@127.0.0.1:1080\n""" in seen


def test_sent_back_it_is_the_text_it_was_to_the_byte() -> None:
    seen = masked_text.masked_text(TEXT, "f")
    assert meant_text(seen, TEXT, "f") == TEXT
    for text in (
        "null\n",
        "api-keys: ~\nproxy-url: null\n",
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT.rstrip("\n"),
        "",
        "# nothing\n",
    ):
        assert meant_text(masked_text.masked_text(text, "f"), text, "f") == text


def test_edits_around_the_masks_are_kept() -> None:
    seen = masked_text.masked_text(TEXT, "f")
    edited = seen.replace("X-Key", "X-Other").replace("seeing red", "was red") + "debug: true # new\n"
    back = meant_text(edited, TEXT, "f")
    assert 'X-Other: "CANARY-header-0123456789"' in back
    assert "was red" in back
    assert back.endswith("debug: true # new\n")
    turned = seen.replace('sk-C****cdef\',  "****", "****"', '****\',  "sk-C****cdef", "****"')
    again = meant_text(turned, TEXT, "f")
    assert f"""['CANARY-short',  "{LONG}", "CANARY-small"]""" in again


@pytest.mark.parametrize(
    ("new", "path"),
    [
        ({"api-keys": ["sk-C****none"]}, "api-keys[0]"),
        ({"api-keys": ["****"]}, "api-keys[0]"),
        ({"codex-api-key": [{"api-key": "****", "headers": {}}]}, "codex-api-key[0].api-key"),
        ({"claude-api-key": [{"headers": {"X": "a****b"}}]}, "claude-api-key[0].headers.X"),
        ({"proxy-url": "socks5://****@elsewhere.example:1080"}, "proxy-url"),
        ({"alerts": {"webhook-url": "https://other.example/****"}}, "alerts.webhook-url"),
        ({"openai-compatibility": [{"api-key-entries": [{"proxy-url": "http://****@x"}]}]},
         "openai-compatibility[0].api-key-entries[0].proxy-url"),
    ],
)  # fmt: skip
def test_a_mask_of_none_or_of_two_is_refused_and_its_place_named(new: Any, path: str) -> None:
    old = {"api-keys": [LONG, "CANARY-short", "CANARY-small"], "proxy-url": "socks5://a:b@c:1", "alerts": {}}
    with pytest.raises(Unclear) as told:
        Masks(old).meant("", new, old)
    assert told.value.path == path
    assert "CANARY" not in str(told.value)


def test_a_mask_may_move_to_another_list_but_a_name_is_only_a_name() -> None:
    old = {"claude-api-key": [{"api-key": LONG}]}
    masks = Masks(old)
    assert masks.meant("", {"codex-api-key": [{"api-key": "sk-C****cdef"}]}, old) == {
        "codex-api-key": [{"api-key": LONG}]
    }
    assert masks.meant("", {"models": [{"id": "a****b"}]}, old) == {"models": [{"id": "a****b"}]}


def said(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


KEYS = st.one_of(
    st.sampled_from(["CANARY-a", "CANARY-b", LONG, "sk-CANARY-other-0123456789abcdef"]),
    st.text("abc*", min_size=1, max_size=40),
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"api-key": KEYS},
        optional={
            "base-url": st.sampled_from(["https://a", "https://b"]),
            "headers": st.dictionaries(KEYS, KEYS, max_size=2),
        },
    ),
    max_size=5,
)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(ENTRIES, st.randoms(use_true_random=False))
def test_what_was_shown_and_comes_back_in_any_order_is_each_entry_with_its_own_key_or_refused(
    entries: list[dict[str, Any]], random: Any
) -> None:
    seen = shown("claude-api-key", entries)
    assert Masks(entries).meant("claude-api-key", seen, entries) == entries
    order = list(range(len(entries)))
    random.shuffle(order)
    try:
        back = Masks(entries).meant("claude-api-key", [seen[i] for i in order], entries)
    except Unclear:
        return
    # Two that look the same in all may have changed places: nobody could tell.
    assert sorted(map(said, back)) == sorted(map(said, entries))
    assert [shown("claude-api-key", entry) for entry in back] == [seen[i] for i in order]


@pytest.mark.parametrize("text", ["null\n", "~", "", "{}", "# nothing\n"])
def test_a_text_that_says_nothing_is_shown_as_it_is(text: str) -> None:
    assert masked_text.masked_text(text, "config.yaml", Masks({})) == text


def test_the_management_key_never_leaves_its_place_and_returns_to_it() -> None:
    text = f"remote-management: {{secret-key: {SECRET}}}\n"
    old = {"remote-management": {"secret-key": SECRET}}
    shown_key = shown("secret-key", SECRET)
    assert Masks(old).meant("", {"remote-management": {"secret-key": shown_key}}, old) == old
    assert meant_text(masked_text.masked_text(text, "f"), text, "f") == text
    assert masked_text.masked_text(f"{text}# {SECRET}\n", "f").count(SECRET) == 0
    for elsewhere in ({"api-keys": [shown_key]}, {"claude-api-key": [{"headers": {"X": shown_key}}]}):
        with pytest.raises(Unclear):
            Masks(old).meant("", old | elsewhere, old)


@pytest.mark.parametrize("wrapped", [lambda value: [value], lambda value: {"a": value}])
def test_what_is_nested_deep_is_compared_at_once(wrapped: Callable[[Any], Any]) -> None:
    value: Any = "x"
    for _ in range(39):  # with a doubling at each level this would not end
        value = wrapped(value)
    new = [{"api-key": "one", "headers": value}]
    assert Masks({}).meant("claude-api-key", new, [{"api-key": "two", "headers": value}]) == new
