"""The owner: one snapshot for readers, one lease at a time for writers, several processes on one folder."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from disks import a_full_disk
from logins import login, put, renewed

from vaultd.errors import TryLater
from vaultd.vault.credential import DeadLogin, Settings
from vaultd.vault.keyring import Keyring
from vaultd.vault.owner import Owner


@pytest.fixture
def other_owner(open_keyring: Callable[[], Keyring], keyring: Keyring) -> Owner:
    """Another process's owner of the same folder: its own keyring, descriptors and memory."""
    again = open_keyring()
    return Owner(again.credentials, again)


async def test_a_sign_in_is_sealed_on_disk_and_seen_by_everybody(owner: Owner, other_owner: Owner) -> None:
    seen: list[int] = []
    unsubscribe = owner.changed(lambda: seen.append(len(owner.snapshot())))
    settled = await owner.settle(login())
    assert (settled.id, settled.generation) == ("codex-a@b.example", 1)
    assert owner.snapshot() == {settled.id: settled}
    assert seen == [1]
    assert await other_owner.rescan()
    assert other_owner.get(settled.id) == settled
    assert not await other_owner.rescan()
    unsubscribe()
    assert b"CANARY" not in (owner.folder / "codex-a@b.example.json").read_bytes()


async def test_a_snapshot_is_immutable_and_another_object_only_after_a_change(owner: Owner) -> None:
    first = await owner.settle(login())
    snapshot = owner.snapshot()
    await owner.rescan()
    assert owner.snapshot() is snapshot
    await put(owner, renewed(first, 2000))
    assert snapshot[first.id].generation == 1
    assert owner.snapshot()[first.id].generation == 2
    with pytest.raises(TypeError):
        snapshot["x"] = first  # type: ignore[index]


async def test_sec_34_the_same_identity_replaces_its_file_and_keeps_the_operators_word(owner: Owner) -> None:
    first = await owner.settle(login("old@b.example", person="p", account="team"))
    await put(owner, replace(first, settings=Settings(priority=5, disabled=True), dead=DeadLogin("revoked", 1)))
    again = await owner.settle(login("new@b.example", person="p", account="team", at=5000))
    assert again.id == "codex-old@b.example"
    assert again.generation == 3
    assert again.dead is None
    assert again.settings == Settings(priority=5, disabled=True)
    assert len(owner.snapshot()) == 1


async def test_sec_34_another_identity_of_one_email_gets_a_name_of_its_own(owner: Owner) -> None:
    personal = await owner.settle(login(person="p", account="personal"))
    team = await owner.settle(login(person="p", account="team"))
    assert personal.id == "codex-a@b.example"
    assert team.id.startswith("codex-a@b.example-")
    assert len(team.id) == len(personal.id) + 9
    assert (await owner.settle(login(person="p", account="team"))).id == team.id
    assert {personal.id, team.id} == set(owner.snapshot())


async def test_sec_34_a_file_that_may_not_be_used_is_not_overwritten_either(owner: Owner) -> None:
    planted = owner.folder / "codex-a@b.example.json"
    planted.write_bytes(b"somebody's")
    assert (await owner.settle(login())).id != "codex-a@b.example"
    assert planted.read_bytes() == b"somebody's"


async def test_sign_ins_without_any_name_are_numbered(owner: Owner) -> None:
    ids = [(await owner.settle(login("", provider="claude-api-key"))).id for _ in range(3)]
    assert ids == ["claude-api-key-1", "claude-api-key-2", "claude-api-key-3"]


async def test_two_processes_signing_in_different_people_of_one_name_at_once_get_two_files(
    owner: Owner, other_owner: Owner
) -> None:
    one, two = await asyncio.gather(owner.settle(login(person="p")), other_owner.settle(login(person="q")))
    assert one.id != two.id
    await owner.rescan()
    assert {c.account.person for c in owner.snapshot().values()} == {"p", "q"}


