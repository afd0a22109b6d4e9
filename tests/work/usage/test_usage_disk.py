"""A disk that is full or slow, a file that is broken or another's: no request waits, and what can be kept is kept."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from disks import a_full_disk, in_the_way
from pages import Shelf, story, written

from vaultd.errors import TryLater
from vaultd.work.usage.writer import MOST_WAITING


async def tried(shelf: Shelf) -> None:
    """Once what waits was written, or refused."""
    await shelf.book.write(lambda _store: None)


async def test_the_file_is_its_owners_alone(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now))
    await shelf.total()
    names = sorted(path.name for path in shelf.folder.iterdir())
    assert names == ["usage.sqlite", "usage.sqlite-shm", "usage.sqlite-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in shelf.folder.iterdir()} == {0o600}


async def test_one_that_was_open_to_others_is_shut(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now))
    await shelf.book.close()
    shelf.book.file.chmod(0o644)
    shelf.again()
    assert (await shelf.total()).requests == 1
    assert stat.S_IMODE(shelf.book.file.stat().st_mode) == 0o600


async def test_thr_06_what_is_entered_is_on_its_way_to_the_disk_though_nobody_asks(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now))
    seen = None
    while seen != 1:  # another process's file tells nobody that it changed
        await asyncio.sleep(0.01)
        with suppress(sqlite3.OperationalError):  # not made yet
            seen = written(shelf.book.file)


async def test_a_full_disk_costs_no_request_and_no_count(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now))
    await shelf.total()
    with a_full_disk():
        shelf.enter(*(story(shelf.now) for _ in range(100)))
        await tried(shelf)
        assert "usage-unwritable" in shelf.book.troubles
        assert (await shelf.total()).requests == 1, "what can be read is told"
    assert (await shelf.total()).requests == 101
    assert shelf.book.troubles == {}


async def test_what_waits_for_a_disk_is_bounded_and_what_finds_no_place_is_counted(shelf: Shelf) -> None:
    with in_the_way(shelf.book.file):
        shelf.enter(story(shelf.now))
        await tried(shelf)
        assert "usage-unwritable" in shelf.book.troubles
        one = story(shelf.now)
        for _ in range(MOST_WAITING + 10):
            shelf.book.enter(one)
        assert shelf.counted("vaultd_usage_dropped_total") == 11
        with pytest.raises(TryLater, match="cannot be read"):
            await shelf.total()
    assert (await shelf.total()).requests == MOST_WAITING


async def test_a_slow_disk_delays_nobody_who_enters(shelf: Shelf) -> None:
    slow = threading.Event()
    waiting = asyncio.ensure_future(shelf.book.write(lambda _store: slow.wait()))  # noqa: TID251
    await asyncio.sleep(0)
    shelf.enter(*(story(shelf.now) for _ in range(1000)))
    assert not waiting.done()
    slow.set()
    await waiting
    assert (await shelf.total()).requests == 1000


@pytest.mark.parametrize("begins", [b"no database at all" * 500, b"SQLite format 3\0" + bytes(5000)])
async def test_a_broken_file_is_set_aside_and_another_begun(tmp_path: Path, begins: bytes) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "usage.sqlite").write_bytes(begins)
    shelf = Shelf(folder)
    try:
        shelf.enter(story(shelf.now))
        assert (await shelf.total()).requests == 1
        (aside,) = folder.glob("usage.sqlite.broken-*")
        assert aside.read_bytes() == begins
        assert str(aside) in shelf.book.troubles["usage-broken"]
    finally:
        await shelf.book.close()


async def test_one_that_breaks_while_it_is_in_use_is_set_aside_too(shelf: Shelf) -> None:
    shelf.enter(*(story(shelf.now, model=f"m-{number}") for number in range(500)))
    await shelf.total()
    await shelf.book.close()
    shelf.again()
    await tried(shelf)
    whole = shelf.book.file.read_bytes()
    shelf.book.file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(TryLater):
        await shelf.last()
    await tried(shelf)
    assert "usage-broken" in shelf.book.troubles
    shelf.enter(story(shelf.now))
    assert (await shelf.total()).requests == 1
    assert len(list(shelf.folder.glob("usage.sqlite.broken-*"))) == 1


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("PRAGMA user_version = 99", "written by a later vaultd"),
        ("PRAGMA application_id = 7", "the database of another program"),
    ],
)
async def test_a_file_that_is_not_for_us_is_left_alone(shelf: Shelf, says: str, why: str) -> None:
    shelf.enter(story(shelf.now))
    await shelf.book.close()
    with closing(sqlite3.connect(shelf.book.file)) as connection:
        connection.execute(says)
        connection.commit()
    before = shelf.book.file.read_bytes()
    shelf.again()
    shelf.enter(story(shelf.now))
    await tried(shelf)
    assert why in shelf.book.troubles["usage-unwritable"]
    assert shelf.book.file.read_bytes() == before
    assert list(shelf.folder.glob("*.broken-*")) == []


async def test_a_file_that_somebody_takes_away_is_begun_anew(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now))
    await shelf.total()
    for path in list(shelf.folder.iterdir()):
        path.unlink()
    shelf.enter(story(shelf.now), story(shelf.now))
    assert (await shelf.total()).requests == 2


async def test_a_log_that_somebody_takes_away_costs_nothing_that_was_counted(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now))
    await shelf.total()
    shelf.book.file.with_name(f"{shelf.book.file.name}-wal").unlink()
    shelf.enter(story(shelf.now))
    assert (await shelf.total()).requests == 2
    assert written(shelf.book.file) == 2, "a kill would cost nothing either"
    assert shelf.book.troubles == {}
