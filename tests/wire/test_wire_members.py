"""A body is cut and spliced, never written again: what was not asked to change comes out byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.draft import Draft
from vaultd.wire.members import DELETE, Members
from vaultd.wire.refusal import Refusal

space = st.text(" \t\n\r", max_size=3)
names = st.text(max_size=6)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, dict[str, bytes]]:
    """An object's text with white space in every legal place, and the text of each member's value."""
    members = draw(st.dictionaries(names, values, max_size=5))
    ascii_only = draw(st.booleans())
    texts = {name: json.dumps(value, ensure_ascii=ascii_only) for name, value in members.items()}
    parts = [
        f"{draw(space)}{json.dumps(name, ensure_ascii=ascii_only)}{draw(space)}:{draw(space)}{text}{draw(space)}"
        for name, text in texts.items()
    ]
    body = f"{draw(space)}{{{','.join(parts) or draw(space)}}}{draw(space)}"
    return body.encode(), {name: text.encode() for name, text in texts.items()}


@given(objects())
def test_nothing_asked_for_changes_nothing(given_object: tuple[bytes, dict[str, bytes]]) -> None:
    body, texts = given_object
    members = Members(body)
    assert members.splice({}) == body
    assert {name: members.raw(name) for name in texts} == texts


@given(objects(), st.dictionaries(names, values | st.just(DELETE), max_size=4))
def test_a_splice_reads_back_and_leaves_the_other_values_as_they_were(
    given_object: tuple[bytes, dict[str, bytes]], wanted: dict[str, Any]
) -> None:
    body, texts = given_object
    edits = {name: DELETE if value is None else json.dumps(value).encode() for name, value in wanted.items()}
    spliced = Members(body).splice(edits)
    expected = {name: text for name, text in (texts | edits).items() if text is not DELETE}
    after = Members(spliced)
    assert {name: after.raw(name) for name in expected} == expected
    assert json.loads(spliced) == {name: json.loads(text) for name, text in expected.items()}


@given(objects(), st.data())
def test_setting_one_member_touches_no_byte_outside_its_value(
    given_object: tuple[bytes, dict[str, bytes]], data: st.DataObject
) -> None:
    body, texts = given_object
    if not texts:
        return
    name = data.draw(st.sampled_from(sorted(texts)))
    marked = Members(body).splice({name: b'"\\u0000new"'})
    before, _, after = marked.partition(b'"\\u0000new"')
    assert before + texts[name] + after == body


def test_a_member_named_twice_is_refused_however_it_is_hidden() -> None:
    for body in (
        b'{"a":1,"a":2}',
        b'{"a":1,"b":2,"a":3}',
        b'{"model":"cheap","x":{"y":1},"model":"dear"}',
        b'{"a":{"x":0,"b":1},"b":2,"a":{"x":0}}',
        b'{"a":1,"\\u0061":2}',
        # Lengths chosen so that the walk lands on the inner "b", and then just before the last brace.
        b'{"a":1,"b":{"y":"zzzzzzz",      "b":1},"a":"xxxxxxxxxxxxxxxxxx"}',
    ):
        with pytest.raises(Refusal, match="twice") as refused:
            Members(body)
        assert refused.value.status == 400


def test_thr_13_a_depth_bomb_is_a_bad_request() -> None:
    for bomb in (b'{"a":' + b"[" * 200_000, b"[" * 200_000, b'{"a":' * 50_000):
        with pytest.raises(Refusal) as refused:
            Members(bomb)
        assert refused.value.status == 400


def test_what_is_no_object_is_a_bad_request_that_does_not_quote_it() -> None:
    for body in (b"", b"null", b"[1]", b'"CANARY"', b"{CANARY", b'{"a":1,}', b'{"CANARY"}', b'{"a":1} x'):
        with pytest.raises(Refusal) as refused:
            Members(body)
        assert refused.value.status == 400
        assert "CANARY" not in str(refused.value)


def test_a_draft_sees_its_own_edits_and_splices_only_what_differs() -> None:
    body = b'{"model" : "m",  "store":false}'
    draft = Draft(Members(body))
    draft.set_raw("store", b"false")
    draft.set("model", "other")
    draft.set("model", "m")
    assert draft.body() is body
    draft.drop("store")
    assert "store" not in draft and draft.get("store", 7) == 7
    draft.set("n", [1])
    assert draft.body() == b'{"model" : "m","n":[1]}'
    draft.drop("n")
    draft.drop("never")
    assert draft.body() == b'{"model" : "m"}'
