"""Processes are killed in mid-renewal, against a vendor whose refresh tokens are single use."""

from __future__ import annotations

import asyncio
import os
import resource
import signal

from estate import Estate, ended, eventually, is_gone, keeper_of, lives, renewed


async def test_sec_44_the_daemon_is_killed_while_the_vendor_thinks_and_the_keeper_saves_what_it_answers(
    estate: Estate,
) -> None:
    login = await estate.signed_in(aged=3700)
    estate.sandbox.fault("codex", at="token", do="hang")
    daemon = await estate.daemon()
    await estate.asked()
    keeper = await keeper_of(daemon.process.pid)

    daemon.process.kill()
    daemon.process.wait()
    assert lives(keeper)
    estate.vendor.release()
    await ended(keeper)

    saved = await estate.on_disk(login.id)
    assert saved.tokens is not None
    assert saved.tokens.refresh is not None
    assert saved.tokens.refresh.reveal() == estate.vendor.families[0].refresh
    assert saved.generation == login.generation + 1
    assert (estate.vendor.counts["renewals"], estate.vendor.counts["reuse_events"]) == (1, 0)
    assert (await estate.house()).owner.unsettled() == frozenset()


async def test_the_keeper_of_a_killed_daemon_says_what_nobody_else_is_left_to_say(estate: Estate) -> None:
    login = await estate.signed_in(aged=3700)
    estate.sandbox.fault("codex", at="token", do="hang")
    daemon = await estate.daemon()
    await estate.asked()

    daemon.process.kill()
    await asyncio.to_thread(daemon.process.wait)  # until then its end of the socket still takes an answer
    estate.vendor.release()

    line = await asyncio.to_thread(daemon.says, "renewed after the daemon had ended")
    assert f"credential={login.id}" in line


async def test_an_idle_keeper_ends_with_its_daemon_whichever_death_it_dies(estate: Estate) -> None:
    for death in (signal.SIGKILL, signal.SIGTERM):
        login = await estate.signed_in(f"{death.name}@example.com", aged=3700)
        daemon = await estate.daemon()
        await asyncio.to_thread(daemon.says, f"renewed credential={login.id}")
        keeper = await keeper_of(daemon.process.pid)

        daemon.process.send_signal(death)
        await asyncio.to_thread(daemon.process.wait)

        await ended(keeper)


async def test_sec_45_the_keeper_alone_is_killed_and_the_daemon_tries_again_at_once(estate: Estate) -> None:
    estate.sandbox.set("codex", grace_seconds=30)
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in(aged=3700)
    house = await estate.house()
    await house.start()
    keeper = await estate.stopped_with_the_answer_before_it(os.getpid())

    os.kill(keeper, signal.SIGKILL)
    await ended(keeper)
    await eventually(lambda: house.owner.snapshot()[login.id].generation > login.generation)

    assert (estate.vendor.counts["renewals"], estate.vendor.counts["reuse_events"]) == (2, 0)
    assert await keeper_of(os.getpid()) != keeper
    assert is_gone(keeper)
    assert (await estate.on_disk(login.id)).tokens == house.owner.snapshot()[login.id].tokens


async def test_sec_45_keeper_and_daemon_are_killed_and_the_next_start_renews_at_once(estate: Estate) -> None:
    estate.sandbox.set("codex", grace_seconds=30)
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in()  # nothing is due for most of an hour
    daemon = await estate.daemon()
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(estate.person.types, "credentials", "refresh", login.id))
        keeper = await estate.stopped_with_the_answer_before_it(daemon.process.pid)

        daemon.process.kill()
        os.kill(keeper, signal.SIGKILL)
    assert (await estate.on_disk(login.id)).generation == login.generation
    next_one = await estate.daemon()

    await asyncio.to_thread(next_one.says, "renewed")
    saved = await estate.on_disk(login.id)
    assert saved.generation == login.generation + 1
    assert saved.tokens is not None
    assert saved.tokens.refresh is not None
    assert saved.tokens.refresh.reveal() == estate.vendor.families[0].refresh
    assert (estate.vendor.counts["renewals"], estate.vendor.counts["reuse_events"]) == (2, 0)


async def test_a_login_that_is_removed_as_soon_as_the_keeper_saved_it_stays_removed(estate: Estate) -> None:
    login = await estate.signed_in(aged=3700)
    estate.sandbox.fault("codex", at="token", do="hang")
    daemon = await estate.daemon()
    await estate.asked()
    file = (await estate.house()).owner.folder / f"{login.id}.json"
    before = file.read_bytes()

    daemon.process.send_signal(signal.SIGSTOP)
    estate.vendor.release()
    await eventually(lambda: file.read_bytes() != before)
    file.unlink()
    daemon.process.send_signal(signal.SIGCONT)

    await asyncio.to_thread(daemon.says, "it was removed as soon as it was renewed")
    assert not file.exists()
    await asyncio.to_thread(daemon.stops)
    assert not file.exists()


async def test_sec_44_a_file_put_back_under_a_daemon_is_replaced_by_the_next_renewal(estate: Estate) -> None:
    login = await estate.signed_in()
    file = (await estate.house()).owner.folder / f"{login.id}.json"
    backup = file.read_bytes()
    daemon = await estate.daemon()
    for _ in range(2):
        assert (await asyncio.to_thread(estate.person.types, "credentials", "refresh", login.id)).code == 0
    file.write_bytes(backup)
    await asyncio.to_thread(daemon.says, "rolled back")

    assert (await asyncio.to_thread(estate.person.types, "credentials", "refresh", login.id)).code == 0

    assert (estate.vendor.counts["renewals"], estate.vendor.counts["reuse_events"]) == (3, 0)
    saved = await estate.on_disk(login.id)
    assert saved.tokens is not None
    assert saved.tokens.refresh is not None
    assert saved.tokens.refresh.reveal() == estate.vendor.families[0].refresh


async def test_sec_46_a_new_keeper_is_not_asked_to_renew_what_is_in_the_daemons_memory_alone(estate: Estate) -> None:
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in()
    house = await estate.house()
    async with asyncio.TaskGroup() as group:
        renewal = group.create_task(house.renewer.fresh(login.id, login.bearer))
        await estate.asked()
        keeper = await keeper_of(os.getpid())
        resource.prlimit(keeper, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        estate.vendor.release()
    os.kill(keeper, signal.SIGKILL)
    await eventually(lambda: is_gone(keeper))  # reaped: the house knows
    assert house.owner.unsaved() == {login.id: ""}

    assert (await renewed(house, login.id)).tokens != renewal.result().tokens

    assert (estate.vendor.counts["renewals"], estate.vendor.counts["reuse_events"]) == (2, 0)


async def test_a_keeper_that_hangs_is_told_of_and_forgiven_when_it_goes_on(estate: Estate) -> None:
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in()
    house = await estate.house()
    house.keeper.patience = 0.05
    async with asyncio.TaskGroup() as group:
        renewal = group.create_task(house.renewer.fresh(login.id, login.bearer))
        keeper = await estate.stopped_with_the_answer_before_it(os.getpid())

        await eventually(lambda: "keeper hangs" in house.keeper.trouble)
        os.kill(keeper, signal.SIGCONT)

        assert (await renewal).generation == login.generation + 1
    assert house.keeper.trouble == ""
    assert estate.vendor.counts["reuse_events"] == 0
