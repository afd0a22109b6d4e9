"""A renewal is announced before its token leaves; what becomes of the announcement, and of files that are not ours."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from disks import a_full_disk, in_the_way
from logins import login, put, renewed

from vaultd.errors import TryLater
from vaultd.vault import rekey, rotate
from vaultd.vault.credential import DeadLogin, Settings
from vaultd.vault.keyring import Keyring
from vaultd.vault.owner import Owner

Process = Callable[[], Owner]

ID = "codex-a@b.example"


async def started(process: Process) -> Owner:
    owner = process()
    await owner.load()
    return owner


async def announced(owner: Owner) -> None:
    """As a renewal does before its request; and then nothing more is heard of it."""
    await owner.load()
    await owner.settle(login())
    async with owner.leased(ID) as lease:
        await lease.intend("https://vendor.example/token", boot=50, wall=2000)


def entry(owner: Owner, id_: str = ID) -> Path:
    return owner.folder / ".vault" / "ledger" / f"{id_}.json"


async def test_sec_44_an_intent_is_on_disk_when_it_is_announced_and_holds_no_secret(process: Process) -> None:
    owner = await started(process)
    await owner.settle(login())
    async with owner.leased(ID) as lease:
        assert lease.intent is None
        await lease.intend("https://vendor.example/token", boot=50, wall=2000)
        written = json.loads(entry(owner).read_bytes())
        assert written["intent"]["endpoint"] == "https://vendor.example/token"
        assert (written["generation"], written["intent"]["generation"]) == (1, 1)
        assert lease.intent is not None
        assert (lease.intent.boot, lease.intent.wall) == (50, 2000)
        assert b"CANARY" not in entry(owner).read_bytes()
        assert entry(owner).stat().st_mode & 0o777 == 0o600


ANNOUNCE_AND_HANG = """
import asyncio, sys
from pathlib import Path
from vaultd.vault import keyring
from vaultd.vault.owner import Owner
async def main(folder, key_file):
    ring = keyring.unlock(Path(folder), {}, None, Path(key_file))
    owner = Owner(ring.credentials, ring)
    await owner.load()
    async with owner.leased("codex-a@b.example") as lease:
        await lease.intend("https://vendor.example/token", boot=50, wall=2000)
        print("announced", flush=True)
        sys.stdin.readline()
