"""A page with the management key, before a daemon that is empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from managed import Managed, managed


@pytest.fixture
async def page(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    async with managed(home, planted) as one:
        yield one
