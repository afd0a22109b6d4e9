"""Each system call of a renewal's way to the disk × each fault: the old login or the new one, never neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from processes import Processes
from strikes import Range, every


async def test_sec_44_whatever_call_is_killed_refused_or_lied_to_the_login_is_old_or_new_and_never_neither(
    tmp_path: Path, tool: Callable[[str], str]
) -> None:
    tool("strace")
    async with Processes() as processes:
        range_ = Range(tmp_path / "range", processes)
        await range_.open()
        calls = await range_.calls()

        outcomes = await range_.strike_all(every(calls))

    assert not [f"{outcome.strike.told}: {outcome.found} {outcome.wrong}" for outcome in outcomes if outcome.wrong]
    reached = {(outcome.strike.thread, outcome.strike.call) for outcome in outcomes if outcome.found != "not reached"}
    assert reached == set(calls)
    assert {"pwrite64", "fsync", "renameat"} <= {call for _, call in calls}
