"""Schemathesis against a running daemon, by its own description, with every check it has: no 5xx, nothing undocumented,
nothing wrong accepted, nothing right refused, no route without the key.

What a schema cannot say, a route says in words: only where `also` has a 400 or 422 of its own may it refuse what its
schema allows. `/events` is left out, for it is a stream without an end; `test_events` has it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from manager import HASHED, KEY, ask, error
from serving import CLIENT_KEY, Serve
from shell import Daemon, Person

from vaultd.sandbox import Sandbox
from vaultd.server.management.table import BASE, ROUTES

#: Made up for each route, beside some thirty that its description calls for: half a minute on two cores.
_EXAMPLES = "1"
_ENDLESS = "/events"


def _settings() -> Iterator[str]:
    """schemathesis.toml: which operations may refuse by rules of their own. A chain of calls is about what becomes of
    a thing, and knows no operation's own rules."""
    yield "[phases.stateful]\nchecks.positive_data_acceptance.enabled = false"
    for route in ROUTES:
        own = sorted({400, 422} & dict(route.also).keys())
        if own:
            yield f"[[operations]]\ninclude-name = {json.dumps(f'{route.method} {route.plain_path}')}"
            statuses = ["2xx", "401", "403", "404", "409", "412", "429", *map(str, own)]
            yield f"checks.positive_data_acceptance.expected-statuses = {json.dumps(statuses)}"


@pytest.mark.timeout(300)  # beside another process of the suite; alone it takes half a minute
async def test_every_route_is_as_it_is_described(
    home: dict[str, str],
    serves: Callable[..., Daemon],
    planted: Callable[[Path], Path],
    tool: Callable[[str], str],
    tmp_path: Path,
) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    program = program if program.exists() else Path(tool("schemathesis"))
    async with Sandbox() as sandbox:
        person = Person(home)
        config = {
            "remote-management": {"secret-key": HASHED.strip("'")},
            "providers": sandbox.overlay(),
            "request-log": True,
            "api-keys": [CLIENT_KEY],
            "claude-api-key": [{"api-key": "sk-CANARY-1", "base-url": "http://127.0.0.1:9"}],
        }
        person.configures(json.dumps(config))
        planted(person.config)
        daemon = await asyncio.to_thread(serves, person)
        (tmp_path / "schemathesis.toml").write_text("\n".join(_settings()))
        run = await asyncio.create_subprocess_exec(
            str(program), "run", f"{daemon.address}{BASE}/openapi.json", "--checks", "all",
            "--header", f"Authorization: Bearer {KEY}", "--max-examples", _EXAMPLES, "--seed", "1",
            "--exclude-path", _ENDLESS, "--continue-on-failure", "--no-shrink", "--warnings", "off",
            cwd=tmp_path, env=home, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await run.communicate())[0].decode()
        person.configures(json.dumps(config))  # as it was noted: the run deletes what it likes
        assert run.returncode == 0, said[-20_000:]
        tested = re.search(r"Tested: (\d+)", said)
        assert tested
        assert int(tested[1]) == len(ROUTES) - 2, "all but the endless one, and the description itself"
        # It changed what it liked, and the daemon is still the one it was.
        status, _ = await asyncio.to_thread(daemon.asked, f"{BASE}/about", KEY)
        assert status == 200


async def test_no_route_answers_without_the_key_and_none_is_there_without_one(serve: Serve) -> None:
    here = await serve(f"remote-management: {{secret-key: {HASHED}}}\n")
    for route in ROUTES:
        path = re.sub(r"\{[^}]*\}", "x", route.plain_path)
        assert error(await ask(here, route.method, path, {}, key=None)) == (401, "missing management key"), path
        assert error(await ask(here, route.method, path, {}, key=CLIENT_KEY)) == (401, "invalid management key"), path
    silent = await serve()
    for route in ROUTES:
        path = re.sub(r"\{[^}]*\}", "x", route.plain_path)
        assert error(await ask(silent, route.method, path, {})) == (404, "no such route"), path
