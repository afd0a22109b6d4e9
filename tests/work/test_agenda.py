"""Who is renewed next: paced, in time however many there are, and each vendor for itself."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vaultd.catalog.manifest import Api, OAuth, Provider
from vaultd.work import due
from vaultd.work.agenda import Agenda, Turn
from vaultd.work.circuit import CLOSED, Circuit

HOUR = 3600.0
OPEN = Circuit(failures=3, reason="503", until=50.0, opened=1)


def played(turns: dict[str, Turn], circuits: dict[str, Circuit], until: float) -> list[tuple[float, str]]:
    """Everybody's start, from boot time 0, where each renewal is done at once."""
    agenda, boot, starts = Agenda(), 0.0, []
    for name, turn in turns.items():
        agenda.put(name, turn)
    while boot <= until:
        while (name := agenda.next(boot, circuits)) is not None:  # type: ignore[assignment]
            agenda.put(name, None)
            agenda.began(turns[name].vendor, boot)
            starts.append((boot, name))
        rest = agenda.rest(boot, circuits)
        if rest is None:
            break
        boot += max(rest, 1e-6)
    return starts


def test_sec_50_two_at_one_vendor_are_a_second_apart_and_two_vendors_are_nobodys_concern() -> None:
    turns = {f"a{n}": Turn("a", 10, 1000) for n in range(3)} | {f"b{n}": Turn("b", 10, 1000) for n in range(2)}

    assert played(turns, {}, 100) == [(10, "a0"), (10, "b0"), (11, "a1"), (11, "b1"), (12, "a2")]


def test_the_next_to_run_out_comes_first_and_who_has_run_out_hurries_nobody() -> None:
    turns = {"gone": Turn("a", 0, 0), "soon": Turn("a", 0, 90), "sooner": Turn("a", 0, 60)}

    assert played(turns, {}, 100) == [(0, "sooner"), (1, "soon"), (2, "gone")]


def test_sec_45_an_unknown_outcome_waits_for_no_pace() -> None:
    turns = {"a": Turn("v", 0, 100), "b": Turn("v", 0, 100), "x": Turn("v", 0, 999, urgent=True)}
    turns["y"] = Turn("v", 0, 999, urgent=True)

    assert played(turns, {}, 100) == [(0, "x"), (0, "y"), (1, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("turns", "first"),
    [
        ({"a": Turn("v", 0, 60), "x": Turn("v", 0, 999, urgent=True)}, "x"),
        # Not always the same one: it may fail for reasons of its own.
        ({"a": Turn("v", 0, 60, failures=3), "b": Turn("v", 5, 90)}, "b"),
    ],
)
def test_sec_49_whom_a_vendor_that_failed_is_tried_with(turns: dict[str, Turn], first: str) -> None:
    assert played(turns, {"v": OPEN}, 50)[0] == (50, first)


def test_sec_49_while_a_vendor_is_left_alone_nobody_starts_and_others_go_on() -> None:
    turns = {"a": Turn("down", 0, 60), "x": Turn("down", 0, 60, urgent=True), "b": Turn("up", 7, 60)}

    assert played(turns, {"down": OPEN}, 49) == [(7, "b")]
    assert played(turns, {"down": OPEN.begun("elsewhere", 60.0)}, 1000) == [(7, "b")]


def test_a_turn_that_was_changed_counts_as_it_is_now() -> None:
    agenda = Agenda()
    agenda.put("a", Turn("v", 5, 60))
    agenda.put("a", Turn("v", 20, 60))
    agenda.put("b", Turn("v", 5, 60))
    agenda.put("b", None)

    assert agenda.next(10, {}) is None
    assert agenda.rest(10, {}) == 10
    agenda.put("a", Turn("v", 9, 60))
    assert agenda.next(10, {}) == "a"
    agenda.put("a", Turn("v", 30, 60))  # it was ripe, and is no longer
    assert agenda.next(10, {}) is None
    assert CLOSED.admits(10)


def wave(logins: int, lead: str, lifetime: float, left: float) -> dict[str, Turn]:
    """All signed in together, with `left` of their life to go."""
    vendor = Provider(id="v", oauth=OAuth(client_id="c", refresh_ahead=lead), api=Api(formats=["openai-chat"]))
    crowd = due.crowds(logins)
    ahead = {f"v-{n}": due.ahead(vendor, lifetime, f"v-{n}", crowd) for n in range(logins)}
    return {name: Turn("v", left - before, left - due.MARGIN) for name, before in ahead.items()}


@pytest.mark.parametrize(
    ("logins", "lead", "lifetime", "left", "apart"),
    [
        (10, "5m", HOUR, HOUR, 1.0),
        (100, "5m", HOUR, HOUR, 1.0),
        (1000, "5m", HOUR, HOUR, 1.0),  # a second each is 1,000 s, and a fifth of an hour is 720: they begin earlier
        (1000, "4h", 8 * HOUR, 8 * HOUR, 1.0),
        (1300, "5m", HOUR, HOUR, 1.0),
        (2000, "5m", HOUR, HOUR, 0.8),  # half the life is not enough: then the second between them has to go
        (1000, "5m", HOUR, 600.0, 0.5),  # the daemon was off until ten minutes before
        (1000, "5m", HOUR, 70.0, 0.05),
    ],
)
def test_sec_50_a_thousand_logins_with_tokens_of_an_hour_are_renewed_in_time_and_not_in_one_second(
    logins: int, lead: str, lifetime: float, left: float, apart: float
) -> None:
    turns = wave(logins, lead, lifetime, left)

    starts = played(turns, {}, 2 * lifetime)

    assert len(starts) == logins
    assert all(boot <= turns[name].deadline for boot, name in starts)
    assert min(later - sooner for (sooner, _), (later, _) in pairwise(starts)) >= apart - 1e-6
