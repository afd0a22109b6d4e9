"""The keeper as a process: what it holds, what it is given, what it costs, and when it comes and goes."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from estate import (
    Estate,
    children,
    ended,
    eventually,
    files,
    given,
    is_gone,
    is_keeper,
    keeper_of,
    listening,
    lives,
    name,
    renewed,
    resident_kb,
    status,
)

from vaultd.errors import Misconfigured, TryLater


async def test_there_is_no_keeper_before_something_is_to_be_renewed_and_none_after_the_house(estate: Estate) -> None:
    login = await estate.signed_in()
    house = await estate.house(for_daemon=True)
    await house.start()
    assert not [child for child in children(os.getpid()) if is_keeper(child)]

    renewed = await house.renewer.fresh(login.id, login.bearer)
    keeper = await keeper_of(os.getpid())
    await house.close()

    assert renewed.generation == login.generation + 1
    assert renewed == await estate.on_disk(login.id)
    assert is_gone(keeper)


async def test_thr_32_the_root_key_is_neither_in_its_arguments_nor_in_its_environment(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = base64.b64encode(secrets.token_bytes(32)).decode()
    estate.env["VAULTD_ROOT_KEY"] = root
    monkeypatch.setenv("VAULTD_ROOT_KEY", root)
    monkeypatch.setenv("SOMEBODYS_SECRET", "CANARY")
    login = await estate.signed_in()
    house = await estate.house()

    await house.renewer.fresh(login.id, login.bearer)

    keeper = await keeper_of(os.getpid())
    seen = given(keeper)
    assert b"vaultd.keeper" in seen
    assert root.encode() not in seen
    assert b"CANARY" not in seen
    assert name(keeper) == "vaultd-keeper"


async def test_it_holds_a_socket_and_stderr_and_no_port(estate: Estate) -> None:
    login = await estate.signed_in()
    house = await estate.house()
    await house.renewer.fresh(login.id, login.bearer)

    keeper = await keeper_of(os.getpid())

    assert status(keeper)["Umask"] == "0077"
    assert os.getsid(keeper) == keeper
    if os.geteuid() == 0:  # it is undumpable: nobody else may look
        strangers = [held for held in files(keeper) if not held.startswith(("socket:", "anon_inode:", "/dev/null"))]
        assert all(held.startswith(str(house.owner.folder)) or "pipe" in held for held in strangers), strangers
        assert not listening(keeper)


async def test_a_terminals_interrupt_and_a_managers_stop_do_not_end_a_renewal(estate: Estate) -> None:
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in()
    house = await estate.house()
    async with asyncio.TaskGroup() as group:
        fresh = group.create_task(house.renewer.fresh(login.id, login.bearer))
        await estate.asked()
        keeper = await keeper_of(os.getpid())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(keeper, number)
        estate.vendor.release()

    assert fresh.result().generation == login.generation + 1
    assert lives(keeper)


async def test_who_asked_is_cancelled_and_the_renewal_is_known_here_all_the_same(estate: Estate) -> None:
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in()
    house = await estate.house()
    async with asyncio.TaskGroup() as group:
        fresh = group.create_task(house.renewer.fresh(login.id, login.bearer))
        await estate.asked()
        fresh.cancel()
    estate.vendor.release()

    await eventually(lambda: house.owner.snapshot()[login.id].generation > login.generation)

    assert estate.vendor.counts["renewals"] == 1


async def test_sec_44_fifty_renewals_leave_it_within_64_megabytes(estate: Estate) -> None:
    logins = [await estate.signed_in(f"{n}@example.com") for n in range(50)]
    house = await estate.house()

    await asyncio.gather(*(house.renewer.fresh(login.id, login.bearer) for login in logins))

    assert resident_kb(await keeper_of(os.getpid())) <= 64 * 1024
    assert estate.vendor.counts["renewals"] == 50


async def test_a_new_root_key_makes_a_new_keeper(estate: Estate) -> None:
    login = await estate.signed_in()
    house = await estate.house()
    await renewed(house, login.id)
    keeper = await keeper_of(os.getpid())

    done = await asyncio.to_thread(estate.person.types, "vault", "rekey")
    assert done.code == 0, done.err
    second = await renewed(house, login.id)

    assert second.generation == login.generation + 2
    assert not house.owner.troubles()
    await eventually(lambda: is_gone(keeper))
    assert (await estate.on_disk(login.id)).tokens == second.tokens


async def test_no_keeper_can_be_started_so_nothing_is_renewed_and_it_is_said_what_to_do(
    estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = await estate.signed_in()
    house = await estate.house()
    (tmp_path / "broken" / "vaultd").mkdir(parents=True)
    (tmp_path / "broken" / "vaultd" / "__init__.py").write_text("raise SystemExit('half an upgrade')")
    with monkeypatch.context() as broken:
        broken.setenv("PYTHONPATH", str(tmp_path / "broken"))

        with pytest.raises(TryLater, match="keeper cannot be started"):
            await house.renewer.fresh(login.id, login.bearer)

    assert "vaultd doctor" in house.keeper.trouble
    assert estate.vendor.counts["requests:token"] == 0
    assert not [child for child in children(os.getpid()) if is_keeper(child)]


async def test_a_command_without_a_daemon_renews_by_a_keeper_and_leaves_none(estate: Estate) -> None:
    login = await estate.signed_in()

    done = await asyncio.to_thread(estate.person.types, "credentials", "refresh", login.id)

    assert (done.code, done.err) == (0, "")
    assert (await estate.on_disk(login.id)).generation == login.generation + 1


async def test_a_command_that_is_killed_does_not_keep_who_reads_its_pipes_waiting(estate: Estate) -> None:
    estate.sandbox.fault("codex", at="token", do="hang")
    login = await estate.signed_in()
    words = [sys.executable, "-m", "vaultd", "credentials", "refresh", login.id]
    command = subprocess.Popen(words, env=estate.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: ASYNC220
    await estate.asked()
    keeper = await keeper_of(command.pid)

    command.kill()
    await asyncio.to_thread(command.communicate)

    assert lives(keeper)
    estate.vendor.release()
    await ended(keeper)
    assert (await estate.on_disk(login.id)).generation == login.generation + 1


async def test_a_keeper_that_may_not_use_a_file_says_why(estate: Estate) -> None:
    login = await estate.signed_in()
    house = await estate.house()
    (house.owner.folder / f"{login.id}.json").chmod(0o644)

    with pytest.raises(Misconfigured, match=r"open to others \(0644\): chmod 600 it"):
        await renewed(house, login.id)
