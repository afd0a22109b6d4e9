"""Edits to texts that belong to others: what is not ours stays to the byte, and an edit taken back leaves no trace."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from vaultd.cli.connect import env_text, json_text, toml_text
from vaultd.cli.connect.edit import NOTHING, Edit, Odd
from vaultd.cli.connect.plan import applied, stands, undone

WORDS = some.sampled_from(["env", "model", "models", "provider", "a", "b c", "ü", "x.y", '"q"'])
ATOMS = some.one_of(
    some.none(), some.booleans(), some.integers(-9, 9), some.sampled_from(["", "http://x//y", "/* no */"])
)
VALUES = some.recursive(
    ATOMS, lambda inner: some.lists(inner, max_size=2) | some.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)
OBJECTS = some.dictionaries(WORDS, VALUES, max_size=4)
BLANK = some.sampled_from(["", " ", "\n", "\n    ", "\n\t", " // mine, {\n", ' /* "a": 1, */ ', "\n  // alone\n  "])


@some.composite
def jsonc(draw: Any) -> str:
    """An object as a person may have written it: comments and blanks anywhere, now and then a comma after the last."""

    def written(value: Any) -> str:
        if isinstance(value, dict):
            return around("{", [f"{json.dumps(key)}{gap()}:{gap()}{written(value[key])}" for key in value], "}")
        if isinstance(value, list):
            return around("[", [written(item) for item in value], "]")
        return json.dumps(value, ensure_ascii=draw(some.booleans()))

    def around(start: str, inside: list[str], end: str) -> str:
        last = "," if inside and draw(some.booleans()) else ""
        return start + gap() + f"{gap()},{gap()}".join(inside) + gap() + last + gap() + end

    def gap() -> str:
        return str(draw(BLANK))

    return gap() + written(draw(OBJECTS)) + gap()


PATHS = some.lists(WORDS.map(lambda word: f"our {word}") | WORDS, min_size=1, max_size=3).map(tuple)
EDITS = some.lists(some.builds(Edit, PATHS, VALUES | some.just(NOTHING)), max_size=4)


@settings(deadline=None, max_examples=60)
@given(jsonc(), EDITS)
def test_json_of_any_hand_is_edited_and_says_the_same_as_before_when_that_is_taken_back(
    text: str, edits: list[Edit]
) -> None:
    before = json_text.read(text)
    try:
        after, done = applied("json", text, edits)
    except Odd:  # something on the way is no object
        return
    assert stands("json", after, done) or len({edit.path[0] for edit in edits}) < len(edits)
    left, kept = undone("json", after, done)
    assert json_text.read(left) == before and kept == []
    if not any(edit.before for edit in done):  # what is put in a value's place knows no comment in it
        assert [
            part for part in ("// mine, {", '/* "a": 1, */', "// alone") if left.count(part) < text.count(part)
        ] == []


@settings(deadline=None)
@given(OBJECTS, some.sampled_from([2, 4, "\t"]), some.lists(some.sampled_from("wxyz"), unique=True), VALUES)
def test_what_programs_write_comes_back_to_the_byte(
    value: dict[str, Any], indent: Any, names: list[str], ours: Any
) -> None:
    text = json.dumps(value or {"one": 1}, indent=indent, ensure_ascii=False) + "\n"
    after, done = applied("json", text, [Edit(("new", name), ours) for name in names])
    assert undone("json", after, done)[0] == text


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1}',
        '{ "a": 1, }\n',
        '{\n  "a": 1 // of mine\n}\n',
        '{\r\n\t"a": 1,\r\n\t"b": {"c": []}\r\n}\r\n',
        '\ufeff{\n  "a": 1\n}',
        "{\n  // all switched off\n}\n",
        '{\n  "a": [\n    1, // one\n  ],\n  // the end\n}\n',
        '{"env": {"A": "b"}}',
        "{}",
        "// mine alone\n{}\n",
    ],
)
def test_json_by_hand_comes_back_to_the_byte(text: str) -> None:
    edits = [
        Edit(("env", "URL"), "http://x"),
        Edit(("model",), "m"),
        Edit(("p", "vaultd"), {"models": ["m"]}, ours=True),
    ]
    after, done = applied("json", text, edits)
    assert json_text.read(after)["env"]["URL"] == "http://x"
    assert undone("json", after, done) == (text, [])


def test_a_member_is_found_where_its_name_stands_in_comments_and_texts_too() -> None:
    text = '{\n  // "model": "no",\n  "note": "\\"model\\": 1",\n  "model": "old", "model": "older"\n}\n'
    after = json_text.put(text, ("model",), "new")
    assert after == text.replace('"older"', '"new"')
    assert json_text.read(json_text.remove(after, ("model",))) == {"note": '"model": 1'}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"\\q": 1}',
        "[1",
        '{"a" 1}',
        '{"a": 1 "b": 2}',
        "{} {}",
        '{"a": nope}',
        '{"a": "\n"}',
        "[" * 5000,
        '{"a": /* }',
    ],
)
def test_what_is_no_json_is_not_edited(text: str) -> None:
    with pytest.raises(Odd, match=r"it is no JSON|nested"):
        json_text.put(text, ("a",), 1)


@pytest.mark.parametrize("text", ['{"env": null}', '{"env": "x"}', '{"env": []}', "[]", "1"])
def test_where_an_object_is_expected_nothing_else_is_replaced(text: str) -> None:
    with pytest.raises(Odd, match="no object"):
        json_text.put(text, ("env", "URL"), "x")


TOML = some.lists(
    some.sampled_from(
        [
            "# a word",
            "",
            'model = "mine" # the best',
            'model_provider = "other"',
            "notify = [\n  'a', # one\n  'b',\n]",
            '[model_providers.other]\nname = "o" # kept\n',
            '[model_providers.vaultd]\nname = "by hand"\n',
            '[projects."/a b"]\ntrust_level = "trusted"',
            "[tui] # a table\nnotifications = true\n\n",
            "[[hooks]]\nname = 'x'",
        ]
    ),
    unique=True,
).map(lambda lines: "\n".join(sorted(lines, key=lambda line: line.startswith("["))) + "\n")
CODEX = [
    Edit(("model",), "m"),
    Edit(("model_provider",), "vaultd"),
    Edit(
        ("model_providers", "vaultd"), {"name": "vaultd", "auth": {"command": "vaultd", "args": ["token"]}}, ours=True
    ),
]


@settings(deadline=None, max_examples=60)
@given(TOML)
def test_toml_keeps_comments_and_order_and_says_the_same_when_that_is_taken_back(text: str) -> None:
    before = tomllib.loads(text)
    after, done = applied("toml", text, CODEX)
    assert stands("toml", after, done)
    left, kept = undone("toml", after, done)
    assert tomllib.loads(left) == before and kept == []
    ours = {"model = ", "model_provider = ", "[model_providers.vaultd]", 'name = "by hand"'}
    said = [line for line in text.splitlines() if line.strip() and not line.startswith(tuple(ours))]
    assert [line for line in left.splitlines() if line in said] == said


def test_a_byte_order_mark_comments_alone_and_odd_separators_are_read_as_the_clients_read_them() -> None:
    """As Windows' editors write, and what only Python takes for the end of a line."""
    for text in ('\ufeffmodel = "mine"\n', "# a\u2028b\nx = 1\n", '\ufeffmodel_provider = "o" # c\n\n[a]\n'):
        after, done = applied("toml", text, CODEX)
        assert after.startswith(text[0]) and undone("toml", after, done) == (text, [])
    text = '// of mine\n/* and "more" */'
    after, _ = applied("json", text, [Edit(("model",), "m")])
    assert after.startswith(f"{text}\n") and json_text.read(after) == {"model": "m"}


