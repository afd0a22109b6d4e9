"""Google: a login serves Gemini CLI's API only through a Cloud project, which must be found, onboarded and enabled.

The order is Gemini CLI's own (observed November 2025): list the projects, let the person choose, `loadCodeAssist` for
the tier, `onboardUser` until done, then the API enabled for the project. With no project of the person's own, Google
may give one of its own making (the free tier).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from vaultd.catalog.hooks.learned import Learned
from vaultd.catalog.manifest import Provider
from vaultd.effects import Choose, Flow, Reply, Send, Wait
from vaultd.errors import ProtocolError, TryLater, UpstreamRefused, VaultdError
from vaultd.secret import Secret

ALL = "ALL"
SERVICE = "cloudaicompanion.googleapis.com"
#: Five pages of the default 500 projects; whoever has more names one with `--project-id`.
MAX_PAGES = 5
#: `onboardUser` is repeated every five seconds until done; two minutes, where CLIProxyAPI knew no bound.
ONBOARD_PAUSE, ONBOARD_TRIES = 5.0, 24
#: Part of the request's grammar: the backend refuses one without.
_METADATA = {"ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI"}


def set_up_projects(provider: Provider, access: Secret) -> Flow[Learned]:
    """Facts: `projects`, the ids that serve this login. One that cannot be set up is left out with a warning."""
    google = _Google(provider, access)
    listed = yield from google.projects()
    chosen = yield Choose("Which Google Cloud project?", [*listed, ALL] if listed else [], listed[0] if listed else "")
    wanted = listed if ALL in chosen else [project for project in chosen if project]
    ready: list[str] = []
    troubles: list[VaultdError] = []
    for project in wanted or [""]:
        try:
            ready.append((yield from google.set_up(project)))
        except (UpstreamRefused, ProtocolError) as trouble:
            troubles.append(trouble)
    if not ready:
        raise troubles[0]
    return Learned(facts={"projects": list(dict.fromkeys(ready))}, warnings=tuple(map(str, troubles)))


class _Google:
    """The requests of one set-up, all with one bearer."""

    def __init__(self, provider: Provider, access: Secret) -> None:
        self._urls = provider.endpoints
        self._headers = {"Authorization": f"Bearer {access.reveal()}", "Content-Type": "application/json"}

    def projects(self) -> Flow[list[str]]:
        """Ids of the active projects. A login that may not list them has none to choose from."""
        found: list[str] = []
        page = ""
        for _ in range(MAX_PAGES):
            url = self._urls["projects"] + ("?" + urlencode({"pageToken": page}) if page else "")
            reply = yield Send("GET", url, self._headers, limit=1024 * 1024)  # 500 projects with labels
            if reply.status == 403:
                return found
            answer = _answer(reply, "the list of projects")
            found += [
                project["projectId"]
                for project in answer.get("projects", [])
                if project.get("lifecycleState", "ACTIVE") == "ACTIVE"
            ]
            page = answer.get("nextPageToken", "")
            if not page:
                break
        return found

    def set_up(self, project: str) -> Flow[str]:
        """Onboards `project` (empty: Google's choice) and sees that its API is on. The id to use from now on."""
        tier, offered = yield from self._load(project)
        used = project or offered
        onboarded = yield from self._onboard(tier, used)
        # Google may answer another id than the one that was asked for: the person's word stands.
        used = used or onboarded
        if not used:
            raise UpstreamRefused(
                "Google gave this account no project; make one at console.cloud.google.com and sign in "
                "with --project-id",
                status=400,
            )
        yield from self._enable(used)
        return used

    def _load(self, project: str) -> Flow[tuple[str, str]]:
        answer = yield from self._call("loadCodeAssist", _body({"metadata": _METADATA}, project), project)
        tiers = [tier for tier in answer.get("allowedTiers", []) if tier.get("isDefault")]
        return (str(tiers[0]["id"]) if tiers else "legacy-tier", _project_of(answer))

    def _onboard(self, tier: str, project: str) -> Flow[str]:
        body = _body({"tierId": tier, "metadata": _METADATA}, project)
        for _ in range(ONBOARD_TRIES):
            answer = yield from self._call("onboardUser", body, project)
            if answer.get("done") is True:
                response = answer.get("response")
                return _project_of(response) if isinstance(response, dict) else ""
            yield Wait(ONBOARD_PAUSE)
        raise TryLater(f"Google has not finished setting up {project or 'a project'}; sign in again in some minutes")

    def _enable(self, project: str) -> Flow[None]:
        url = f"{self._urls['services']}/projects/{quote(project, safe='')}/services/{SERVICE}"
        reply = yield Send("GET", url, self._headers)
        if reply.status == 200 and reply.json().get("state") == "ENABLED":
            return
        reply = yield Send("POST", f"{url}:enable", self._headers, b"{}")
        if reply.status in {200, 201} or (reply.status == 400 and "already enabled" in _message(reply)):
            return
        raise UpstreamRefused(
            f"{project}: {SERVICE} cannot be enabled (status {reply.status}); enable it in the Cloud console",
            status=reply.status,
        )

    def _call(self, method: str, body: bytes, project: str) -> Flow[dict[str, Any]]:
        reply = yield Send("POST", f"{self._urls['api']}/v1internal:{method}", self._headers, body)
        return _answer(reply, f"{method} for {project}" if project else method)


def _answer(reply: Reply, what: str) -> dict[str, Any]:
    if reply.status >= 500 or reply.status == 429:
        raise TryLater(f"Google answered {reply.status} to {what}")
    if reply.status != 200:
        raise UpstreamRefused(f"Google refused {what} (status {reply.status})", status=reply.status)
    return reply.json()


def _body(fields: Mapping[str, Any], project: str) -> bytes:
    return json.dumps({**fields, **({"cloudaicompanionProject": project} if project else {})}).encode()


def _project_of(answer: Mapping[str, Any]) -> str:
    """A text, or an object with an `id`."""
    value = answer.get("cloudaicompanionProject")
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else ""


def _message(reply: Reply) -> str:
    error = reply.json().get("error")
    return str(error.get("message", "")).lower() if isinstance(error, dict) else ""
