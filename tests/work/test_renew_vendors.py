"""A vendor's token endpoint is down: one login at a time asks, however many wait, and whoever can serves on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from desk import Desk
from disks import a_full_disk
from test_renew_loop import pass_time, quiet

from vaultd.effects import Reply, Send
from vaultd.errors import TryLater
from vaultd.secret import Secret
from vaultd.vault.credential import Settings
from vaultd.work.circuit import TRIPS
from vaultd.work.tasks import Tasks


async def test_sec_49_an_outage_of_two_hours_costs_fifty_logins_no_more_requests_than_one(
    desk: Desk, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    logins = [await desk.sign_in("codex", f"user{n}@example.org") for n in range(50)]
    up = await desk.sign_in("claude")
    desk.sandbox.fault("codex", at="token", do="status", status=503, times=0)
    tasks.start("renew", desk.renewer.forever())

    await pass_time(desk, 3 * 3600)

    down = [sent for sent in desk.sent if "codex" in sent[2]]
    assert TRIPS < len(down) < 100
    assert all(later[0] > sooner[0] for sooner, later in pairwise(down))  # never two at a time
    assert desk.get(up.id).generation > up.generation
    assert desk.renewer.vendors().keys() == {"codex"}
    circuit = desk.renewer.vendors()["codex"]
    assert (circuit.failures, circuit.reason) == (len(down), "the vendor answered 503")
    assert circuit.until > desk.clock.boot() - 150
    assert len(caplog.get_records("call")) < 4 * len(down)
    # Whose token is gone says so, although most were never tried.
    assert desk.renewer.failing().keys() == {login.id for login in logins}

    desk.sandbox["codex"].faults.clear()
    await pass_time(desk, 400)

    assert all(desk.get(login.id).generation > login.generation for login in logins)
    assert desk.renewer.vendors() == {}
    assert desk.renewer.failing() == {}


async def three_fail(desk: Desk, **fault: object) -> None:
    """Three logins meet a vendor that is down."""
    desk.sandbox.fault("codex", at="token", **({"do": "status", "status": 503, "times": 0} | fault))
    for n in range(TRIPS):
        credential = await desk.sign_in("codex", f"down{n}@example.org")
        with pytest.raises(TryLater):
            await desk.renewer.fresh(credential.id, rejected=credential.bearer)


async def test_sec_49_a_request_whose_token_lives_is_served_and_any_other_is_told_what_fails_and_for_how_long(
    desk: Desk,
) -> None:
    credential = await desk.sign_in()
    await three_fail(desk, retry_after=120)

    assert await desk.renewer.fresh(credential.id) == credential
    desk.clock.advance(20)
    with pytest.raises(TryLater, match=r"codex's token endpoint failed 3 times.* for 100 s: .*503") as told:
        await desk.renewer.fresh(credential.id, rejected=credential.bearer)

    assert told.value.after == pytest.approx(100)
    assert len(desk.sent) == TRIPS


async def test_sec_49_when_the_pause_is_over_one_request_tries_and_its_success_lets_all_in(
    desk: Desk, tasks: Tasks
) -> None:
    ann, ben = await desk.sign_in(), await desk.sign_in("codex", "ben@example.org")
    await three_fail(desk)
    desk.sandbox["codex"].faults.clear()
    desk.sandbox.fault("codex", at="token", do="hang")
    desk.clock.advance(1)

    first = tasks.start("a request", desk.renewer.fresh(ann.id, rejected=ann.bearer))
    await desk.sandbox["codex"].until(lambda: desk.sandbox["codex"].counts["requests:token"] == TRIPS + 1)
    with pytest.raises(TryLater, match="left alone") as told:
        await desk.renewer.fresh(ben.id, rejected=ben.bearer)
    assert told.value.after == 1
    assert desk.renewer.vendors()["codex"].trial == ann.id

    desk.sandbox["codex"].release()
    assert (await first).bearer != ann.bearer
    assert (await desk.renewer.fresh(ben.id, rejected=ben.bearer)).bearer != ben.bearer


async def test_a_person_who_asks_passes_every_pause(desk: Desk) -> None:
    credential = await desk.sign_in()
    await three_fail(desk, retry_after=120)
    desk.sandbox["codex"].faults.clear()

    for _ in range(2):  # and twice in a minute
        before = desk.get(credential.id)
        desk.renewer.forgive(credential.id)
        assert (await desk.renewer.fresh(credential.id, before.bearer)).bearer != before.bearer

    assert desk.renewer.vendors() == {}  # it works: nobody need wait any longer


async def test_a_full_disk_is_not_held_against_a_vendor(desk: Desk) -> None:
    logins = [await desk.sign_in("codex", f"user{n}@example.org") for n in range(5)]
    desk.clock.advance(3590)

    with a_full_disk():
        for login in logins:
            assert await desk.renewer.fresh(login.id) == login

    assert desk.renewer.failing().keys() == {login.id for login in logins}
    assert desk.renewer.vendors() == {}


class Proxied(Desk):
    """Sends as the house does: through the credential's own proxy."""

    async def send(self, effect: Send, *, proxy: str | None = None) -> Reply:
        return await self.client.send(effect, proxy=proxy)


