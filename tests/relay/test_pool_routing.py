"""Who serves: turns by weight, priority, caps, exclusions, proxies, and a conversation that stays where it is."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from pooled import Open, Pooled, Told, chat_keys
from way_out import way_out

from vaultd.secret import Secret
from vaultd.verbs import VERBS

ANN, BEN = "ann@example.com", "ben@example.com"
SESSIONS = ["0199f2c4-6a00-7d52-9c1e-000000000001", "0199f2c4-6a00-7d52-9c1e-000000000002"]
CLAUDE, CODEX = "claude-sonnet-4-5-20250929", "gpt-5"


async def test_turns_are_taken_by_weight(pooled: Open) -> None:
    house = await pooled(lambda sandbox: chat_keys(sandbox, {"key": "one", "weight": 3}, "two"))
    for _ in range(400):
        assert (await house.ask("chat", "big")).status == 200
    assert house.asked("invented") == {"one": 300, "two": 100}


async def test_turns_are_mixed_not_bunched(pooled: Open) -> None:
    house = await pooled(lambda sandbox: chat_keys(sandbox, {"key": "one", "weight": 3}, "two"))
    for _ in range(4):
        before = house.asked("invented")
        for _ in range(4):
            await house.ask("chat", "big")
        assert house.asked("invented") - before == {"one": 3, "two": 1}


async def test_a_higher_priority_is_asked_as_long_as_it_can_serve(pooled: Open) -> None:
    house = await pooled(lambda sandbox: chat_keys(sandbox, "one", {"key": "two", "priority": 5}, "three"))
    for _ in range(10):
        await house.ask("chat", "big")
    assert house.asked("invented") == {"two": 10}
    house.sandbox.exhaust("invented", seconds=60, key="sk-CANARY-two")
    for _ in range(10):
        assert (await house.ask("chat", "big")).status == 200
    assert house.asked("invented")["two"] == 11 and min(house.asked("invented")[key] for key in ("one", "three")) >= 4
    assert house.clock is not None
    house.clock.advance(61)
    await house.ask("chat", "big")
    assert house.asked("invented")["two"] == 12


async def test_no_credential_has_more_under_way_than_its_cap(pooled: Open) -> None:
    capped: list[dict[str, Any]] = [{"key": key, "max-parallel": 2} for key in ("one", "two")]
    house = await pooled(lambda sandbox: chat_keys(sandbox, *capped))
    known = house.sandbox["invented"]
    house.sandbox.fault("invented", at="llm", do="hang", times=4)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(house.ask("chat", "big")) for _ in range(4)]
        await known.until(lambda: known.counts["faults"] == 4)
        busy = await house.ask("chat", "big")
        known.release()
    assert [task.result().status for task in asked] == [200] * 4
    assert sorted(known.most.values()) == [2, 2]
    assert busy.status == 429 and int(busy.headers["retry-after"]) >= 1, busy.text
    assert not house.resting(), "to be busy is not to be tired"
    assert (await house.ask("chat", "big")).status == 200


async def test_what_is_over_the_cap_goes_to_the_next_priority_and_a_session_comes_home(pooled: Open) -> None:
    first = {"key": "one", "max-parallel": 1, "priority": 1}
    house = await pooled(lambda sandbox: chat_keys(sandbox, first, "two"))
    known = house.sandbox["invented"]

    async def in_session() -> int:
        return (await house.ask("chat", "big", x_session_id=SESSIONS[0])).status

    assert await in_session() == 200
    house.sandbox.fault("invented", at="llm", do="hang", key="sk-CANARY-one")
    async with asyncio.TaskGroup() as group:
        other = group.create_task(house.ask("chat", "big"))
        await known.until(lambda: known.counts["faults"] == 1)
        assert [await in_session() for _ in range(3)] == [200] * 3
        known.release()
    assert other.result().status == 200
    assert house.asked("invented") == {"one": 2, "two": 3}
    assert await in_session() == 200
    assert house.asked("invented") == {"one": 3, "two": 3}


async def test_what_a_person_sets_counts_from_the_next_request_on(pooled: Open) -> None:
    house = await with_two(pooled, "claude")
    ids = {row.account.email: row.id for row in house.house.owner.snapshot().values()}
    await VERBS["credentials.set"](house.house, {"id": ids[ANN], "weight": 4})
    assert await where(house, "claude", plain, "", 20) == {ANN: 16, BEN: 4}
    await VERBS["credentials.set"](house.house, {"id": ids[ANN], "excluded_models": ["claude-*"]})
    assert await where(house, "claude", plain, "", 4) == {BEN: 4}
    await VERBS["credentials.set"](house.house, {"id": ids[ANN], "excluded_models": [], "weight": 1})
    assert await where(house, "claude", plain, "", 20) == {ANN: 10, BEN: 10}


async def plain(house: Pooled, _session: str) -> Told:
    return await house.ask("messages", CLAUDE)


async def test_a_cap_holds_while_streams_run_and_ends_with_them(pooled: Open) -> None:
    house = await pooled(lambda sandbox: chat_keys(sandbox, {"key": "one", "max-parallel": 1}))
    known = house.sandbox["invented"]
    house.sandbox.fault("invented", at="llm", do="stall", after_events=2)
    body = json.dumps({"model": "big", "stream": True, "messages": [{"role": "user", "content": "count to 9"}]})
    headers = {"authorization": f"Bearer {key_of(house)}", "content-type": "application/json"}
    async with house.session.post(f"{house.url}/v1/chat/completions", data=body, headers=headers) as stream:
        await stream.content.readline()
        assert (await house.ask("chat", "big")).status == 429
        known.release()
        await stream.read()
    assert (await house.ask("chat", "big")).status == 200
    assert list(known.most.values()) == [1]


def key_of(house: Pooled) -> str:
    return house.house.config.api_keys[0]


async def test_a_model_that_is_excluded_is_asked_of_others(pooled: Open) -> None:
    house = await pooled()
    await house.sign_in("codex", ANN, excluded_models=("gpt-5-*",))
    await house.sign_in("codex", BEN)
    for _ in range(4):
        assert (await house.ask("responses", "gpt-5-codex")).status == 200
    assert house.asked("codex") == {BEN: 4}
    for _ in range(4):
        await house.ask("responses", CODEX)
    assert house.asked("codex") == {ANN: 2, BEN: 6}


async def test_a_credentials_own_proxy_is_its_way_out_for_requests_and_renewals_and_nobody_elses(pooled: Open) -> None:
    async with way_out() as proxy:
        house = await pooled(by_hand=False)
        await house.sign_in("codex", ANN, proxy_url=Secret(proxy.url))
        await house.sign_in("claude", BEN)
        vendor = house.sandbox.url.removeprefix("http://")
        assert (await house.ask("messages", CLAUDE)).status == 200
        house.sandbox["claude"].expire()
        assert (await house.ask("messages", CLAUDE)).status == 200
        assert proxy.seen == []
        assert (await house.ask("responses", CODEX)).status == 200
        assert {target for target, _ in proxy.seen} == {vendor}
        assert all(shown.startswith("basic ") for _, shown in proxy.seen)
        before = len(proxy.seen)
        house.sandbox["codex"].expire()
        assert (await house.ask("responses", CODEX)).status == 200
        assert house.sandbox["codex"].counts["renewals"] == 1
        assert len(proxy.seen) > before, "the renewal had a connection of its own"
        await house.stop()


# --- affinity ---------------------------------------------------------------------------------------------------------


async def claude_code(house: Pooled, session: str) -> Told:
    """As it comes: the session in a header and in the body's user id."""
    user = {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": session})}
    body = {"model": CLAUDE, "max_tokens": 99, "metadata": user, "messages": [{"role": "user", "content": "hi"}]}
    return await house.post("/v1/messages?beta=true", body, x_claude_code_session_id=session, x_app="cli")


async def older_claude_code(house: Pooled, session: str) -> Told:
    """The session stands in the user id alone."""
    user = {"user_id": f"user_{'a' * 64}_account__session_{session}"}
    body = {"model": CLAUDE, "max_tokens": 99, "metadata": user, "messages": [{"role": "user", "content": "hi"}]}
    return await house.post("/v1/messages?beta=true", body)


async def codex(house: Pooled, session: str) -> Told:
    body = {"model": CODEX, "input": [{"role": "user", "content": "hi"}], "prompt_cache_key": session, "store": False}
    return await house.post("/v1/responses", body, session_id=session, originator="codex_exec")


async def codex_by_key(house: Pooled, session: str) -> Told:
    """Through a gateway that drops unknown headers."""
    body = {"model": CODEX, "input": [{"role": "user", "content": "hi"}], "prompt_cache_key": session}
    return await house.post("/v1/responses", body)


async def opencode(house: Pooled, session: str) -> Told:
    body = {"model": CODEX, "messages": [{"role": "user", "content": "hi"}]}
    return await house.post("/v1/chat/completions", body, x_session_id=session, x_session_affinity=session)


async def conversation(house: Pooled, session: str) -> Told:
    """A client without any id: its conversation grows, and begins as it always did."""
    turns = [{"role": "user", "content": f"I am {session}"}, {"role": "assistant", "content": "Hello."}]
    more = [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "So."}] * len(house.requests("codex"))
    return await house.ask("chat", CODEX, f"hi {session}", turns=turns + more)


