"""What a pool does for one request after another: projects, preview ids, caps, probes, homes; what outlives what."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from place import Place, asked, fail, keep, login, refused

from vaultd.house import House
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.wire.refusal import Refusal
from vaultd.work.plan import OK, Outcome, Plan, Pool, plan
from vaultd.work.session import Session

LIMITED = Outcome(429, retry_after=600)
NOT_YOURS = Outcome(404, own=True, why="not in this plan")
PRO = "gemini-2.5-pro"


def google(person: str, *projects: str) -> Credential:
    account = Account(person=person, email=f"{person}@example.com", facts={"projects": list(projects)})
    return replace(login(person, "gemini"), account=account)


def gemini(house: House, session: Session | None = None) -> Plan:
    return plan(house, "gemini", PRO, session)


def ways(going: Plan, outcome: Outcome) -> list[tuple[str, str, str]]:
    """Who was tried, in which project, under which id."""
    tried = []
    for candidate in going.candidates:
        tried.append((candidate.credential.id, candidate.project, candidate.model.upstream or candidate.model.id))
        going.report(candidate, outcome)
    return tried


# --- projects and preview ids -----------------------------------------------------------------------------------------

PREVIEW = f"{PRO}-preview-06-05"
A, B = "gemini-a", "gemini-b"


async def test_a_preview_id_that_is_excluded_is_not_gone_on_to(place: Place) -> None:
    house = await place.house()
    await keep(house, replace(google("a", "p1"), settings=Settings(excluded_models=("*-preview-*",))))
    assert ways(gemini(house), LIMITED) == [(A, "p1", PRO)]


@pytest.mark.parametrize(
    ("config", "of_a"),
    [
        ("", [("p1", PRO), ("p2", PRO), ("p1", PREVIEW), ("p2", PREVIEW)]),
        ("quota-exceeded: {switch-project: false}\n", [("p1", PRO), ("p1", PREVIEW)]),
        ("quota-exceeded: {switch-preview-model: false}\n", [("p1", PRO), ("p2", PRO)]),
        ("quota-exceeded: {switch-project: false, switch-preview-model: false}\n", [("p1", PRO)]),
    ],
)
async def test_a_429_goes_on_to_the_next_project_then_to_preview_ids_then_to_the_next_login(
    place: Place, config: str, of_a: list[tuple[str, str]]
) -> None:
    house = await place.house(config)
    await keep(house, google("a", "p1", "p2"))
    await keep(house, google("b"))
    of_b = [("", PRO)] if "model: false" in config else [("", PRO), ("", PREVIEW)]
    assert ways(gemini(house), LIMITED) == [*((A, *way) for way in of_a), *((B, *way) for way in of_b)]


@pytest.mark.parametrize("status", [0, 401, 402, 403, 408, 500, 503])
async def test_any_other_failure_goes_on_to_the_next_login(place: Place, status: int) -> None:
    house = await place.house()
    await keep(house, google("a", "p1", "p2"))
    await keep(house, google("b", "p3"))
    assert ways(gemini(house), Outcome(status)) == [(A, "p1", PRO), (B, "p3", PRO)]


async def test_a_fresh_request_begins_with_what_does_not_rest(place: Place) -> None:
    house = await place.house()
    await keep(house, google("a", "p1", "p2"))
    going = gemini(house)
    first, second = going.candidates, []
    for candidate in first:
        second.append(candidate.project)
        going.report(candidate, LIMITED if candidate.project == "p1" else OK)
    assert second == ["p1", "p2"]
    assert [candidate.project for candidate in gemini(house).candidates] == ["p2"]
    place.clock.at += 601
    assert [candidate.project for candidate in gemini(house).candidates] == ["p1"]


async def test_the_operators_projects_go_before_those_that_the_sign_in_found(place: Place) -> None:
    house = await place.house()
    await keep(house, replace(google("a", "found"), settings=Settings(projects=("mine", "other"))))
    assert [way[1] for way in ways(gemini(house), LIMITED)][:2] == ["mine", "other"]


async def test_so_many_credentials_are_tried_however_many_projects_they_have(place: Place) -> None:
    house = await place.house("max-retry-credentials: 2\n")
    for person in "abc":
        await keep(house, google(person, "p1", "p2"))
    tried = ways(gemini(house), LIMITED)
    assert {id_ for id_, *_ in tried} == {"gemini-a", "gemini-b"}
    assert len(tried) == 8


async def test_one_that_rests_in_all_its_ways_is_refused_with_the_time_of_the_first(place: Place) -> None:
    house = await place.house("cooldown: {probe-seconds: 10000}\n")
    await keep(house, google("a", "p1", "p2"))
    for _ in range(2):  # and once more as a probe
        ways(gemini(house), LIMITED)
    refusal = refused(house, PRO, "gemini")
    assert (refusal.status, refusal.kind, refusal.retry_after) == (429, "cooling", 600)


# --- what outlives what -----------------------------------------------------------------------------------------------


async def test_a_renewal_keeps_every_route_and_every_rest(place: Place) -> None:
    house = await place.house()
    first = await keep(house, login("a"))
    await keep(house, login("b"))
    going = plan(house, "openai-responses", "gpt-5")
    going.report(next(going.candidates), LIMITED)
    before = house.pool.route(house, "openai-responses", "gpt-5")
    tokens = Tokens(Secret("CANARY-newer"), Secret("CANARY-refresh-2"), issued_at=2.0, expires_at=4e9)
    await keep(house, replace(first, tokens=tokens))
    assert house.pool.route(house, "openai-responses", "gpt-5") is before
    (candidate,) = plan(house, "openai-responses", "gpt-5").candidates
    assert candidate.credential.id == "codex-b"
    place.clock.at += 600
    found = {one.credential.id: one.credential for one in plan(house, "openai-responses", "gpt-5").candidates}
    assert found["codex-a"].tokens == tokens


@pytest.mark.parametrize(
    "settings",
    [{"priority": 1}, {"disabled": True}, {"weight": 2}, {"parallel": 1}, {"excluded_models": ("gpt-5",)}],
    ids=str,
)
async def test_what_a_person_sets_changes_the_route(place: Place, settings: dict[str, object]) -> None:
    house = await place.house()
    held = await keep(house, login("a"))
    await keep(house, login("b"))
    before = house.pool.route(house, "openai-responses", "gpt-5")
    await keep(house, replace(held, settings=Settings(**settings)))  # type: ignore[arg-type]
    assert house.pool.route(house, "openai-responses", "gpt-5") is not before


async def test_a_new_sign_in_lifts_what_was_said_of_the_old_login_but_no_limit(place: Place) -> None:
    house = await place.house()
    held = await keep(house, login("a"))
    await keep(house, login("b"))
    for model, outcome in (("gpt-5", Outcome(403)), ("gpt-5-mini", NOT_YOURS), ("gpt-5-codex", LIMITED)):
        for candidate in (going := plan(house, "openai-responses", model)).candidates:
            if candidate.credential.id == "codex-a":
                going.report(candidate, outcome)
    await keep(house, replace(held, created_at=held.created_at + 9))
    serving = [set(asked(house, model)) for model in ("gpt-5", "gpt-5-mini", "gpt-5-codex")]
    assert serving == [{"codex-a", "codex-b"}, {"codex-a", "codex-b"}, {"codex-b"}]


async def test_rests_and_homes_are_there_after_a_restart(place: Place) -> None:
    house = await place.house()
    for person in "abc":
        await keep(house, login(person))
    session = Session("s")
    going = plan(house, "openai-responses", "gpt-5", session)
    first, second = (candidate for candidate, _ in zip(going.candidates, range(2), strict=False))
    going.report(first, LIMITED)
    going.report(second, OK)
    kept = house.pool.state.export(place.clock.boot())
    house.pool = Pool()
    house.pool.restore(kept, place.clock.boot())
    for _ in range(3):
        tried = [candidate.credential.id for candidate in plan(house, "openai-responses", "gpt-5", session).candidates]
        assert tried[0] == second.credential.id
        assert first.credential.id not in tried


async def test_of_a_credential_that_is_gone_nothing_is_taken_up(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    fail(plan(house, "openai-responses", "gpt-5"), LIMITED)
    kept = house.pool.state.export(place.clock.boot())
    async with house.owner.leased("codex-a") as lease:
        await lease.remove()
    house.pool = Pool()
    house.pool.restore(kept, place.clock.boot())
    assert refused(house, "gpt-5").kind == "no-credential"
    assert house.pool.state.marked() == []


# --- caps -------------------------------------------------------------------------------------------------------------


async def test_all_at_their_caps_is_a_429_that_names_them(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a", parallel=2))
    await keep(house, login("b", parallel=1))
    held = []
    for expected in ("codex-a", "codex-b", "codex-a"):
        going = plan(house, "openai-responses", "gpt-5")
        candidate = next(going.candidates)
        assert candidate.credential.id == expected
        held.append(going.hold(candidate))
        held[-1].__enter__()
    refusal = refused(house, "gpt-5")
    assert (refusal.status, refusal.kind, refusal.retry_after) == (429, "busy", 1)
    assert "codex-a (2 of 2), codex-b (1 of 1)" in refusal.message
    held[1].__exit__(None, None, None)
    assert asked(house, "gpt-5") == ["codex-b"]


async def test_those_that_rest_do_not_hide_that_the_others_are_busy_and_nobody_is_probed(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a", parallel=1))
    await keep(house, login("b"))
    going = plan(house, "openai-responses", "gpt-5")
    first, second = going.candidates
    going.report(second, LIMITED)
    with going.hold(first):
        refusal = refused(house, "gpt-5")
    assert (refusal.kind, refusal.retry_after) == ("busy", 1)
    assert "1 more are cooling" in refusal.message
    assert asked(house, "gpt-5") == ["codex-a"]


async def test_a_try_that_ends_badly_is_not_under_way_any_more(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a", parallel=1))
    going = plan(house, "openai-responses", "gpt-5")
    with pytest.raises(RuntimeError), going.hold(next(going.candidates)):
        raise RuntimeError
    assert house.pool.state.running("codex-a") == 0
    assert asked(house, "gpt-5") == ["codex-a"]


# --- a model that no account may use ----------------------------------------------------------------------------------


async def test_a_model_that_no_account_may_use_is_a_404_that_names_them(place: Place) -> None:
    house = await place.house()
    for person in "ab":
        await keep(house, login(person))
    assert fail(plan(house, "openai-responses", "gpt-5"), NOT_YOURS) == ["codex-a", "codex-b"]
    fail(plan(house, "openai-responses", "gpt-5"), NOT_YOURS)
    refusal = refused(house, "gpt-5")
    assert (refusal.status, refusal.kind) == (404, "no-such-model")
    assert "no account may use 'gpt-5'" in refusal.message
    assert "codex-a" in refusal.message and "codex-b" in refusal.message
    assert asked(house, "gpt-5-mini") != []


@pytest.mark.parametrize(("other", "status"), [(LIMITED, 429), (Outcome(403), 503)])
async def test_where_another_only_rests_it_is_his_rest_that_counts(place: Place, other: Outcome, status: int) -> None:
    house = await place.house()
    for person in "ab":
        await keep(house, login(person))
    going = plan(house, "openai-responses", "gpt-5")
    for candidate, outcome in zip(going.candidates, (NOT_YOURS, other), strict=False):
        going.report(candidate, outcome)
    fail(plan(house, "openai-responses", "gpt-5"), NOT_YOURS)
    refusal = refused(house, "gpt-5")
    assert (refusal.status, refusal.kind) == (status, "cooling")


# --- probes -----------------------------------------------------------------------------------------------------------


def tried(house: House, name: str, outcome: Outcome) -> list[str]:
    try:
        return fail(plan(house, "openai-responses", name), outcome)
    except Refusal:
        return []


async def test_a_wrong_hint_is_tried_each_minute_and_the_first_success_ends_it(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    weeks = Outcome(429, retry_after=18 * 86400)
    tried(house, "gpt-5", weeks)
    probed = []
    for _ in range(300):
        place.clock.at += 1
        if tried(house, "gpt-5", weeks):
            probed.append(place.clock.at)
    assert [later - earlier for earlier, later in itertools.pairwise(probed)] == [60] * 4
    place.clock.at = probed[-1] + 60
    going = plan(house, "openai-responses", "gpt-5")
    going.report(next(going.candidates), OK)
    assert [asked(house, "gpt-5") for _ in range(3)] == [["codex-a"]] * 3


async def test_names_that_lead_to_one_model_share_its_probe(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    tried(house, "gpt-5", LIMITED)
    names = ["gpt-5", "GPT-5", "gpt-5(high)", "codex://gpt-5", "gpt-5-high"]
    assert [tried(house, name, LIMITED) for name in names] == [["codex-a"], [], [], [], []]


async def test_a_busy_vendor_takes_no_probes_of_another_that_calls_its_model_alike(place: Place) -> None:
    entry = '  - {{name: {0}, base-url: "http://127.0.0.1:9/{0}", models: [{{name: m}}], api-key-entries: [{1}]}}\n'
    keys = ("{api-key: sk-CANARY-1}", "{api-key: sk-CANARY-2}")
    house = await place.house("openai-compatibility:\n" + entry.format("acme", keys[0]) + entry.format("beta", keys[1]))
    for name in ("acme://m", "beta://m"):
        assert tried(house, name, LIMITED)
    assert (len(tried(house, "beta://m", LIMITED)), len(tried(house, "acme://m", LIMITED))) == (1, 1)


async def test_a_refused_credential_is_probed_once_for_all_its_models(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    tried(house, "gpt-5", Outcome(401))
    names = ("gpt-5", "gpt-5-mini", "gpt-5-codex")
    assert [tried(house, name, Outcome(401)) for name in names] == [["codex-a"], [], []]
    place.clock.at += 20
    assert refused(house, "gpt-5-mini").retry_after == 40


async def test_probes_go_round_among_those_that_wait(place: Place) -> None:
    house = await place.house()
    for person in "abc":
        await keep(house, login(person))
    for candidate in (going := plan(house, "openai-responses", "gpt-5")).candidates:
        going.report(candidate, Outcome(429, retry_after=80_000))
        place.clock.at += 1
    probed = []
    for _ in range(4):
        probed += tried(house, "gpt-5", Outcome(429, retry_after=80_000))
        place.clock.at += 60
    assert probed == ["codex-a", "codex-b", "codex-c", "codex-a"]


async def test_whoever_comes_back_when_told_is_let_through(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    for _ in range(2):
        tried(house, "gpt-5", LIMITED)
        place.clock.at += 7.5
    wait = refused(house, "gpt-5").retry_after
    assert wait == 53, "the probe was 7.5 s ago"
    place.clock.at += wait
    assert tried(house, "gpt-5", LIMITED) == ["codex-a"]


async def test_a_hint_is_capped_by_the_config(place: Place) -> None:
    house = await place.house("cooldown: {max-seconds: 50, probe-seconds: 1000}\n")
    await keep(house, login("a"))
    for _ in range(2):
        tried(house, "gpt-5", LIMITED)
    assert refused(house, "gpt-5").retry_after == 50


async def test_a_refusal_is_worked_out_anew_when_anything_moves(place: Place) -> None:
    house = await place.house("cooldown: {probe-seconds: 100000}\n")
    for person in "ab":
        await keep(house, login(person))
    for _ in range(2):
        tried(house, "gpt-5", Outcome(429, retry_after=900))
    before = refused(house, "gpt-5")
    assert "codex-a" in before.message and "codex-b" in before.message
    (tier,) = house.pool.route(house, "openai-responses", "gpt-5").tiers
    house.pool.state.report(tier.members[1], Outcome(429, retry_after=5), place.clock.boot(), longest=1e9)
    assert refused(house, "gpt-5").retry_after == 5
    async with house.owner.leased("codex-a") as lease:
        await lease.remove()
    assert "codex-a" not in refused(house, "gpt-5").message


# --- sessions ---------------------------------------------------------------------------------------------------------


def served(house: House, session: Session | None, *failing: str) -> str:
    """Who answers; those named fail."""
    going = plan(house, "openai-responses", "gpt-5", session)
    for candidate in going.candidates:
        if candidate.credential.id not in failing:
            going.report(candidate, OK)
            return candidate.credential.id
        going.report(candidate, LIMITED)
    return ""


async def test_a_session_lives_where_it_was_first_served(place: Place) -> None:
    house = await place.house()
    for person in "abc":
        await keep(house, login(person))
    assert served(house, Session("s"), "codex-a") == "codex-b"
    place.clock.at += 601
    assert [served(house, Session("s")) for _ in range(3)] == ["codex-b"] * 3


async def test_it_fails_over_to_one_other_and_back(place: Place) -> None:
    house = await place.house()
    for person in "abc":
        await keep(house, login(person))
    assert served(house, Session("s")) == "codex-a"
    assert served(house, Session("s"), "codex-a") == "codex-b"
    assert [served(house, None) for _ in range(2)] == ["codex-b", "codex-c"], "others go on taking turns"
    assert [served(house, Session("s")) for _ in range(3)] == ["codex-b"] * 3
    place.clock.at += 601
    assert [served(house, Session("s")) for _ in range(3)] == ["codex-a"] * 3


async def test_a_dead_home_is_none_any_more(place: Place) -> None:
    house = await place.house()
    held = {person: await keep(house, login(person)) for person in "abc"}
    home = served(house, Session("s"))
    await keep(house, replace(held[home[-1]], settings=Settings(disabled=True)))
    new = served(house, Session("s"))
    assert new != home
    assert [served(house, Session("s")) for _ in range(3)] == [new] * 3


async def test_priority_is_not_outranked_by_a_home(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    await keep(house, login("b", priority=1))
    assert served(house, Session("s"), "codex-b") == "codex-a"
    assert served(house, Session("s")) == "codex-a"
    place.clock.at += 601
    assert [served(house, Session("s")) for _ in range(2)] == ["codex-b"] * 2


async def test_a_conversation_goes_on_where_its_first_question_was_answered(place: Place) -> None:
    house = await place.house()
    for person in "ab":
        await keep(house, login(person))
    first = Session("one", begins=True), Session("two", begins=True)
    begun = [served(house, session) for session in first]
    assert sorted(begun) == ["codex-a", "codex-b"]
    assert house.pool.state.export(place.clock.boot()).homes == [], "most go no further"
    for _ in range(2):
        assert [served(house, Session(session.key)) for session in reversed(first)] == begun[::-1]


async def test_affinity_can_be_switched_off(place: Place) -> None:
    house = await place.house("routing: {session-affinity: false}\n")
    for person in "ab":
        await keep(house, login(person))
    assert [served(house, Session("s")) for _ in range(4)] == ["codex-a", "codex-b"] * 2
