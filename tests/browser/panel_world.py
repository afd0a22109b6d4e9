"""The house whose panel is tried: a real daemon in front of the pretend vendors, and who asks it beside the browser."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
from managed import CLIENT_KEY, KEY, Managed, Told
from ports import own_callbacks
from shell import LONGEST, Daemon, Person

from vaultd.sandbox import Sandbox
from vaultd.wire.usage import Usage
from vaultd.work.story import Story
from vaultd.work.usage.book import NAME
from vaultd.work.usage.rows import Gathering
from vaultd.work.usage.store import Store

#: Served by a key from the start, so that a test of something else signs in to nobody.
MODELS = ("big", "small")
#: So many requests were served before the first test begins.
PAST = 100_000
_DAY = 86400
#: The fewest there are. In clear the daemon would hash it at its start, beneath the first test that looks at the file.
_ROUNDS = 4

#: Comments in every place that a change could lose one.
_CONFIG = """\
# The house of these tests. A person wrote this line.
api-keys:
  - {client}  # the laptop
trusted-proxies: [127.0.0.1]  # tells who sits elsewhere
remote-management:
  secret-key: {key}
  allow-remote: true  # the phone
  allowed-origins: {origins}

# Turns are taken until March.
routing:
  strategy: round-robin  # the other is fill-first
request-retry: 1  # one more round

openai-compatibility: {keys}
providers: {providers}
"""


class World(Managed):
    """One home with a daemon of its own process in it."""

    person: Person

    @property
    def config(self) -> Path:
        return self.person.config

    async def says(self, words: str, model: str = MODELS[0], key: str = CLIENT_KEY, **more: Any) -> Told:
        """A client asks."""
        body = {"model": model, "messages": [{"role": "user", "content": words}], **more}
        headers = {"Authorization": f"Bearer {key}"}
        async with self.session.post(self.url + "/v1/chat/completions", json=body, headers=headers) as answer:
            return Told(answer.status, answer.headers, await answer.read())

    async def credential(self, id_: str) -> dict[str, Any]:
        told = await self.asks("GET", f"/credentials/{id_}")
        assert told.status == 200, told.text
        row: dict[str, Any] = told.json
        return row

    async def has(self, vendor: str, email: str) -> str:
        """Signed in as this account, without the page. The credential's id."""
        self.sandbox.set(vendor, account=email)
        began = await self.asks("POST", "/sign-ins", {"provider": vendor, "label": email.partition("@")[0]})
        assert began.status == 200, began.text
        sign = began.json
        await self.browses(sign["url"])
        # As a page does: asked until it has an end. The daemon answers when it has one, or after its own deadline.
        until = time.monotonic() + LONGEST
        while sign["status"] in {"wait", "asking"} and time.monotonic() < until:
            if sign["status"] == "asking":
                await self.asks("POST", f"/sign-ins/{sign['state']}/answer", {"choice": sign["question"]["default"]})
            sign = (await self.asks("GET", f"/sign-ins/{sign['state']}")).json
        assert sign["status"] == "ok", sign
        return str(sign["credential"])


def _past(env: dict[str, str]) -> None:
    """What the daemon served before: two weeks, several models and credentials, some failures."""
    now, began = time.time(), 1000.0
    models = ["claude-sonnet-4-5", "gpt-5-codex", "gemini-2.5-pro", "qwen3-coder-plus"]
    whose = ["claude", "codex", "gemini", "qwen"]

    def one(n: int) -> Story:
        kind = (n * 7 + n // 11) % 4
        at = now - 60 - 14 * _DAY * (1 - n / PAST)
        return Story(
            client="laptop" if n % 3 else "ci", endpoint="POST /v1/messages", format="anthropic-messages",
            asked=models[kind], model=models[kind], provider=whose[kind], credential=f"{whose[kind]}-ana@example.com",
            stream=True, status=429 if n % 97 == 0 else 200, attempts=1,
            usage=Usage(900 + n % 700, 200 + n % 300, 400 + n % 300, n % 90, 0),
            at=at, began=began, first=began + 0.4 + n % 7 / 10, ended=began + 3 + n % 11,
        )  # fmt: skip

    store = Store(Path(env["XDG_STATE_HOME"], "vaultd", NAME))
    store.enter(*Gathering().gather(one(n) for n in range(PAST)))
    store.close()


def _home(folder: Path, run: Path) -> dict[str, str]:
    env = {
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "home" / ".config"),
        "XDG_STATE_HOME": str(folder / "home" / ".local" / "state"),
        "XDG_RUNTIME_DIR": str(run),
        "TMPDIR": str(folder / "tmp"),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }
    for name in ("HOME", "TMPDIR"):
        Path(env[name]).mkdir(mode=0o700, parents=True)
    run.chmod(0o700)
    return env


@contextmanager
def _daemon(person: Person) -> Iterator[Daemon]:
    daemon = Daemon(person)
    try:
        yield daemon
    finally:
        daemon.ends()


@asynccontextmanager
async def world(folder: Path, run: Path, planted: Callable[[Path], Path], origins: list[str]) -> AsyncIterator[World]:
    """`origins`: pages elsewhere that may manage."""
    env = _home(folder, run)
    person = Person(env)
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        where = {"name": "acme", "base-url": sandbox.key_bases()["openai"], "models": [{"name": m} for m in MODELS]}
        text = _CONFIG.format(
            client=CLIENT_KEY,
            key=json.dumps(bcrypt.hashpw(KEY.encode(), bcrypt.gensalt(_ROUNDS)).decode()),
            origins=json.dumps(origins),
            keys=json.dumps([where | {"api-key-entries": [{"api-key": "sk-CANARY-acme"}]}]),
            providers=json.dumps(own_callbacks(sandbox)),
        )
        planted(person.config)
        person.configures(text)
        _past(env)
        with _daemon(person) as daemon:
            one = World(env, sandbox, None, session, {})
            one.person, one.url = person, daemon.address
            yield one
