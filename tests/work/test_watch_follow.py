"""Hot reload over real folders and real file events."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from watchdog.observers.polling import PollingObserver

from vaultd.errors import Misconfigured
from vaultd.net.watch import Eye
from vaultd.work.tasks import Tasks
from vaultd.work.watch import Pace, fingerprint, follow

#: A rescan that would come far too late: what these tests see, they see by events.
BY_EVENTS = Pace(settle=0.02, patience=0.2, rescan=600, poll=600)


class Reader:
    """Looks at one file, as the house looks at its configuration."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seen: asyncio.Queue[str] = asyncio.Queue()
        self.troubles: asyncio.Queue[str | None] = asyncio.Queue()
        self._last = ""

    async def look(self) -> None:
        now = fingerprint([self.file])
        if now != self._last:
            self._last = now
            self.seen.put_nowait(self.file.read_text())


@asynccontextmanager
async def following(
    reader: Reader,
    folder: Path,
    pace: Pace = BY_EVENTS,
    eye: Eye | None = None,
    look: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[None]:
    eye = eye or Eye()
    tasks = Tasks()
    tasks.start(
        "follow",
        follow(
            eye,
            proof=folder,
            folders=lambda: [folder],
            look=look or reader.look,
            trouble=reader.troubles.put_nowait,
            pace=pace,
        ),
    )
    try:
        async with asyncio.timeout(10):
            yield
    finally:
        await tasks.close()
        eye.close()


async def test_a_write_in_place_and_an_editor_that_renames_are_both_seen(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("one")
    reader = Reader(file)
    async with following(reader, tmp_path):
        assert await reader.seen.get() == "one"
        assert await reader.troubles.get() is None
        file.write_text("two")
        assert await reader.seen.get() == "two"
        for text in ("three", "four"):
            (tmp_path / "config.yaml~").write_text(text)
            (tmp_path / "config.yaml~").rename(file)
            assert await reader.seen.get() == text


async def test_thr_37_a_folder_behind_a_link_gives_events_all_the_same(tmp_path: Path) -> None:
    real = tmp_path / "private" / "state"
    real.mkdir(parents=True)
    (tmp_path / "state").symlink_to(real)
    reader = Reader(tmp_path / "state" / "a.json")
    reader.file.write_text("one")
    async with following(reader, tmp_path / "state"):
        assert await reader.seen.get() == "one"
        assert await reader.troubles.get() is None
        (real / "a.json").write_text("two")
        assert await reader.seen.get() == "two"


async def test_thr_37_a_dead_watch_is_found_out_and_polling_takes_its_place(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "a")
    reader.file.write_text("one")
    deaf = Eye(PollingObserver(timeout=3600))
    async with following(reader, tmp_path, Pace(settle=0.02, patience=0.2, rescan=600, poll=0.05), deaf):
        trouble = await reader.troubles.get()
        assert trouble is not None
        assert "no file events arrive" in trouble
        assert await reader.seen.get() == "one"
        reader.file.write_text("two")
        assert await reader.seen.get() == "two"


async def test_lost_events_are_made_good_by_the_slow_look(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    reader = Reader(elsewhere / "a")
    reader.file.write_text("one")
    async with following(reader, tmp_path, Pace(settle=0.02, patience=0.2, rescan=0.05, poll=600)):
        assert await reader.seen.get() == "one"
        reader.file.write_text("two")
        assert await reader.seen.get() == "two"


async def test_one_look_that_fails_is_not_the_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(tmp_path / "a")
    reader.file.write_text("one")
    failed = asyncio.Event()

    async def look() -> None:
        if not failed.is_set():
            failed.set()
            raise Misconfigured("config.yaml: port: is no number")
        await reader.look()

    async with following(reader, tmp_path, look=look):
        await failed.wait()
        assert await reader.troubles.get() is None
        (tmp_path / "hint").write_text("x")
        assert await reader.seen.get() == "one"
    assert "looking again failed" in caplog.text


async def test_the_proof_leaves_nothing_behind(tmp_path: Path) -> None:
    eye = Eye()
    try:
        assert eye.watch([tmp_path]) == []
        assert await eye.proves_itself(tmp_path)
        assert os.listdir(tmp_path) == []  # noqa: PTH208
        assert not await eye.proves_itself(tmp_path / "missing")
    finally:
        eye.close()


def test_a_missing_file_is_told_from_an_empty_one(tmp_path: Path) -> None:
    file = tmp_path / "a"
    missing = fingerprint([file])
    file.write_text("")
    assert fingerprint([file]) != missing
