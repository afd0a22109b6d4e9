"""A house on a temporary home for stories of planning: each config makes it anew, its clock is moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vaultd.catalog.manifest import FormatName
from vaultd.house import House, build
from vaultd.net.clock import SystemClock
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.wire.refusal import Refusal
from vaultd.work.plan import Outcome, Plan, plan

TWO_KEYS = """
openai-compatibility:
  - name: acme
    base-url: http://127.0.0.1:9/v1
    api-key-entries: [{api-key: sk-CANARY-1}, {api-key: sk-CANARY-2}]
    models: [{name: acme-large-2, alias: large}, {name: acme-small}]
"""


class HandClock(SystemClock):
    """Moved by the test alone."""

    at = 1000.0

    def boot(self) -> float:
        return self.at

    def now(self) -> float:
        return 1_767_323_045.0 + self.at - 1000.0


class Place:
    """A house on a temporary home, built anew from each config."""

    def __init__(self, env: dict[str, str], planted: Callable[[Path], Path]) -> None:
        self.clock = HandClock()
        self._env, self._planted = env, planted
        self._houses: list[House] = []

    async def house(self, config: str = "") -> House:
        path = Path(self._env["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config)
        if "CANARY" in config:
            self._planted(path)
        if self._houses:
            await self._houses[0].reload("the test wrote a config")
            return self._houses[0]
        house = await build(self._env, None, for_daemon=False)
        house.clock = self.clock
        self._houses.append(house)
        return house

    async def close(self) -> None:
        for house in self._houses:
            await house.close()


def login(person: str, provider: str = "codex", **settings: object) -> Credential:
    return Credential(
        id=f"{provider}-{person}",
        provider=provider,
        kind="oauth",
        tokens=Tokens(Secret("CANARY-access"), Secret("CANARY-refresh"), issued_at=1.0, expires_at=4e9),
        account=Account(person=person, email=f"{person}@example.com"),
        settings=Settings(**settings),  # type: ignore[arg-type]
    )


async def keep(house: House, credential: Credential) -> Credential:
    async with house.owner.leased(credential.id) as lease:
        return await lease.put(credential)


def asked(house: House, model: str, fmt: FormatName = "openai-responses") -> list[str]:
    return [candidate.credential.id for candidate in plan(house, fmt, model).candidates]


def refused(house: House, model: str, fmt: FormatName = "openai-responses") -> Refusal:
    with pytest.raises(Refusal) as caught:
        list(plan(house, fmt, model).candidates)
    return caught.value


def fail(going: Plan, outcome: Outcome) -> list[str]:
    """Runs one round in which every candidate fails."""
    tried = []
    for candidate in going.candidates:
        tried.append(candidate.credential.id)
        going.report(candidate, outcome)
    return tried
