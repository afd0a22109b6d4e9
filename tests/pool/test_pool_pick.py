"""The order in which one request tries its candidates."""

from __future__ import annotations

from collections import Counter

from vaultd.catalog.manifest import Api, Model, Provider
from vaultd.pool import pick
from vaultd.pool.pick import Strategy
from vaultd.pool.state import Member, Outcome, State

VENDOR = Provider(id="v", api=Api(formats=["openai-chat"]))


def members(*ids: str, priority: int = 0, native: bool = True) -> list[Member]:
    return [Member(id_, VENDOR, Model(id="m"), priority, native) for id_ in ids]


def order(groups: tuple[pick.Tier, ...], strategy: Strategy, state: State, now: float = 0) -> str:
    return "".join(member.id for member in pick.turn(groups, strategy, "m", state, lambda: now))


def first(groups: tuple[pick.Tier, ...], state: State, now: float = 0, session: str = "") -> str:
    return next(pick.turn(groups, "round-robin", "m", state, lambda: now, session)).id


def rests(state: State, member: Member, seconds: float, now: float = 0) -> None:
    state.report(member, Outcome(429, retry_after=seconds), now, longest=1e9)


def test_priority_goes_before_format_and_format_before_the_turn() -> None:
    everyone = [*members("d", "c"), *members("b", native=False), *members("a", priority=-1), *members("e", priority=5)]
    assert ["".join(member.id for member in tier.members) for tier in pick.tiers(everyone)] == ["e", "cd", "b", "a"]


def test_round_robin_gives_each_its_turn() -> None:
    state, groups = State(), pick.tiers(members("a", "b", "c"))
    assert [order(groups, "round-robin", state) for _ in range(4)] == ["abc", "bca", "cab", "abc"]


def test_fill_first_stays_with_the_first() -> None:
    state, groups = State(), pick.tiers(members("a", "b", "c"))
    assert [order(groups, "fill-first", state) for _ in range(3)] == ["abc", "abc", "abc"]


def test_fill_first_moves_on_while_the_first_rests() -> None:
    state, everyone = State(), members("a", "b", "c")
    rests(state, everyone[0], 10)
    groups = pick.tiers(everyone)
    assert [order(groups, "fill-first", state, now) for now in (0, 9.9, 10)] == ["bc", "bc", "abc"]


def test_the_share_of_a_resting_member_is_spread_over_all_others() -> None:
    state, everyone = State(), members("a", "b", "c", "d")
    rests(state, everyone[1], 1e6)
    groups = pick.tiers(everyone)
    firsts = Counter(order(groups, "round-robin", state)[0] for _ in range(300))
    assert firsts == {"a": 100, "c": 100, "d": 100}


def test_a_lower_tier_is_tried_after_the_higher_one_and_takes_its_own_turns() -> None:
    state = State()
    high, low = members("a", priority=1), members("b", "c")
    groups = pick.tiers([*high, *low])
    assert [order(groups, "round-robin", state) for _ in range(2)] == ["abc", "acb"]
    rests(state, high[0], 1e6)
    assert [order(groups, "round-robin", state) for _ in range(3)] == ["bc", "cb", "bc"]


def test_only_what_is_asked_for_is_worked_out() -> None:
    state, groups = State(), pick.tiers(members(*(f"k{number:05}" for number in range(10_000))))
    assert [first(groups, state) for _ in range(2)] == ["k00000", "k00001"]


def test_the_longest_waiting_is_the_one_to_probe() -> None:
    state, everyone = State(), members("a", "b", "c")
    groups = pick.tiers(everyone)

    def waiting(now: float, *, but: str = "") -> str:
        found = pick.longest_waiting(groups, state, now, lambda member, _variant, _mark: member.id not in but)
        return found[0].id if found else ""

    assert not waiting(0)
    for now, member in ((3, everyone[0]), (1, everyone[1]), (2, everyone[2])):
        rests(state, member, 1000, now)
    assert (waiting(4), waiting(4, but="b"), waiting(4, but="bc")) == ("b", "c", "a")
    rests(state, everyone[1], 1000, 5)
    assert waiting(6) == "c"
