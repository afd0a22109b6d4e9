"""A request meets a stale or a refused token: one renewal, whoever asks."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from desk import Desk, login, open_vault, without_refresh
from disks import a_full_disk

from vaultd.effects import Reply, Send
from vaultd.errors import Misconfigured, SignInRequired, TryLater
from vaultd.secret import Secret
from vaultd.vault.credential import Settings
from vaultd.vault.envelope import FILE_LIMIT
from vaultd.work.renew import Renewer
from vaultd.work.renewal import renew
from vaultd.work.tasks import Tasks


async def test_a_token_with_life_left_costs_no_request_and_no_lock(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.clock.advance(3000)

    async with desk.owner.leased(credential.id):  # somebody else's: `fresh` must not need it
        assert await desk.renewer.fresh(credential.id) == credential
    assert desk.sent == []


async def test_sec_42_a_hundred_requests_meet_an_expired_token_and_it_is_renewed_once(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.clock.advance(4000)

    answers = await asyncio.gather(*(desk.renewer.fresh(credential.id) for _ in range(100)))

    assert desk.renewals() == 1
    assert {answer.generation for answer in answers} == {credential.generation + 1}
    assert answers[0].bearer != credential.bearer


async def test_sec_42_two_daemons_on_one_folder_renew_once(desk: Desk) -> None:
    credential = await desk.sign_in()
    other = Desk(desk.sandbox, desk.clock, await open_vault(desk.owner.folder), desk.catalog, desk.client)
    desk.clock.advance(4000)

    mine, theirs = await asyncio.gather(desk.renewer.fresh(credential.id), other.renewer.fresh(credential.id))

    assert desk.renewals() == 1
    assert mine == theirs


async def test_sec_43_a_new_token_is_on_disk_before_anybody_gets_it(desk: Desk, tmp_path: Path) -> None:
    credential = await desk.sign_in()
    desk.clock.advance(4000)
    sealed = tmp_path / "auth" / f"{credential.id}.json"
    before = sealed.read_bytes()
    seen: list[bool] = []
    desk.owner.changed(lambda: seen.append(sealed.read_bytes() != before))

    answer = await desk.renewer.fresh(credential.id)

    assert seen == [True]
    assert (await open_vault(tmp_path / "auth")).get(credential.id) == answer


async def test_sec_44_no_token_is_spent_while_its_successor_could_not_be_saved(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.clock.advance(3590)  # stale, not at its end

    with a_full_disk():
        assert await desk.renewer.fresh(credential.id) == credential
    assert desk.sent == []
    assert "could not be saved" in desk.renewer.failing()[credential.id]

    desk.clock.advance(1)
    desk.renewer.forgive(credential.id)
    assert (await desk.renewer.fresh(credential.id)).generation == 2
    assert sorted(path.name for path in desk.owner.folder.iterdir()) == [".vault", f"{credential.id}.json"]


async def test_sec_44_a_disk_that_fills_while_the_vendor_answers_costs_no_token(desk: Desk) -> None:
    credential = await desk.sign_in()
    reserved: list[int] = []
    send = desk.client.send

    async def sends(effect: Send, *, proxy: str | None = None) -> Reply:
        reserved.extend(path.stat().st_blocks * 512 for path in desk.owner.folder.glob("*.tmp"))
        return await send(effect, proxy=proxy)

    renewer = Renewer(
        desk.owner, lambda: desk.catalog, partial(renew, desk.owner, send=sends, clock=desk.clock), desk.clock
    )
    desk.clock.advance(4000)
    await renewer.fresh(credential.id)

    assert reserved == [FILE_LIMIT]
    assert desk.owner.troubles() == {}


async def test_sec_43_an_answer_without_a_refresh_token_keeps_the_old_one(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.sandbox.set("codex", refresh="absent")
    desk.clock.advance(4000)

    answer = await desk.renewer.fresh(credential.id)

    assert answer.tokens is not None
    assert credential.tokens is not None
    assert answer.tokens.refresh == credential.tokens.refresh
    assert answer.tokens.access != credential.tokens.access


async def test_a_renewal_never_blanks_who_it_is(desk: Desk) -> None:
    credential = await desk.sign_in("claude", "ann@example.org")
    desk.sandbox.set("claude", token_answer={"account": None, "organization": None})
    desk.clock.advance(4000)

    assert (await desk.renewer.fresh(credential.id)).account == credential.account


async def test_sec_52_a_hundred_401s_on_one_token_renew_it_once(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.sandbox["codex"].expire()  # the vendor thinks so; our clock does not

    first = await asyncio.gather(*(desk.renewer.fresh(credential.id, credential.bearer) for _ in range(100)))
    late = await desk.renewer.fresh(credential.id, credential.bearer)

    assert desk.renewals() == 1
    assert {answer.bearer.reveal() for answer in first if answer.bearer} == {desk.get(credential.id).bearer.reveal()}  # type: ignore[union-attr]
    assert late == first[0]


async def test_a_401_that_joins_a_renewal_which_found_nothing_to_do_gets_its_own(desk: Desk, tasks: Tasks) -> None:
    """Another process renewed; that very token is refused too."""
    credential = await desk.sign_in()
    other = Desk(desk.sandbox, desk.clock, await open_vault(desk.owner.folder), desk.catalog, desk.client)
    desk.clock.advance(4000)
    theirs = await other.renewer.fresh(credential.id)

    async with other.owner.leased(credential.id):
        stale = tasks.start("stale", desk.renewer.fresh(credential.id))
        refused = tasks.start("refused", desk.renewer.fresh(credential.id, rejected=theirs.bearer))
        await asyncio.sleep(0)  # both ask, and wait for the lease

    assert await stale == theirs
    assert (await refused).bearer != theirs.bearer
    assert desk.renewals() == 2


async def test_sec_48_a_dead_login_is_marked_with_its_reason_and_its_tokens_are_kept(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.sandbox["codex"].sign_out()
    desk.clock.advance(4000)

    with pytest.raises(SignInRequired, match="vaultd login --codex"):
        await desk.renewer.fresh(credential.id)
    with pytest.raises(SignInRequired, match="refresh_token_invalidated"):
        await desk.renewer.fresh(credential.id)

    dead = desk.get(credential.id)
    assert dead.dead is not None
    assert dead.dead.since == desk.clock.now()
    assert dead.tokens == credential.tokens
    assert len(desk.sent) == 1
    assert desk.outcomes.get_nowait() == (credential.id, "dead")


async def test_sec_47_a_refusal_counts_only_if_the_file_still_holds_the_refused_token(
    desk: Desk, tmp_path: Path
) -> None:
    """Somebody signed in again while the vendor was refusing the old token."""
    old = await desk.sign_in()
    sealed = tmp_path / "auth" / f"{old.id}.json"
    shutil.copytree(tmp_path / "auth", tmp_path / "another")
    desk.clock.advance(4000)
    desk.sandbox["codex"].sign_out()
    again = await (await open_vault(tmp_path / "another")).settle(login(desk.sandbox, "codex", "", desk.clock.now()))
    new_file = (tmp_path / "another" / sealed.name).read_bytes()

    class Meanwhile(Desk):
        async def send(self, effect: Send, *, proxy: str | None = None) -> Reply:
            reply = await super().send(effect, proxy=proxy)
            sealed.write_bytes(new_file)
            return reply

    late = Meanwhile(desk.sandbox, desk.clock, await open_vault(desk.owner.folder), desk.catalog, desk.client)
    answer = await late.renewer.fresh(old.id)

    assert answer.dead is None
    assert answer.tokens == again.tokens


async def test_sec_49_a_vendor_that_is_down_leaves_the_token_in_hand_and_the_login_alive(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.sandbox.fault("codex", at="token", do="status", status=503, times=0, retry_after=20)
    desk.clock.advance(3595)  # stale, and good for five seconds more

    assert await desk.renewer.fresh(credential.id) == credential
    desk.clock.advance(10)
    with pytest.raises(TryLater, match="503") as failed:
        await desk.renewer.fresh(credential.id)

    assert failed.value.after == pytest.approx(10)  # Retry-After was 20, ten seconds ago
    assert len(desk.sent) == 1  # in the pause nobody is asked
    assert desk.get(credential.id).dead is None

    desk.sandbox["codex"].faults.clear()
    desk.clock.advance(10)
    assert (await desk.renewer.fresh(credential.id)).generation == credential.generation + 1


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "status", "status": 500},
        {"do": "status", "status": 429},
        {"do": "answer", "status": 400, "body": "<html>proxy</html>"},
        {"do": "answer", "status": 200, "body": "[]", "content_type": "application/json"},
        {"do": "cut"},
        {"do": "cut-after"},
        {"do": "redirect"},
    ],
)
async def test_sec_49_no_bad_answer_but_the_oauth_error_kills_a_login(desk: Desk, fault: dict[str, object]) -> None:
    credential = await desk.sign_in()
    desk.sandbox.set("codex", grace_seconds=30)
    desk.sandbox.fault("codex", at="token", **fault)
    desk.clock.advance(4000)

    with pytest.raises(TryLater):
        await desk.renewer.fresh(credential.id)
    desk.clock.advance(1)

    assert (await desk.renewer.fresh(credential.id)).dead is None
    assert desk.sandbox["codex"].counts["reuse_events"] == 0


async def test_a_cancelled_request_never_cancels_the_renewal(desk: Desk, tasks: Tasks) -> None:
    credential = await desk.sign_in()
    desk.sandbox.fault("codex", at="token", do="hang")
    desk.clock.advance(4000)
    request = tasks.start("a request", desk.renewer.fresh(credential.id))
    await desk.sandbox["codex"].until(lambda: desk.sandbox["codex"].counts["requests:token"] == 1)

    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    desk.sandbox["codex"].release()
    await desk.renewer.drain()

    assert desk.get(credential.id).generation == credential.generation + 1
    assert desk.renewals() == 1


async def test_an_end_waits_for_a_renewal_no_longer_than_it_is_told_to(desk: Desk, tasks: Tasks) -> None:
    credential = await desk.sign_in()
    desk.sandbox.fault("codex", at="token", do="hang")
    desk.clock.advance(4000)
    tasks.start("a request", desk.renewer.fresh(credential.id))
    await desk.sandbox["codex"].until(lambda: desk.sandbox["codex"].counts["requests:token"] == 1)

    await desk.renewer.drain(0.01)

    assert desk.get(credential.id).generation == credential.generation
    desk.sandbox["codex"].release()
    await desk.renewer.drain()
    assert desk.get(credential.id).generation == credential.generation + 1


async def test_iflow_its_derived_key_is_fetched_again_after_each_renewal(desk: Desk) -> None:
    credential = await desk.sign_in("iflow")
    desk.clock.advance(4000)

    answer = await desk.renewer.fresh(credential.id)

    assert answer.bearer != credential.bearer
    assert desk.sandbox["iflow"].live(answer.bearer.reveal())  # type: ignore[union-attr]


async def test_sec_43_a_rotated_token_survives_the_failure_of_what_comes_after_it(desk: Desk) -> None:
    credential = await desk.sign_in("iflow")
    desk.sandbox.fault("iflow", at="userinfo", do="status", status=503)
    desk.clock.advance(4000)

    halfway = await desk.renewer.fresh(credential.id)
    assert halfway.tokens is not None
    assert credential.tokens is not None
    assert halfway.tokens.refresh != credential.tokens.refresh
    assert halfway.bearer == credential.bearer  # what the vendor told last time

    desk.clock.advance(61)
    whole = await desk.renewer.fresh(credential.id, rejected=halfway.bearer)
    assert whole.bearer != credential.bearer
    assert desk.sandbox["iflow"].counts["reuse_events"] == 0


async def test_sec_52_a_derived_key_that_renewal_does_not_change_is_not_forced_again(desk: Desk) -> None:
    credential = await desk.sign_in("iflow")
    desk.sandbox.fault("iflow", at="userinfo", do="status", status=503, times=0)

    for _ in range(3):
        answer = await desk.renewer.fresh(credential.id, rejected=credential.bearer)
        assert answer.bearer == credential.bearer

    assert desk.renewals("iflow") == 1


async def test_a_login_renews_through_its_own_proxy(desk: Desk) -> None:
    plain = await desk.sign_in()
    proxy = Secret("socks5://user:CANARY@127.0.0.1:9")
    async with desk.owner.leased(plain.id) as lease:
        await lease.put(replace(plain, settings=Settings(proxy_url=proxy)))
    desk.clock.advance(4000)

    await desk.renewer.fresh(plain.id)

    assert [sent[1] for sent in desk.sent] == [proxy.reveal()]


async def test_without_a_refresh_token_the_login_is_dead_at_its_end_and_not_before(desk: Desk) -> None:
    credential = await desk.owner.settle(without_refresh(login(desk.sandbox, "codex", "", desk.clock.now())))
    desk.clock.advance(3599)
    assert await desk.renewer.fresh(credential.id) == credential
    desk.clock.advance(1)

    with pytest.raises(SignInRequired, match="refresh token"):
        await desk.renewer.fresh(credential.id)
    assert desk.sent == []


async def test_an_unknown_credential_is_named(desk: Desk) -> None:
    with pytest.raises(Misconfigured, match="no credential nobody: see `vaultd credentials list`"):
        await desk.renewer.fresh("nobody")


async def test_a_token_that_was_expired_when_it_came_is_not_fetched_over_and_over(desk: Desk) -> None:
    credential = await desk.sign_in()
    desk.sandbox.set("codex", token_answer={"expires_in": 0})
    desk.clock.advance(4000)

    await desk.renewer.fresh(credential.id)
    for _ in range(5):
        with pytest.raises(TryLater, match="had expired"):
            await desk.renewer.fresh(credential.id)

    assert desk.renewals() == 1
