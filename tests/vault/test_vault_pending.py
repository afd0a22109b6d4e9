"""A commit that fails: the new token is used from memory, lies sealed elsewhere, and is saved as soon as may be."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from desk import HandClock
from disks import SickStore, a_full_disk
from logins import login, put, renewed

from vaultd.errors import TryLater
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.vault.journal import tag
from vaultd.vault.keyring import unlock
from vaultd.vault.owner import Owner
from vaultd.vault.pending import newest
from vaultd.vault.rotate import rotate

Process = Callable[[], Owner]

ID = "codex-a@b.example"
FILE = f"{ID}.json"


async def started(process: Process) -> Owner:
    owner = process()
    await owner.load()
    return owner


def store(owner: Owner) -> SickStore:
    """The disk under an owner of `process`."""
    assert isinstance(owner._store, SickStore)
    return owner._store


async def unsaved(owner: Owner, at: float = 2000) -> Credential:
    """A renewal whose outcome the folder does not take; the disk stays sick."""
    first = owner.get(ID) or await owner.settle(login())
    store(owner).sick = errno.EIO
    return await put(owner, renewed(first, at))


def copies(tmp_path: Path, owner: Owner) -> list[Path]:
    """Emergency copies, best place first."""
    places = [tmp_path / place / "emergency" / tag(owner.folder) for place in ("run", "state")]
    return [file for place in places if place.is_dir() for file in place.glob("*.json")]


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT])
async def test_sec_46_what_the_folder_does_not_take_is_used_and_lies_sealed_in_the_emergency_copy(
    process: Process, tmp_path: Path, error: int
) -> None:
    owner = await started(process)
    first = await owner.settle(login())
    store(owner).sick = error
    new = await put(owner, renewed(first, 2000))
    (copy,) = copies(tmp_path, owner)
    assert owner.get(ID) == new
    assert owner.unsaved() == {ID: str(copy)}
    assert f"sealed in {copy}" in owner.troubles()[ID]
    assert copy.is_relative_to(tmp_path / "run")
    assert (copy.stat().st_mode & 0o777, copy.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert b"CANARY" not in copy.read_bytes()
    assert b'"ciphertext"' in copy.read_bytes()
    store(owner).sick = 0
    await owner.retry()
    assert (owner.unsaved(), owner.troubles()) == ({}, {})
    assert copies(tmp_path, owner) == []
    assert (await started(process)).get(ID) == new


async def test_sec_46_the_copy_goes_to_the_next_place_where_the_first_does_not_work(
    process: Process, tmp_path: Path
) -> None:
    owner = await started(process)
    (tmp_path / "run").write_text("no folder")
    await unsaved(owner)
    (copy,) = copies(tmp_path, owner)
    assert copy.is_relative_to(tmp_path / "state")


async def test_sec_46_without_any_place_it_is_in_memory_alone_and_that_is_said(
    process: Process, tmp_path: Path
) -> None:
    owner = await started(process)
    first = await owner.settle(login())
    with a_full_disk():
        new = await put(owner, renewed(first, 2000))
        assert "kept in memory alone" in owner.troubles()[ID]
        assert (owner.get(ID), owner.unsaved()) == (new, {ID: ""})
        await owner.retry()
        assert owner.unsaved() == {ID: ""}
    await owner.retry()
    assert owner.unsaved() == {}


async def test_sec_46_it_is_tried_again_every_second_while_anything_waits(process: Process) -> None:
    owner, clock = await started(process), HandClock()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        saving = group.create_task(owner.keep_saving(clock))
        new = await unsaved(owner)
        for _ in range(3):
            await clock.to_next()
        assert clock.boot() == 1003
        assert owner.unsaved()
        store(owner).sick = 0
        while owner.unsaved():  # noqa: ASYNC110  - nobody is told when it is saved
            await asyncio.sleep(0)
        assert (await started_like(owner)) == new
        await unsaved(owner, at=3000)  # and from then on again
        await clock.to_next()
        saving.cancel()


async def started_like(owner: Owner) -> Credential | None:
    """What another process finds in the folder."""
    other = Owner(owner._keyring.credentials, owner._keyring)
    await other.load()
    return other.get(ID)


async def test_sec_46_the_next_start_takes_the_copy_into_the_folder(process: Process, tmp_path: Path) -> None:
    new = await unsaved(await started(process))
    after = await started(process)  # whose disk is well
    assert after.get(ID) == new
    assert (after.unsaved(), copies(tmp_path, after)) == ({}, [])
    async with after.leased(ID) as lease:
        assert lease.current == new
    assert (await started_like(after)) == new


async def test_sec_46_a_first_sign_in_that_only_the_copy_has_is_adopted_too(process: Process, tmp_path: Path) -> None:
    owner = await started(process)
    store(owner).sick = errno.ENOSPC
    with pytest.raises(Exception, match="only until this process ends"):
        await owner.settle(login())
    after = await started(process)
    assert after.get(ID) == owner.get(ID)
    assert copies(tmp_path, after) == []


async def test_sec_46_a_copy_that_the_disk_still_does_not_take_is_used_from_where_it_is(
    process: Process, tmp_path: Path
) -> None:
    new = await unsaved(await started(process))
    after = process()
    store(after).sick = errno.EIO
    await after.load()
    assert after.get(ID) == new
    assert after.unsaved() == {ID: str(copies(tmp_path, after)[0])}


async def test_sec_42_another_process_presents_the_copys_token_and_not_the_spent_one(process: Process) -> None:
    daemon, other = await started(process), await started(process)
    new = await unsaved(daemon)
    await other.rescan()
    async with other.leased(ID) as lease:
        assert lease.current == new
    await other.retry()
    assert other.unsaved() == {}
    await daemon.retry()
    assert daemon.unsaved() == {}
    assert daemon.get(ID) == new


@pytest.mark.parametrize("which", ["older", "equal", "of an earlier life"])
async def test_sec_46_a_copy_that_is_outdone_is_removed(process: Process, tmp_path: Path, which: str) -> None:
    owner = await started(process)
    new = await unsaved(owner)
    (copy,) = copies(tmp_path, owner)
    kept = copy.read_bytes()
    store(owner).sick = 0
    await owner.retry()
    now: Credential | None = new
    if which == "older":
        now = await put(owner, renewed(new, 3000))
    elif which == "of an earlier life":
        async with owner.leased(ID) as lease:
            await lease.remove()
        now = await owner.settle(login(at=9000))
    copy.write_bytes(kept)
    copy.chmod(0o600)
    after = await started(process)
    assert (after.get(ID), after.unsaved(), copies(tmp_path, after)) == (now, {}, [])


async def test_sec_46_a_copy_of_a_later_life_replaces_what_stands_there(process: Process, tmp_path: Path) -> None:
    owner = await started(process)
    first = await owner.settle(login())
    old = (owner.folder / FILE).read_bytes()
    for at in (2000, 3000):
        first = await put(owner, renewed(first, at))
    third = (owner.folder / FILE).read_bytes()
    async with owner.leased(ID) as lease:
        await lease.remove()
    store(owner).sick = errno.EIO
    with pytest.raises(Exception, match="only until this process ends"):
        await owner.settle(login(at=9000))
    anew = owner.get(ID)
    assert anew is not None
    assert (anew.generation, old != third) == (1, True)
    (owner.folder / FILE).write_bytes(third)
    after = await started(process)
    assert (after.get(ID), copies(tmp_path, after)) == (anew, [])


async def test_a_copy_that_cannot_be_read_is_told_of_and_left(process: Process, tmp_path: Path) -> None:
    owner = await started(process)
    login_on_disk = await owner.settle(login())
    await unsaved(owner)
    (copy,) = copies(tmp_path, owner)
    copy.write_bytes(copy.read_bytes()[:100])
    after = await started(process)
    assert after.get(ID) == login_on_disk
    assert "damaged" in after.emergency_troubles()[str(copy)]
    assert copy.exists()


async def test_a_copy_is_behind_its_anchors_where_the_folder_went_on_and_then_away(
    process: Process, tmp_path: Path
) -> None:
    owner = await started(process)
    new = await unsaved(owner)
    (copy,) = copies(tmp_path, owner)
    kept = copy.read_bytes()
    store(owner).sick = 0
    await owner.retry()
    await put(owner, renewed(new, 3000))
    (owner.folder / FILE).unlink()
    copy.write_bytes(kept)
    copy.chmod(0o600)
    after = await started(process)
    assert (after.get(ID), copies(tmp_path, after)) == (None, [])


async def test_a_removed_credentials_copy_goes_with_it(process: Process, tmp_path: Path) -> None:
    owner = await started(process)
    await unsaved(owner)
    async with owner.leased(ID) as lease:
        await lease.remove()
    assert (copies(tmp_path, owner), owner.unsaved()) == ([], {})
    assert (await started(process)).snapshot() == {}


async def test_two_processes_with_one_value_to_save_save_it_and_are_done(process: Process, tmp_path: Path) -> None:
    daemon, keeper = await started(process), await started(process)
    new = await unsaved(keeper)
    keeper_says = keeper.troubles()[ID]
    await daemon.rescan()
    daemon.hold(new, keeper_says)
    assert (daemon.get(ID), set(daemon.unsaved())) == (new, {ID})
    store(keeper).sick = 0
    await keeper.retry()
    assert (keeper.unsaved(), keeper.get(ID)) == ({}, new)
    await daemon.retry()
    assert (daemon.unsaved(), daemon.get(ID)) == ({}, new)
    stamp = daemon._store.stamp(FILE)
    for owner in (keeper, daemon):
        assert not await owner.rescan()
    assert daemon._store.stamp(FILE) == stamp
    assert copies(tmp_path, daemon) == []


async def test_what_another_process_could_not_save_is_held_but_not_over_something_newer(process: Process) -> None:
    daemon = await started(process)
    first = await daemon.settle(login())
    late = replace(renewed(first, 2000), generation=2)
    third = await put(daemon, renewed(await put(daemon, renewed(first, 2500)), 3000))
    daemon.hold(late, "its disk is full")
    assert (daemon.get(ID), daemon.unsaved()) == (third, {})
    store(daemon).sick = errno.EIO
    fourth = await put(daemon, renewed(third, 4000))
    daemon.hold(third, "its disk is full")
    assert daemon.get(ID) == fourth


def test_a_login_imported_meanwhile_outdoes_what_waits_though_its_tokens_are_older() -> None:
    waiting = replace(renewed(login(), 4000), generation=5)
    imported = replace(login(at=5000), generation=1)
    assert imported.tokens is not None
    imported = replace(imported, tokens=replace(imported.tokens, issued_at=3000.0))
    assert newest(waiting, imported) is None


async def test_sec_46_a_file_that_is_there_but_perhaps_not_for_good_is_made_durable_before_it_counts(
    process: Process,
) -> None:
    """The rename was done, the folder's fsync failed: after a power cut it may be the old file again."""
    owner = await started(process)
    first = await owner.settle(login())
    store(owner).unsynced = errno.EIO
    new = await put(owner, renewed(first, 2000))
    await owner.rescan()
    assert (owner.get(ID), set(owner.unsaved())) == (new, {ID})
    store(owner).unsynced = 0
    stamp = owner._store.stamp(FILE)
    await owner.rescan()
    assert owner.unsaved() == {}
    assert owner._store.stamp(FILE) == stamp


