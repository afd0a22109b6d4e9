"""The commit journal: appended to by many, cut short by a kill, compacted, and never in a commit's way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import in_the_way
from logins import login, put, renewed

from vaultd.vault.credential import Mark
from vaultd.vault.journal import Journal, tag
from vaultd.vault.owner import Owner

Process = Callable[[], Owner]

ID = "codex-a@b.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "commits-0.log"


def read(path: Path) -> dict[str, Mark]:
    journal = Journal(path)
    journal.follow()
    return dict(journal.marks)


async def test_each_commit_is_one_line_in_a_file_of_this_folders_own(process: Process, tmp_path: Path) -> None:
    owner = process()
    await owner.load()
    await put(owner, renewed(await owner.settle(login()), 2000))
    journal = tmp_path / "state" / f"commits-{tag(owner.folder)}.log"
    assert journal.read_text() == f"VAULTD_COMMIT {ID} 1 1000.0\nVAULTD_COMMIT {ID} 2 1000.0\n"
    assert journal.stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(owner.folder)
    assert tag(tmp_path / "link") == tag(owner.folder)


def test_what_another_process_appends_is_taken_up(path: Path) -> None:
    one, other = Journal(path), Journal(path)
    one.append("a", Mark(1000.5, 1))
    other.follow()
    one.append("a", Mark(1000.5, 2))
    one.append("b", Mark(7, 1))
    assert other.marks == {"a": Mark(1000.5, 1)}
    other.follow()
    assert other.marks == {"a": Mark(1000.5, 2), "b": Mark(7, 1)}


def test_a_line_cut_short_is_none_and_spoils_no_other(path: Path) -> None:
    journal = Journal(path)
    journal.append("a", Mark(1000, 12))
    journal.append("b", Mark(1000, 12))
    whole = path.read_bytes()
    last = whole.splitlines()[-1]
    for cut in range(1, len(last) + 1):
        path.write_bytes(whole[:-cut])
        assert read(path) == {"a": Mark(1000, 12)}
        Journal(path).append("c", Mark(1000, 3))
        after = read(path)
        assert (after["a"], after["c"]) == (Mark(1000, 12), Mark(1000, 3))
        assert after.get("b", Mark(0, 0)) <= Mark(1000, 12)


@pytest.mark.parametrize(
    "line",
    [
        b"VAULTD_COMMIT a 99 inf",
        b"VAULTD_COMMIT a 99 nan",
        b"VAULTD_COMMIT a -1 9e9",
        b"VAULTD_COMMIT a 99",
        b"VAULTD_COMMIT ../a 99 9e9",
        b"VAULTD_COMMIT a x 9e9",
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_what_is_no_line_of_ours_says_nothing(path: Path, line: bytes) -> None:
    Journal(path).append("a", Mark(1000, 1))
    with path.open("ab") as file:
        file.write(line + b"\n")
    assert read(path) == {"a": Mark(1000, 1)}


def test_a_large_one_is_compacted_to_one_line_each_and_is_followed_through_it(path: Path) -> None:
    journal, other = Journal(path), Journal(path)
    journal.append("quiet", Mark(1000, 7))
    other.follow()
    with path.open("ab") as file:
        file.writelines(b"VAULTD_COMMIT busy %d 1000.0\n" % n for n in range(40_000))
    journal.append("busy", Mark(1000, 40_000))
    assert path.read_text() == "VAULTD_COMMIT quiet 7 1000.0\nVAULTD_COMMIT busy 40000 1000.0\n"
    assert path.stat().st_mode & 0o777 == 0o600
    other.append("busy", Mark(1000, 40_001))
    journal.follow()
    other.follow()
    assert journal.marks == other.marks == {"quiet": Mark(1000, 7), "busy": Mark(1000, 40_001)}
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["commits-0.lock", "commits-0.log"]


APPEND = """
import sys
from pathlib import Path
from vaultd.vault import journal
from vaultd.vault.credential import Mark
journal._LARGE = 2000
log = journal.Journal(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for n in range(100):
    log.append(f"codex-{sys.argv[2]}-{n}", Mark(1000.0, 1))
    assert not log.trouble, log.trouble
"""


def test_processes_that_append_and_compact_at_once_lose_no_line(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, str(path), str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 4
    assert len(read(path)) == 400


async def test_a_commit_is_one_without_a_journal_and_says_so(process: Process, tmp_path: Path) -> None:
    owner = process()
    await owner.load()
    first = await owner.settle(login())
    journal = tmp_path / "state" / f"commits-{tag(owner.folder)}.log"
    with in_the_way(journal):
        second = await put(owner, renewed(first, 2000))
        assert (owner.get(ID), owner.troubles()) == (second, {})
        assert f"{journal} cannot be " in owner.journal_trouble()
    await put(owner, renewed(second, 3000))
    assert owner.journal_trouble() == ""
    after = process()
    await after.load()
    assert after.rolled_back() == {}


def test_who_only_reads_sees_that_it_is_mended(path: Path) -> None:
    """A daemon, whose keeper writes."""
    daemon, keeper = Journal(path), Journal(path)
    path.mkdir(parents=True)
    daemon.follow()
    assert f"{path} cannot be read" in daemon.trouble
    path.rmdir()
    daemon.follow()
    assert daemon.trouble == "", "there is nothing to read yet"
    path.mkdir()
    daemon.follow()
    path.rmdir()
    keeper.append("codex-a", Mark(2000.0, 1))
    daemon.follow()
    assert (daemon.trouble, daemon.marks) == ("", {"codex-a": Mark(2000.0, 1)})


def test_a_pipe_in_its_place_swallows_no_line_and_makes_nobody_wait(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    os.mkfifo(path)
    journal = Journal(path)
    journal.follow()
    assert journal.trouble == f"{path} cannot be read: not a regular file"
    journal.append(ID, Mark(1000.0, 1))
    assert journal.trouble == f"{path} cannot be written: not a regular file"
