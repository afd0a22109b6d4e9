"""What the stories of the keeper share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from estate import Estate, configured
from shell import Person

from vaultd.sandbox import Sandbox


@pytest.fixture
async def estate(home: dict[str, str]) -> AsyncIterator[Estate]:
    async with Sandbox(access_seconds=3600) as sandbox:
        person = Person(home)
        configured(person, sandbox)
        estate = Estate(sandbox, home, person)
        yield estate
        await estate.leave()
