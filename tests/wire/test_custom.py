"""Free text that travels as a function's argument, taken out of it again."""

from __future__ import annotations

import pytest

from vaultd.wire.custom import unwrapped, wrapped


@pytest.mark.parametrize("text", ["", '*** Begin\n"CANARY"\t\\ \u00e9 \U0001f600'])
def test_what_was_wrapped_is_unwrapped(text: str) -> None:
    assert unwrapped(wrapped(text)) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"', ""),
        ('{"input": "let x', "let x"),
        ('{"input":"a\\n\\"b\\u00e9\\ud83d\\ude00', 'a\n"b\u00e9\U0001f600'),
        ('{"input":"a\\', "a"),
        ('{"input":"a\\u00', "a"),
        ('{"input":"a\\ud83d', "a"),
        ('{"input":"a\\ud83d\\ude', "a"),
    ],
)
def test_a_text_that_was_cut_off_is_told_as_far_as_it_goes(arguments: str, text: str) -> None:
    assert unwrapped(arguments) == text


@pytest.mark.parametrize("arguments", ['{"other":"x', '{"input":"a" , "b"', '{"inp', "[]", '{"input":1}', '"'])
def test_what_is_something_else_is_told_as_the_model_wrote_it(arguments: str) -> None:
    assert unwrapped(arguments) == arguments