CLIENTS = [
    (claude_code, "claude"),
    (older_claude_code, "claude"),
    (codex, "codex"),
    (codex_by_key, "codex"),
    (opencode, "codex"),
    (conversation, "codex"),
]


async def with_two(pooled: Open, vendor: str, **config: Any) -> Pooled:
    house = await pooled(config)
    for email in (ANN, BEN):
        await house.sign_in(vendor, email)
    return house


async def where(house: Pooled, vendor: str, ask: Any, session: str, times: int = 1) -> Counter[str]:
    """Who serves the next requests of a session."""
    before = house.asked(vendor)
    for _ in range(times):
        told = await ask(house, session)
        assert told.status == 200, told.text
    return house.asked(vendor) - before


@pytest.mark.parametrize(("ask", "vendor"), CLIENTS)
async def test_a_session_stays_where_it_began(pooled: Open, ask: Any, vendor: str) -> None:
    house = await with_two(pooled, vendor)
    homes = [await where(house, vendor, ask, session) for session in SESSIONS]
    assert {name for home in homes for name in home} == {ANN, BEN}, "new ones take turns"
    for _ in range(5):
        for session, home in zip(SESSIONS, homes, strict=True):
            assert set(await where(house, vendor, ask, session, 2)) == set(home)


async def test_it_fails_over_stays_there_and_comes_back(pooled: Open) -> None:
    house = await with_two(pooled, "claude")
    (home,) = await where(house, "claude", claude_code, SESSIONS[0], 3)
    (other,) = {ANN, BEN} - {home}
    house.sandbox.exhaust("claude", seconds=60, account=home)
    assert await where(house, "claude", claude_code, SESSIONS[0], 4) == {home: 1, other: 4}
    assert house.clock is not None
    house.clock.advance(61)
    assert await where(house, "claude", claude_code, SESSIONS[0], 4) == {home: 4}


async def test_priority_outranks_a_home(pooled: Open) -> None:
    house = await with_two(pooled, "claude")
    (home,) = await where(house, "claude", claude_code, SESSIONS[0], 2)
    (other,) = {ANN, BEN} - {home}
    (id_,) = (row.id for row in house.house.owner.snapshot().values() if row.account.email == other)
    await VERBS["credentials.set"](house.house, {"id": id_, "priority": 1})
    assert await where(house, "claude", claude_code, SESSIONS[0], 3) == {other: 3}


@pytest.mark.parametrize(("ask", "vendor"), CLIENTS)
async def test_it_can_be_switched_off(pooled: Open, ask: Any, vendor: str) -> None:
    house = await with_two(pooled, vendor, routing={"session-affinity": False})
    assert await where(house, vendor, ask, SESSIONS[0], 4) == {ANN: 2, BEN: 2}


async def test_without_a_session_and_without_a_past_there_is_nothing_to_stay_with(pooled: Open) -> None:
    house = await with_two(pooled, "codex")
    for _ in range(4):
        await house.ask("chat", CODEX, "the same question")
    assert house.asked("codex") == {ANN: 2, BEN: 2}
