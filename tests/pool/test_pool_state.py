"""What a vendor's answer does to a credential: nothing, a rest, or the end of one."""

from __future__ import annotations

import msgspec
import pytest

from vaultd.catalog.manifest import Api, Model, Provider
from vaultd.pool.state import NETWORK, OK, Kept, Member, Outcome, State, Variant, rest

DAY = 86400.0
CODEX = Provider(id="codex", api=Api(formats=["openai-responses"]))


def member(name: str = "codex-a", model: str = "gpt-5") -> Member:
    return Member(name, CODEX, Model(id=model))


def report(state: State, who: Member, outcome: Outcome, now: float, generation: int = 1) -> None:
    state.report(who, outcome, now, longest=DAY, generation=generation)


@pytest.mark.parametrize(
    ("outcome", "level", "seconds"),
    [
        (Outcome(429), 0, 1),
        (Outcome(429), 5, 32),
        (Outcome(429), 40, 1800),
        (Outcome(429, retry_after=77), 9, 77),
        (Outcome(503, retry_after=5), 0, 5),
        (Outcome(500), 0, 1),
        (Outcome(502), 20, 60),
        (NETWORK, 3, 8),
        (Outcome(401), 0, 1800),
        (Outcome(402), 3, 1800),
        (Outcome(403), 0, 1800),
        (Outcome(429, retry_after=-3), 0, 0),
        (Outcome(404, own=True), 2, 1800),
    ],
)
def test_how_long_a_credential_is_left_alone(outcome: Outcome, level: int, seconds: float) -> None:
    assert rest(outcome, level) == seconds


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_a_clients_own_error_sets_nobody_aside(status: int) -> None:
    state = State()
    report(state, member(), Outcome(status), 100)
    assert state.resting(member(), 100) is None


def test_a_rate_limit_is_for_one_model_and_ends_by_itself() -> None:
    state = State()
    report(state, member(), Outcome(429, retry_after=30), 100)
    assert state.resting(member(model="gpt-5-mini"), 101) is None
    resting = state.resting(member(), 129.9)
    assert resting is not None
    assert (resting.since, resting.until, resting.status) == (100, 130, 429)
    assert state.resting(member(), 130) is None


def test_a_refused_credential_rests_for_every_model_until_it_is_renewed() -> None:
    state = State()
    report(state, member(), Outcome(401), 100, generation=4)
    assert state.resting(member(model="gpt-5-mini"), 101) is not None
    state.settle("codex-a", 4, 0)
    assert state.resting(member(), 101) is not None
    state.settle("codex-a", 5, 0)
    assert state.resting(member(), 101) is None


@pytest.mark.parametrize(
    ("outcome", "after_renewal", "after_sign_in"),
    [
        (Outcome(401), False, False),
        (Outcome(402), True, False),
        (Outcome(403), True, False),
        (Outcome(404, own=True), True, False),
        (Outcome(429, retry_after=30), True, True),
        (Outcome(503), True, True),
    ],
)
def test_what_a_renewal_lifts_and_what_a_new_sign_in(
    outcome: Outcome, after_renewal: bool, after_sign_in: bool
) -> None:
    for generation, created_at, rests in ((2, 0, after_renewal), (1, 5, after_sign_in)):
        state = State()
        report(state, member(), outcome, 100)
        state.settle("codex-a", generation, created_at)
        assert (state.resting(member(), 100.5) is not None) is rests


def test_a_credential_that_is_gone_is_forgotten() -> None:
    state = State()
    report(state, member(), Outcome(429, retry_after=30), 100)
    state.forget("codex-a")
    assert list(state.cooldowns(101)) == []


def test_rests_grow_while_nothing_succeeds_and_start_anew_after_a_success() -> None:
    state, now = State(), 0.0
    lengths = []
    for _ in range(4):
        report(state, member(), Outcome(500), now)
        resting = state.resting(member(), now)
        assert resting is not None
        lengths.append(resting.until - now)
        now = resting.until
    report(state, member(), OK, now)
    report(state, member(), Outcome(500), now)
    last = state.resting(member(), now)
    assert last is not None
    assert [*lengths, last.until - now] == [1, 2, 4, 8, 1]


def test_a_burst_that_fails_together_is_one_failure() -> None:
    state = State()
    for _ in range(100):
        report(state, member(), Outcome(500), 100)
    resting = state.resting(member(), 100)
    assert resting is not None
    assert resting.until == 101


def test_a_hint_is_capped() -> None:
    state = State()
    report(state, member(), Outcome(429, retry_after=18 * DAY), 0)
    resting = state.resting(member(), 0)
    assert resting is not None
    assert resting.until == DAY


def test_a_newer_hint_counts_more_than_an_older_one() -> None:
    state = State()
    report(state, member(), Outcome(429, retry_after=18 * DAY), 0)
    report(state, member(), Outcome(429, retry_after=20), 60)
    assert state.resting(member(), 81) is None


def test_a_probe_is_let_through_once_in_its_time() -> None:
    state, let_through = State(), []
    for now in (0, 1, 59, 60, 61, 120):
        let_through.append(state.may_probe(("", "gpt-5"), now, 60))
        if let_through[-1]:
            state.probe(("", "gpt-5"), now)
    assert let_through == [True, False, False, True, False, True]
    assert state.may_probe(("", "gpt-5-mini"), 61, 60)


