"""Google beside its token endpoint: user info, Cloud projects, the API switch, and Gemini CLI's onboarding."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from vaultd.sandbox.call import Call, answer
from vaultd.sandbox.llm import gate
from vaultd.sandbox.records import Account
from vaultd.sandbox.refusal import llm

#: What Google gives an account that has no project of its own.
MANAGED = "sandbox-managed-project"

_SERVICE = "cloudaicompanion.googleapis.com"


async def userinfo(call: Call) -> web.StreamResponse:
    account = _account(call)
    said = {"id": account.person, "email": account.email, "verified_email": True}
    return answer(_without_null(said | call.vendor.switches.userinfo_answer))


async def projects(call: Call) -> web.StreamResponse:
    """Cloud Resource Manager v1 `projects.list`, in pages where the switch says so."""
    _account(call)
    every = call.vendor.switches.projects
    size = call.vendor.switches.projects_per_page or max(1, len(every))
    start = int(call.query("pageToken") or 0)
    listed: dict[str, Any] = {
        "projects": [
            {"projectId": name, "name": name, "projectNumber": str(1000 + number), "lifecycleState": "ACTIVE"}
            for number, name in enumerate(every[start : start + size], start)
        ]
    }
    if start + size < len(every):
        listed["nextPageToken"] = str(start + size)
    return answer(listed if every else {})


async def service(call: Call) -> web.StreamResponse:
    """Service Usage v1: `…/services/NAME` says whether it is on, `…:enable` turns it on."""
    _account(call)
    project, name = call.request.match_info["project"], call.request.match_info["service"]
    if call.request.method == "POST":
        if name != f"{_SERVICE}:enable":
            raise llm("gemini", 404, "Method not found.")
        call.vendor.services_on.add(project)
        return answer({"name": "operations/acf.sandbox", "done": True})
    state = "ENABLED" if service_on(call, project) else "DISABLED"
    return answer({"name": f"projects/{project}/services/{name}", "state": state})


def service_on(call: Call, project: str) -> bool:
    return call.vendor.switches.services_enabled or project in call.vendor.services_on


async def load_code_assist(call: Call) -> web.StreamResponse:
    account = _account(call)
    _check_client(call)
    tiers = [{"id": "free-tier", "name": "Free", "isDefault": True}, {"id": "standard-tier", "name": "Standard"}]
    said: dict[str, Any] = {"allowedTiers": tiers}
    if account in call.vendor.onboarded:
        said |= {"currentTier": tiers[0], "cloudaicompanionProject": call.vendor.onboarded[account]}
    return answer(said)


async def onboard_user(call: Call) -> web.StreamResponse:
    """A long-running operation: asked again until `done`."""
    account = _account(call)
    body = _check_client(call)
    if not body.get("tierId"):
        raise llm("gemini", 400, "tierId is missing")
    asked = str(body.get("cloudaicompanionProject") or "")
    if asked and asked not in call.vendor.switches.projects:
        raise llm("gemini", 403, f"The caller does not have permission on project {asked}")
    call.vendor.onboard_polls[asked] += 1
    operation = {"name": f"operations/onboard-{asked or MANAGED}"}
    if call.vendor.onboard_polls[asked] <= call.vendor.switches.onboard_polls:
        return answer(operation | {"done": False})
    project = asked or MANAGED
    call.vendor.onboarded[account] = project
    return answer(operation | {"done": True, "response": {"cloudaicompanionProject": {"id": project, "name": project}}})


async def unknown_method(call: Call) -> web.StreamResponse:
    """Code Assist has more methods than a relay needs (`retrieveUserQuota`, `listExperiments`): an empty answer."""
    _account(call)
    return answer({})


def _account(call: Call) -> Account:
    access = gate.oauth_caller(call, "gemini").access
    assert access is not None
    return access.family.account


def _check_client(call: Call) -> dict[str, Any]:
    """The body, which must name its client (`metadata`)."""
    body = call.json()
    if not isinstance(body.get("metadata"), dict):
        raise llm("gemini", 400, "metadata is missing")
    return body


def _without_null(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}
