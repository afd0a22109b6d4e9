"""One request's way through the pool: who is asked, in which order, and why nobody can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from place import TWO_KEYS, Place, asked, fail, keep, login, refused

from vaultd.secret import Secret
from vaultd.vault.credential import Credential, DeadLogin
from vaultd.work.plan import NETWORK, OK, Outcome, plan

# --- who serves a name --------------------------------------------------------------------------------------------


async def test_logins_take_turns(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    await keep(house, login("b"))
    assert [asked(house, "gpt-5") for _ in range(3)] == [
        ["codex-a", "codex-b"],
        ["codex-b", "codex-a"],
        ["codex-a", "codex-b"],
    ]


async def test_a_key_in_the_config_is_a_credential_and_its_alias_is_what_clients_ask_for(place: Place) -> None:
    house = await place.house(TWO_KEYS)
    first, second = plan(house, "openai-chat", "Large").candidates
    assert first.credential.source == second.credential.source == "config"
    assert (first.model.id, first.model.upstream) == ("large", "acme-large-2")
    assert first.credential.id.startswith("acme-")
    assert "CANARY" not in first.credential.id
    assert refused(house, "acme-large-2", "openai-chat").kind == "no-such-model"


async def test_priority_goes_first(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    await keep(house, login("b", priority=3))
    assert [asked(house, "gpt-5") for _ in range(2)] == [["codex-b", "codex-a"]] * 2


async def test_fill_first_by_config(place: Place) -> None:
    house = await place.house("routing: {strategy: fill-first}\n")
    await keep(house, login("a"))
    await keep(house, login("b"))
    assert [asked(house, "gpt-5") for _ in range(3)] == [["codex-a", "codex-b"]] * 3


async def test_disabled_dead_and_excluding_credentials_are_left_out(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a", disabled=True))
    await keep(house, replace(login("b"), dead=DeadLogin("invalid_grant", 1.0)))
    await keep(house, login("c", excluded_models=("gpt-5*",)))
    await keep(house, login("d"))
    assert asked(house, "gpt-5") == ["codex-d"]
    assert sorted(asked(house, "codex-mini-latest")) == ["codex-c", "codex-d"]


async def test_who_excludes_a_model_excludes_it_under_its_other_names(place: Place) -> None:
    """`gpt-5-high` is `gpt-5` to the vendor that refused it."""
    house = await place.house()
    await keep(house, login("c", excluded_models=("gpt-5",)))
    await keep(house, login("d"))
    for name in ("gpt-5", "gpt-5-high", "gpt-5(high)", "codex://gpt-5-high", "codex://gpt-5"):
        assert asked(house, name) == ["codex-d"]
    assert sorted(asked(house, "gpt-5-codex-high")) == ["codex-c", "codex-d"]
    assert sorted(asked(house, "codex://brand-new")) == ["codex-c", "codex-d"]


async def test_no_suffix_leads_round_an_exclusion(place: Place) -> None:
    house = await place.house()
    await keep(house, login("c", excluded_models=("gpt-5", "brand-new")))
    for name in ("gpt-5(high)", "codex://gpt-5(high)", "gpt-5-low(high)", "GPT-5(128)", "codex://brand-new(high)"):
        assert "no credential serves" in refused(house, name).message
    assert asked(house, "gpt-5-codex(high)") == ["codex-c"]


async def test_a_model_that_all_exclude_says_who_does(place: Place) -> None:
    """Another sign-in would help nobody."""
    house = await place.house()
    await keep(house, login("c", excluded_models=("gpt-5",)))
    for name in ("gpt-5", "gpt-5-high", "codex://gpt-5"):
        refusal = refused(house, name)
        assert (refusal.status, refusal.kind) == (503, "no-credential")
        assert "is excluded: codex-c would, and may not (vaultd credentials show codex-c)" in refusal.message
    assert "vaultd login" in refused(house, "kimi-k2").message


async def test_an_explicit_provider_serves_models_nobody_listed(place: Place) -> None:
    house = await place.house(TWO_KEYS)
    (first, _second) = plan(house, "openai-chat", "ACME://brand-new").candidates
    assert (first.provider.id, first.model.id) == ("acme", "brand-new")
    assert "no such provider: 'acmee'; nearest: acme" in refused(house, "acmee://x", "openai-chat").message


async def test_a_model_newer_than_the_manifest_goes_where_a_pattern_matches(place: Place) -> None:
    house = await place.house("claude-api-key: [{api-key: sk-CANARY-c}]\n")
    (only,) = plan(house, "anthropic-messages", "claude-next-9").candidates
    assert (only.provider.id, only.model.id) == ("claude-api-key", "claude-next-9")


async def test_a_listed_model_does_not_go_to_a_stranger_whose_pattern_takes_everything(place: Place) -> None:
    greedy = "providers: {any: {name: Any, keys: true, endpoints: {api: 'https://any.example/v1'}, "
    greedy += "api: {formats: [openai-responses]}, models: [{id: '*'}]}}\n"
    house = await place.house(greedy)
    key = Credential(id="any-1", provider="any", kind="key", key=Secret("sk-CANARY-any"))
    await keep(house, key)
    await keep(house, replace(login("a"), dead=DeadLogin("invalid_grant", 1.0)))
    assert refused(house, "gpt-5").kind == "sign-in-required"
    assert asked(house, "something-else") == ["any-1"]


async def test_a_model_listed_only_in_another_format_goes_where_a_pattern_speaks_the_clients(place: Place) -> None:
    listed = "openai-compatibility: [{name: acme, base-url: 'http://127.0.0.1:9/v1', models: [{name: gpt-5.9}]}]\n"
    house = await place.house(listed + "codex-api-key: [{api-key: sk-CANARY-x, base-url: 'http://127.0.0.1:9/v1'}]\n")
    (chat,) = plan(house, "openai-chat", "gpt-5.9").candidates
    own, translated = plan(house, "openai-responses", "gpt-5.9").candidates
    assert (chat.provider.id, own.provider.id) == ("acme", "codex-api-key")
    assert (translated.provider.id, translated.format) == ("acme", "openai-chat")


async def test_force_gpt_5_codex_sends_gpt_5_elsewhere(place: Place) -> None:
    house = await place.house("force-gpt-5-codex: true\n")
    await keep(house, login("a"))
    (only,) = plan(house, "openai-responses", "gpt-5").candidates
    assert only.model.upstream == "gpt-5-codex"


async def test_the_list_holds_what_usable_credentials_serve_sorted_and_once(place: Place) -> None:
    house = await place.house(TWO_KEYS)
    await keep(house, login("a", disabled=True))
    assert [(name, providers) for name, (_, providers) in house.pool.models(house).items()] == [
        ("acme-small", ["acme"]),
        ("large", ["acme"]),
    ]


async def test_a_reload_takes_effect_at_the_next_request(place: Place) -> None:
    house = await place.house(TWO_KEYS)
    assert len(asked(house, "large", "openai-chat")) == 2
    await place.house(TWO_KEYS.replace(", {api-key: sk-CANARY-2}", ""))
    assert len(asked(house, "large", "openai-chat")) == 1


# --- why nobody can -----------------------------------------------------------------------------------------------


async def test_an_unknown_name_is_told_its_nearest(place: Place) -> None:
    house = await place.house(TWO_KEYS)
    refusal = refused(house, "larg", "openai-chat")
    assert (refusal.status, refusal.kind, refusal.message) == (
        404,
        "no-such-model",
        "no such model: 'larg'; nearest: large",
    )


async def test_a_known_model_without_a_credential_names_the_way_in(place: Place) -> None:
    refusal = refused(await place.house(), "gpt-5")
    assert (refusal.status, refusal.kind) == (503, "no-credential")
    assert "`vaultd login --codex`" in refusal.message


async def test_dead_logins_are_named_with_reason_and_command(place: Place) -> None:
    house = await place.house()
    await keep(house, replace(login("a"), dead=DeadLogin("refresh_token_reused", 1_767_323_045.0)))
    refusal = refused(house, "gpt-5")
    assert (refusal.status, refusal.kind) == (503, "sign-in-required")
    assert "codex-a: sign-in required: refresh_token_reused, since 2026-01-02T03:04:05Z" in refusal.message
    assert "vaultd login --codex" in refusal.message


async def test_a_format_nobody_speaks_goes_to_the_vendor_in_its_own(place: Place) -> None:
    house = await place.house(TWO_KEYS)
    first = next(plan(house, "anthropic-messages", "large").candidates)
    assert (first.provider.id, first.format) == ("acme", "openai-chat")


async def test_a_vendor_of_the_clients_own_format_comes_first(place: Place) -> None:
    both = "claude-api-key: [{api-key: sk-CANARY-c, base-url: 'http://127.0.0.1:9', models: [{name: m, alias: m}]}]\n"
    both += "openai-compatibility: [{name: acme, base-url: 'http://127.0.0.1:9/v1', "
    both += "api-key-entries: [{api-key: sk-CANARY-1}], models: [{name: m}]}]\n"
    house = await place.house(both)
    for fmt, order in (("anthropic-messages", ["claude-api-key", "acme"]), ("openai-chat", ["acme", "claude-api-key"])):
        assert [found.provider.id for found in plan(house, fmt, "m").candidates] == order


@pytest.mark.parametrize(
    ("name", "model", "asked"),
    [
        ("gpt-5(high)", "gpt-5", "high"),
        ("gpt-5(16384)", "gpt-5", 16384),
        ("codex://gpt-5(none)", "gpt-5", "none"),
        ("gpt-5-high", "gpt-5", "high"),
        ("gpt-5", "gpt-5", None),
    ],
)
async def test_a_suffix_of_the_name_asks_for_reasoning(place: Place, name: str, model: str, asked: object) -> None:
    house = await place.house()
    await keep(house, login("a"))
    (only,) = plan(house, "openai-responses", name).candidates
    wanted = only.asked
    assert (only.model.upstream or only.model.id) == model
    assert (wanted and (wanted.level or wanted.budget)) == asked


async def test_a_suffix_nobody_knows_is_part_of_the_name(place: Place) -> None:
    refusal = refused(await place.house(TWO_KEYS), "large(ish)", "openai-chat")
    assert (refusal.status, refusal.kind) == (404, "no-such-model")


@pytest.mark.parametrize("name", ["", "x" * 300])
async def test_no_name_and_an_endless_one_are_the_clients_fault(place: Place, name: str) -> None:
    assert refused(await place.house(), name).status == 400


async def test_thr_29_a_name_cannot_forge_a_log_line(place: Place) -> None:
    refusal = refused(await place.house(), "a\n2026 fine \x1b[2J")
    assert "\n" not in refusal.message
    assert "\x1b" not in refusal.message


# --- what answers do ----------------------------------------------------------------------------------------------


async def test_a_rate_limited_credential_is_passed_over_until_it_may_serve_again(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    await keep(house, login("b"))
    going = plan(house, "openai-responses", "gpt-5")
    first, second = going.candidates
    going.report(first, Outcome(429, retry_after=30))
    going.report(second, OK)
    assert [asked(house, "gpt-5") for _ in range(2)] == [["codex-b"]] * 2
    place.clock.at += 30
    assert sorted(asked(house, "gpt-5")) == ["codex-a", "codex-b"]


async def test_all_cooling_says_who_why_and_until_when_and_probes_once_a_minute(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    eighteen_days = Outcome(429, retry_after=18 * 86400)
    assert fail(plan(house, "openai-responses", "gpt-5"), eighteen_days) == ["codex-a"]
    assert fail(plan(house, "openai-responses", "gpt-5"), eighteen_days) == ["codex-a"]
    refusal = refused(house, "gpt-5")
    assert (refusal.status, refusal.kind, refusal.retry_after) == (429, "cooling", 60)
    assert "codex-a: cooling for gpt-5 until 2026-01-03T03:04:05Z: rate limited (429)" in refusal.message
    place.clock.at += 60
    going = plan(house, "openai-responses", "gpt-5")
    (probe,) = going.candidates
    going.report(probe, OK)
    assert asked(house, "gpt-5") == ["codex-a"]


async def test_cooling_for_another_reason_than_limits_is_503(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    fail(plan(house, "openai-responses", "gpt-5"), Outcome(403))
    fail(plan(house, "openai-responses", "gpt-5"), Outcome(403))
    refusal = refused(house, "gpt-5")
    assert (refusal.status, refusal.kind) == (503, "cooling")


async def test_without_cooling_each_request_meets_the_vendor(place: Place) -> None:
    house = await place.house("disable-cooling: true\n")
    await keep(house, login("a"))
    for _ in range(3):
        assert fail(plan(house, "openai-responses", "gpt-5"), Outcome(429, retry_after=999)) == ["codex-a"]


async def test_switching_cooling_off_lifts_what_is_set_aside(place: Place) -> None:
    house = await place.house()
    await keep(house, login("a"))
    fail(plan(house, "openai-responses", "gpt-5"), Outcome(429, retry_after=999))
    await place.house("disable-cooling: true\n")
    assert [asked(house, "gpt-5") for _ in range(2)] == [["codex-a"]] * 2


async def test_a_401_of_a_token_that_was_renewed_meanwhile_sets_nobody_aside(place: Place) -> None:
    house = await place.house()
    old = await keep(house, login("a"))
    going = plan(house, "openai-responses", "gpt-5")
    (candidate,) = going.candidates
    await keep(house, old)
    going.report(candidate, Outcome(401))
    assert asked(house, "gpt-5") == ["codex-a"]


async def test_rounds_go_on_as_request_retry_grants(place: Place) -> None:
    house = await place.house("request-retry: 2\n")
    await keep(house, login("a"))
    await keep(house, login("b"))
    going = plan(house, "openai-responses", "gpt-5")
    rounds = [fail(going, Outcome(503))]
    while going.again():
        rounds.append(fail(going, NETWORK))
    assert rounds == [["codex-a", "codex-b"]] * 3


@pytest.mark.parametrize("status", [400, 401, 402, 404, 429])
async def test_no_further_round_after_what_another_try_cannot_mend(place: Place, status: int) -> None:
    house = await place.house("request-retry: 2\n")
    await keep(house, login("a"))
    going = plan(house, "openai-responses", "gpt-5")
    assert fail(going, Outcome(status)) == ["codex-a"]
    assert not going.again()


async def test_a_round_tries_at_most_so_many_and_the_next_one_goes_on_behind_them(place: Place) -> None:
    house = await place.house("max-retry-credentials: 2\nrequest-retry: 1\n")
    for person in "abc":
        await keep(house, login(person))
    going = plan(house, "openai-responses", "gpt-5")
    assert fail(going, Outcome(503)) == ["codex-a", "codex-b"]
    assert going.again()
    assert fail(going, Outcome(503)) == ["codex-c", "codex-a"]
    assert not going.again()
