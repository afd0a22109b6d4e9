"""The log in a file: turned over, read from its end, emptied under the daemon's hands."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaultd.net.log_file import LogFile
from vaultd.net.logs import Line

PLENTY = 10**6


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    """Turned over at 400 bytes, some eight lines."""
    file = LogFile(tmp_path / "logs" / "vaultd.log", most=400)
    file.setFormatter(Line())
    yield file
    file.close()


def says(log: LogFile, text: str, at: float = 0.0) -> None:
    log.handle(logging.makeLogRecord({"msg": text, "levelno": 20, "levelname": "INFO", "created": at}))


def told(log: LogFile, after: int = -1, lines: int = PLENTY, size: int = PLENTY) -> list[str]:
    return [line.partition(" info ")[2] for line in log.tail(after, lines, size).lines]


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "logs").iterdir())


def test_a_full_file_makes_room_and_five_are_kept(log: LogFile, tmp_path: Path) -> None:
    for number in range(100):
        says(log, f"line {number:03}")
    assert files(tmp_path) == ["vaultd.log", *(f"vaultd.log.{number}" for number in range(1, 5))]
    found = told(log)
    assert found[-1] == "line 099" and found == [f"line {number:03}" for number in range(100 - len(found), 100)]
    assert 400 * 4 <= sum(path.stat().st_size for path in (tmp_path / "logs").iterdir()) <= 500 * 5


def test_where_no_new_file_can_be_made_the_full_one_is_written_on_and_the_older_ones_stay(
    log: LogFile, tmp_path: Path
) -> None:
    for number in range(40):
        says(log, f"line {number:02}")
    before = told(log)
    in_the_way = tmp_path / "logs" / "vaultd.log.new"
    in_the_way.mkdir()
    for number in range(40, 80):
        says(log, f"line {number:02}")
    assert told(log) == [*before, *(f"line {number:02}" for number in range(40, 80))]
    in_the_way.rmdir()
    says(log, "line 80")
    says(log, "line 81")
    assert told(log)[-2:] == ["line 80", "line 81"] and not in_the_way.exists()


def test_nobody_else_may_read_it(log: LogFile, tmp_path: Path) -> None:
    for number in range(20):
        says(log, f"line {number}")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "logs").iterdir()} == {0o600}


def test_it_is_read_from_its_end_over_several_files_and_no_further_than_asked(log: LogFile) -> None:
    for number in range(30):
        says(log, f"line {number:02}")
    assert told(log, lines=12) == [f"line {number}" for number in range(18, 30)]
    size = len("1970-01-01T00:00:00.000Z info line 00\n")
    assert told(log, size=size * 12) == [f"line {number}" for number in range(18, 30)]
    assert told(log, size=size * 12 - 1) == [f"line {number}" for number in range(19, 30)], "no half line"
    assert told(log, size=0) == []


def test_only_later_seconds_than_the_one_seen(log: LogFile) -> None:
    at = dt.datetime(2026, 9, 1, tzinfo=dt.UTC).timestamp()
    for number in range(30):
        says(log, f"line {number:02}", at + number * 0.5)
    assert log.tail(0, PLENTY, PLENTY).latest == at + 14
    assert told(log, after=int(at) + 12) == ["line 26", "line 27", "line 28", "line 29"]
    assert log.tail(int(at) + 14, PLENTY, PLENTY) == ([], at + 14)


def test_emptied_it_goes_on_at_its_beginning(log: LogFile, tmp_path: Path) -> None:
    for number in range(30):
        says(log, f"line {number}")
    older = len(files(tmp_path)) - 1
    assert log.clear() == older > 0
    assert files(tmp_path) == ["vaultd.log"] and told(log) == []
    says(log, "and went on")
    assert told(log) == ["and went on"]
    assert b"\0" not in (tmp_path / "logs" / "vaultd.log").read_bytes()


def test_bytes_that_are_no_text_and_a_line_without_a_time_break_nothing(log: LogFile, tmp_path: Path) -> None:
    with (tmp_path / "logs" / "vaultd.log").open("ab") as file:
        file.write(b"\xff\xfe no time\n")
    says(log, "after it", 7.0)
    assert told(log, after=0) == ["after it"]
