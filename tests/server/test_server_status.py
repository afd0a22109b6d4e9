"""Alive, able to serve, and the numbers."""

from __future__ import annotations

import asyncio
import gc
import re
from dataclasses import replace
from itertools import count

from aiohttp import ClientSession, web
from serving import MODELS, Serve

from vaultd.net.local import ready
from vaultd.oauth.tokens import Account, Tokens
from vaultd.pool.state import Outcome
from vaultd.secret import Secret
from vaultd.server import admin
from vaultd.server.guard import client_key_or_loopback, guarded
from vaultd.vault.credential import Credential, DeadLogin, Settings
from vaultd.work.metrics import Metrics, Seen
from vaultd.work.plan import plan

LOGIN = Credential(
    id="codex-ada@example.com",
    provider="codex",
    kind="oauth",
    tokens=Tokens(Secret("CANARY-access"), Secret("CANARY-refresh"), issued_at=1.0, expires_at=4e9),
    account=Account(person="ada", email="ada@example.com"),
)


async def test_alive_says_the_version(serve: Serve) -> None:
    here = await serve()
    assert (await here.get("/healthz")).json()["status"] == "alive"


async def test_a_house_without_credentials_is_not_ready_and_says_what_to_do(serve: Serve) -> None:
    here = await serve()
    heard = await here.get("/readyz")
    assert heard.status == 503
    assert heard.json()["ready"] is False
    assert "vaultd login" in heard.json()["reasons"][0]


async def test_ready_while_one_credential_can_serve_and_names_those_that_cannot(serve: Serve) -> None:
    here = await serve(MODELS)
    async with here.house.owner.leased(LOGIN.id) as lease:
        await lease.put(replace(LOGIN, dead=DeadLogin("invalid_grant", 1.0)))
    heard = await here.get("/readyz")
    assert heard.status == 200
    assert [reason.partition(":")[0] for reason in heard.json()["reasons"]] == [LOGIN.id]
    assert "vaultd login --codex" in heard.json()["reasons"][0]


async def test_not_ready_while_everything_cools(serve: Serve) -> None:
    here = await serve(MODELS)
    going = plan(here.house, "openai-chat", "large")
    going.report(next(going.candidates), Outcome(401))
    heard = await here.get("/readyz")
    assert heard.status == 503
    assert "cooling until" in heard.json()["reasons"][0]


async def test_not_ready_once_it_is_ending(serve: Serve) -> None:
    """The main port takes no request any more; a health check asks the admin socket."""
    here = await serve(MODELS)
    async with admin.listening(here.house) as socket:
        assert (await asyncio.to_thread(ready, socket) or {})["ready"] is True
        here.house.draining.set()
        assert await asyncio.to_thread(ready, socket) == {
            "ready": False,
            "reasons": ["the daemon is ending and takes no new request"],
        }


async def test_the_numbers_hold_no_address_of_a_person(serve: Serve) -> None:
    here = await serve(MODELS)
    async with here.house.owner.leased(LOGIN.id) as lease:
        await lease.put(LOGIN)
    await here.get("/v1/models")
    await here.get("/healthz")
    heard = await here.get("/metrics")
    text = heard.body.decode()
    assert 'vaultd_requests_total{format="",provider="",route="health",status="200"} 1.0' in text
    assert heard.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'vaultd_requests_total{format="openai-chat",provider="",route="models",status="200"} 1.0' in text
    assert 'route="metrics"' not in text, "it has not ended"
    assert 'vaultd_credentials{provider="codex",state="available"} 1.0' in text
    assert "vaultd_token_expiry_seconds{" in text
    assert "vaultd_active_requests 1.0" in text
    assert "ada" not in text
    assert "CANARY" not in text


async def test_what_has_not_happened_yet_is_told_as_none(serve: Serve) -> None:
    """Prometheus' `increase` misses the first of what it never saw at 0: a first failure would alarm nobody."""
    here = await serve(MODELS)
    async with here.house.owner.leased(LOGIN.id) as lease:
        await lease.put(LOGIN)
    text = (await here.get("/metrics")).body.decode()
    for labels in ('outcome="failed",provider="codex"', 'outcome="dead",provider="codex"'):
        assert f"vaultd_renewals_total{{{labels}}} 0.0" in text
    for reason in ("vendor", "silent"):
        assert f'vaultd_streams_broken_total{{provider="acme",reason="{reason}"}} 0.0' in text
    assert 'vaultd_refusals_total{reason="unauthorized"} 0.0' in text
    assert 'vaultd_config_reloads_total{outcome="refused"} 0.0' in text
    here.house.metrics.renewal("codex", "failed", 0.1)
    again = (await here.get("/metrics")).body.decode()
    assert 'vaultd_renewals_total{outcome="failed",provider="codex"} 1.0' in again
    assert again.count('vaultd_renewals_total{outcome="failed",provider="codex"}') == 1


async def test_a_dead_login_that_is_disabled_waits_for_nobody(serve: Serve) -> None:
    here = await serve(MODELS)
    for disabled, told in ((False, "1.0"), (True, "0.0")):
        dead = replace(LOGIN, dead=DeadLogin("invalid_grant", 1.0), settings=Settings(disabled=disabled))
        async with here.house.owner.leased(LOGIN.id) as lease:
            await lease.put(dead)
        text = (await here.get("/metrics")).body.decode()
        found = re.findall(r'^vaultd_login_dead\{credential="\w+",provider="codex"\} (\S+)$', text, re.MULTILINE)
        assert found == [told]


async def test_a_fault_of_ours_is_counted_as_one_and_not_as_a_client_that_hung_up(serve: Serve) -> None:
    here = await serve(MODELS)

    async def faulty(_request: web.Request) -> web.StreamResponse:
        raise LookupError

    app = web.Application()
    app.router.add_get("/", guarded(here.house, "openai-chat", client_key_or_loopback, faulty))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/") as answer:
            assert answer.status == 500
    finally:
        await runner.cleanup()
    assert here.house.metrics.lane("relay", "openai-chat").answered == {("", 500): 1}
    assert here.house.metrics.in_work == 0


async def test_two_houses_count_apart(serve: Serve) -> None:
    one, other = await serve(MODELS), await serve(MODELS)
    await one.get("/v1/models")
    assert "vaultd_requests_total{" not in (await other.get("/metrics")).body.decode()


def test_counting_goes_on_while_the_numbers_are_written() -> None:
    """They are written in another thread, which may stand still wherever garbage is collected."""
    metrics, counted = Metrics(), count(1)

    def another(_phase: str, _info: object) -> None:
        number = next(counted)
        metrics.attempt(f"vendor-{number}", 200)
        metrics.lane("relay", "gemini").ended(f"vendor-{number}", 200, 0.1)
        metrics.sign_in(f"vendor-{number}", "ok")

    for _ in range(500):
        another("", None)
    before = gc.get_threshold()
    gc.callbacks.append(another)
    gc.set_threshold(10)
    try:
        text = metrics.render(Seen()).decode()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(another)
    assert next(counted) > 510, "it did go on"
    assert 'vaultd_sign_ins_total{outcome="ok",provider="vendor-500"} 1.0' in text