async def test_thr_38_a_plaintext_file_is_not_loaded_but_reported_with_the_next_action(
    owner: Owner, planted: Callable[[Path], Path]
) -> None:
    dropped = planted(owner.folder / "codex-x@y.example.json")
    dropped.write_text('{"type":"codex","access_token":"CANARY-plain","refresh_token":"CANARY-plain"}')
    dropped.chmod(0o600)
    await owner.load()
    assert owner.snapshot() == {}
    reason = owner.refused()["codex-x@y.example.json"]
    assert f"vaultd credentials import {dropped} --yes --remove" in reason
    assert "CANARY" not in reason
    dropped.unlink()
    await owner.rescan()
    assert owner.refused() == {}


async def test_p2_files_that_were_swapped_or_copied_are_refused(owner: Owner, other_owner: Owner) -> None:
    one, two = await owner.settle(login("one@b.example")), await owner.settle(login("two@b.example"))
    a, b = owner.folder / f"{one.id}.json", owner.folder / f"{two.id}.json"
    shutil.copy(a, owner.folder / "codex-copy.json")
    swap = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(swap)
    await other_owner.load()
    assert other_owner.snapshot() == {}
    assert set(other_owner.refused()) == {a.name, b.name, "codex-copy.json"}
    await owner.rescan()
    assert owner.snapshot() == {}


async def test_p2_a_file_put_back_from_before_is_not_used_in_this_run(owner: Owner) -> None:
    first = await owner.settle(login())
    file = owner.folder / f"{first.id}.json"
    old = file.read_bytes()
    now = await put(owner, renewed(first, 2000))
    file.write_bytes(old)
    await owner.rescan()
    assert owner.get(first.id) == now
    assert "rolled back" in owner.refused()[file.name]
    assert (await put(owner, renewed(now, 3000))).generation == 3
    await owner.rescan()
    assert owner.refused() == {}


async def test_a_new_sign_in_after_a_logout_elsewhere_is_no_rollback(owner: Owner, other_owner: Owner) -> None:
    first = await owner.settle(login())
    await put(owner, renewed(first, 2000))
    await other_owner.load()
    async with other_owner.leased(first.id) as lease:
        await lease.remove()
    anew = await other_owner.settle(login(at=9000))
    assert anew.generation == 1
    await owner.rescan()
    assert owner.get(first.id) == anew
    assert owner.refused() == {}


async def test_sec_42_who_waits_for_a_lease_finds_what_the_winner_committed(owner: Owner, other_owner: Owner) -> None:
    first = await owner.settle(login())
    await other_owner.load()
    renewals = 0

    async def renew_once(own: Owner) -> None:
        nonlocal renewals
        async with own.leased(first.id) as lease:
            assert lease.current is not None
            if lease.current.renewed_at == 0:
                renewals += 1
                await lease.put(renewed(lease.current, 2000))

    await asyncio.gather(*(renew_once(own) for own in (owner, other_owner) * 8))
    assert renewals == 1
    assert owner.get(first.id) == other_owner.get(first.id)


async def test_a_lease_not_given_in_time_says_who_has_it(owner: Owner, other_owner: Owner) -> None:
    async with owner.leased("codex-a"):
        with pytest.raises(TryLater, match="another task"):
            async with owner.leased("codex-a", timeout=0.01):
                pass
        with pytest.raises(TryLater, match="another vaultd process"):
            async with other_owner.leased("codex-a", timeout=0.01):
                pass


async def test_a_removed_credential_is_gone_everywhere_and_its_lock_stays(owner: Owner, other_owner: Owner) -> None:
    first = await owner.settle(login())
    await other_owner.load()
    async with owner.leased(first.id) as lease:
        await lease.remove()
        assert lease.current is None
    assert owner.snapshot() == {}
    await other_owner.rescan()
    assert other_owner.snapshot() == {}
    assert (owner.folder / ".vault" / "locks" / f"{first.id}.lock").exists()


