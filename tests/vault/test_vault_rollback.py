"""Files put back from before: seen by whichever anchor is left, never used, and what a person can do about it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from disks import SickStore, a_full_disk
from logins import login, put, renewed

from vaultd.errors import Misconfigured, TryLater
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.vault.owner import Owner
from vaultd.vault.rotate import rotate

Process = Callable[[], Owner]

ID = "codex-a@b.example"
FILE = f"{ID}.json"


async def a_life(owner: Owner, backup: Path) -> Credential:
    """Signed in and renewed twice; `backup` is the folder as it was after the sign-in."""
    await owner.load()
    first = await owner.settle(login())
    shutil.copytree(owner.folder, backup)
    return await put(owner, renewed(await put(owner, renewed(first, 2000)), 3000))


async def started(process: Process) -> Owner:
    owner = process()
    await owner.load()
    return owner


def put_back(backup: Path, folder: Path, *parts: str) -> None:
    for part in parts:
        shutil.copy2(backup / part, folder / part)


async def test_sec_44_a_file_put_back_while_vaultd_runs_is_not_used_and_the_next_renewal_replaces_it(
    process: Process, tmp_path: Path
) -> None:
    owner = await started(process)
    now = await a_life(owner, tmp_path / "backup")
    put_back(tmp_path / "backup", owner.folder, FILE)
    await owner.rescan()
    assert owner.get(ID) == now
    assert "generation 1, and generation 3 was in use" in owner.rolled_back()[ID]
    later = await put(owner, renewed(now, 4000))
    assert owner.rolled_back() == {}
    assert (await started(process)).get(ID) == later


@pytest.mark.parametrize(
    ("restored", "who"),
    [
        pytest.param([FILE], "the ledger knows generation 3", id="the-file"),
        pytest.param([FILE, f".vault/ledger/{FILE}"], "the commit journal knows generation 3", id="the-whole-folder"),
    ],
)
async def test_a_file_put_back_while_vaultd_is_stopped_is_refused_with_what_to_do(
    process: Process, tmp_path: Path, restored: list[str], who: str
) -> None:
    owner = process()
    await a_life(owner, tmp_path / "backup")
    put_back(tmp_path / "backup", owner.folder, *restored)
    after = await started(process)
    assert after.get(ID) is None
    assert after.snapshot() == {}
    assert set(after.rolled_back()) == {ID}
    assert who in after.refused()[FILE]
    assert "next: vaultd login --codex, or vaultd credentials accept codex-a@b.example" in after.refused()[FILE]
    async with after.leased(ID) as lease:
        assert lease.current is None
    await after.rescan()
    assert set(after.rolled_back()) == {ID}


async def test_each_anchor_alone_tells(process: Process, tmp_path: Path) -> None:
    await a_life(process(), tmp_path / "backup")
    owner = process()
    put_back(tmp_path / "backup", owner.folder, FILE)
    shutil.rmtree(owner.folder / ".vault" / "ledger")
    assert set((await started(process)).rolled_back()) == {ID}  # by the journal
    (journal,) = (tmp_path / "state").glob("commits-*.log")
    journal.unlink()
    assert (await started(process)).rolled_back() == {}  # by nothing: then the vendor's refusal tells


async def test_a_file_that_is_ahead_of_its_anchors_is_what_a_crash_leaves_and_is_used(
    process: Process, tmp_path: Path
) -> None:
    owner = process()
    now = await a_life(owner, tmp_path / "backup")
    shutil.copy2(tmp_path / "backup" / ".vault" / "ledger" / FILE, owner.folder / ".vault" / "ledger" / FILE)
    (journal,) = (tmp_path / "state").glob("commits-*.log")
    journal.write_text(journal.read_text().splitlines(keepends=True)[0])
    after = await started(process)
    assert after.get(ID) == now
    assert after.rolled_back() == {}


async def test_an_earlier_login_put_back_over_a_later_one_is_refused_whatever_its_number(
    process: Process, tmp_path: Path
) -> None:
    owner = process()
    await a_life(owner, tmp_path / "backup")
    old = (owner.folder / FILE).read_bytes()
    async with owner.leased(ID) as lease:
        await lease.remove()
    assert (await owner.settle(login(at=9000))).generation == 1
    (owner.folder / FILE).write_bytes(old)
    after = await started(process)
    assert after.get(ID) is None
    assert "a later sign-in" in after.rolled_back()[ID]


async def test_a_command_that_began_before_does_not_take_another_ones_commit_for_its_own_past(
    process: Process, tmp_path: Path
) -> None:
    """Memory too may be old: what the anchors know by now counts against it."""
    early = await started(process)
    daemon = await started(process)
    first = await daemon.settle(login())
    await early.rescan()
    shutil.copytree(daemon.folder, tmp_path / "backup")
    await put(daemon, renewed(first, 2000))
    put_back(tmp_path / "backup", daemon.folder, FILE)
    async with early.leased(ID) as lease:
        assert lease.current is None
    assert set(early.rolled_back()) == {ID}


@pytest.mark.parametrize("restored", [[FILE], [FILE, f".vault/ledger/{FILE}"]])
async def test_what_a_person_accepts_holds_against_all_anchors_and_over_restarts(
    process: Process, tmp_path: Path, restored: list[str]
) -> None:
    owner = process()
    now = await a_life(owner, tmp_path / "backup")
    put_back(tmp_path / "backup", owner.folder, *restored)
    after = await started(process)
    accepted = await after.accept(ID)
    assert accepted.tokens == login().tokens
    assert accepted.generation > now.generation
    assert after.get(ID) == accepted
    assert (after.rolled_back(), after.refused()) == ({}, {})
    again = await started(process)
    assert again.get(ID) == accepted
    await owner.rescan()  # whose memory knew the later tokens
    assert owner.get(ID) == accepted
    put_back(tmp_path / "backup", again.folder, *restored)
    assert set((await started(process)).rolled_back()) == {ID}


async def test_a_person_accepts_a_file_that_was_put_back_under_a_running_vaultd(
    process: Process, tmp_path: Path
) -> None:
    owner = await started(process)
    now = await a_life(owner, tmp_path / "backup")
    put_back(tmp_path / "backup", owner.folder, FILE)
    await owner.rescan()
    accepted = await owner.accept(ID)
    assert (accepted.tokens, accepted.generation) == (login().tokens, now.generation + 1)
    assert owner.get(ID) == accepted


async def test_there_is_nothing_to_accept_where_nothing_was_rolled_back(process: Process, tmp_path: Path) -> None:
    owner = process()
    await a_life(owner, tmp_path / "backup")
    for id_ in (ID, "codex-nobody"):
        with pytest.raises(Misconfigured, match="nothing to accept"):
            await owner.accept(id_)


async def test_an_acceptance_that_cannot_be_saved_is_an_error(process: Process, tmp_path: Path) -> None:
    owner = process()
    await a_life(owner, tmp_path / "backup")
    put_back(tmp_path / "backup", owner.folder, FILE)
    after = await started(process)
    with a_full_disk(), pytest.raises(TryLater, match="accepted, but only until this process ends"):
        await after.accept(ID)


async def test_sec_34_signing_in_again_replaces_a_rolled_back_file_and_keeps_the_operators_word(
    process: Process, tmp_path: Path
) -> None:
    owner = process()
    await owner.load()
    first = await owner.settle(login())
    await put(owner, replace(first, settings=Settings(priority=7)))
    shutil.copytree(owner.folder, tmp_path / "backup")
    await put(owner, renewed(first, 2000))
    put_back(tmp_path / "backup", owner.folder, FILE, f".vault/ledger/{FILE}")
    after = await started(process)
    again = await after.settle(login(at=5000))
    assert again.id == ID
    assert again.settings.priority == 7
    assert (after.refused(), list(after.snapshot())) == ({}, [ID])
    assert (await started(process)).get(ID) == again


async def test_sec_34_a_sign_in_of_somebody_else_leaves_a_rolled_back_file_alone(
    process: Process, tmp_path: Path
) -> None:
    owner = process()
    await a_life(owner, tmp_path / "backup")
    put_back(tmp_path / "backup", owner.folder, FILE)
    after = await started(process)
    other = await after.settle(login(person="somebody else", at=5000))
    assert other.id != ID
    assert set(after.rolled_back()) == {ID}


async def test_a_clock_that_was_ahead_makes_no_later_sign_in_look_old(process: Process) -> None:
    owner = await started(process)
    await owner.settle(login(at=9e9))
    again = await owner.settle(login(at=2000))
    assert (await started(process)).get(ID) == again
    async with owner.leased(ID) as lease:
        await lease.remove()
    anew = await owner.settle(login(at=3000))
    assert anew.tokens == login(at=3000).tokens
    after = await started(process)
    assert (after.get(ID), after.rolled_back()) == (anew, {})


async def test_an_api_key_put_back_is_refused_with_the_command_that_adds_one(process: Process, tmp_path: Path) -> None:
    key = Credential("", "claude-api-key", "key", key=Secret("CANARY-key"), settings=Settings(label="work"))
    owner = process()
    await owner.load()
    first = await owner.settle(replace(key, created_at=1000))
    shutil.copytree(owner.folder, tmp_path / "backup")
    await put(owner, replace(first, key=Secret("CANARY-new-key")))
    put_back(tmp_path / "backup", owner.folder, f"{first.id}.json")
    after = await started(process)
    assert after.get(first.id) is None
    assert "next: vaultd credentials add claude-api-key --label work" in after.rolled_back()[first.id]


async def test_a_file_that_is_committed_while_the_folder_is_read_is_no_rollback(process: Process) -> None:
    """What the journal knows may be newer than the file that was just read: then the lease decides."""
    one, other = await started(process), await started(process)
    first = await one.settle(login())
    await put(one, replace(login("b@b.example"), id="codex-b"))
    await other.rescan()
    second = await put(one, renewed(first, 2000))
    seen: list[str] = []
    other.changed(lambda: seen.extend(other.rolled_back().values()))

    async def third() -> Credential:
        new = await put(one, renewed(second, 3000))
        async with other.leased("codex-b"):  # which takes up what the journal says of all
            pass
        return new

    loop = asyncio.get_running_loop()
    assert isinstance(other._store, SickStore)
    other._store.meanwhile = lambda: asyncio.run_coroutine_threadsafe(third(), loop).result()
    await other.rescan()
    assert other._store.meanwhile is None
    assert seen == []
    now = other.get(ID)
    assert now is not None
    assert now.generation == 3


async def test_sec_44_a_full_rotation_makes_a_rolled_back_file_look_no_later_than_it_is(
    process: Process, tmp_path: Path
) -> None:
    owner = process()
    await a_life(owner, tmp_path / "backup")
    put_back(tmp_path / "backup", owner.folder, FILE)
    for _ in range(3):
        await rotate(owner._keyring, full=True)
    after = await started(process)
    assert after.get(ID) is None
    assert "it is generation 1, and the ledger knows generation 3" in after.rolled_back()[ID]


async def test_what_is_used_over_a_rolled_back_file_is_put_in_its_place_before_another_process_acts_on_it(
    process: Process, tmp_path: Path
) -> None:
    owner = await started(process)
    now = await a_life(owner, tmp_path / "backup")
    put_back(tmp_path / "backup", owner.folder, FILE)
    await owner.rescan()
    await owner.share(ID)
    assert owner.rolled_back() == {}
    assert owner.get(ID) == now
    assert (await started(process)).get(ID) == now


async def test_nothing_is_put_in_the_place_of_a_rolled_back_file_by_who_never_knew_better(
    process: Process, tmp_path: Path
) -> None:
    await a_life(process(), tmp_path / "backup")
    owner = process()
    put_back(tmp_path / "backup", owner.folder, FILE)
    await owner.load()
    await owner.share(ID)
    assert set(owner.rolled_back()) == {ID}