def test_toml_with_nothing_of_ours_in_it_comes_back_to_the_byte() -> None:
    for text in ("x = 1 # c\n", "# top\nx = 1\n\n[a]\ny = 2\n", "\n[a]\n\n[b]\nz = [\n  1, # one\n]\n"):
        after, done = applied("toml", text, CODEX)
        assert undone("toml", after, done) == (text, [])


def test_what_is_no_toml_is_not_edited() -> None:
    with pytest.raises(Odd, match="no TOML"):
        toml_text.put("a = ", ("model",), "m")


@pytest.mark.parametrize(
    "text",
    [
        'model_providers = "x"\n',
        'model_providers = {vaultd = {name = "v"}}\n',
        'model_providers.vaultd.name = "v"\n',
        '[model_providers]\nvaultd = {name = "v"}\n',
    ],
)
def test_toml_in_words_that_cannot_be_edited_is_left_alone(text: str) -> None:
    with pytest.raises(Odd, match="by hand"):
        toml_text.put(text, ("model_providers", "vaultd"), {"name": "w"})


LINES = some.lists(
    some.sampled_from(["# c", "", "A=1", "export B='x y' # c", 'LONG="a\nURL=no\n"', " URL = old ", "URL="])
)


@settings(deadline=None)
@given(LINES, some.booleans())
def test_env_files_keep_all_other_lines(lines: list[str], ends: bool) -> None:
    text = "\n".join(lines) + ("\n" if ends and lines else "")
    after, done = applied("env", text, [Edit(("URL",), "http://x:1/v1"), Edit(("KEY",), "vk_a-b")])
    assert env_text.read(after) == env_text.read(text) | {"URL": "http://x:1/v1", "KEY": "vk_a-b"}
    left, kept = undone("env", after, done)
    assert env_text.read(left) == env_text.read(text) and kept == []
    others = [line for line in text.split("\n") if "URL" not in line]
    assert [line for line in left.split("\n") if "URL" not in line][: len(others)] == others


