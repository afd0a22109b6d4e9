"""Which credential, why, until when, what to do: the one source of those words.

`vaultd status`, `/readyz`, `credentials show`, `doctor` and the refusal a client gets all say what stands here. Pure; a
credential is seen through the few facts named by `Facts`.
"""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Literal, Protocol

from vaultd.pool.state import Cooldown, State


class Dead(Protocol):
    @property
    def reason(self) -> str: ...
    @property
    def since(self) -> float: ...


class Settings(Protocol):
    @property
    def disabled(self) -> bool: ...
    @property
    def label(self) -> str: ...


class Facts(Protocol):
    """What of a credential decides whether it can serve."""

    @property
    def id(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def kind(self) -> Literal["oauth", "key"]: ...
    @property
    def dead(self) -> Dead | None: ...
    @property
    def settings(self) -> Settings: ...


StandingState = Literal["available", "cooling", "sign-in required", "disabled", "no provider"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one credential stands, in words a person can act on. `until`: unix seconds, None where time does not help.

    A credential cooling for one model only has a row per such model, beside its own row.
    """

    credential: str
    provider: str
    state: StandingState
    model: str = ""
    reason: str = ""
    until: float | None = None
    action: str = ""

    @property
    def sentence(self) -> str:
        """One line: `codex-a@example.com: cooling for gpt-5 until 2026-01-02T03:04:05Z: rate limited (429)`."""
        words = f"{self.credential}: {self.state}"
        if self.model:
            words += f" for {self.model}"
        if self.until is not None:
            words += f" until {at(self.until)}"
        if self.reason:
            words += f": {self.reason}"
        return f"{words} ({self.action})" if self.action else words


def standings(
    credentials: Iterable[Facts],
    providers: Container[str],
    state: State,
    *,
    now: float,
    wall: float,
    unrenewed: Mapping[str, str],
) -> list[Standing]:
    """How each credential stands, by id. `now` is the boot clock of the state, `wall` the clock people read.

    `unrenewed`: credential id → why its renewal fails. It serves as long as the token in hand does.
    """
    marks: dict[str, list[tuple[str, Cooldown]]] = {}
    for (credential, model), mark in state.cooldowns(now):
        marks.setdefault(credential, []).append((model, mark))
    rows: list[Standing] = []
    for facts in sorted(credentials, key=lambda facts: facts.id):
        own = standing(facts, providers)
        if own.state == "available" and facts.id in unrenewed:
            reason, action = f"its renewal fails: {unrenewed[facts.id]}", f"vaultd credentials refresh {facts.id}"
            own = replace(own, reason=reason, action=action)
        rests = [cooling(facts, model, mark, wall - now) for model, mark in sorted(marks.get(facts.id, []))]
        if own.state == "available" and any(not row.model for row in rests):
            rows += rests
        else:
            rows += [own, *rests]
    return rows


def standing(facts: Facts, providers: Container[str]) -> Standing:
    """How a credential stands apart from cooldowns."""
    if facts.settings.disabled:
        action = f"vaultd credentials enable {facts.id}"
        return Standing(facts.id, facts.provider, "disabled", reason="switched off by a person", action=action)
    if facts.dead is not None:
        reason = f"{facts.dead.reason}, since {at(facts.dead.since)}"
        return Standing(facts.id, facts.provider, "sign-in required", reason=reason, action=renewing(facts))
    if facts.provider not in providers:
        action = f"put {facts.provider}.yaml back into the providers folder, or vaultd credentials remove {facts.id}"
        return Standing(facts.id, facts.provider, "no provider", reason="its manifest is gone", action=action)
    return Standing(facts.id, facts.provider, "available")


def renewing(facts: Facts) -> str:
    """The command that brings a dead credential back: by its label, where that may be all its identity."""
    word = "login --" if facts.kind == "oauth" else "credentials add "
    command = f"vaultd {word}{facts.provider}"
    return f"{command} --label {shlex.quote(facts.settings.label)}" if facts.settings.label else command


def cause(status: int) -> str:
    """Why a vendor's answer set a credential aside."""
    if status == 0:
        return "the vendor did not answer"
    known = {401: "the vendor refused the credential", 402: "the account has no credit", 403: "the vendor forbade it"}
    if status in known:
        return f"{known[status]} ({status})"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate limited (429)"
    return f"the vendor failed ({status})"


def at(wall: float) -> str:
    """A moment, to the second, in UTC."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cooling(facts: Facts, model: str, mark: Cooldown, offset: float) -> Standing:
    """Set aside for `model`, "" for all. `offset`: the wall clock less the boot clock."""
    refused = mark.status == HTTPStatus.UNAUTHORIZED
    return Standing(
        facts.id,
        facts.provider,
        "cooling",
        model=model,
        reason=cause(mark.status),
        until=mark.until + offset,
        action=renewing(facts) if refused else "wait",
    )