async def test_one_login_that_fails_for_reasons_of_its_own_holds_up_nobody(desk: Desk) -> None:
    """Its proxy is gone. The vendor is well, and the others are renewed when their time comes."""
    desk = Proxied(desk.sandbox, desk.clock, desk.owner, desk.catalog, desk.client)
    broken = await desk.sign_in("codex", "broken@example.org")
    others = [await desk.sign_in("codex", f"user{n}@example.org") for n in range(3)]
    nobody = Settings(proxy_url=Secret("socks5://user:CANARY@127.0.0.1:9"))
    async with desk.owner.leased(broken.id) as lease:
        await lease.put(replace(broken, settings=nobody))
    for _ in range(2 * TRIPS):
        with pytest.raises(TryLater, match="proxy"):
            await desk.renewer.fresh(broken.id, rejected=broken.bearer)
        desk.clock.advance(300)

    assert not desk.renewer.vendors()["codex"].opened
    for other in others:
        assert (await desk.renewer.fresh(other.id, rejected=other.bearer)).bearer != other.bearer


async def test_a_cooling_login_and_a_full_allowance_are_no_reason_not_to_renew(desk: Desk, tasks: Tasks) -> None:
    """The field's own fault: a login in cooldown was left to expire, and was dead when its quota was back."""
    desk.sandbox.fault("codex", at="llm", do="status", status=429, times=0, retry_after=86400)
    credential = await desk.sign_in()
    tasks.start("renew", desk.renewer.forever())

    await pass_time(desk, 5 * 3600)

    assert desk.renewals() >= 5
    assert desk.sandbox["codex"].live(desk.get(credential.id).bearer.reveal())  # type: ignore[union-attr]


async def test_a_login_is_left_alone_while_disabled_and_renewed_as_soon_as_it_is_enabled(
    desk: Desk, tasks: Tasks
) -> None:
    credential = await desk.sign_in()
    await switch(desk, credential.id, disabled=True)
    tasks.start("renew", desk.renewer.forever())
    await pass_time(desk, 5 * 3600)
    assert desk.sent == []

    await switch(desk, credential.id, disabled=False)
    await quiet(desk)

    assert desk.renewals() == 1


async def switch(desk: Desk, id: str, *, disabled: bool) -> None:  # noqa: A002
    async with desk.owner.leased(id) as lease:
        await lease.put(replace(desk.get(id), settings=replace(desk.get(id).settings, disabled=disabled)))


async def test_sec_51_a_clock_that_is_off_is_told_once_and_again_when_it_is_right(
    desk: Desk, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    assert desk.renewer.skew() is None
    desk.clock.wall_error = -300
    for vendor in ("codex", "claude", "gemini"):
        await desk.sign_in(vendor)
    tasks.start("renew", desk.renewer.forever())

    await pass_time(desk, 3 * 3600)
    assert desk.renewer.skew() == pytest.approx(300, abs=2)
    assert told_of_clocks(caplog) == ["this machine's clock is off by more than a minute: set it"]

    caplog.clear()
    desk.clock.wall_error = 0  # somebody sets it: no vendor need be asked to know
    await pass_time(desk, 60)
    assert desk.renewer.skew() == pytest.approx(0, abs=2)
    assert "this machine's clock is right" in told_of_clocks(caplog)


async def test_sec_51_one_vendor_whose_clock_is_wrong_blames_nobody_and_moves_no_renewal(
    desk: Desk, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    desk.sandbox.set("codex", date_skew_seconds=10 * 365 * 86400)
    for vendor in ("codex", "claude"):
        await desk.sign_in(vendor)
    tasks.start("renew", desk.renewer.forever())

    await pass_time(desk, 2900)
    await pass_time(desk, 4 * 3600)

    assert desk.renewer.skew() == pytest.approx(0, abs=2)
    assert told_of_clocks(caplog)[-1:] != ["this machine's clock is off by more than a minute: set it"]
    assert desk.renewals() == pytest.approx(6, abs=1)


def told_of_clocks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if "machine's clock" in record.message]
