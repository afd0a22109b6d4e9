"""A house in front of the sandbox, and what its clients and its vendors saw. Its clock is the test's, and the vendors'
go with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from desk import START, HandClock, login
from household import Household
from stand_in import CLIENT_KEY

from vaultd.pool.explain import Standing, at
from vaultd.sandbox import Sandbox
from vaultd.sandbox.records import mask
from vaultd.vault.credential import Credential, Settings

#: Far longer than any vendor's windows: what a wrong hint said in the field.
WEEKS = 18 * 86400.0


@dataclass(frozen=True)
class Told:
    """An answer, as a client sees it."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def words(self) -> str:
        """The message of a refusal, in whichever shape."""
        said = self.json
        return str((said[0] if isinstance(said, list) else said)["error"]["message"])


@dataclass
class Pooled(Household):
    """Its clients and its operator."""

    # -- who there is ------------------------------------------------------------------------------------------

    async def sign_in(self, vendor: str, email: str, **settings: Any) -> Credential:
        """A login the vendor knows, with the operator's `settings` on it."""
        signed_in = login(self.sandbox, vendor, email, self.house.clock.now())
        facts = {"chatgpt_account_id": signed_in.account.account} if vendor == "codex" else {}
        return await self.house.owner.settle(
            replace(signed_in, account=replace(signed_in.account, facts=facts), settings=Settings(**settings))
        )

    # -- what clients ask --------------------------------------------------------------------------------------

    async def ask(self, fmt: str, model: str, prompt: str = "say hello", *, turns: Any = (), **headers: str) -> Told:
        """One request in a client's format. `turns`: what was said before. Underscores in header names are dashes."""
        said = [*turns, {"role": "user", "content": prompt}]
        match fmt:
            case "chat":
                return await self.post("/v1/chat/completions", {"model": model, "messages": said}, **headers)
            case "messages":
                return await self.post("/v1/messages", {"model": model, "max_tokens": 99, "messages": said}, **headers)
            case "responses":
                return await self.post("/v1/responses", {"model": model, "input": said}, **headers)
        contents = {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
        return await self.post(f"/v1beta/models/{model}:generateContent", contents, **headers)

    async def post(self, path: str, body: Any, **headers: str) -> Told:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"authorization": f"Bearer {CLIENT_KEY}", "content-type": "application/json"} | named
        async with self.session.post(self.url + path, data=json.dumps(body), headers=named) as answer:
            return Told(answer.status, answer.headers, await answer.text())

    # -- what became of it -------------------------------------------------------------------------------------

    def asked(self, vendor: str) -> Counter[str]:
        """How often each key (without `sk-CANARY-`) or login (its email) was presented for an answer."""
        known = self.sandbox[vendor]
        names = {mask(token): access.family.account.email for token, access in known.access.items()}
        keys = (credential.key.reveal() for credential in self.house.pool.roster(self.house).values() if credential.key)
        names |= {mask(key): key.removeprefix("sk-CANARY-") for key in keys}
        return Counter({names[name]: times for name, times in known.uses.items()})

    def requests(self, vendor: str) -> list[Any]:
        """The bodies of the requests for an answer that reached the vendor."""
        return [hit.json() for hit in self.sandbox[vendor].hits if hit.at == "llm"]

    def standings(self) -> list[Standing]:
        return self.house.pool.standings(self.house)

    def resting(self) -> list[Standing]:
        return [standing for standing in self.standings() if standing.state == "cooling"]


def in_seconds(seconds: float) -> str:
    """A moment so long after the test began, as people are told it."""
    return at(START + seconds)


def chat_keys(sandbox: Sandbox, *entries: str | dict[str, Any]) -> dict[str, Any]:
    """Keys of one vendor that speaks OpenAI chat, by their name, or `{"key": name}` and more."""
    made = [{"key": entry} if isinstance(entry, str) else dict(entry) for entry in entries]
    keys = [{"api-key": f"sk-CANARY-{entry.pop('key')}"} | entry for entry in made]
    models = [{"name": "big"}, {"name": "small"}]
    where = {"name": "acme", "base-url": sandbox.key_bases()["openai"], "models": models}
    return {"openai-compatibility": [where | {"api-key-entries": keys}]}


def keys_of(sandbox: Sandbox, provider: str, models: list[str], *names: str) -> dict[str, Any]:
    """Keys of `claude-api-key` and its like."""
    listed = [{"name": model} for model in models]
    where = {"base-url": sandbox.key_bases()[provider], "models": listed}
    return {provider: [{"api-key": f"sk-CANARY-{name}"} | where for name in names]}


Open = Callable[..., Awaitable[Pooled]]


async def opened(
    home: dict[str, str], planted: Callable[[Path], Path], stack: AsyncExitStack, *configs: Any, by_hand: bool = True
) -> Pooled:
    """`configs`: parts of the configuration, or what makes one of the sandbox. `by_hand`: the test moves the time."""
    clock = HandClock() if by_hand else None
    sandbox = await stack.enter_async_context(Sandbox(now=clock.true) if clock else Sandbox())
    whole: dict[str, Any] = {"api-keys": [CLIENT_KEY], "providers": sandbox.overlay()}
    for config in configs:
        whole |= config(sandbox) if callable(config) else config
    path = Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    planted(path).write_text(json.dumps(whole))
    session = await stack.enter_async_context(aiohttp.ClientSession())
    pooled = Pooled(home, sandbox, clock, session)
    await pooled.start()
    stack.push_async_callback(pooled.stop)
    return pooled
