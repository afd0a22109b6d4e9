"""No login is renewed twice in a minute, whatever asks for it; and an unknown outcome is settled at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from desk import Desk, login
from test_renew_loop import pass_time, quiet

from vaultd.errors import TryLater
from vaultd.vault.credential import Credential, Settings
from vaultd.work.tasks import Tasks


async def test_sec_52_a_vendor_that_refuses_every_new_token_is_asked_for_one_a_minute(desk: Desk) -> None:
    """And the request gets the very token back that was refused, so that it goes to another credential as a 401."""
    await desk.sign_in()
    held = await refused(desk)

    for _ in range(59):
        assert await refused(desk) == held
        desk.clock.advance(1)
    assert desk.renewals() == 1

    desk.clock.advance(1)
    assert (await refused(desk)).bearer != held.bearer
    assert desk.renewals() == 2


async def refused(desk: Desk) -> Credential:
    """A request goes out and meets a 401."""
    credential = await desk.renewer.fresh("codex-codex@example.com")
    return await desk.renewer.fresh(credential.id, rejected=credential.bearer)


@pytest.mark.parametrize(
    ("lifetime", "served"),
    [
        (0.0, 0.0),  # expired when it came
        (30.0, 30 / 60),  # served while it lives; then there is none until the minute is over
        (45.0, 45 / 60),
        (59.0, 59 / 60),
        (61.0, 1.0),
        (90.0, 1.0),
        (300.0, 1.0),
    ],
)
async def test_sec_51_however_short_its_tokens_live_a_login_is_renewed_once_a_minute(
    desk: Desk, tasks: Tasks, lifetime: float, served: float
) -> None:
    desk.sandbox.set("codex", access_seconds=lifetime)
    credential = await desk.sign_in()
    tasks.start("renew", desk.renewer.forever())

    answered = 0
    await pass_time(desk, 60)
    for _ in range(600):
        try:
            fresh = await desk.renewer.fresh(credential.id)
        except TryLater as told:
            assert "expired after" in str(told)
            assert told.after is not None and 0 < told.after <= 60
        else:
            answered += 1
            assert desk.sandbox["codex"].live(fresh.bearer.reveal())  # type: ignore[union-attr]
        desk.clock.advance(1)
        await quiet(desk)

    assert answered / 600 == pytest.approx(served, abs=0.03)
    assert most_in_a_minute(desk) == 1


async def test_a_sign_in_is_no_renewal_so_its_first_token_may_live_for_seconds(desk: Desk, tasks: Tasks) -> None:
    desk.sandbox.set("codex", access_seconds=6)
    signed_in = login(desk.sandbox, "codex", "", desk.clock.now())
    credential = await desk.owner.settle(replace(signed_in, renewed_at=signed_in.created_at))
    desk.sandbox.set("codex", access_seconds=3600)
    tasks.start("renew", desk.renewer.forever())

    await pass_time(desk, 6)

    assert desk.renewals() == 1
    assert desk.get(credential.id).bearer != credential.bearer


async def test_sec_51_what_another_process_renewed_just_now_is_not_renewed_again(desk: Desk) -> None:
    desk.sandbox.set("codex", access_seconds=30)
    credential = await desk.sign_in()
    desk.clock.advance(30)
    await desk.renewer.fresh(credential.id)
    desk.clock.advance(30)
    started = Desk(desk.sandbox, desk.clock, desk.owner, desk.catalog, desk.client)

    with pytest.raises(TryLater, match="once a minute"):
        await started.renewer.fresh(credential.id)
    desk.clock.advance(31)

    assert (await started.renewer.fresh(credential.id)).generation == credential.generation + 2


async def test_sec_45_what_was_under_way_when_everything_was_killed_is_settled_at_the_start(
    desk: Desk, tasks: Tasks
) -> None:
    """Each within the vendor's grace: none waits for another, nor for the time when its token would be due."""
    cut_off = [await begun(desk, f"user{n}@example.org") for n in range(5)]
    well = await desk.sign_in("codex", "well@example.org")

    tasks.start("renew", desk.renewer.forever())
    await quiet(desk)

    assert desk.clock.boot() == 1000
    assert all(desk.get(login.id).generation > login.generation for login in cut_off)
    assert desk.get(well.id) == well
    assert desk.owner.unsettled() == frozenset()
    await pass_time(desk, 120)
    assert desk.renewals() == 5


