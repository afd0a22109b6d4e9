"""Quota windows as vendors' answers tell them in their heads: how much is used, and when it begins anew."""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """One window of a vendor's limits. `name` as people say it: `5 hours`, `7 days`, `requests`, `tokens`.

    `used`: 0.0 to 1.0. `resets_at`: unix seconds, None where the vendor did not say. `noted_at`: when we heard.
    """

    name: str
    used: float
    resets_at: float | None
    noted_at: float
