"""`kill -9` in the middle of a renewal: the short form of `make crash`."""

from __future__ import annotations

from pathlib import Path

from campaign import Campaign

KILLS = 40


async def test_sec_45_forty_kills_of_the_daemon_in_mid_renewal_lose_no_single_use_token(tmp_path: Path) -> None:
    tally = await Campaign(tmp_path).run("daemon", KILLS)

    assert tally.struck >= KILLS
    assert (tally.lost, tally.reused, tally.unreadable) == (0, 0, 0), tally.failures
    assert tally.phases.get("the vendor had rotated")


async def test_sec_45_forty_kills_of_everything_lose_nothing_within_the_vendors_grace(tmp_path: Path) -> None:
    tally = await Campaign(tmp_path).run("everything", KILLS)

    assert tally.struck >= KILLS
    assert (tally.lost, tally.unreadable) == (0, 0), tally.failures
    assert tally.phases.get("the vendor had rotated")


async def test_sec_45_a_daemon_whose_keeper_is_killed_settles_what_it_began_with_another(tmp_path: Path) -> None:
    tally = await Campaign(tmp_path).run("keeper", 5)

    assert tally.struck >= 5
    assert tally.failures == []


async def test_a_campaign_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    first = await Campaign(tmp_path).run("everything", 2)

    again = Campaign(tmp_path)
    tally = await again.run("everything", first.struck + 2)

    assert tally.struck >= first.struck + 2
    assert tally.next == sum(tally.phases.values())
