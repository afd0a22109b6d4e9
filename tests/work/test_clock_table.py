"""Clocks that jump, machines that sleep, boots in 1970: no renewal too many, no expired token used, none late.

Each row is played to several logins of four vendors, with requests coming all the time. What counts is what the vendors
see, whose clocks are right.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from desk import START, Desk, open_vault
from test_renew_loop import pass_time, quiet

from vaultd.work.tasks import Tasks

MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR
YEAR = 365 * DAY
LIVES = {"codex": HOUR, "claude": 8 * HOUR, "gemini": HOUR, "qwen": 20 * MINUTE}
SIZES = [1.0, 10.0, MINUTE, HOUR, DAY, YEAR, 10 * YEAR]

#: What happens after so many seconds: the wall clock is moved, or ("suspend") the machine sleeps.
Row = list[tuple[float, float | str]]

ROWS: dict[str, Row] = {
    **{f"{sign * size:+.0f} s": [(700.0, sign * size)] for size in SIZES for sign in (1, -1)},
    **{
        f"there and back {sign * size:+.0f} s": [(700.0, sign * size), (30.0, -sign * size)]
        for size in SIZES[3:]
        for sign in (1, -1)
    },
    "several in a row": [(700.0, DAY), (7.0, -YEAR), (7.0, HOUR), (7.0, 10 * YEAR), (7.0, -DAY), (90.0, -9 * YEAR)],
    "a clock nobody can trust": [(61.0, size * sign) for size in SIZES for sign in (1, -1, -1, 1)],
    "a night of suspend": [(700.0, "suspend")],
    "a night of suspend, and the clock is wrong after it": [(700.0, "suspend"), (0.0, -DAY), (45.0, DAY)],
    "two nights": [(700.0, "suspend"), (HOUR, "suspend")],
}


async def logins(desk: Desk) -> None:
    for vendor, life in LIVES.items():
        desk.sandbox.set(vendor, access_seconds=life)
        for n in range(2):
            await desk.sign_in(vendor, f"user{n}@example.org")


async def live(desk: Desk, seconds: float, *, kept: bool = True) -> None:
    """So much time passes, with a request for each login every 20 s. `kept`: none of them need wait."""
    until = desk.clock.boot() + seconds
    while True:
        await quiet(desk)
        for id, credential in desk.owner.snapshot().items():  # noqa: A001
            vendor = desk.sandbox[credential.provider]
            if kept:
                vendor.live(credential.bearer.reveal())  # type: ignore[union-attr]
            fresh = await desk.renewer.fresh(id)
            vendor.live(fresh.bearer.reveal())  # type: ignore[union-attr]
        left = until - desk.clock.boot()
        if left <= 0:
            return
        desk.clock.advance(min(20.0, left))


def most_often(begun: list[tuple[str, float]]) -> float:
    """The shortest time between two renewals of one login."""
    gaps = [
        later - sooner
        for id in {id for id, _ in begun}  # noqa: A001
        for sooner, later in pairwise(when for other, when in begun if other == id)
    ]
    return min(gaps, default=YEAR)


@pytest.mark.parametrize("name", ROWS)
async def test_sec_51_whatever_the_clocks_do_each_login_is_renewed_in_time_and_once_a_minute_at_most(
    desk: Desk, tasks: Tasks, name: str
) -> None:
    await logins(desk)
    tasks.start("renew", desk.renewer.forever())
    slept = 0

    for seconds, event in ROWS[name]:
        await live(desk, seconds)
        if event == "suspend":
            desk.clock.suspend(8 * HOUR)
            slept += 1
            await live(desk, 2 * MINUTE, kept=False)
        else:
            assert isinstance(event, float)
            desk.clock.wall_error += event
    await live(desk, 1.1 * HOUR)

    assert most_often(desk.begun) >= MINUTE
    awake = desk.clock.true() - START - slept * 8 * HOUR
    for id, times in Counter(id for id, _ in desk.begun).items():  # noqa: A001
        # Ahead of expiry by a fifth at most; and once more for each night, and for clocks that were believed once.
        assert times <= awake / (0.8 * LIVES[desk.get(id).provider]) + slept + 1
    assert all(vendor.counts["reuse_events"] == 0 for vendor in (desk.sandbox[name] for name in LIVES))


@pytest.mark.parametrize("set_right", [True, False])
@pytest.mark.parametrize(
    "wall",
    [0.0, START - 10 * YEAR, START - DAY, START + DAY, START + 10 * YEAR, START + 200 * YEAR],
    ids=["1970", "10 years ago", "yesterday", "tomorrow", "in 10 years", "in 200 years"],
)
@pytest.mark.parametrize("off", [30.0, 9 * HOUR])
async def test_sec_51_a_machine_that_boots_with_a_wrong_clock_uses_no_expired_token_and_brings_no_storm(
    desk: Desk, tasks: Tasks, off: float, wall: float, set_right: bool
) -> None:
    await logins(desk)
    first = tasks.start("renew", desk.renewer.forever())
    await live(desk, 500)
    first.cancel()
    await desk.renewer.drain()
    await quiet(desk)

    desk.clock.reboot(off)
    desk.clock.wall_error = wall - desk.clock.true()
    started = Desk(desk.sandbox, desk.clock, await open_vault(desk.owner.folder), desk.catalog, desk.client)
    tasks.start("renew", started.renewer.forever())
    await live(started, 90, kept=False)
    assert len(started.begun) <= len(started.owner.snapshot())
    if set_right:
        desk.clock.wall_error = 0.0
    await live(started, 1.1 * HOUR)

    assert most_often(started.begun) >= MINUTE
    assert max(Counter(login for login, _ in started.begun).values()) <= 1 + 1.3 * HOUR / (0.8 * 20 * MINUTE)


async def test_sec_51_an_age_that_no_stamp_betrays_costs_one_401(desk: Desk) -> None:
    """The clock is an hour behind, the token was given two hours ago: by its stamps it has still life. The vendor
    knows better, and is believed once."""
    credential = await desk.sign_in("codex")
    desk.clock.advance(1.5 * HOUR)
    desk.clock.wall_error = -HOUR
    started = Desk(desk.sandbox, desk.clock, await open_vault(desk.owner.folder), desk.catalog, desk.client)

    assert await started.renewer.fresh(credential.id) == credential
    answer = await started.renewer.fresh(credential.id, rejected=credential.bearer)

    assert desk.sandbox["codex"].live(answer.bearer.reveal())  # type: ignore[union-attr]
    assert len(started.begun) == 1


async def test_sec_51_a_clock_that_was_behind_unseen_and_is_set_right_lets_no_token_run_out(
    desk: Desk, tasks: Tasks
) -> None:
    """By its stamps the token is six minutes old at the start, and is two hours old; then the clock is set."""
    desk.sandbox.set("claude", access_seconds=8 * HOUR)
    credential = await desk.sign_in("claude")
    desk.clock.reboot(2 * HOUR)
    desk.clock.wall_error = -1.9 * HOUR
    started = Desk(desk.sandbox, desk.clock, await open_vault(desk.owner.folder), desk.catalog, desk.client)
    tasks.start("renew", started.renewer.forever())
    await pass_time(started, 90)
    desk.clock.wall_error = 0.0

    for _ in range(12 * 6):  # and no request helps
        await pass_time(started, 300)
        desk.sandbox["claude"].live(started.get(credential.id).bearer.reveal())  # type: ignore[union-attr]
    assert len(started.begun) == 1