asyncio.run(main(*sys.argv[1:]))
"""


async def test_sec_45_an_intent_outlives_a_killed_process_and_the_next_one_knows_at_its_start(
    process: Process, key_file: Path
) -> None:
    owner = await started(process)
    await owner.settle(login())
    told: list[frozenset[str]] = []
    owner.changed(lambda: told.append(owner.unsettled()))
    victim = subprocess.Popen(  # noqa: ASYNC220  - it is waited for by its one line
        [sys.executable, "-c", ANNOUNCE_AND_HANG, str(owner.folder), str(key_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert victim.stdout is not None
    assert victim.stdin is not None
    assert victim.stdout.readline() == "announced\n"
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    after = await started(process)
    assert after.unsettled() == {ID}
    async with after.leased(ID) as lease:
        assert lease.intent is not None
        assert after.unsettled() == frozenset()  # it is in hand
    assert after.unsettled() == {ID}
    await owner.rescan()  # and one that ran all the while hears of it
    assert owner.unsettled() == {ID}
    assert told == [{ID}]


async def test_sec_45_a_commit_of_new_tokens_ends_the_intent(process: Process) -> None:
    owner = process()
    await announced(owner)
    assert owner.unsettled() == {ID}
    now = owner.get(ID)
    assert now is not None
    await put(owner, renewed(now, 2000))
    assert owner.unsettled() == frozenset()
    assert json.loads(entry(owner).read_bytes())["intent"] is None
    assert (await started(process)).unsettled() == frozenset()


async def test_sec_45_a_commit_ends_the_intent_though_the_ledger_could_not_be_written(process: Process) -> None:
    owner = process()
    await announced(owner)
    with in_the_way(entry(owner)):
        now = owner.get(ID)
        assert now is not None
        new = await put(owner, renewed(now, 2000))
        assert "its ledger entry cannot be written" in owner.ledger_troubles()[ID]
        assert owner.troubles() == {}
    after = await started(process)
    assert after.get(ID) == new
    assert after.unsettled() == frozenset()
    await put(after, renewed(new, 3000))
    assert after.ledger_troubles() == {}


async def test_sec_45_a_change_of_settings_says_nothing_of_a_token_that_may_be_spent(process: Process) -> None:
    owner = process()
    await announced(owner)
    now = owner.get(ID)
    assert now is not None
    await put(owner, replace(now, settings=Settings(priority=3)))
    assert owner.unsettled() == {ID}
    assert (await started(process)).unsettled() == {ID}


async def test_a_renewal_that_ended_without_spending_anything_is_resolved(process: Process) -> None:
    owner = process()
    await announced(owner)
    async with owner.leased(ID) as lease:
        await lease.resolve()
        assert lease.intent is None
    assert (await started(process)).unsettled() == frozenset()


async def test_a_login_that_is_dead_gone_or_never_renewed_has_nothing_unsettled(process: Process) -> None:
    owner = process()
    await announced(owner)
    now = owner.get(ID)
    assert now is not None
    assert now.tokens is not None
    with in_the_way(entry(owner)):  # so that the intent stands there still
        await put(owner, replace(now, dead=DeadLogin("revoked", 1)))
    await owner.rescan()
    assert owner.unsettled() == frozenset()
    await owner.settle(login(at=4000))
    async with owner.leased(ID) as lease:
        await lease.intend("https://vendor.example/token", boot=50, wall=2000)
        await lease.remove()
    assert not entry(owner).exists()
    assert owner.unsettled() == frozenset()
    await owner.settle(replace(login(at=5000), tokens=replace(now.tokens, refresh=None)))
    assert owner.unsettled() == frozenset()


async def test_sec_44_what_cannot_be_announced_must_not_be_sent(process: Process) -> None:
    owner = await started(process)
    await owner.settle(login())
    async with owner.leased(ID) as lease:
        with a_full_disk(), pytest.raises(TryLater, match="could not be announced") as refusal:
            await lease.intend("https://vendor.example/token", boot=50, wall=2000)
        assert refusal.value.own
        assert lease.intent is None
        assert not list(entry(owner).parent.glob(".*.tmp"))


async def test_one_logins_intent_stands_for_its_own_token_alone(process: Process) -> None:
    owner = process()
    await announced(owner)
    other = await owner.settle(login("other@b.example"))
    shutil.copy2(entry(owner), entry(owner, other.id))
    after = await started(process)
    assert after.unsettled() == {ID}
    assert "forged or another's" in after.ledger_troubles()[other.id]


def _torn(written: bytes) -> bytes:
    return written[: len(written) // 2]


def _forged(written: bytes) -> bytes:
    return written.replace(b'"generation":1', b'"generation":0')


def _of_another_version(written: bytes) -> bytes:
    return written.replace(b'"v":1', b'"v":2')


@pytest.mark.parametrize("spoiled", [_torn, _forged, _of_another_version, lambda _: b""])
async def test_a_spoiled_entry_counts_for_nothing_is_told_of_and_is_mended_by_the_next_commit(
    process: Process, spoiled: Callable[[bytes], bytes]
) -> None:
    owner = process()
    await announced(owner)
    before = entry(owner).read_bytes()
    assert spoiled(before) != before
    entry(owner).write_bytes(spoiled(before))
    after = await started(process)
    now = after.get(ID)
    assert now is not None
    assert after.unsettled() == frozenset()
    assert set(after.ledger_troubles()) == {ID}
    await put(after, renewed(now, 2000))
    assert after.ledger_troubles() == {}
    assert (await started(process)).ledger_troubles() == {}


async def test_a_deleted_entry_is_missed_by_nobody(process: Process) -> None:
    owner = process()
    await announced(owner)
    entry(owner).unlink()
    await owner.rescan()
    assert owner.unsettled() == frozenset()
    after = await started(process)
    assert after.get(ID) is not None
    assert (after.ledger_troubles(), after.rolled_back()) == ({}, {})


async def test_a_folder_put_back_from_before_there_were_ledgers_gets_one_with_the_next_commit(
    process: Process,
) -> None:
    owner = process()
    await announced(owner)
    shutil.rmtree(entry(owner).parent)
    await owner.rescan()
    now = owner.get(ID)
    assert now is not None
    await put(owner, renewed(now, 2000))
    assert owner.ledger_troubles() == {}
    assert json.loads(entry(owner).read_bytes())["generation"] == 2


async def test_rotations_and_a_new_root_key_leave_the_entries_valid(
    process: Process, keyring: Keyring, key_file: Path
) -> None:
    owner = process()
    await announced(owner)
    await rotate.rotate(keyring, full=True)
    rekey.to_key_file(keyring, key_file)
    after = await started(process)
    assert after.unsettled() == {ID}
    assert after.ledger_troubles() == {}


async def test_the_fingerprint_of_a_token_is_short_and_tells_nobody_without_the_key(process: Process) -> None:
    owner = process()
    await announced(owner)
    fingerprint = json.loads(entry(owner).read_bytes())["intent"]["token"]
    assert len(fingerprint) == 16
    assert not hashlib.sha256(b"CANARY-refresh-a@b.example").hexdigest().startswith(fingerprint)
