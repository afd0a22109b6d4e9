"""One model of a list, before a format gives it a shape."""

from __future__ import annotations

from typing import NamedTuple


class Listed(NamedTuple):
    """`created` is in unix seconds, 0 where unknown; so are the limits, in tokens."""

    id: str
    owner: str
    created: int = 0
    display_name: str = ""
    context: int = 0
    max_output: int = 0
