"""Google's projects, from the list to the enabled API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from transcripts import answered, play, shipped

from vaultd.catalog.hooks.flow_google import set_up_projects
from vaultd.effects import Choose, Effect, Reply, Send, Wait
from vaultd.errors import TryLater, UpstreamRefused
from vaultd.secret import Secret

LISTED = answered({"projects": [{"projectId": "one"}, {"projectId": "old", "lifecycleState": "DELETE_REQUESTED"}]})
TWO = answered({"projects": [{"projectId": "one"}, {"projectId": "two", "lifecycleState": "ACTIVE"}]})
TIER = answered({"allowedTiers": [{"id": "free-tier", "isDefault": True}, {"id": "standard-tier"}]})
OWN = answered({"allowedTiers": [], "cloudaicompanionProject": {"id": "googles-own"}})
DONE = answered({"done": True, "response": {"cloudaicompanionProject": {"id": "one"}}})
NOT_YET = answered({"done": False})
ENABLED = answered({"state": "ENABLED"})
DISABLED = answered({"state": "DISABLED"})


def chose(*ids: str, options: list[str] | None = None) -> Any:
    def told(effect: Choose) -> list[str]:
        assert options is None or list(effect.options) == options
        return list(ids) or [effect.default]

    return told


def set_up(*steps: tuple[type[Effect], Any]) -> Any:
    return play(set_up_projects(shipped("gemini"), Secret("CANARY-access")), *steps)


def test_the_first_active_project_is_onboarded_and_enabled() -> None:
    def loaded(send: Send) -> Reply:
        assert send.url == "https://cloudcode-pa.googleapis.com/v1internal:loadCodeAssist"
        assert json.loads(send.body)["cloudaicompanionProject"] == "one"
        return TIER

    def onboarded(send: Send) -> Reply:
        assert json.loads(send.body)["tierId"] == "free-tier"
        return NOT_YET

    def enabled(send: Send) -> Reply:
        assert send.url == (
            "https://serviceusage.googleapis.com/v1/projects/one/services/cloudaicompanion.googleapis.com"
        )
        return DISABLED

    learned = set_up(
        (Send, LISTED),
        (Choose, chose(options=["one", "ALL"])),
        (Send, loaded),
        (Send, onboarded),
        (Wait, None),
        (Send, DONE),
        (Send, enabled),
        (Send, answered({"name": "operations/1"})),
    )
    assert learned.facts == {"projects": ["one"]}


def test_all_of_them_and_one_that_cannot_be_enabled_is_left_out_with_a_word() -> None:
    learned = set_up(
        (Send, TWO),
        (Choose, chose("ALL")),
        *((Send, reply) for reply in (TIER, DONE, ENABLED)),
        *((Send, reply) for reply in (TIER, DONE, DISABLED, answered({"error": {"message": "billing"}}, 403))),
    )

    assert learned.facts == {"projects": ["one"]}
    assert "two" in learned.warnings[0]


def test_the_only_project_that_cannot_be_enabled_is_an_error_with_the_next_action() -> None:
    with pytest.raises(UpstreamRefused, match="enable it in the Cloud console"):
        set_up(
            (Send, LISTED),
            (Choose, chose()),
            *((Send, reply) for reply in (TIER, DONE, DISABLED, answered({"error": {"message": "billing"}}, 403))),
        )


def test_already_enabled_is_enabled() -> None:
    reply = answered({"error": {"message": "Service is already enabled"}}, 400)

    assert set_up(
        (Send, LISTED), (Choose, chose()), *((Send, answer) for answer in (TIER, DONE, DISABLED, reply))
    ).facts["projects"] == ["one"]


@pytest.mark.parametrize("listing", [answered({}), answered({"error": {}}, 403)])
def test_without_a_project_google_gives_one_of_its_own(listing: Reply) -> None:
    learned = set_up((Send, listing), (Choose, chose("", options=[])), *((Send, r) for r in (OWN, DONE, ENABLED)))

    assert learned.facts == {"projects": ["googles-own"]}


def test_without_any_project_the_person_is_told_to_make_one() -> None:
    with pytest.raises(UpstreamRefused, match="--project-id"):
        set_up(
            (Send, answered({})), (Choose, chose("")), (Send, TIER), (Send, answered({"done": True, "response": {}}))
        )


def test_the_persons_project_stands_where_google_names_another() -> None:
    def enabled(send: Send) -> Reply:
        assert "/projects/mine/" in send.url
        return ENABLED

    learned = set_up((Send, LISTED), (Choose, chose("mine")), (Send, TIER), (Send, DONE), (Send, enabled))

    assert learned.facts == {"projects": ["mine"]}


def test_onboarding_that_never_ends_is_given_up() -> None:
    waiting = [(Send, NOT_YET), (Wait, None)] * 24

    with pytest.raises(TryLater, match="one"):
        set_up((Send, LISTED), (Choose, chose()), (Send, TIER), *waiting)


def test_more_than_a_page_of_projects() -> None:
    def second(send: Send) -> Reply:
        assert send.url.endswith("/projects?pageToken=next")
        return answered({"projects": [{"projectId": "two"}]})

    first = answered({"projects": [{"projectId": "one"}], "nextPageToken": "next"})
    set_up(
        (Send, first),
        (Send, second),
        (Choose, chose(options=["one", "two", "ALL"])),
        *((Send, r) for r in (TIER, DONE, ENABLED)),
    )