async def begun(desk: Desk, email: str) -> Credential:
    """A login, and a renewal of it that a killed process began."""
    login = await desk.sign_in("codex", email)
    async with desk.owner.leased(login.id) as lease:
        await lease.intend("https://CANARY.example/token", boot=desk.clock.boot(), wall=desk.clock.now())
    return login


async def test_sec_45_a_request_does_not_wait_until_an_unknown_outcome_is_settled(desk: Desk, tasks: Tasks) -> None:
    login = await begun(desk, "ann@example.org")
    desk.sandbox.fault("codex", at="token", do="hang")
    tasks.start("renew", desk.renewer.forever())
    await desk.sandbox["codex"].until(lambda: desk.sandbox["codex"].counts["requests:token"] == 1)

    assert await desk.renewer.fresh(login.id) == login

    desk.sandbox["codex"].release()
    await quiet(desk)
    assert desk.get(login.id).generation > login.generation


async def test_sec_45_an_answer_that_is_lost_is_asked_for_again_within_a_second_and_then_with_growing_pauses(
    desk: Desk, tasks: Tasks
) -> None:
    desk.chance = 0.99
    desk.sandbox.set("codex", grace_seconds=30)
    desk.sandbox.fault("codex", at="token", do="cut-after")
    login = await desk.sign_in()
    tasks.start("renew", desk.renewer.forever())

    await pass_time(desk, 3400)

    assert [sent[0] for sent in desk.sent] == [pytest.approx(desk.sent[0][0]), pytest.approx(desk.sent[0][0] + 0.99)]
    assert desk.get(login.id).dead is None
    assert desk.sandbox["codex"].counts["reuse_events"] == 0

    desk.sandbox.fault("codex", at="token", do="cut", times=0)
    desk.sent.clear()
    await pass_time(desk, 3600)
    assert 5 < len(desk.sent) < 20


async def test_sec_45_after_many_failures_a_first_unknown_outcome_is_still_tried_within_a_second(
    desk: Desk, tasks: Tasks
) -> None:
    desk.chance = 0.99
    login = await desk.sign_in()
    desk.sandbox.fault("codex", at="token", do="status", status=429, times=2)
    desk.sandbox.fault("codex", at="token", do="cut-after", skip=2)
    desk.sandbox.set("codex", grace_seconds=30)
    tasks.start("renew", desk.renewer.forever())

    await pass_time(desk, 3400)

    times = [sent[0] for sent in desk.sent]
    assert [later - sooner for sooner, later in pairwise(times)] == pytest.approx(
        [1, 1.98, 0.99]
    )  # the first: no two in a second
    assert desk.get(login.id).generation > login.generation
    assert desk.sandbox["codex"].counts["reuse_events"] == 0


async def test_sec_45_a_login_that_was_disabled_in_mid_renewal_is_brought_to_its_end(desk: Desk, tasks: Tasks) -> None:
    login = await begun(desk, "ann@example.org")
    async with desk.owner.leased(login.id) as lease:
        await lease.put(replace(login, settings=Settings(disabled=True)))
    assert desk.owner.unsettled() == {login.id}
    tasks.start("renew", desk.renewer.forever())
    await quiet(desk)

    assert desk.renewals() == 1
    assert desk.get(login.id).settings.disabled


def most_in_a_minute(desk: Desk) -> int:
    starts = [sent[0] for sent in desk.sent]
    return max(sum(1 for other in starts if 0 <= other - start < 59.999) for start in starts)
