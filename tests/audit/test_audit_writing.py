"""Writing the log: a kill at any point, two at once, a full disk, a line that a power cut broke off, a flood."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledgers import Vault, made, problems

from vaultd.errors import Misconfigured, TryLater
from vaultd.vault.audit import command_line
from vaultd.work.tasks import Tasks

WRITES_ONE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ledgers import made
made(Path(sys.argv[1])).writes("keys.create")
"""
WRITES_MANY = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ledgers import made
async def main():
    audit = made(Path(sys.argv[1])).audit()
    print(flush=True)
    sys.stdin.readline()
    await asyncio.gather(*[audit.note("daemon", "reloaded") for _ in range(25)])
asyncio.run(main())
"""
#: The calls of one line's way to the disk, in their order: kill at each.
WAY = ("write:1", "fsync:1", "fallocate:1", "pwrite64:1", "fsync:2", "/^rename:1", "fsync:3")


def writing(folder: Path, program: str) -> list[str]:
    return [sys.executable, "-c", program, str(folder), str(Path(__file__).parent)]


def killed(strace: str, folder: Path, call: str) -> None:
    """A process that writes one line, at this call."""
    name, _, number = call.rpartition(":")
    tampering = ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}"]
    done = subprocess.run(
        [strace, "-qq", "-o", str(folder / "calls"), *tampering, *writing(folder, WRITES_ONE)],
        check=False,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode != 0, call


@pytest.fixture
def own(tmp_path: Path) -> Vault:
    one = made(tmp_path)
    one.writes("daemon started", "keys.create")
    return one


def test_thr_39_a_kill_between_line_and_head_is_no_tampering(
    own: Vault, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    """And what it leaves is one line at most that the head does not know of."""
    strace, ahead = tool("strace"), []
    for call in WAY:
        before = own.verified().last
        killed(strace, tmp_path, call)
        report = own.verified()
        assert report.sound, (call, problems(report))
        ahead.append(any("not in .vault/audit.json yet" in note.says for note in report.notes))
        assert not dict(own.audit().troubles()), call
        own.writes("logout")
        report = own.verified()
        assert report.sound, (call, problems(report))
        assert not report.notes
        assert report.last - before in {1, 2}
    assert True in ahead
    assert False in ahead


def test_thr_39_the_log_is_never_two_lines_ahead(own: Vault, tmp_path: Path, tool: Callable[[str], str]) -> None:
    """The next writer brings the head up before it writes, and this one is killed as it is about to write."""
    before = own.head.read_bytes()
    own.writes("keys.get")
    own.head.write_bytes(before)
    assert len(own.verified().notes) == 1
    killed(tool("strace"), tmp_path, "write:1")
    report = own.verified()
    assert report.sound
    assert not report.notes


WRITES_SHORT = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ledgers import made
own = made(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (own.path.stat().st_size + 100,) * 2)
own.writes("keys.create")
"""


def test_thr_39_of_a_line_that_has_no_room_nothing_stays(own: Vault, tmp_path: Path) -> None:
    before = own.path.read_bytes()
    done = subprocess.run(writing(tmp_path, WRITES_SHORT), capture_output=True, check=False)
    assert b"it was written in part" in done.stderr
    assert own.path.read_bytes() == before


def test_thr_39_a_line_that_was_broken_off_is_kept_and_named_by_the_next(own: Vault) -> None:
    whole = own.path.read_bytes()
    for rest in (b'{"seq":3,"at":"2026', b"\0" * 300, whole.splitlines()[-1][:-1] + b"x}\n"):
        own.path.write_bytes(own.path.read_bytes() + rest)
        report = own.verified()
        assert report.sound, "nobody was told that this line stands"
        assert report.notes[-1].says == "a line that was broken off in the writing; the next one will say so"
        own.writes("keys.get")
        report = own.verified()
        assert report.sound
        assert report.notes[-1].says == "a line that was broken off in the writing, as the next one says"
        assert b'"action":"audit torn"' in own.lines[-2]
    own.path.write_bytes(own.path.read_bytes().replace(b"\0" * 300, b"\0" * 299 + b"1"))
    assert "altered" in problems(own.verified()), "what was broken off is part of what is proved"