async def test_sec_46_a_renewal_does_not_fail_where_keys_cannot_be_locked_to_seal(process: Process) -> None:
    owner = await started(process)
    first = await owner.settle(login())
    lock = owner.folder / ".vault" / "locks" / "own" / "keyring.jwe.lock"
    lock.unlink()
    lock.symlink_to("nowhere")  # which is not followed
    new = await put(owner, renewed(first, 2000))
    assert owner.get(ID) == new
    assert list(owner.unsaved()) == [ID]
    lock.unlink()
    await owner.retry()
    assert owner.unsaved() == {}


async def test_a_file_read_again_shows_what_another_process_committed(process: Process) -> None:
    daemon, keeper = await started(process), await started(process)
    first = await daemon.settle(login())
    await keeper.rescan()
    new = await put(keeper, renewed(first, 2000))
    assert daemon.get(ID) == first
    assert daemon.reread(ID) == new
    snapshot = daemon.snapshot()
    assert daemon.reread(ID) == new
    assert daemon.snapshot() is snapshot
    async with keeper.leased(ID) as lease:
        await lease.remove()
    assert daemon.reread(ID) is None
    assert daemon.snapshot() == {}


async def test_a_renewal_of_one_among_many_compares_no_other(process: Process) -> None:
    owner = await started(process)
    one = await owner.settle(login())
    other = await owner.settle(login("b@b.example"))
    before = owner.snapshot()
    await put(owner, replace(one, settings=Settings(priority=1)))
    assert owner.snapshot()[other.id] is before[other.id]
    assert owner.snapshot()[one.id] is not before[one.id]


