"""The plug is pulled: what was acknowledged is there. The short form of `make crash`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import simulated
from cuts import Disk, Refused, may_mount
from processes import Processes
from strikes import Range

CUTS = 10


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the images lie: in memory if possible, for the loop device flushes what it is told to flush."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


async def test_sec_43_ten_power_cuts_lose_no_acknowledged_renewal_and_roll_nothing_back(folder: Path) -> None:
    try:
        await may_mount(folder)
    except Refused as refused:
        pytest.skip(f"no disk of its own can be mounted here: {refused}")
    async with Processes() as processes:
        disk = Disk(folder, "disk", processes)
        await disk.open()
        try:
            cuts = [await disk.cut(index, "a test") for index in range(CUTS)]
        finally:
            await disk.close()

    assert [cut for cut in cuts if cut.wrong] == []
    assert cuts[-1].acknowledged > CUTS


async def test_sec_43_the_cuts_find_out_a_system_that_forgets_its_folders(folder: Path) -> None:
    try:
        await may_mount(folder)
    except Refused as refused:
        pytest.skip(f"no disk of its own can be mounted here: {refused}")
    async with Processes() as processes:
        disk = Disk(folder, "disk", processes, forgetful=True)
        await disk.open()
        try:
            index, cut = 0, await disk.cut(0, "a test")
            while not cut.wrong and index < 60:  # of four, one loses something
                index += 1
                cut = await disk.cut(index, "a test")
        finally:
            await disk.close()

    assert cut.found == cut.acknowledged - 1, cut


async def test_sec_43_no_disk_that_posix_lets_a_cut_leave_has_lost_the_login_or_forgotten_a_renewal(
    tmp_path: Path, tool: Callable[[str], str]
) -> None:
    tool("strace")
    async with Processes() as processes:
        range_ = Range(tmp_path / "range", processes)
        await range_.open()

        disks, wrong = await simulated.cuts(range_)

    assert wrong == []
    assert disks > 20
