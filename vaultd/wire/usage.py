"""Tokens of one answer, counted the same way for every format."""

from __future__ import annotations

from typing import NamedTuple


class Usage(NamedTuple):
    """`input` holds the tokens read from and written to a cache, and `output` the reasoning ones, whatever the format's
    own custom."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    #: Of `input`, what was written to the cache (Anthropic alone tells).
    written: int = 0
