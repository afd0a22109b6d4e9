"""Translation cases that judge wrongly, by the vendor's own documentation. At most five: the page of the matrix shows
them."""

from __future__ import annotations

from typing import NamedTuple


class Disputed(NamedTuple):
    why: str
    #: Where the vendor says so.
    documentation: str


DISPUTED: dict[str, Disputed] = {}
