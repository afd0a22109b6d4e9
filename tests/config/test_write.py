"""The configuration's text, edited: what was meant is there, and nothing else has changed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaultd.config import write, yaml
from vaultd.config.layout import Layout
from vaultd.config.load import parse
from vaultd.errors import Misconfigured

FILE = """\
# My vaultd.
host: 127.0.0.1   # only here

api-keys:
    # the laptop
    - sk-CANARY-laptop  # since May
    - 'sk-CANARY-phone'

routing: {strategy: fill-first,  session-affinity: true}  # as it was
# Paid by the team.
claude-api-key:
- api-key: "CANARY-one"   # one
  base-url: https://gateway.example
  # the alias everybody uses
  models: [{name: claude-x, alias: x}]
# Spare.
- api-key: CANARY-two
  headers:
    X-Team: red # as red as it gets
# The end.
"""


COMPAT = "openai-compatibility:\n  - name: x\n    base-url: http://a\n"

#: What some reader of YAML takes for something else than text.
NASTY = [
    "no",
    "0123",
    "1.10",
    "08:30",
    "null",
    "~",
    "",
    " x ",
    "true",
    "1e3",
    "#a",
    "a: b",
    "- a",
    "*a",
    "&a",
    "!a",
    "é",
]


def put(text: str, path: str, value: Any) -> str:
    return write.put(text, write.steps(path), value, "f")


def test_a_scalar_changes_and_the_rest_stays_to_the_byte() -> None:
    assert put(FILE, "host", "localhost") == FILE.replace("127.0.0.1 ", "localhost ")
    assert put(FILE, "routing.strategy", "round-robin") == FILE.replace("fill-first", "round-robin")
    assert put(FILE, "claude-api-key[0].api-key", "CANARY-new") == FILE.replace("CANARY-one", "CANARY-new")
    assert put(FILE, "api-keys[1]", "it's") == FILE.replace("'sk-CANARY-phone'", "'it''s'")


def test_what_says_so_already_is_not_written_again() -> None:
    odd = "debug: True # yes\nrequest-retry: 007\napi-keys: [1.10, ~/x]\n"
    assert put(odd, "debug", True) == odd
    assert put(odd, "request-retry", 7) == odd
    assert put(odd, "api-keys", ["1.10", "~/x"]) == odd


def test_a_key_that_is_not_there_comes_after_its_neighbours_and_with_its_section() -> None:
    assert put(FILE, "debug", True) == FILE.replace("# The end.\n", "debug: true\n# The end.\n")
    assert put(FILE, "claude-api-key[1].headers.X-Who", "no").count('    X-Who: "no"\n# The end.') == 1
    assert put("# nothing yet\n", "alerts.webhook-url", "https://x.example/") == (
        "# nothing yet\nalerts:\n  webhook-url: https://x.example/\n"
    )
    for nothing in ("", "{}\n", "null\n", "~\n", "routing:\n"):
        assert put(nothing, "port", 1) == ("routing:\nport: 1\n" if "routing" in nothing else "port: 1\n")


def test_entries_that_stay_keep_their_comments_and_their_place_in_the_new_order() -> None:
    spare, paid = {"api-key": "CANARY-two", "headers": {"X-Team": "red"}}, {"api-key": "CANARY-one", "weight": 2}
    turned = put(FILE, "claude-api-key", [spare, {"api-key": "CANARY-three"}, paid])
    assert turned.endswith("""\
claude-api-key:
# Spare.
- api-key: CANARY-two
  headers:
    X-Team: red # as red as it gets
- api-key: CANARY-three
- api-key: "CANARY-one"   # one
  # the alias everybody uses
  weight: 2
