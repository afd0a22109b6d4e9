"""Which credential, why, until when, what to do: the one source of those words.

`vaultd status`, `/readyz`, `credentials show`, `doctor`, the alerts and the refusal a client gets all say what stands
here. Pure; a credential is seen through the few facts named by `Facts`.
"""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Literal, Protocol

from vaultd.pool.state import Cooldown


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
    @property
    def excluded_models(self) -> Sequence[str]: ...


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
    @property
    def source(self) -> Literal["file", "config"]: ...


StandingState = Literal["available", "cooling", "sign-in required", "disabled", "no provider"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one credential stands, in words a person can act on. `until`: unix seconds, None where time does not help.

    A credential cooling for one model only has a row per such model (and project), beside its own row. `code`: what is
    wrong, as `doctor` calls it (`work.health.codes`); "" where nothing is.
    """

    credential: str
    provider: str
    state: StandingState
    model: str = ""
    reason: str = ""
    until: float | None = None
    action: str = ""
    code: str = ""

    @property
    def words(self) -> str:
        """Which, why, until when: `codex-a@x.org: cooling for gpt-5 until 2026-01-02T03:04:05Z: rate limited (429)`."""
        words = f"{self.credential}: {self.state}"
        if self.model:
            words += f" for {self.model}"
        if self.until is not None:
            words += f" until {at(self.until)}"
        return f"{words}: {self.reason}" if self.reason else words

    @property
    def sentence(self) -> str:
        """One line, with what to do."""
        return f"{self.words} ({self.action})" if self.action else self.words


#: What is set aside now, by credential and slot (`State.cooldowns`).
Cooldowns = Iterable[tuple[tuple[str, str], Cooldown]]


def standings(
    credentials: Iterable[Facts],
    providers: Container[str],
    cooldowns: Cooldowns,
    *,
    offset: float,
    unrenewed: Mapping[str, str],
    unsettled: Container[str] = frozenset(),
) -> list[Standing]:
    """How each credential stands, by id. `offset`: the clock people read less the boot clock of the cooldowns.

    `unrenewed`: credential id → why its renewal fails. It serves as long as the token in hand does. `unsettled`: whose
    renewal was begun and never ended.
    """
    marks: dict[str, list[tuple[str, Cooldown]]] = {}
    for (credential, model), mark in cooldowns:
        marks.setdefault(credential, []).append((model, mark))
    rows: list[Standing] = []
    for facts in sorted(credentials, key=lambda facts: facts.id):
        own = standing(facts, providers)
        if own.state == "available":
            own = _renewing_badly(own, unrenewed.get(facts.id, ""), unsettled=facts.id in unsettled)
        rests = [cooling(facts, model, mark, offset) for model, mark in sorted(marks.get(facts.id, []))]
        if own.state == "available" and any(not row.model for row in rests):
            rows += rests
        else:
            rows += [own, *rests]
    return rows


def usable(credentials: Iterable[Facts], providers: Container[str], cooldowns: Cooldowns) -> int:
    """How many of `standings` are available: a count is asked for every few seconds, and words for thousands take a
    tenth of one."""
    resting = {credential for (credential, model), _ in cooldowns if not model}
    return sum(_able(facts, providers) and facts.id not in resting for facts in credentials)


def _able(facts: Facts, providers: Container[str]) -> bool:
    return not facts.settings.disabled and facts.dead is None and facts.provider in providers


def standing(facts: Facts, providers: Container[str]) -> Standing:
    """How a credential stands apart from cooldowns."""
    if _able(facts, providers):
        return Standing(facts.id, facts.provider, "available")
    if facts.settings.disabled:
        action = f"vaultd credentials enable {facts.id}"
        return Standing(facts.id, facts.provider, "disabled", reason="switched off by a person", action=action)
    if facts.dead is not None:
        reason, action, code = f"{facts.dead.reason}, since {at(facts.dead.since)}", renewing(facts), "sign-in-required"
        return Standing(facts.id, facts.provider, "sign-in required", reason=reason, action=action, code=code)
    action, code = f"put {facts.provider}.yaml back into the providers folder", "provider-missing"
    reason = "its manifest is gone"
    return Standing(facts.id, facts.provider, "no provider", reason=reason, action=action, code=code)


def _renewing_badly(own: Standing, why: str, *, unsettled: bool) -> Standing:
    """A credential that can serve now, and what may end that."""
    action = f"vaultd credentials refresh {own.credential}"
    if why:  # which may have left an outcome unknown, and says how
        return replace(own, reason=f"its renewal fails: {why}", action=action, code="renewal-failing")
    if unsettled:
        reason = "its last renewal was begun and never ended, so its outcome is unknown"
        return replace(own, reason=reason, action=action, code="interrupted-renewal")
    return own


def renewing(facts: Facts) -> str:
    """What brings a dead credential back: a command with its label, where that may be all its identity; or an edit."""
    if facts.source == "config":
        return f"edit the key of {facts.provider} in the configuration"
    word = "login --" if facts.kind == "oauth" else "credentials add "
    command = f"vaultd {word}{facts.provider}"
    return f"{command} --label {shlex.quote(facts.settings.label)}" if facts.settings.label else command


def cause(mark: Cooldown) -> str:
    """Why a vendor's answer set a credential aside, with the vendor's own reason where it gave one."""
    known = _CAUSES.get(mark.status)
    if mark.own:
        words = f"the account may not use it ({mark.status})"
    elif known is not None:
        words = known[1]
    else:
        words = f"the vendor failed ({mark.status})"
    return f"{words}: {mark.why}" if mark.why else words


def at(wall: float) -> str:
    """A moment, to the second, in UTC."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cooling(facts: Facts, model: str, mark: Cooldown, offset: float) -> Standing:
    """Set aside for `model` (a slot of the pool's: a model, or one in a project), "" for all. `offset`: the wall clock
    less the boot clock."""
    code = "model-not-allowed" if mark.own else _CAUSES.get(mark.status, _FAILED)[0]
    return Standing(
        facts.id,
        facts.provider,
        "cooling",
        model=model,
        reason=cause(mark),
        until=mark.until + offset,
        action=_remedy(facts, code, model),
        code=code,
    )


def _remedy(facts: Facts, code: str, model: str) -> str:
    if code == "credential-refused":
        return renewing(facts)
    if code == "model-not-allowed" and facts.source == "file":
        # All that are excluded: the command replaces the list.
        names = (*facts.settings.excluded_models, model.partition(" in ")[0])
        excluded = (f"--exclude-model {shlex.quote(name)}" for name in names)
        return f"vaultd credentials set {facts.id} {' '.join(excluded)}"
    return _REMEDIES.get(code, "wait")


_FAILED: Final = ("cooling", "the vendor failed")
#: Status → what `doctor` calls it, and the words. What is not here is a failure of the vendor.
_CAUSES: Final = {
    0: ("cooling", "the vendor did not answer"),
    HTTPStatus.UNAUTHORIZED: ("credential-refused", "the vendor refused the credential (401)"),
    HTTPStatus.PAYMENT_REQUIRED: ("no-credit", "the account has no credit (402)"),
    HTTPStatus.FORBIDDEN: ("forbidden", "the vendor forbade it (403)"),
    HTTPStatus.TOO_MANY_REQUESTS: ("cooling", "rate limited (429)"),
}
_REMEDIES: Final = {
    "no-credit": "top up the account at the vendor",
    "forbidden": "look at the account at the vendor",
    "model-not-allowed": "exclude the model in the configuration",
}
