"""The summary that a client keeps for vaultd: nobody else reads it, and it outlives every rotation."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from pathlib import Path

from vaultd.vault.compaction_seal import MARK, CompactionSeal
from vaultd.vault.keyring import Keyring, unlock
from vaultd.vault.rotate import rotate


def keyring(folder: Path, key: Path) -> Keyring:
    return unlock(folder, {}, None, key)


def test_what_it_seals_opens_again_and_shows_nothing() -> None:
    seal = CompactionSeal(b"CANARY pepper")
    once, again = seal.seal("Grüß CANARY"), seal.seal("Grüß CANARY")
    assert (seal.open(once), seal.open(again)) == ("Grüß CANARY", "Grüß CANARY")
    assert once != again
    assert b"CANARY" not in urlsafe_b64decode(once.removeprefix(MARK))


def test_nobody_elses_text_opens() -> None:
    seal = CompactionSeal(b"CANARY pepper")
    sealed = seal.seal("CANARY")
    assert CompactionSeal(b"another CANARY").open(sealed) is None
    for text in ("", MARK, "gAAAAx", sealed.removeprefix(MARK), sealed[:-5], sealed + "=", f"{sealed[:-1]}é"):
        assert seal.open(text) is None, text


async def test_a_conversation_may_rest_over_every_rotation(tmp_path: Path) -> None:
    key = tmp_path / "key"
    before = keyring(tmp_path / "auth", key)
    sealed = CompactionSeal(before.pepper).seal("CANARY")
    first = before.ring.active
    await rotate(before)
    await rotate(before, full=True)
    after = keyring(tmp_path / "auth", key)
    assert first not in after.ring.keys, "the key of its day is gone"
    assert CompactionSeal(after.pepper).open(sealed) == "CANARY"


def test_another_folders_keyring_does_not_open_it(tmp_path: Path) -> None:
    one, other = (keyring(tmp_path / name, tmp_path / "key") for name in ("one", "other"))
    assert CompactionSeal(other.pepper).open(CompactionSeal(one.pepper).seal("CANARY")) is None
