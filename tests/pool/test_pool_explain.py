"""The words for how a credential stands: which, why, until when, what to do."""

from __future__ import annotations

from collections.abc import Container

import pytest

from vaultd.catalog.manifest import Api, Model, Provider
from vaultd.pool import explain
from vaultd.pool.state import Member, Outcome, State, Variant
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, DeadLogin, Settings

CODEX = Provider(id="codex", api=Api(formats=["openai-responses"]))
#: The boot clock and the wall clock of these tests.
NOW, WALL = 1_000.0, 1_767_323_045.0


def said(*credentials: Credential, state: State | None = None, unrenewed: dict[str, str] | None = None) -> list[str]:
    return [row.sentence for row in seen(*credentials, state=state, unrenewed=unrenewed)]


def seen(
    *credentials: Credential,
    state: State | None = None,
    unrenewed: dict[str, str] | None = None,
    unsettled: Container[str] = (),
) -> list[explain.Standing]:
    resting = list((state or State()).cooldowns(NOW))
    rows = explain.standings(
        credentials, {"codex"}, resting, offset=WALL - NOW, unrenewed=unrenewed or {}, unsettled=unsettled
    )
    counted = explain.usable(credentials, {"codex"}, resting)
    assert counted == len([row for row in rows if row.state == "available"]), "the count is one of these words"
    return rows


def credential(name: str = "codex-a", **more: object) -> Credential:
    return Credential(**{"id": name, "provider": "codex", "kind": "oauth", **more})  # type: ignore[arg-type]


def test_one_that_can_serve_says_so() -> None:
    assert said(credential()) == ["codex-a: available"]


def test_one_whose_renewal_fails_serves_and_says_why_it_may_not_for_long() -> None:
    assert said(credential(), unrenewed={"codex-a": "the vendor answered 503"}) == [
        "codex-a: available: its renewal fails: the vendor answered 503 (vaultd credentials refresh codex-a)"
    ]


def test_one_that_a_person_switched_off_names_the_switch() -> None:
    off = credential(settings=Settings(disabled=True))
    assert said(off) == ["codex-a: disabled: switched off by a person (vaultd credentials enable codex-a)"]


def test_a_dead_login_says_why_since_when_and_how_to_sign_in() -> None:
    dead = credential(dead=DeadLogin("refresh_token_reused", WALL))
    assert said(dead) == [
        "codex-a: sign-in required: refresh_token_reused, since 2026-01-02T03:04:05Z (vaultd login --codex)"
    ]


def test_a_dead_key_is_added_not_signed_in() -> None:
    dead = credential("k", kind="key", key=Secret("sk-CANARY"), dead=DeadLogin("refused", WALL))
    assert said(dead)[0].endswith("(vaultd credentials add codex)")


def test_one_that_only_its_label_names_is_brought_back_by_that() -> None:
    dead = credential("codex-1", dead=DeadLogin("refused", WALL), settings=Settings(label="my team"))
    assert said(dead)[0].endswith("(vaultd login --codex --label 'my team')")


def test_one_whose_manifest_is_gone_says_so() -> None:
    (line,) = said(credential(provider="acme"))
    assert line.startswith("codex-a: no provider: its manifest is gone")


def test_a_cooldown_for_one_model_leaves_the_credential_available() -> None:
    state = State()
    state.report(Member("codex-a", CODEX, Model(id="gpt-5")), Outcome(429, retry_after=60), NOW, longest=1e9)
    assert said(credential(), state=state) == [
        "codex-a: available",
        "codex-a: cooling for gpt-5 until 2026-01-02T03:05:05Z: rate limited (429) (wait)",
    ]


def test_a_refused_credential_cools_for_everything() -> None:
    state = State()
    state.report(Member("codex-a", CODEX, Model(id="gpt-5")), Outcome(401), NOW, longest=1e9)
    assert said(credential(), state=state) == [
        "codex-a: cooling until 2026-01-02T03:34:05Z: the vendor refused the credential (401) (vaultd login --codex)"
    ]


def test_credentials_are_told_by_id() -> None:
    assert said(credential("b"), credential("a")) == ["a: available", "b: available"]


@pytest.mark.parametrize(
    ("outcome", "code", "words", "action"),
    [
        (Outcome(0), "cooling", "the vendor did not answer", "wait"),
        (Outcome(402), "no-credit", "the account has no credit (402)", "top up the account at the vendor"),
        (Outcome(403), "forbidden", "the vendor forbade it (403)", "look at the account at the vendor"),
        (Outcome(429, 60, "5-hour limit"), "cooling", "rate limited (429): 5-hour limit", "wait"),
        (Outcome(502), "cooling", "the vendor failed (502)", "wait"),
        (
            Outcome(404, why="only for plan Max", own=True),
            "model-not-allowed",
            "the account may not use it (404): only for plan Max",
            "vaultd credentials set codex-a --exclude-model gpt-5",
        ),
    ],
)
def test_each_cause_has_a_code_words_and_an_action(outcome: Outcome, code: str, words: str, action: str) -> None:
    state = State()
    state.report(Member("codex-a", CODEX, Model(id="gpt-5")), outcome, NOW, longest=1e9)
    rows = seen(credential(), state=state)
    assert [(row.code, row.reason, row.action) for row in rows if row.model] == [(code, words, action)]


def test_what_excludes_a_model_keeps_those_that_are_excluded_already() -> None:
    """Word by word as it is typed in: the command replaces the list."""
    own = credential(settings=Settings(excluded_models=("o3*", "gpt-5")))
    state = State()
    state.report(Member("codex-a", CODEX, Model(id="big")), Outcome(404, own=True), NOW, longest=1e9)
    rows = seen(own, state=state)
    (action,) = (row.action for row in rows if row.model)
    assert action == "vaultd credentials set codex-a --exclude-model 'o3*' --exclude-model gpt-5 --exclude-model big"


def test_each_project_of_a_model_rests_by_itself() -> None:
    state, model = State(), Model(id="gemini-2.5-pro")
    both = (Variant(model, "x"), Variant(model, "y"))
    member = Member("codex-a", CODEX, model, variants=both)
    state.report(member, Outcome(429, 60), NOW, longest=1e9, variant=both[1])
    assert said(credential(), state=state) == [
        "codex-a: available",
        "codex-a: cooling for gemini-2.5-pro in y until 2026-01-02T03:05:05Z: rate limited (429) (wait)",
    ]


def test_a_renewal_that_never_ended_is_told_until_something_worse_is() -> None:
    rows = [
        seen(credential(), unrenewed=why, unsettled={"codex-a"}) for why in ({}, {"codex-a": "the vendor answered 503"})
    ]
    assert [row.code for (row,) in rows] == ["interrupted-renewal", "renewal-failing"]


def test_a_refused_key_of_the_configuration_is_mended_there() -> None:
    state = State()
    state.report(Member("k", CODEX, Model(id="gpt-5")), Outcome(401), NOW, longest=1e9)
    (line,) = said(credential("k", kind="key", key=Secret("sk-CANARY"), source="config"), state=state)
    assert line.endswith("(edit the key of codex in the configuration)")
