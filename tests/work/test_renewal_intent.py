"""One renewal, step by step: what is announced before a token leaves, and when that is taken back."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, open_vault
from msgspec.structs import replace

from vaultd.effects import Reply, Send
from vaultd.errors import SignInRequired, TryLater, VaultdError
from vaultd.vault.credential import Credential
from vaultd.work.renewal import Order, Renew, renew

#: A `Date` names a whole second.
EXACT = 1.5


def order(desk: Desk, credential: Credential) -> Order:
    return Order(credential.id, desk.catalog.provider(credential.provider), credential.generation)


def renewing(desk: Desk, send: Any = None) -> Renew:
    return partial(renew, desk.owner, send=send or desk.send, clock=desk.clock)


async def begun(desk: Desk) -> frozenset[str]:
    """What a process that starts now finds begun and not ended."""
    return (await open_vault(desk.owner.folder)).unsettled()


async def test_sec_44_a_renewal_is_announced_on_disk_before_its_token_leaves_and_not_after_it(desk: Desk) -> None:
    credential = await desk.sign_in()
    found: list[frozenset[str]] = []

    async def sends(effect: Send, *, proxy: str | None = None) -> Reply:
        found.append(await begun(desk))
        return await desk.send(effect, proxy=proxy)

    await renewing(desk, sends)(order(desk, credential))

    assert found == [{credential.id}]
    assert await begun(desk) == frozenset()


async def test_asking_where_the_token_endpoint_is_announces_nothing(desk: Desk) -> None:
    credential = await desk.sign_in("xai")
    vendor = desk.catalog.provider("xai")
    assert vendor.oauth is not None
    oauth = replace(vendor.oauth, issuer=f"{desk.sandbox.url}/xai", issuer_hosts=["127.0.0.1"])
    discovered = Order(credential.id, replace(vendor, oauth=oauth, endpoints={}), credential.generation)
    found: dict[str, frozenset[str]] = {}

    async def sends(effect: Send, *, proxy: str | None = None) -> Reply:
        found[effect.method] = await begun(desk)
        return await desk.send(effect, proxy=proxy)

    await renewing(desk, sends)(discovered)

    assert found == {"GET": frozenset(), "POST": {credential.id}}


@pytest.mark.parametrize(
    ("answer", "stands"),
    [
        ({"do": "status", "status": 400}, False),
        ({"do": "status", "status": 429}, False),
        ({"do": "answer", "status": 403, "body": "<html>no robots</html>"}, False),
        ({"do": "redirect", "status": 302}, False),
        ({"do": "status", "status": 500}, True),
        ({"do": "status", "status": 503}, True),
        ({"do": "answer", "status": 200, "body": "<html>welcome</html>"}, True),
        ({"do": "answer", "status": 200, "body": "{}"}, True),
        ({"do": "huge"}, True),
        ({"do": "cut"}, True),
        ({"do": "cut-after"}, True),
    ],
)
async def test_sec_45_the_announcement_stands_where_the_token_may_be_spent(
    desk: Desk, answer: dict[str, Any], stands: bool
) -> None:
    credential = await desk.sign_in()
    desk.sandbox.fault("codex", at="token", **answer)

    with pytest.raises(VaultdError):
        await renewing(desk)(order(desk, credential))

    assert await begun(desk) == ({credential.id} if stands else frozenset())


async def test_sec_45_a_request_that_never_left_leaves_nothing_to_settle(desk: Desk) -> None:
    credential = await desk.sign_in()

    async def refuses(_effect: Send, *, proxy: str | None = None) -> Reply:
        raise TryLater("the vendor cannot be reached")

    with pytest.raises(TryLater):
        await renewing(desk, refuses)(order(desk, credential))

    assert await begun(desk) == frozenset()


async def test_sec_45_the_next_process_presents_the_same_token_at_once_and_within_the_grace_nothing_is_lost(
    desk: Desk,
) -> None:
    desk.sandbox.set("codex", grace_seconds=30)
    credential = await desk.sign_in()
    desk.sandbox.fault("codex", at="token", do="cut-after")
    with pytest.raises(TryLater) as cut:
        await renewing(desk)(order(desk, credential))
    assert cut.value.outcome_unknown
    desk.clock.advance(5)
    other = await open_vault(desk.owner.folder)
    not_due = Order(credential.id, desk.catalog.provider("codex"), generation=-1)

    renewal = await renew(other, not_due, send=desk.send, clock=desk.clock)

    assert renewal.credential.generation == credential.generation + 1
    assert await begun(desk) == frozenset()
    assert desk.sandbox["codex"].counts["reuse_events"] == 0


async def test_sec_45_that_the_vendor_did_nothing_this_time_does_not_settle_what_it_did_before(desk: Desk) -> None:
    credential = await desk.sign_in()
    for answer in ({"do": "cut"}, {"do": "status", "status": 429}):
        desk.sandbox.fault("codex", at="token", **answer)
        with pytest.raises(VaultdError):
            await renewing(desk)(order(desk, credential))

    assert await begun(desk) == {credential.id}


async def test_sec_47_a_login_that_died_of_a_cut_off_renewal_says_so(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.sandbox.fault("codex", at="token", do="cut-after")
    with pytest.raises(TryLater):
        await renewing(desk)(order(desk, credential))

    with pytest.raises(SignInRequired, match="cut off before its answer was saved"):
        await renewing(desk)(order(desk, credential))

    dead = desk.get(credential.id)
    assert dead.dead is not None
    assert dead.tokens == credential.tokens
    assert await begun(desk) == frozenset()


async def test_sec_43_who_ordered_it_is_cancelled_and_it_is_saved_before_he_goes(desk: Desk, tmp_path: Path) -> None:
    credential = await desk.sign_in()
    left, answered = asyncio.Event(), asyncio.Event()

    async def sends(effect: Send, *, proxy: str | None = None) -> Reply:
        reply = await desk.send(effect, proxy=proxy)
        left.set()
        await answered.wait()
        return reply

    async with asyncio.TaskGroup() as group:
        ordering = group.create_task(renewing(desk, sends)(order(desk, credential)))
        await left.wait()
        ordering.cancel()
        await asyncio.sleep(0)
        ordering.cancel()
        answered.set()

    assert ordering.cancelled()
    saved = (await open_vault(tmp_path / "auth")).get(credential.id)
    assert saved is not None
    assert saved.generation == credential.generation + 1


@pytest.mark.parametrize("off", [-3600.0, 0.0, 86400.0])
async def test_sec_51_how_far_our_clock_is_off_is_told_by_the_vendors_date(desk: Desk, off: float) -> None:
    credential = await desk.sign_in()
    desk.sandbox.set("codex", date_skew_seconds=0)
    desk.clock.wall_error = off

    renewal = await renewing(desk)(order(desk, credential))

    assert renewal.skew == pytest.approx(-off, abs=EXACT)


async def test_sec_51_a_renewal_that_fails_tells_it_too(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.clock.wall_error = 10 * 365 * 86400.0
    desk.sandbox.fault("codex", at="token", do="status", status=500)

    with pytest.raises(TryLater) as failure:
        await renewing(desk)(order(desk, credential))

    assert failure.value.skew == pytest.approx(-10 * 365 * 86400.0, abs=EXACT)
