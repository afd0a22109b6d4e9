"""What is seen of a vendor that pauses within a stream: while it does, and afterwards."""

from __future__ import annotations

import asyncio
import json
import re

from stand_in import CLIENT_KEY, ONE_OF_EACH, Relayed, Serve, Vendor, stream

FIRST = b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
ASKED = json.dumps({"model": "m-chat", "messages": [], "stream": True}).encode()


async def numbers(here: Relayed) -> str:
    async with here.session.get(f"{here.url}/metrics") as answer:
        return await answer.text()


async def silent(here: Relayed) -> float:
    found = re.search(r"^vaultd_stream_silence_seconds (\S+)", await numbers(here), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def test_a_pause_is_seen_while_it_lasts_and_counted_with_its_stream(serve: Serve, vendor: Vendor) -> None:
    here, goes_on = await serve(ONE_OF_EACH), asyncio.Event()
    vendor.answers += [stream(FIRST, goes_on, LAST), stream(FIRST, LAST)]
    async with asyncio.TaskGroup() as group:
        paused = group.create_task(here.ask("/v1/chat/completions", ASKED))
        while await silent(here) < 1.1:
            pass
        assert "vaultd_active_streams 1.0" in await numbers(here)
        goes_on.set()
    assert paused.result()[1] == FIRST + LAST
    await here.ask("/v1/chat/completions", ASKED)
    text = await numbers(here)
    bins = re.findall(r'vaultd_stream_gap_seconds_bucket\{le="(\S+)",provider="acme"\} (\S+)', text)
    assert bins[:2] == [("1.0", "1.0"), ("2.0", "2.0")], "one within a second, one between one and two"
    assert "vaultd_active_streams 0.0" in text
    assert 'vaultd_first_byte_seconds_count{format="openai-chat"} 2.0' in text


async def test_streams_that_break_are_counted_by_why(serve: Serve, vendor: Vendor) -> None:
    here, never = await serve(ONE_OF_EACH + "streaming: {{idle-seconds: 0.2}}\n"), asyncio.Event()
    vendor.answers += [stream(FIRST, never), stream(FIRST, cut=True)]
    for _ in range(2):
        assert b"error" in (await here.ask("/v1/chat/completions", ASKED))[1]
    never.set()
    text = await numbers(here)
    for reason in ("silent", "vendor"):
        assert f'vaultd_streams_broken_total{{provider="acme",reason="{reason}"}} 1.0' in text


async def test_a_stream_that_its_client_leaves_is_a_try_that_the_vendor_answered(serve: Serve, vendor: Vendor) -> None:
    here = await serve(ONE_OF_EACH)
    vendor.answers.append(stream(FIRST, asyncio.Event()))
    url = f"{here.url}/v1/chat/completions"
    async with here.session.post(url, data=ASKED, headers={"authorization": f"Bearer {CLIENT_KEY}"}) as answer:
        await answer.content.readany()
        answer.close()
    await asyncio.wait_for(vendor.hung_up.wait(), 10)
    text = await numbers(here)
    assert 'vaultd_attempts_total{provider="acme",status="200"} 1.0' in text
    assert 'vaultd_streams_broken_total{provider="acme",reason="client"} 1.0' in text
    assert "vaultd_active_streams 0.0" in text


async def test_a_stream_that_nobody_began_has_no_first_byte(serve: Serve, vendor: Vendor) -> None:
    del vendor  # nobody is asked
    here = await serve(ONE_OF_EACH)
    assert (await here.ask("/v1/chat/completions", ASKED.replace(b"m-chat", b"nobodys")))[0] == 404
    text = await numbers(here)
    assert "vaultd_first_byte_seconds_count{" not in text
    assert 'vaultd_refusals_total{reason="no-such-model"} 1.0' in text
