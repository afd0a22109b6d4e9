"""What the stories of renewal and of planning share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from desk import Desk, HandClock, open_vault
from place import Place

from vaultd.catalog.load import load, shipped_folder
from vaultd.config.model import Config
from vaultd.net.client import Client
from vaultd.sandbox import Sandbox
from vaultd.work.tasks import Tasks


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    running = Tasks()
    yield running
    await running.close()


@pytest.fixture
async def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def sandbox(clock: HandClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(access_seconds=3600, now=clock.true) as running:
        yield running


@pytest.fixture
async def desk(tmp_path: Path, clock: HandClock, sandbox: Sandbox) -> AsyncIterator[Desk]:
    catalog = load(shipped_folder(), None, Config(providers=sandbox.overlay()), "a test")
    client = Client()
    desk = Desk(sandbox, clock, await open_vault(tmp_path / "auth"), catalog, client)
    yield desk
    await desk.renewer.drain()
    await client.close()


@pytest.fixture
async def place(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Place]:
    place = Place(home, planted)
    yield place
    await place.close()
