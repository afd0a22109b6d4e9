"""A program borrows: `vaultd token` beside a daemon, as helpers of other programs run it."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from desk import login, without_refresh
from managed import Managed, managed

from vaultd.errors import Misconfigured, SignInRequired
from vaultd.server import admin
from vaultd.vault.credential import Credential, DeadLogin
from vaultd.verbs import AUDITED, VERBS
from vaultd.verbs.token import LEAST

ANN, BEN = "ann@example.com", "ben@example.com"


@pytest.fixture
async def lender(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    """Its time is the test's."""
    async with managed(home, planted, by_hand=True) as one:
        yield one


async def signed_in(lender: Managed, email: str = ANN, vendor: str = "codex") -> Credential:
    return await lender.house.owner.settle(login(lender.sandbox, vendor, email, lender.house.clock.now()))


async def lent(lender: Managed, **asked: str) -> dict[str, str]:
    answer: dict[str, str] = await VERBS["token"](lender.house, asked)
    return answer


class Done(NamedTuple):
    code: int | None
    out: str
    err: str


async def types(lender: Managed, *words: str) -> Done:
    argv = ("-m", "vaultd", "token", *words)
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, env=lender.home, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    return Done(process.returncode, out.decode(), err.decode())


async def test_sec_42_ten_helpers_and_ten_requests_meet_one_expiry_and_cost_one_renewal(lender: Managed) -> None:
    before = await signed_in(lender)
    assert before.tokens is not None
    lender.clock.advance(before.tokens.lifetime + 60)  # type: ignore[union-attr]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(admin.listening(lender.house))
        helpers = [types(lender, "codex") for _ in range(10)]
        requests = [lender.chats("gpt-5") for _ in range(10)]
        done, told = await asyncio.gather(asyncio.gather(*helpers), asyncio.gather(*requests))

    vendor = lender.sandbox["codex"]
    assert (vendor.counts["renewals"], vendor.counts["reuse_events"]) == (1, 0)
    now = lender.house.owner.snapshot()[before.id]
    assert now.bearer is not None and now.bearer != before.bearer
    assert {one.status for one in told} == {200}
    assert {(one.code, one.out, one.err) for one in done} == {(0, now.bearer.reveal() + "\n", "")}


async def test_the_words_of_the_command(lender: Managed) -> None:
    held = await signed_in(lender)
    key = (await VERBS["keys.create"](lender.house, {"alias": "claude-code"}))["data"]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(admin.listening(lender.house))
        told, other, none, gone = await asyncio.gather(
            types(lender, "codex", "--json"),
            types(lender, "--client-key", "claude-code"),
            types(lender),
            types(lender, "claude"),
        )
    answer = json.loads(told.out)
    assert held.bearer is not None and held.tokens is not None and held.tokens.refresh is not None
    assert answer.pop("token") == held.bearer.reveal()
    assert answer.pop("expires_at").endswith("Z")
    assert answer == {"provider": "codex", "credential": held.id, "account": ANN}
    assert held.tokens.refresh.reveal() not in told.out
    assert (other.out, other.err) == (key["vApiKey"] + "\n", "")
    assert (none.code, none.out) == (2, "")
    assert (gone.code, gone.out) == (3, "") and "vaultd login --claude" in gone.err


async def test_what_is_lent_lives_for_a_while_where_the_vendor_s_tokens_do(lender: Managed) -> None:
    held = await signed_in(lender)
    assert held.tokens is not None and held.bearer is not None and lender.clock is not None
    lender.clock.advance(held.tokens.lifetime - LEAST - 1)
    assert (await lent(lender, provider="codex"))["token"] == held.bearer.reveal()
    lender.clock.advance(2)
    assert (await lent(lender, provider="codex"))["token"] != held.bearer.reveal()
    assert lender.sandbox["codex"].counts["renewals"] == 1


async def test_a_short_life_is_not_renewed_each_time(lender: Managed) -> None:
    lender.sandbox.set("codex", access_seconds=240)
    held = await signed_in(lender)
    assert held.bearer is not None and lender.clock is not None
    lender.clock.advance(119)
    assert (await lent(lender, provider="codex"))["token"] == held.bearer.reveal()
    lender.clock.advance(2)
    assert (await lent(lender, provider="codex"))["token"] != held.bearer.reveal()


async def test_with_the_vendor_down_what_still_lives_is_lent(lender: Managed) -> None:
    held = await signed_in(lender)
    assert held.tokens is not None and held.bearer is not None and lender.clock is not None
    lender.sandbox.fault("codex", at="token", do="status", status=503, times=0)
    lender.clock.advance(held.tokens.lifetime - 60)
    assert (await lent(lender, provider="codex"))["token"] == held.bearer.reveal()


async def test_without_a_refresh_token_what_there_is_is_lent_to_its_end(lender: Managed) -> None:
    held = await lender.house.owner.settle(
        without_refresh(login(lender.sandbox, "codex", ANN, lender.house.clock.now()))
    )
    assert held.tokens is not None and held.bearer is not None and lender.clock is not None
    lender.clock.advance(held.tokens.lifetime - 1)
    assert (await lent(lender, provider="codex"))["token"] == held.bearer.reveal()


async def test_the_pool_chooses_by_priority_and_the_same_each_time(lender: Managed) -> None:
    ann, ben = await signed_in(lender), await signed_in(lender, BEN)
    assert {(await lent(lender, provider="codex"))["credential"] for _ in range(4)} == {ann.id}
    await VERBS["credentials.set"](lender.house, {"id": ben.id, "priority": 5})
    assert (await lent(lender, provider="codex"))["account"] == BEN
    assert (await lent(lender, provider="codex", credential=ann.id))["account"] == ANN
    await VERBS["credentials.disable"](lender.house, {"id": ben.id})
    assert (await lent(lender, provider="codex"))["account"] == ANN
    with pytest.raises(Misconfigured, match="credentials enable"):
        await lent(lender, provider="codex", credential=ben.id)


async def test_what_cannot_be_lent_says_why(lender: Managed) -> None:
    held = await signed_in(lender)
    async with lender.house.owner.leased(held.id) as lease:
        await lease.put(replace(held, dead=DeadLogin("the vendor said invalid_grant", 1.0)))
    key = (await VERBS["keys.create"](lender.house, {"alias": "shut"}))["data"]
    await VERBS["keys.disable"](lender.house, {"key": key["id"]})
    with pytest.raises(SignInRequired, match=r"invalid_grant.*vaultd login --codex"):
        await lent(lender, provider="codex")
    with pytest.raises(SignInRequired, match="invalid_grant"):
        await lent(lender, provider="codex", credential=held.id)
    with pytest.raises(Misconfigured, match="is not lent"):
        await lent(lender, provider="gemini-api-key")
    with pytest.raises(Misconfigured, match="codex"):
        await lent(lender, provider="codx")
    with pytest.raises(Misconfigured, match="no login"):
        await lent(lender, provider="codex", credential="codex-nobody")
    with pytest.raises(Misconfigured, match="switched off"):
        await lent(lender, client_key="shut")


def test_thr_39_lending_is_on_the_audit_log() -> None:
    assert "token" in AUDITED