async def test_sec_43_a_cancelled_put_is_whole_before_the_lease_is_given_on(owner: Owner, other_owner: Owner) -> None:
    first = await owner.settle(login())
    await other_owner.load()
    for at in range(2000, 2020):

        async def renew(at: float = at) -> None:
            async with owner.leased(first.id) as lease:
                assert lease.current is not None
                await lease.put(renewed(lease.current, at))

        async with asyncio.TaskGroup() as group:
            task = group.create_task(renew())
            for _ in range(at % 5):
                await asyncio.sleep(0)
            task.cancel()
        async with other_owner.leased(first.id) as lease:
            assert lease.current == owner.get(first.id)


async def test_sec_46_a_commit_that_fails_keeps_the_new_tokens_in_use_and_says_so(
    owner: Owner, other_owner: Owner
) -> None:
    first = await owner.settle(login())
    with a_full_disk():
        new = await put(owner, renewed(first, 2000))
        assert owner.get(first.id) == new
        assert "File too large" in owner.troubles()[first.id]
        await owner.rescan()
        assert owner.get(first.id) == new
        async with owner.leased(first.id) as lease:
            assert lease.current == new
    await other_owner.load()
    assert other_owner.get(first.id) == first
    await owner.rescan()
    assert owner.troubles() == {}
    await other_owner.rescan()
    assert other_owner.get(first.id) == new


async def test_sec_46_a_sign_in_that_cannot_be_saved_is_an_error_though_usable(owner: Owner) -> None:
    with a_full_disk(), pytest.raises(TryLater, match="only until this process ends"):
        await owner.settle(login())
    assert "codex-a@b.example" in owner.snapshot()
    await owner.rescan()
    assert owner.troubles() == {}
    assert (owner.folder / "codex-a@b.example.json").exists()


async def test_sec_46_settings_changed_elsewhere_meanwhile_come_to_stand_over_our_newer_tokens(
    owner: Owner, other_owner: Owner
) -> None:
    first = await owner.settle(login())
    with a_full_disk():
        ours = await put(owner, renewed(first, 2000))
    await other_owner.load()
    await put(other_owner, replace(first, settings=Settings(disabled=True)))
    await owner.rescan()
    now = owner.get(first.id)
    assert now is not None
    assert now.tokens == ours.tokens
    assert now.settings.disabled
    await other_owner.rescan()
    assert other_owner.get(first.id) == now
    assert owner.troubles() == {}


async def test_a_thousand_files_are_loaded(owner: Owner, other_owner: Owner) -> None:
    ids = []
    for n in range(1000):
        async with owner.leased(f"codex-{n}") as lease:
            ids.append((await lease.put(login(f"{n}@b.example"))).id)
    await other_owner.load()
    assert sorted(other_owner.snapshot()) == sorted(ids)


RENEW_ONCE = """
import asyncio, sys
from pathlib import Path
from dataclasses import replace
from vaultd.vault import keyring
from vaultd.vault.owner import Owner
async def main(folder, key_file):
    ring = keyring.unlock(Path(folder), {}, None, Path(key_file))
    owner = Owner(ring.credentials, ring)
    await owner.load()
    print("ready", flush=True)
    sys.stdin.readline()
    for due in range(1, 11):
        async with owner.leased("codex-a@b.example") as lease:
            if lease.current.renewed_at < due:
                await lease.put(replace(lease.current, renewed_at=due))
                print(due, flush=True)
asyncio.run(main(*sys.argv[1:]))
"""


async def test_p6_processes_that_meet_at_ten_expiries_renew_ten_times(owner: Owner, key_file: Path) -> None:
    await owner.settle(login())
    command = [sys.executable, "-c", RENEW_ONCE, str(owner.folder), str(key_file)]
    others = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
        for _ in range(3)
    ]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    said = []
    for other in others:
        assert other.stdin is not None
        other.stdin.write("\n")
        other.stdin.flush()
    for other in others:
        said += other.communicate()[0].split()
    assert sorted(int(due) for due in said) == list(range(1, 11))
    await owner.rescan()
    assert owner.snapshot()["codex-a@b.example"].generation == 11
