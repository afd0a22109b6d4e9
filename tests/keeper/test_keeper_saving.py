"""What the vendor answered cannot be written: the token is used, kept in more than one hand, and saved later."""

from __future__ import annotations

import asyncio
import os
import resource
import signal

from estate import Estate, ended, keeper_of, lives


def fill_the_disk(pid: int) -> None:
    """For one process: the kernel refuses it every write beyond a hundred bytes of a file."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def free_the_disk(pid: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def test_sec_46_what_the_keeper_cannot_save_is_used_here_and_saved_from_here(estate: Estate) -> None:
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in()
    house = await estate.house()
    async with asyncio.TaskGroup() as group:
        fresh = group.create_task(house.renewer.fresh(login.id, login.bearer))
        await estate.asked()
        fill_the_disk(await keeper_of(os.getpid()))
        estate.vendor.release()

    assert fresh.result().bearer != login.bearer
    assert login.id in house.owner.unsaved()
    assert "not saved" in house.owner.troubles()[login.id]
    assert (await estate.on_disk(login.id)).generation == login.generation

    await house.owner.retry()

    assert not house.owner.unsaved()
    assert (await estate.on_disk(login.id)).tokens == fresh.result().tokens


async def test_sec_46_the_daemon_is_dead_and_the_disk_full_so_the_keeper_stays_until_it_has_saved(
    estate: Estate,
) -> None:
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in(aged=3700)
    daemon = await estate.daemon()
    await estate.asked()
    keeper = await keeper_of(daemon.process.pid)
    fill_the_disk(keeper)
    daemon.process.kill()
    estate.vendor.release()

    line = await asyncio.to_thread(daemon.says, "this is still to be saved")
    assert f"credential={login.id}" in line
    assert lives(keeper)
    assert (await estate.on_disk(login.id)).generation == login.generation
    free_the_disk(keeper)
    await ended(keeper)

    saved = await estate.on_disk(login.id)
    assert saved.tokens is not None
    assert saved.tokens.refresh is not None
    assert saved.tokens.refresh.reveal() == estate.vendor.families[0].refresh
    assert estate.vendor.counts["reuse_events"] == 0


async def test_sec_46_a_daemon_that_is_told_to_stop_does_not_while_a_token_is_in_memory_alone(estate: Estate) -> None:
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in(aged=3700)
    daemon = await estate.daemon()
    await estate.asked()
    keeper = await keeper_of(daemon.process.pid)
    for pid in (keeper, daemon.process.pid):
        fill_the_disk(pid)
    estate.vendor.release()
    await asyncio.to_thread(daemon.says, f"renewed credential={login.id}")

    daemon.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(daemon.says, "not ending yet")
    assert daemon.process.poll() is None
    for pid in (keeper, daemon.process.pid):
        free_the_disk(pid)

    assert await asyncio.to_thread(daemon.process.wait) == 0
    await ended(keeper)
    assert (await estate.on_disk(login.id)).generation == login.generation + 1
