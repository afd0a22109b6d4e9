"""How late the loop is: seen after it was blocked, by each who asks within a minute."""

from __future__ import annotations

import asyncio
import time

from vaultd.net.pulse import BEAT_SECONDS, Pulse


async def test_a_loop_that_was_blocked_is_told_to_each_who_asks() -> None:
    pulse = Pulse()
    assert pulse.worst() == 0
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(pulse.forever())
        await asyncio.sleep(0)
        time.sleep(BEAT_SECONDS + 0.3)  # noqa: ASYNC251 - this is the deed
        assert pulse.lag >= 0.3, "overdue, though no beat was measured"
        while len(pulse._last) < 2:  # noqa: ASYNC110 - the beat itself is what is waited for
            await asyncio.sleep(0)
        assert pulse.worst() >= 0.3
        assert pulse.worst() >= 0.3, "not taken away by who asked first"
        beating.cancel()
