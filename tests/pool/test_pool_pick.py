"""The order in which one request tries its candidates."""

from __future__ import annotations

from collections import Counter

import pytest

from vaultd.catalog.manifest import Api, Model, Provider
from vaultd.pool import pick
from vaultd.pool.homes import Home, KeptHome
from vaultd.pool.pick import Strategy
from vaultd.pool.state import OK, Member, Outcome, State, Variant

VENDOR = Provider(id="v", api=Api(formats=["openai-chat"]))


def members(*ids: str, priority: int = 0, native: bool = True) -> list[Member]:
    return [Member(id_, VENDOR, Model(id="m"), priority, native) for id_ in ids]


def order(groups: tuple[pick.Tier, ...], strategy: Strategy, state: State, now: float = 0) -> str:
    return "".join(member.id for member in pick.turn(groups, strategy, "m", state, lambda: now))


def first(groups: tuple[pick.Tier, ...], state: State, now: float = 0, session: str = "") -> str:
    return next(pick.turn(groups, "round-robin", "m", state, lambda: now, session)).id


def weighted(**weights: int) -> list[Member]:
    return [Member(id_, VENDOR, Model(id="m"), weight=weight) for id_, weight in weights.items()]


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


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights",
    [
        [3, 1],
        [1, 1, 2],
        [5, 3, 2, 7, 1, 1],
        [1_000_000, 1],
        [1_000_000, 999_999, 1],
        [1000, *[1] * 100],
        [*[1] * 100, 1000],
        [number % 7 + 1 for number in range(500)],
    ],
    ids=str,
)
def test_over_any_1000_turns_each_has_his_share_to_within_a_hundredth(weights: list[int]) -> None:
    state = State()
    groups = pick.tiers(weighted(**{f"k{at:03}": weight for at, weight in enumerate(weights)}))
    turns = [first(groups, state) for _ in range(3000)]
    for start in (0, 137, 1000, 1999):
        found = Counter(turns[start : start + 1000])
        for at, weight in enumerate(weights):
            assert abs(found[f"k{at:03}"] - 1000 * weight / sum(weights)) <= 10


def test_turns_by_weight_are_exact_in_each_round_and_mixed() -> None:
    state, groups = State(), pick.tiers(weighted(a=3, b=1))
    turns = "".join(first(groups, state) for _ in range(400))
    assert {turns[at : at + 4].count("a") for at in range(0, 400, 4)} == {3}


def test_a_weight_below_one_counts_as_one_and_there_is_a_heaviest() -> None:
    state, groups = State(), pick.tiers(weighted(a=0, b=-5, c=2))
    assert Counter(first(groups, state) for _ in range(400)) == {"a": 100, "b": 100, "c": 200}
    state, groups = State(), pick.tiers(weighted(a=10**9, b=10**6))
    assert Counter(first(groups, state) for _ in range(400)) == {"a": 200, "b": 200}


def test_the_share_of_a_resting_one_is_spread_by_weight_and_it_comes_back_to_its_own() -> None:
    state, everyone = State(), weighted(a=4, b=3, c=1)
    groups = pick.tiers(everyone)
    assert Counter(first(groups, state) for _ in range(80)) == {"a": 40, "b": 30, "c": 10}
    rests(state, everyone[0], 100)
    assert Counter(first(groups, state, 1) for _ in range(400)) == {"b": 300, "c": 100}
    back = Counter(first(groups, state, 200) for _ in range(800))
    assert all(abs(back[name] - share) <= 2 for name, share in {"a": 400, "b": 300, "c": 100}.items())


def test_fill_first_knows_no_weight() -> None:
    state, groups = State(), pick.tiers(weighted(a=1, b=100))
    assert order(groups, "fill-first", state) == "ab"


# --- who is ready -----------------------------------------------------------------------------------------------------


def test_a_tier_that_missed_more_than_is_remembered_looks_at_everybody() -> None:
    state, everyone = State(), members("a", "b", "c")
    groups = pick.tiers(everyone)
    assert order(groups, "round-robin", state) == "abc"
    rests(state, everyone[1], 1e6)
    stranger = Member("z", VENDOR, Model(id="other"))
    for _ in range(5000):
        rests(state, stranger, 10)
        state.report(stranger, OK, 0, longest=1e9)
    assert order(groups, "fill-first", state) == "ac"


def test_what_ends_by_itself_is_heard_of() -> None:
    state, everyone = State(), members("a", "b")
    groups = pick.tiers(everyone)
    rests(state, everyone[0], 10)
    rests(state, everyone[1], 20)
    assert [order(groups, "fill-first", state, now) for now in (0, 10, 19, 20)] == ["", "a", "a", "ab"]


def test_a_second_state_is_asked_anew() -> None:
    groups, resting = pick.tiers(members("a", "b")), State()
    rests(resting, members("a")[0], 10)
    assert [order(groups, "fill-first", state) for state in (State(), resting, State())] == ["ab", "b", "ab"]


