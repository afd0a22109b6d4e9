"""One request as the relay sees it, and the body each candidate gets: the client's own bytes but for what is named in
docs/honest-relay.md. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from vaultd.catalog.hooks import req_gemini_envelope, req_rules
from vaultd.catalog.hooks.requests import REQUEST_HOOKS
from vaultd.catalog.hooks.shape import Action, Asked, Change, RequestHook
from vaultd.catalog.manifest import FormatName, Provider
from vaultd.config.model import Config
from vaultd.errors import Misconfigured
from vaultd.vault.credential import Credential
from vaultd.wire.draft import Draft
from vaultd.wire.members import Members
from vaultd.work.plan import Candidate


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client asked for."""

    format: FormatName
    action: Action
    #: The name the client gave the model; it may hold a provider (`provider://model`).
    model: str
    body: Members
    headers: Mapping[str, str]
    #: Of the client's query only what the format knows (`alt`, `beta`).
    query: str = ""
    #: What the client put around its request (Code Assist), or None.
    envelope: Members | None = None
    session: str | None = None


class Errand:
    """One candidate's version of a request: the body to send, and how its answer is changed on the way back."""

    __slots__ = ("_asked", "_draft", "_hooks", "changes")

    def __init__(self, ask: Ask, candidate: Candidate, credential: Credential, config: Config) -> None:
        model = candidate.model
        name = model.upstream or model.id
        self._hooks = hooks_of(candidate.provider)
        self._asked = Asked(
            action=ask.action,
            model=name,
            project=_project(credential),
            accounting=config.usage_statistics_enabled,
            usage_asked=_usage_asked(ask),
            envelope=ask.envelope,
        )
        self._draft = Draft(ask.body)
        if ask.format != "gemini":
            self._draft.set("model", name)
        req_rules.ask_effort(self._draft, ask.format, model.effort)
        req_rules.apply_payload(self._draft, ask.format, (name, model.id), config.payload)
        for hook in self._hooks:
            if hook.edit is not None:
                hook.edit(self._draft, self._asked)
        self.changes = self._changes(ask)

    def body(self) -> bytes:
        body = self._draft.body()
        for hook in self._hooks:
            if hook.wrap is not None:
                body = hook.wrap(body, self._asked)
        return body

    def mend(self, error: bytes) -> bool:
        """After a 400: True where the body was changed so that one more try may do."""
        return any(hook.mend(self._draft, error) for hook in self._hooks if hook.mend is not None)

    def _changes(self, ask: Ask) -> tuple[Change, ...]:
        changes = [hook.answer(self._asked) for hook in self._hooks if hook.answer is not None]
        wraps = any(hook.wrap is not None for hook in self._hooks)
        if ask.envelope is not None and not wraps and ask.action != "count":
            changes.append(Change(req_gemini_envelope.wrapped))
        return tuple(change for change in changes if change is not None)


def hooks_of(provider: Provider) -> list[RequestHook]:
    """Raises Misconfigured for a name that no hook has."""
    try:
        return [REQUEST_HOOKS[name] for name in provider.api.hooks]
    except KeyError as error:
        known = ", ".join(REQUEST_HOOKS)
        raise Misconfigured(f"{provider.id}: api.hooks: no hook {error.args[0]!r}; there are {known}") from None


def _project(credential: Credential) -> str:
    """The operator's choice, else the first the sign-in found."""
    listed = credential.settings.projects or credential.account.facts.get("projects") or ()
    return str(listed[0]) if listed else ""


def _usage_asked(ask: Ask) -> bool:
    if ask.action != "stream" or "stream_options" not in ask.body:
        return False
    options = msgspec.json.decode(ask.body.raw("stream_options") or b"null")
    return isinstance(options, dict) and options.get("include_usage") is True
