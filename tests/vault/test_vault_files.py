"""The folder: what is read from it, how it is written, who holds what."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vaultd.errors import Misconfigured, TryLater
from vaultd.vault.envelope import FILE_LIMIT, Refused
from vaultd.vault.store.files import FileStore


@pytest.fixture
def store(folder: Path) -> FileStore:
    return FileStore(folder)


def private(path: Path, data: bytes = b"{}") -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def test_what_is_committed_is_read_back_and_only_ours_to_read(store: FileStore) -> None:
    stamp = store.commit("a.json", b"one")
    assert store.read("a.json") == (b"one", stamp)
    assert store.stamps() == {"a.json": stamp}
    assert stat.S_IMODE((store.folder / "a.json").stat().st_mode) == 0o600
    store.remove("a.json")
    store.remove("a.json")
    assert store.names() == []
    assert store.stamp("a.json") is None


def test_thr_36_an_open_folder_is_closed_and_reported(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    store = FileStore(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "0755" in store.warnings[0]
    folder.chmod(0o770)
    store.names()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_thr_36_a_folder_of_another_user_is_misconfigured(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(Misconfigured, match="another user"):
        FileStore(folder)


def test_thr_36_tricks_in_the_folder_are_refused_and_nothing_hangs(store: FileStore, tmp_path: Path) -> None:
    outside = private(tmp_path / "outside.json", b"outside")
    (store.folder / "symlink.json").symlink_to(outside)
    (store.folder / "dangling.json").symlink_to(tmp_path / "nowhere")
    (store.folder / "hardlink.json").hardlink_to(outside)
    os.mkfifo(store.folder / "fifo.json", 0o600)
    (store.folder / "folder.json").mkdir(mode=0o700)
    private(store.folder / "open.json").chmod(0o644)
    private(store.folder / "group.json").chmod(0o640)
    with private(store.folder / "sparse.json").open("wb") as sparse:
        sparse.truncate(1 << 40)
    private(store.folder / "large.json", b"x" * (FILE_LIMIT + 1))
    if os.geteuid() == 0:
        os.chown(private(store.folder / "foreign.json"), 65534, 65534)
        os.mknod(store.folder / "zero.json", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    assert len(store.names()) >= 9
    for name in store.names():
        with pytest.raises(Refused):
            store.read(name)


@pytest.mark.parametrize(
    "name",
    [
        "../a.json",
        "a%2Fb.json/../c.json",
        "a\\b.json",
        "a\0b.json",
        "..",
        "ä.json",
        "x.json\n",
        "a" * 300 + ".json",
        ".a.json",
        "a",
    ],
)
def test_thr_17_names_outside_the_rule_reach_no_file(store: FileStore, name: str) -> None:
    for touch in (
        store.read,
        lambda name: store.commit(name, b"x"),
        store.remove,
        lambda name: store.locked(name).__enter__(),
    ):
        with pytest.raises(Refused):
            touch(name)


def test_a_killed_commits_leftover_is_swept_but_not_a_running_ones(store: FileStore) -> None:
    dead = private(store.folder / f".dead.json.{'0' * 16}.tmp")
    running = private(store.folder / f".running.json.{'0' * 16}.tmp")
    strange = private(store.folder / ".notes.tmp")
    with store.locked("running.json"):
        FileStore(store.folder)
        assert [file.exists() for file in (dead, running, strange)] == [False, True, True]
    FileStore(store.folder)
    assert not running.exists()


COMMIT_FOR_EVER = """
import sys
from pathlib import Path
from vaultd.vault.store.files import FileStore
store, n = FileStore(Path(sys.argv[1])), 0
while True:
    n += 1
    store.commit("a.json", str(n).encode() * 4000)
    print(n, flush=True)
"""


def test_p5_a_kill_at_any_moment_leaves_the_last_acknowledged_write_or_the_next(folder: Path) -> None:
    for _ in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", COMMIT_FOR_EVER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline() for _ in range(3)][-1]
        writer.send_signal(signal.SIGKILL)
        acknowledged = (writer.stdout.read().splitlines() or [acknowledged])[-1].strip()
        writer.stdout.close()
        writer.wait()
        data = FileStore(folder).read("a.json")[0].decode()
        assert data in {str(n) * 4000 for n in (int(acknowledged), int(acknowledged) + 1)}
        assert [entry.name for entry in folder.iterdir() if entry.name.endswith(".tmp")] == []


def _commit_with_no_room(folder: Path, answer: multiprocessing.Queue[str]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    try:
        FileStore(folder).commit("a.json", b"x" * 5000)
    except OSError as error:
        answer.put(type(error).__name__)


def test_a_commit_without_room_fails_before_anything_is_replaced(store: FileStore) -> None:
    store.commit("a.json", b"old")
    answer: multiprocessing.Queue[str] = multiprocessing.get_context("spawn").Queue()
    child = multiprocessing.get_context("spawn").Process(target=_commit_with_no_room, args=(store.folder, answer))
    child.start()
    assert answer.get(timeout=20) == "OSError"
    child.join()
    assert store.read("a.json")[0] == b"old"
    assert sorted(entry.name for entry in store.folder.iterdir()) == [".vault", "a.json"]


HOLD = """
import asyncio, sys
from pathlib import Path
from vaultd.vault.store.files import FileStore
async def main():
    async with FileStore(Path(sys.argv[1])).lease("a.json", wait=5):
        print("held", flush=True)
        sys.stdin.readline()
asyncio.run(main())
"""


async def test_sec_42_a_lease_is_held_against_other_processes_and_falls_with_them(store: FileStore) -> None:
    holder = subprocess.Popen(  # noqa: ASYNC220  - it is waited for by its one line
        [sys.executable, "-c", HOLD, str(store.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(TryLater, match="another vaultd process"):
        async with store.lease("a.json", wait=0.05):
            pass
    async with store.lease("b.json", wait=0):
        pass
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    async with store.lease("a.json", wait=5):
        assert (store.folder / ".vault" / "locks" / "a.lock").exists()
    assert (store.folder / ".vault" / "locks" / "a.lock").exists()


async def test_sec_42_waiters_get_the_lease_one_at_a_time(store: FileStore) -> None:
    inside = 0

    async def work() -> None:
        nonlocal inside
        async with store.lease("a.json", wait=20):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(8)))


def test_a_folder_behind_a_link_is_known_by_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert FileStore(tmp_path / "link").folder == (tmp_path / "real").resolve()


def test_what_a_killed_commit_left_and_cannot_be_removed_is_in_nobodys_way(store: FileStore) -> None:
    private(store.folder / "old.json")
    left = store.folder / f".old.json.{'0' * 16}.tmp"
    left.mkdir()  # the unlink fails, as on a disk that became read-only
    assert FileStore(store.folder).names() == ["old.json"]
    assert left.is_dir()