@pytest.mark.parametrize(
    "line",
    [
        "export KEY='x y' # mine",
        "KEY = $OTHER",
        "KEY='it is \"mine\"'",
        'KEY="two\nlines"',
        "KEY=a b # c",
        'KEY="it\'s"',
    ],
)
def test_a_line_of_an_env_file_comes_back_as_it_was_written(line: str) -> None:
    text = f"{line}\nMORE=1\n"
    after, done = applied("env", text, [Edit(("KEY",), "vk_1")])
    assert env_text.read(after)["KEY"] == "vk_1" and after.startswith("export ") == line.startswith("export ")
    assert ("# " in after) == ("# " in line)
    assert undone("env", f"{after}LATER=1\n", done) == (f"{text}LATER=1\n", [])


def test_what_readers_of_env_files_disagree_about_is_not_written() -> None:
    with pytest.raises(Odd, match="disagree"):
        env_text.put("", ("URL",), "a # b")


def test_what_somebody_else_made_of_it_stays() -> None:
    after, done = applied("json", '{\n  "model": "mine"\n}\n', [Edit(("model",), "ours"), Edit(("env", "URL"), "x")])
    theirs = json_text.put(json_text.put(after, ("model",), "theirs"), ("env", "MORE"), "1")
    assert not stands("json", theirs, done)
    left, kept = undone("json", theirs, done)
    assert json_text.read(left) == {"model": "theirs", "env": {"MORE": "1"}}
    assert kept == [("model",)]


def test_what_is_ours_by_name_goes_whole_and_what_was_there_before_comes_back() -> None:
    edit = [Edit(("provider", "vaultd"), {"options": {"a": 1}}, ours=True), Edit(("env", "KEY"), NOTHING)]
    after, done = applied("json", '{"provider": {"vaultd": "by hand"}, "env": {"KEY": "k"}}', edit)
    assert json_text.read(after) == {"provider": {"vaultd": {"options": {"a": 1}}}, "env": {}}
    more = json_text.put(after, ("provider", "vaultd", "models"), {})
    assert json_text.read(undone("json", more, done)[0]) == {"provider": {"vaultd": "by hand"}, "env": {"KEY": "k"}}
