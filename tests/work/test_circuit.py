"""When a vendor's token endpoint is asked, and when it is left alone: a table of what came before."""

from __future__ import annotations

import pytest

from vaultd.work.circuit import CLOSED, Circuit

#: One step of a story: who, at which boot time, what became of it (`down 30`: and Retry-After said so many seconds).
Step = tuple[str, float, str]


def told(steps: list[Step], *, logins: int = 9, chance: float = 0.5) -> Circuit:
    circuit = CLOSED
    for who, boot, what in steps:
        if what == "begun":
            circuit = circuit.begun(who, boot)
        elif what == "ok":
            circuit = CLOSED
        elif what == "own":
            circuit = circuit.unanswered(who)
        else:
            asked = float(what.removeprefix("down") or 0) or None
            circuit = circuit.failed(who, "503", boot=boot, asked=asked, chance=chance, logins=logins)
    return circuit


THREE: list[Step] = [("a", 0, "down"), ("b", 0, "down"), ("c", 0, "down")]
TRIAL: list[Step] = [*THREE, ("d", 10, "begun")]


@pytest.mark.parametrize(
    ("logins", "steps", "admits_at", "refuses_at"),
    [
        (9, [], [0.0], []),
        (9, THREE[:2], [0.0], []),
        (9, THREE, [0.5], [0.0, 0.49]),
        # One login's failures may be its own: its proxy, its account.
        (9, [("a", 0, "down")] * 20, [0.0], []),
        (2, [("a", 0, "down")] * 20, [0.0], []),
        (2, [("a", 0, "down"), ("b", 0, "down"), ("a", 0, "down")], [0.5], [0.4]),
        # And all there is.
        (1, [("a", 0, "down")] * 3, [0.5], [0.4]),
        # A success between says that it was not the vendor.
        (9, [*THREE[:2], ("d", 0, "ok"), ("c", 0, "down")], [0.0], []),
        # Retry-After is the least, up to an hour; the longest one counts, whoever was told it.
        (9, [*THREE[:2], ("c", 0, "down 30")], [30.0], [29.9]),
        (9, [("a", 0, "down 30"), *THREE[1:]], [30.0], [29.9]),
        (9, [*THREE[:2], ("c", 0, "down 1555200")], [3600.0], [3599.0]),
        # One trial, and nobody beside it.
        (9, TRIAL, [], [10.0, 1000.0]),
        (9, [*TRIAL, ("d", 10, "down")], [11.0], [10.9]),  # twice as long as the first time
        (9, [*TRIAL, ("d", 10, "ok")], [10.0], []),
        (9, [*TRIAL, ("d", 10, "own")], [10.0], []),  # a full disk: another may try
        # Who left before it opened brings no news: it neither ends the trial nor makes the pause longer.
        (9, [*THREE, ("e", 0, "down"), ("f", 0, "down")], [0.5], [0.4]),
        (9, [*TRIAL, ("e", 10, "down")], [], [10.0, 1000.0]),
        # A person's word passes, and is no trial.
        (9, [*THREE, ("d", 0.1, "begun"), ("d", 0.2, "down")], [0.5], [0.4]),
    ],
)
def test_sec_49_three_different_logins_open_it_and_one_trial_at_a_time_closes_it(
    logins: int, steps: list[Step], admits_at: list[float], refuses_at: list[float]
) -> None:
    circuit = told(steps, logins=logins)

    assert [circuit.admits(boot) for boot in admits_at] == [True] * len(admits_at)
    assert [circuit.admits(boot) for boot in refuses_at] == [False] * len(refuses_at)


def test_sec_49_its_pauses_grow_from_a_second_to_five_minutes_with_full_jitter() -> None:
    circuit, pauses = told(THREE, chance=0.999), []
    for n in range(12):
        boot = circuit.until
        circuit = circuit.begun(f"t{n}", boot)
        circuit = circuit.failed(f"t{n}", "503", boot=boot, asked=None, chance=0.999, logins=9)
        pauses.append(circuit.until - boot)

    assert pauses[:4] == pytest.approx([1.998, 3.996, 7.992, 15.984])
    assert pauses[-3:] == pytest.approx([299.7] * 3)
    assert told(THREE, chance=0.0).admits(0.0)


def test_it_says_why_and_how_often() -> None:
    circuit = told([*THREE, ("d", 0, "down")])

    assert (circuit.failures, circuit.reason, circuit.until) == (4, "503", 0.5)