def test_one_that_begins_to_rest_while_others_are_tried_is_not_tried() -> None:
    state, everyone = State(), members("a", "b", "c")
    going = pick.turn(pick.tiers(everyone), "round-robin", "m", state, lambda: 0)
    assert next(going).id == "a"
    rests(state, everyone[1], 10)
    assert [member.id for member in going] == ["c"]


def test_one_at_its_cap_is_passed_over_until_a_request_ends() -> None:
    state = State()
    everyone = [Member(id_, VENDOR, Model(id="m"), parallel=2) for id_ in "ab"]
    groups = pick.tiers(everyone)
    for _ in range(2):
        state.begin(everyone[0])
    assert [order(groups, "round-robin", state) for _ in range(2)] == ["b", "b"]
    state.end(everyone[0])
    assert sorted(order(groups, "round-robin", state)) == ["a", "b"]


def test_a_cap_that_was_raised_while_requests_were_under_way_is_the_new_one() -> None:
    state = State()
    old, new = (Member("a", VENDOR, Model(id="m"), parallel=parallel) for parallel in (1, 2))
    state.begin(old)
    assert order(pick.tiers([old]), "round-robin", state) == ""
    groups = pick.tiers([new])
    assert order(groups, "round-robin", state) == "a"
    state.begin(new)
    assert order(groups, "round-robin", state) == ""
    state.end(old)
    assert order(groups, "round-robin", state) == "a"


def test_a_member_with_several_variants_is_ready_while_one_of_them_is() -> None:
    state = State()
    one, two = Variant(Model(id="m"), "p1"), Variant(Model(id="m"), "p2")
    member = Member("a", VENDOR, Model(id="m"), variants=(one, two))
    groups = pick.tiers([member])
    for variant, left in ((one, "a"), (two, "")):
        state.report(member, Outcome(429, retry_after=60), 0, longest=1e9, variant=variant)
        assert order(groups, "round-robin", state) == left


# --- where a session goes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("home", "resting", "goes", "lives"),
    [
        (None, "", "a", ("a", "")),
        (Home("b", 0, True), "", "b", ("b", "")),
        (Home("b", 0, True), "b", "a", ("b", "a")),
        (Home("b", 0, True, "c"), "b", "c", ("b", "c")),
        (Home("b", 0, True, "c"), "bc", "a", ("b", "a")),
        (Home("b", 0, True, "c"), "", "b", ("b", "c")),
        (Home("gone", 0, True), "", "a", ("a", "")),
        (Home("gone", 0, True, "b"), "", "a", ("a", "")),
        (Home("low", 0, True), "", "a", ("a", "")),
        (Home("low", 0, True), "abc", "low", ("low", "")),
        (Home("b", 0, True), "abc", "low", ("b", "low")),
        (Home("b", 0, True, "low"), "ab", "c", ("b", "c")),
    ],
    ids=[
        "first seen: its turn",
        "home is ready",
        "home rests: another for the time being",
        "and that one again",
        "that one rests too: a third",
        "home is ready again: back",
        "home is gone: a new one",
        "what was away is no home",
        "a better tier is ready: moves up",
        "home in a lower tier, nobody better ready: stays",
        "all of the better tier rest: away in the lower",
        "a better tier is ready before home is: not away in the lower",
    ],
)
def test_where_a_session_goes(home: Home | None, resting: str, goes: str, lives: tuple[str, str]) -> None:
    state, stay = State(), ("s", "m")
    everyone = [*members("a", "b", "c", priority=1), *members("low")]
    if home is not None:
        state.homes.restore([KeptHome(*stay, home.credential, home.away, 0)], 0)
    for member in everyone[:3]:
        if member.id in resting:
            rests(state, member, 60)
    assert first(pick.tiers(everyone), state, 1, "s") == goes
    found = state.homes.find(stay, 1)
    assert found is not None
    assert (found.credential, found.away) == lives


def test_a_home_at_its_cap_is_a_home_that_rests() -> None:
    state = State()
    everyone = [Member(id_, VENDOR, Model(id="m"), parallel=1) for id_ in "ab"]
    groups = pick.tiers(everyone)
    assert first(groups, state, session="s") == "a"
    state.begin(everyone[0])
    assert first(groups, state, session="s") == "b"
    state.end(everyone[0])
    assert first(groups, state, session="s") == "a"


def test_sessions_that_stay_take_nobodys_turn() -> None:
    state, groups = State(), pick.tiers(members("a", "b"))
    assert [first(groups, state, session=session) for session in "xyxxy"] == ["a", "b", "a", "a", "b"]
    assert first(groups, state, session="z") == "a"


def test_behind_home_come_the_others() -> None:
    state, groups = State(), pick.tiers(members("a", "b", "c"))
    assert first(groups, state) == "a"
    assert first(groups, state, session="s") == "b"
    found = pick.turn(groups, "round-robin", "m", state, lambda: 0, "s")
    assert [member.id for member in found] == ["b", "c", "a"]