async def test_no_secret_is_in_what_is_said_of_an_unsaved_login(process: Process) -> None:
    owner = await started(process)
    new = await unsaved(owner)
    assert "CANARY" not in repr(new)
    assert "CANARY" not in f"{owner.troubles()}{owner.unsaved()}{owner.emergency_troubles()}"
    assert isinstance(new.bearer, Secret)


@pytest.mark.parametrize("full", [False, True])
async def test_p5_a_rotation_seals_the_emergency_copy_anew_too(
    process: Process, folder: Path, key_file: Path, tmp_path: Path, full: bool
) -> None:
    owner = await started(process)
    new = await unsaved(owner)
    places = [tmp_path / place / "emergency" for place in ("run", "state")]
    outcome = await rotate(unlock(folder, {}, None, key_file, emergency=places), full=full)
    assert (outcome.changed, outcome.keys_dropped) == (2, 1)
    after = await started(process)
    saved = after.get(ID)
    assert saved is not None
    assert saved.tokens == new.tokens
    assert (copies(tmp_path, after), after.emergency_troubles()) == ([], {})


async def test_sec_46_a_folder_without_a_keyring_is_another_one_and_nothing_was_removed_from_it(
    process: Process, tmp_path: Path
) -> None:
    """As where a disk is taken out for a check, and what it was mounted on is there."""
    owner = await started(process)
    new = await unsaved(owner)
    away = owner.folder.rename(tmp_path / "away")
    owner.folder.mkdir(mode=0o700)
    await owner.rescan()
    assert owner.reread(ID) == new
    assert len(copies(tmp_path, owner)) == 1
    owner.folder.rmdir()
    away.rename(owner.folder)
    store(owner).sick = 0
    await owner.rescan()
    assert (owner.unsaved(), owner.troubles()) == ({}, {})
    assert (await started(process)).get(ID) == new


async def test_sec_46_nobody_else_is_to_act_on_what_lies_in_memory_alone(process: Process, tmp_path: Path) -> None:
    owner = await started(process)
    first = await owner.settle(login())
    with a_full_disk():
        new = await put(owner, renewed(first, 2000))
        with pytest.raises(TryLater, match="in memory alone"):
            await owner.share(ID)
    await owner.share(ID)
    assert owner.unsaved() == {}
    assert (await started(process)).get(ID) == new


async def test_what_lies_in_an_emergency_copy_may_be_acted_on_by_others(process: Process) -> None:
    owner = await started(process)
    new = await unsaved(owner)
    await owner.share(ID)
    async with process().leased(ID) as lease:
        assert lease.current == new