def test_two_processes_write_one_chain(own: Vault, tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    both = [subprocess.Popen(writing(tmp_path, WRITES_MANY), **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        process.stdout.readline()
    for process in both:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in both:
        process.communicate()
    assert [process.returncode for process in both] == [0, 0]
    report = own.verified()
    assert report.sound, problems(report)
    assert report.last == 52


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("only root can mount")
    disk = tmp_path / "state"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def test_thr_39_on_a_full_disk_nothing_is_begun_and_with_room_the_chain_goes_on(small_disk: Path) -> None:
    audit = made(small_disk.parent).audit()
    async with audit.action(command_line(), "keys.create", "laptop"):
        pass
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"\0" * 4096)
    begun = 0
    with pytest.raises(TryLater) as refused:
        while True:  # the room that is left in a file's last page is used up first
            async with audit.action(command_line(), "keys.delete", "laptop"):
                begun += 1
    assert refused.value.own
    assert "nothing was changed" in str(refused.value)
    assert "audit-unwritable" in dict(audit.troubles())
    report = await audit.verify()
    assert report.sound, problems(report)
    assert len(report.unfinished) <= 1
    filler.unlink()
    async with audit.action(command_line(), "keys.delete", "laptop"):
        pass
    resumed = next(line for line in await audit.last(3) if line.action == "audit resumed")
    assert resumed.what == "1 lines could not be written"
    assert not dict(audit.troubles())
    report = await audit.verify()
    assert report.sound, problems(report)


async def test_thr_39_an_action_that_was_cut_short_has_no_outcome_and_one_that_fails_has_its_reason(own: Vault) -> None:
    audit = own.audit()
    begun, never = asyncio.Event(), asyncio.Event()

    async def works() -> None:
        async with audit.action("admin socket uid 7", "credentials.import"):
            begun.set()
            await never.wait()

    task = Tasks().start("works", works())
    await begun.wait()
    assert (await audit.verify()).unfinished == [3]
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(Misconfigured):
        async with audit.action("admin socket uid 7", "keys.delete", "phone"):
            raise Misconfigured("there is no CANARY")
    lines = await audit.last(3)
    assert [(line.asked, line.outcome, line.status) for line in lines] == [
        (3, "unknown", ""),
        (0, "asked", ""),
        (5, "refused", "Misconfigured"),
    ]
    assert b"CANARY" not in own.path.read_bytes()


async def test_thr_39_a_flood_of_wrong_keys_is_told_of_and_fills_nothing(own: Vault) -> None:
    audit = own.audit()
    for guess in range(500):
        await audit.denied(f"203.0.113.{guess % 250}", "management key refused")
    assert len(own.lines) < 30
    assert (await audit.verify()).sound


async def test_thr_29_what_a_name_holds_stays_in_its_line_and_is_cut(own: Vault) -> None:
    audit = own.audit()
    await audit.note("daemon\n", "x" * 5000, 'a"b\nc\x1b[2J\u202e\ud800\x7f' + "\U0001f600" * 5000)
    data = own.path.read_bytes()
    assert data.count(b"\n") == 3
    assert all(32 <= byte < 127 for byte in data.replace(b"\n", b""))
    report = await audit.verify()
    assert report.sound, problems(report)


async def test_thr_39_a_value_is_known_again_by_its_mark_and_by_nothing_else(own: Vault, tmp_path: Path) -> None:
    audit = own.audit()
    assert audit.mark("sk-CANARY") == own.audit().mark("sk-CANARY")
    assert audit.mark("sk-CANARY") != audit.mark("sk-CANARz")
    assert audit.mark("sk-CANARY") != made(tmp_path / "other").audit().mark("sk-CANARY")
