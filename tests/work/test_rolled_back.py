"""A file from a backup: its refresh token is spent; presented, it would make the vendor end the login that lives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from desk import Desk, login

from vaultd.errors import Misconfigured, SignInRequired
from vaultd.vault import keyring
from vaultd.vault.owner import Owner


@pytest.fixture
async def restarted(desk: Desk, tmp_path: Path) -> Desk:
    """Signed in, renewed, stopped; the whole folder restored from a backup of the first day; started again."""
    folder = desk.owner.folder

    async def started() -> Desk:
        opened = keyring.unlock(folder, {}, None, folder.parent / "root.key")
        owner = Owner(opened.credentials, opened, state_dir=tmp_path / "state")
        await owner.load()
        return Desk(desk.sandbox, desk.clock, owner, desk.catalog, desk.client)

    before = await started()
    first = await before.sign_in()
    shutil.copytree(folder, tmp_path / "backup")
    desk.clock.advance(3601)
    await before.renewer.fresh(first.id)
    assert desk.renewals() == 1
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    return await started()


async def test_sec_48_the_token_of_a_rolled_back_file_never_leaves(restarted: Desk) -> None:
    desk = restarted
    (id_,) = desk.owner.rolled_back()
    assert desk.owner.snapshot() == {}
    with pytest.raises(Misconfigured, match=id_):
        await desk.renewer.fresh(id_)
    assert desk.sent == []
    assert desk.sandbox["codex"].counts["presented:spent"] == 0


async def test_signing_in_again_brings_a_rolled_back_login_back(restarted: Desk) -> None:
    desk = restarted
    (id_,) = desk.owner.rolled_back()
    again = await desk.owner.settle(login(desk.sandbox, "codex", "", desk.clock.now()))
    assert (again.id, desk.owner.rolled_back()) == (id_, {})
    desk.clock.advance(3601)
    assert (await desk.renewer.fresh(id_)).generation > again.generation


async def test_what_a_person_accepts_is_presented_on_his_word(restarted: Desk) -> None:
    desk = restarted
    (id_,) = desk.owner.rolled_back()
    accepted = await desk.owner.accept(id_)
    assert accepted.tokens is not None
    with pytest.raises(SignInRequired):
        await desk.renewer.fresh(id_)
    assert desk.sandbox["codex"].counts["presented:spent"] == 1