# The end.
""")


def test_what_goes_takes_its_own_lines_and_leaves_the_comments_around() -> None:
    assert write.remove(FILE, ("api-keys", 0), "f") == FILE.replace("    - sk-CANARY-laptop  # since May\n", "")
    assert write.remove(FILE, ("routing", "strategy"), "f") == FILE.replace("strategy: fill-first,  ", "")
    assert write.remove(FILE, ("claude-api-key", 1, "headers", "X-Team"), "f") == FILE.replace(
        "  headers:\n    X-Team: red # as red as it gets\n", ""
    )
    assert write.remove(FILE, ("debug",), "f") == FILE
    assert write.remove("routing:\n  strategy: fill-first\n# x\n", ("routing", "strategy"), "f") == "# x\n"
    assert put(FILE, "api-keys", []).count("api-keys: []\n    # the laptop\n\nrouting") == 1


def test_the_line_ends_the_mark_at_the_start_and_the_missing_last_one_are_kept() -> None:
    text = "\ufeff# é\r\nhost: localhost # 😀\r\nport: 1"
    assert put(text, "port", 2) == text[:-1] + "2"
    assert put(text, "debug", True) == text + "\r\ndebug: true"
    assert put(text, "api-keys", ["é"]) == text + '\r\napi-keys:\r\n  - "é"'
    assert write.remove(text, ("port",), "f") == "\ufeff# é\r\nhost: localhost # 😀"
    assert write.remove(text, ("host",), "f") == "\ufeff# é\r\nport: 1"


@pytest.mark.parametrize(
    "value",
    [
        *NASTY,
        "'",
        '"',
        "\\",
        "%a",
        "@a",
        "`a",
        "{a}",
        "[a]",
        "a,b",
        "\u2028",
        "\x7f",
        "x" * 300,
        "\t",
        "=",
        "<<",
        "y",
        "0x1F",
    ],
)
def test_text_is_read_back_as_the_text_it_was(value: str) -> None:
    for text in ("auth-dir: x # c\n", "{auth-dir: x}", "auth-dir: 'x'\n", 'auth-dir: "x"\n', "auth-dir:\n", "# c\n"):
        written = put(text, "auth-dir", value)
        assert yaml.load(written, "f") == {"auth-dir": value}
        assert pyyaml.safe_load(written) == {"auth-dir": value}  # nor does a reader of YAML 1.1 take it for else
    text = put("payload:\n  default: []\n", "payload.default", [{"models": [{"name": "m"}], "params": {"a": value}}])
    assert parse(text, "f", []).payload.default[0].params == {"a": value}


def test_parameters_of_a_vendor_keep_their_types() -> None:
    rules = [
        {"models": [{"name": "m"}], "params": {"a": 0.7, "b": True, "c": "true", "d": [1, "1"], "e": 1e22, "f": -3}}
    ]
    text = put("", "payload.override", rules)
    assert parse(text, "f", []).payload.override[0].params == rules[0]["params"]
    rules[0]["params"]["c"] = True  # type: ignore[index]
    assert parse(put(text, "payload.override", rules), "f", []).payload.override[0].params == rules[0]["params"]


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("ws_auth: true # x\n", "ws-auth", "ws-auth: true # x\n"),
        ("ws_auth: true\nws-auth: false\n", "ws-auth", "ws-auth: false\n"),
        (
            "generative-language-api-key:\n  - a # one\n  - b\n",
            "gemini-api-key",
            "gemini-api-key:\n  - api-key: a # one\n  - api-key: b\n",
        ),
        (
            "generative-language-api-key: [a, b]\ngemini-api-key:\n- api-key: b\n",
            "gemini-api-key",
            "gemini-api-key:\n- api-key: b\n- api-key: a\n",
        ),
        ("auth:\n  providers:\n  - type: config-api-key\n    api-keys: [a]\n", "api-keys", "api-keys:\n  - a\n"),
        ("auth: {providers: []}\napi-keys: [b]\n", "api-keys", "api-keys: [b]\n"),
        (
            COMPAT + "    api-keys:\n      - k # mine\n",
            "openai-compatibility",
            COMPAT + "    api-key-entries:\n      - api-key: k # mine\n",
        ),
    ],
)
def test_an_older_spelling_becomes_the_present_one_before_an_edit(before: str, key: str, after: str) -> None:
    assert write.modern(before, key, "f") == after
    assert parse(before, "f", []) == parse(after, "f", [])


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: !!python/name:os.system ''\n", "a: 1\na: 2\n", "[" * 100])
def test_thr_35_the_editor_reads_nothing_that_the_strict_reader_refuses(text: str) -> None:
    for edit in (
        lambda: put(text, "c", 1),
        lambda: write.remove(text, ("a",), "f"),
        lambda: write.modern(text, "a", "f"),
    ):
        with pytest.raises(Misconfigured):
            edit()
    with pytest.raises(Misconfigured):
        Layout(text, "f")


# --- any text, any edit -----------------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        ["no", "0123", "1.10", "08:30", "a: b", "# x", "it's", '"', "x, y", "null", "", "é😀", "a\n b", "{", "-"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12),
)
SCALARS = st.one_of(WORDS, st.booleans(), st.integers(-(10**6), 10**6), st.sampled_from([0.5, -2.25, 1e-7, 1e22]))
NAMES = st.sampled_from(["api-key", "name", "b", "c-d", "e", "no", "X y"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


class Writer:
    """A person with habits of their own: comments everywhere, block or flow, some quotes, some indentation."""

    def __init__(self, draw: Any) -> None:
        self.draw, self.count = draw, 0
        self.step, self.offset = draw(st.sampled_from([2, 4])), draw(st.sampled_from([0, 2]))

    def comment(self) -> str:
        self.count += 1
        return f"# c{self.count}."

    def scalar(self, value: Any) -> str:
        if isinstance(value, str):
            return quoted(value, self.draw(st.booleans()))
        return str(value).lower() if isinstance(value, bool) else repr(value)

    def flow(self, value: Any) -> str:
        pad = self.draw(st.sampled_from(["", " "]))
        if isinstance(value, dict):
            return "{" + pad + ", ".join(f"{quoted(k, True)}: {self.flow(v)}" for k, v in value.items()) + pad + "}"
        if isinstance(value, list):
            return "[" + pad + ", ".join(map(self.flow, value)) + pad + "]"
        return self.scalar(value)

    def end(self) -> str:
        return "  " + self.comment() if self.draw(st.booleans()) else ""

    def block(self, value: Any, indent: int, dash: bool = False) -> list[str]:
        """Lines; the first is put beside a dash where there is one."""
        lines: list[str] = []
        pad = " " * indent
        members = value.items() if isinstance(value, dict) else [("-", item) for item in value]
        for key, member in members:
            if (lines or not dash) and self.draw(st.booleans()):
                lines.append(pad + self.comment())
            lead = f"{pad}-" if isinstance(value, list) else f"{pad}{quoted(key, True)}:"
            inline = not isinstance(member, dict | list) or not member or self.draw(st.integers(0, 3)) == 0
            if inline:
                lines.append(f"{lead} {self.flow(member)}{self.end()}")
            elif isinstance(value, list) and isinstance(member, dict):
                inner = self.block(member, indent + 2, dash=True)
                lines += [f"{lead} {inner[0].lstrip()}", *inner[1:]]
            elif isinstance(value, list):
                lines.append(f"{lead} {self.flow(member)}{self.end()}")
            else:
                lines.append(f"{lead}{self.end()}")
                lines += self.block(member, indent + (self.step if isinstance(member, dict) else self.offset))
        return lines


def quoted(value: str, plain: bool) -> str:
    if plain and re.fullmatch(r"[a-zA-Z][a-zA-Z-]*", value) and value != "null":
        return value
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value) + '"'


@st.composite
def edits(draw: Any) -> tuple[str, tuple[str | int, ...], Any, Any]:
    """A text, what it says, and a place in it."""
    plain = draw(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
    writer = Writer(draw)
    lines = [*writer.block(plain, 0), "# last."]
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n"]))
    if "\r\n" in text and text.endswith("\n") and not text.endswith("\r\n"):
        text = text[:-1] + "\r\n"
    path: list[str | int] = []
    value: Any = plain
    while isinstance(value, dict | list) and value and (not path or draw(st.booleans())):
        step = draw(st.sampled_from(list(value) if isinstance(value, dict) else list(range(len(value)))))
        path.append(step)
        value = value[step]
    return text, tuple(path), plain, draw(VALUES)


def comments(text: str) -> list[str]:
    return re.findall(r"# (?:c\d+|last)\.", text)


def holds(raw: Any, plain: Any) -> bool:
    """What was read is what is meant, types and all; what is empty says nothing."""
    if isinstance(plain, dict):
        raw = raw if isinstance(raw, dict) else {}
        return all(holds(raw.get(key), plain.get(key)) for key in raw.keys() | plain.keys())
    if isinstance(plain, list):
        return isinstance(raw, list) and len(raw) == len(plain) and all(map(holds, raw, plain))
    if plain is None:
        return raw is None or raw == {} or (isinstance(raw, dict) and all(holds(v, None) for v in raw.values()))
    if isinstance(plain, str):
        return raw == plain
    read = yaml.natural(raw if isinstance(raw, yaml.Plain) else yaml.Plain(raw))
    return bool(read == plain)


def changed(plain: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(plain) if isinstance(plain, dict) else dict(enumerate(plain))
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    if copy[path[0]] is None:
        del copy[path[0]]
    return copy if isinstance(plain, dict) else list(copy.values())


BOUNDED = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@BOUNDED
@given(edits())
def test_any_value_anywhere_is_read_back_and_no_comment_elsewhere_is_lost(edit: Any) -> None:
    text, path, plain, value = edit
    after = write.put(text, path, value, "f")
    assert holds(yaml.load(after, "f"), changed(plain, path, value)), after
    left = iter(comments(after))
    assert "# last." in after
    if not isinstance(value, dict | list):
        kept = [c for c in comments(text) if not within(text, path, c)]
        assert all(c in left for c in kept), after


@BOUNDED
@given(edits())
def test_anything_can_be_taken_out_and_no_comment_elsewhere_is_lost(edit: Any) -> None:
    text, path, plain, _ = edit
    after = write.remove(text, path, "f")
    assert holds(yaml.load(after, "f"), changed(plain, path, None)), after
    left = iter(comments(after))
    assert all(c in left for c in comments(text) if not within(text, path, c)), after


@BOUNDED
@given(edits())
def test_the_same_value_again_changes_nothing(edit: Any) -> None:
    text, path, plain, _ = edit
    value = plain
    for step in path:
        value = value[step]
    assert write.put(text, path, value, "f") == text


def within(text: str, path: tuple[str | int, ...], comment: str) -> bool:
    """Whether the comment stands on or between the lines of what is at `path`."""
    layout = Layout(text, "f")
    parents, node = layout._found(path)
    lines = text.split("\n")
    first = lines_before(text, layout._start(parents[-1], path[-1]))
    last = lines_before(text, layout._end(node))
    return any(comment in line for line in lines[first : last + 1])


def lines_before(text: str, position: int) -> int:
    return text[:position].count("\n")