def test_names_that_clients_invent_do_not_fill_the_memory() -> None:
    state = State()
    for number in range(300):
        report(state, member(model=f"claude-{number}"), Outcome(429, retry_after=DAY), number)
    assert len(list(state.cooldowns(0))) == 256
    assert state.resting(member(model="claude-0"), 300) is None
    assert state.resting(member(model="claude-299"), 300) is not None


def test_a_model_that_an_account_may_not_use_leaves_it_out_for_half_an_hour_and_says_why() -> None:
    state = State()
    report(state, member(), Outcome(404, own=True, why="not in your plan"), 100)
    resting = state.resting(member(), 101)
    assert resting is not None
    assert (resting.until, resting.own, resting.why) == (1900, True, "not in your plan")
    assert state.resting(member(model="gpt-5-mini"), 101) is None


def test_each_project_and_each_preview_id_rests_on_its_own() -> None:
    pro, preview = Model(id="pro"), Model(id="pro", upstream="pro-preview")
    ways = tuple(Variant(model, project) for model in (pro, preview) for project in ("p1", "p2"))
    login, state = Member("gemini-a", CODEX, pro, variants=ways), State()
    assert [way.slot for way in ways] == ["pro in p1", "pro in p2", "pro-preview in p1", "pro-preview in p2"]
    for at, way in enumerate(ways):
        assert state.resting(login, 0) is None
        assert [state.rests(login, one, 0) is not None for one in ways] == [place < at for place in range(4)]
        state.report(login, Outcome(429, retry_after=90 - at), 0, longest=DAY, variant=way)
    resting = state.resting(login, 0)
    assert resting is not None
    assert resting.until == 87, "it is ready when the first of them is"
    state.report(login, OK, 1, longest=DAY, variant=ways[2])
    assert [state.rests(login, one, 1) is None for one in ways] == [False, False, True, False]


def test_two_aliases_of_one_model_have_one_quota() -> None:
    state = State()
    low, high = (Member("codex-a", CODEX, Model(id=f"gpt-5-{effort}", upstream="gpt-5")) for effort in ("low", "high"))
    report(state, low, Outcome(429, retry_after=30), 0)
    assert state.resting(high, 1) is not None
    assert state.resting(member(), 1) is not None


def test_a_success_lifts_what_was_said_of_the_whole_credential_as_well() -> None:
    state = State()
    report(state, member(), Outcome(401), 0)
    report(state, member(model="gpt-5-mini"), OK, 1)
    assert state.resting(member(), 1) is None


def test_an_answer_that_was_asked_for_before_a_refusal_lifts_nothing() -> None:
    state = State()
    report(state, member(), Outcome(429, retry_after=3600), 10)
    state.report(member(), OK, 20, longest=DAY, asked_at=9)
    assert state.resting(member(), 20) is not None
    state.report(member(), OK, 30, longest=DAY, asked_at=10)
    assert state.resting(member(), 30) is None


def test_requests_under_way_are_counted() -> None:
    state, capped = State(), Member("codex-a", CODEX, Model(id="gpt-5"), parallel=2)
    state.begin(capped)
    assert not state.busy(capped)
    state.begin(capped)
    assert (state.busy(capped), state.ready(capped, 0), state.running("codex-a")) == (True, False, 2)
    state.end(capped)
    state.end(capped)
    assert (state.busy(capped), state.running("codex-a")) == (False, 0)


def test_what_is_kept_comes_back_as_it_was_on_another_clock() -> None:
    state = State()
    report(state, member(), Outcome(429, retry_after=90, why="5 hour limit"), 1000, generation=3)
    report(state, member("codex-b"), Outcome(404, own=True), 1000)
    report(state, member("codex-c"), Outcome(500), 1000)
    kept = msgspec.json.decode(msgspec.json.encode(state.export(1010)), type=Kept)
    later = State()
    later.restore(kept, 5)
    found = {id_: (mark.since, mark.until, mark.status, mark.why) for (id_, _), mark in later.cooldowns(5)}
    assert found == {"codex-a": (-5, 85, 429, "5 hour limit"), "codex-b": (-5, 1795, 404, "")}
    assert later.resting(member(), 84) is not None
    assert later.resting(member(), 85) is None


def test_what_this_run_has_learnt_counts_more_than_what_was_kept() -> None:
    state, later = State(), State()
    report(state, member(), Outcome(429, retry_after=9000), 0)
    report(later, member(), Outcome(429, retry_after=10), 0)
    later.restore(state.export(0), 0)
    assert later.resting(member(), 11) is None


def test_the_version_says_when_there_is_something_new_to_keep() -> None:
    state = State()
    seen = [state.version]

    def noted(_: object = None) -> bool:
        seen.append(state.version)
        return seen[-1] != seen[-2]

    assert not noted(report(state, member(), OK, 0))
    assert not noted(report(state, member(), Outcome(400), 0))
    assert noted(report(state, member(), Outcome(429), 0))
    assert noted(report(state, member(), OK, 0))
    assert not noted(state.begin(member()))
    assert noted(state.homes.served(("s", "gpt-5"), "codex-a", 0))
    assert not noted(state.homes.served(("s", "gpt-5"), "codex-a", 9))


def test_a_vendor_asked_again_and_again_leaves_no_heap_of_ends() -> None:
    state = State()
    for number in range(10_000):
        report(state, member(), Outcome(429, retry_after=DAY), number)
    assert len(state._ends) < 2000
    state.advance(2 * DAY)
    assert state.resting(member(), 2 * DAY) is None
