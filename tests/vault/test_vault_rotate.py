"""Rotation, a new root key, recovery keys: killed at every step they take, and never a folder that does not open."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from jwcrypto import jwe as foreign_jwe
from jwcrypto import jwk as foreign_jwk
from logins import login

from vaultd.errors import Misconfigured, TryLater
from vaultd.vault import keyring as keyrings
from vaultd.vault import recovery, rekey, rootkey, rotate
from vaultd.vault.clients import ClientKeys
from vaultd.vault.envelope import Refused, kids
from vaultd.vault.keyring import Keyring
from vaultd.vault.owner import Owner

CREDENTIALS = 3
PASSPHRASE = "twelve or more CANARY letters"


class Machine:
    """A folder of credentials and a client key, opened anew as each command does."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.folder = place / "auth"
        self.key_file = place / "config" / "root.key"

    def keyring(self) -> Keyring:
        return keyrings.unlock(self.folder, {}, None, self.key_file, ask=lambda: PASSPHRASE)

    def fill(self) -> None:
        keyring = self.keyring()
        owner = Owner(keyring.credentials, keyring)
        for n in range(CREDENTIALS):
            asyncio.run(owner.settle(login(f"{n}@b.example")))
        asyncio.run(ClientKeys(keyring).create("laptop"))

    def check(self) -> Keyring:
        """Everything opens, and nothing is lost."""
        keyring = self.keyring()
        owner = Owner(keyring.credentials, keyring)
        asyncio.run(owner.load())
        assert (len(owner.snapshot()), dict(owner.refused())) == (CREDENTIALS, {})
        assert [key.alias for key in ClientKeys(keyring).list()] == ["laptop"]
        return keyring

    def sealed(self) -> list[bytes]:
        return [store.read(name)[0] for store, _ in self.keyring().stores() for name in store.names()]

    def copy(self, place: Path) -> Machine:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.place, place)
        return Machine(place)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "machine")
    machine.fill()
    return machine


#: What the interpreter itself announces before it does it (PEP 578): every step by which our code changes a file.
STEPS = {"os.rename", "os.remove", "os.link", "os.chmod", "fcntl.flock"}


def killed_before_step(n: int, work: Callable[[], object]) -> bool:
    """Runs `work` in a child that is killed before its n-th step; False where it ended before that."""
    pid = os.fork()
    if pid == 0:
        steps = 0

        def announce(event: str, args: tuple[object, ...]) -> None:
            nonlocal steps
            creates = event == "open" and isinstance(args[2], int) and args[2] & (os.O_CREAT | os.O_DIRECTORY)
            if event in STEPS or creates:
                steps += 1
                if steps == n:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(announce)
        try:
            work()
        except BaseException:  # noqa: BLE001  - a child of fork must never return into the test
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), "the command failed by itself"
    return status != 0


def kill_at_every_step(machine: Machine, tmp_path: Path, work: Callable[[Machine], object], *, stride: int = 1) -> int:
    """Kills `work` before each of its steps in turn; after each the folder must open, and `work` must go through."""
    n = 1 - stride
    while True:
        n += stride
        copy = machine.copy(tmp_path / "copy")
        if not killed_before_step(n, lambda copy=copy: work(copy)):  # type: ignore[misc]
            return n
        copy.check()
        if n % 7 == 1:  # the second run is as long as the first: every seventh tells as much
            work(copy)
            copy.check()


def test_p5_rotate_is_interruptible_at_every_step(machine: Machine, tmp_path: Path) -> None:
    assert kill_at_every_step(machine, tmp_path, lambda m: asyncio.run(rotate.rotate(m.keyring()))) > 40


def test_p5_rotate_full_is_interruptible_at_every_step(machine: Machine, tmp_path: Path) -> None:
    assert kill_at_every_step(machine, tmp_path, lambda m: asyncio.run(rotate.rotate(m.keyring(), full=True))) > 40


def test_p4_rekey_is_interruptible_at_every_step(machine: Machine, tmp_path: Path) -> None:
    assert kill_at_every_step(machine, tmp_path, lambda m: rekey.to_key_file(m.keyring(), m.key_file)) > 20


def test_p4_rekey_to_a_passphrase_is_interruptible_at_every_fourth_step(machine: Machine, tmp_path: Path) -> None:
    steps = kill_at_every_step(
        machine, tmp_path, lambda m: rekey.to_passphrase(m.keyring(), lambda: PASSPHRASE), stride=4
    )
    assert steps > 15
    assert not (tmp_path / "copy" / "config" / "root.key").exists()


def test_p5_adding_a_recovery_key_is_interruptible_at_every_step(machine: Machine, tmp_path: Path) -> None:
    def add(m: Machine) -> None:
        asyncio.run(recovery.add(m.keyring(), recovery.pair().public))

    assert kill_at_every_step(machine, tmp_path, add) > 40


def test_after_a_rotation_only_the_new_key_opens_anything(machine: Machine) -> None:
    before = machine.keyring().ring
    contents = {json.loads(data)["ciphertext"] for data in machine.sealed()}
    outcome = asyncio.run(rotate.rotate(machine.keyring()))
    assert (outcome.changed, outcome.left, outcome.keys_dropped) == (CREDENTIALS + 1, {}, 1)
    after = machine.check().ring
    assert list(after.keys) == [after.active]
    assert after.active != before.active
    assert all(kids(data) == [after.active] for data in machine.sealed())
    assert {json.loads(data)["ciphertext"] for data in machine.sealed()} == contents


def test_a_full_rotation_makes_new_content_keys(machine: Machine) -> None:
    contents = {json.loads(data)["ciphertext"] for data in machine.sealed()}
    asyncio.run(rotate.rotate(machine.keyring(), full=True))
    machine.check()
    assert not contents & {json.loads(data)["ciphertext"] for data in machine.sealed()}


def test_a_daemon_that_runs_on_follows_a_rotation_and_seals_with_the_new_key(machine: Machine) -> None:
    daemon = machine.keyring()
    owner = Owner(daemon.credentials, daemon)
    asyncio.run(owner.load())
    asyncio.run(rotate.rotate(machine.keyring()))
    asyncio.run(owner.rescan())
    assert len(owner.snapshot()) == CREDENTIALS
    asyncio.run(owner.settle(login("late@b.example")))
    assert kids(daemon.credentials.read("codex-late@b.example.json")[0]) == [machine.keyring().ring.active]


def test_a_daemon_that_runs_on_follows_a_rekey_and_the_rotation_after_it(machine: Machine) -> None:
    daemon = machine.keyring()
    owner = Owner(daemon.credentials, daemon)
    asyncio.run(owner.load())
    rekey.to_key_file(machine.keyring(), machine.key_file)
    asyncio.run(rotate.rotate(machine.keyring()))
    asyncio.run(owner.settle(login("late@b.example")))
    assert owner.troubles() == {}
    assert kids(daemon.credentials.read("codex-late@b.example.json")[0]) == [machine.keyring().ring.active]


def test_a_key_stays_while_a_file_that_cannot_be_read_may_need_it(machine: Machine) -> None:
    hidden = machine.folder / "codex-0@b.example.json"
    hidden.chmod(0o644)
    outcome = asyncio.run(rotate.rotate(machine.keyring()))
    assert (outcome.keys_dropped, list(outcome.left)) == (0, [hidden.name])
    hidden.chmod(0o600)
    machine.check()
    assert asyncio.run(rotate.rotate(machine.keyring())).keys_dropped == 1
    machine.check()


def test_a_plain_file_does_not_hold_a_rotation_up(machine: Machine) -> None:
    (machine.folder / "plain.json").write_text("{}")
    (machine.folder / "plain.json").chmod(0o600)
    outcome = asyncio.run(rotate.rotate(machine.keyring()))
    assert (outcome.left, outcome.keys_dropped) == ({}, 1)


async def test_one_vault_command_at_a_time(keyring: Keyring) -> None:
    async with rotate.maintenance(keyring):
        with pytest.raises(TryLater, match="another `vaultd vault` command"):
            await rotate.rotate(keyring)


def test_p4_after_a_rekey_the_old_root_key_opens_nothing(machine: Machine) -> None:
    old = rootkey.read_key_file(machine.key_file)
    done = rekey.to_key_file(machine.keyring(), machine.key_file)
    assert str(machine.key_file) in done.source
    machine.check()
    with pytest.raises(Misconfigured, match="is not the key that seals it"):
        Keyring(machine.folder, old)


def test_p4_a_root_key_from_outside_is_changed_in_two_steps(machine: Machine) -> None:
    env = {"VAULTD_ROOT_KEY": machine.key_file.read_text()}
    machine.key_file.unlink()

    def unlock() -> Keyring:
        return keyrings.unlock(machine.folder, env, None, machine.key_file)

    with pytest.raises(Misconfigured, match="--to"):
        rekey.to_key_file(unlock(), machine.key_file)
    new = rootkey.written(rootkey.generate())
    todo = rekey.admit(unlock(), new, "new.key").todo
    assert "--finish" in todo
    with pytest.raises(Misconfigured, match="still gives the old root key"):
        rekey.finish(unlock())
    asyncio.run(rotate.rotate(unlock()))
    old, env["VAULTD_ROOT_KEY"] = env["VAULTD_ROOT_KEY"], new.decode()
    rekey.finish(unlock())
    unlock()
    env["VAULTD_ROOT_KEY"] = old
    with pytest.raises(Misconfigured, match="is not the key that seals it"):
        unlock()


def test_p4_a_passphrase_is_asked_for_only_where_the_keyring_says_so(machine: Machine) -> None:
    rekey.to_passphrase(machine.keyring(), lambda: PASSPHRASE)
    assert not machine.key_file.exists()
    machine.check()
    with pytest.raises(Misconfigured, match="nobody is there to ask"):
        keyrings.unlock(machine.folder, {}, None, machine.key_file)
    with pytest.raises(Misconfigured, match="wrong"):
        keyrings.unlock(machine.folder, {}, None, machine.key_file, ask=lambda: "another one")
    rekey.to_key_file(machine.keyring(), machine.key_file)
    keyrings.unlock(machine.folder, {}, None, machine.key_file, ask=None)


def test_p3_a_recovery_key_opens_every_file_also_those_sealed_before_it(machine: Machine) -> None:
    made = recovery.pair()
    kid, outcome = asyncio.run(recovery.add(machine.keyring(), made.public))
    assert outcome.changed == CREDENTIALS + 1
    private = json.loads(made.private)
    assert private["kid"] == kid == ECKey.import_key(private).thumbprint()
    keyring = machine.check()
    files = [*machine.sealed(), keyring.files.read("keyring.jwe.json")[0]]
    for data in files:
        token = foreign_jwe.JWE(algs=["A256KW", "ECDH-ES+A256KW", "A256GCM"])
        token.deserialize(data.decode(), foreign_jwk.JWK(**private))
        assert token.payload
    assert private["d"].encode() not in b"".join(
        file.read_bytes() for file in machine.place.rglob("*") if file.is_file()
    )
    asyncio.run(recovery.remove(machine.keyring(), kid))
    assert recovery.kids(machine.check()) == []
    assert not any(kid in kids(data) for data in machine.sealed())
    with pytest.raises(Misconfigured, match="recovery list"):
        asyncio.run(recovery.remove(machine.keyring(), kid))


def test_p2_a_recovery_recipient_added_to_a_file_by_hand_is_not_kept(machine: Machine) -> None:
    keyring = machine.keyring()
    other = ECKey.generate_key("P-256", auto_kid=True)
    name = "codex-0@b.example.json"
    document = json.loads(keyring.credentials.read(name)[0])
    stranger = {"header": {"alg": "ECDH-ES+A256KW", "kid": other.kid}, "encrypted_key": "AAAA"}
    keyring.credentials.commit(
        name, json.dumps(document | {"recipients": [*document["recipients"], stranger]}).encode()
    )
    asyncio.run(rotate.rotate(keyring))
    assert other.kid not in kids(keyring.credentials.read(name)[0])


def test_p4_a_keyring_that_is_gone_or_damaged_is_never_replaced(machine: Machine) -> None:
    file = machine.folder / ".vault" / "keyring.jwe.json"
    good = file.read_bytes()
    file.write_bytes(good[:200])
    with pytest.raises(Misconfigured, match="restore it"):
        machine.keyring()
    file.unlink()
    with pytest.raises(Misconfigured, match="restore it"):
        machine.keyring()
    assert not file.exists()


def test_p4_a_lost_root_key_is_loud_even_when_the_files_are_too_open(machine: Machine) -> None:
    machine.key_file.unlink()
    for file in machine.folder.rglob("*.json"):
        file.chmod(0o644)
    with pytest.raises(Misconfigured, match="no root key"):
        machine.keyring()
    assert not machine.key_file.exists()


def test_p1_no_token_and_no_client_key_stands_in_clear_in_the_folder(machine: Machine) -> None:
    value = ClientKeys(machine.keyring()).list()[0].value.reveal()
    everything = b"".join(file.read_bytes() for file in machine.place.rglob("*") if file.is_file())
    assert b"CANARY" not in everything
    assert value[16:59].encode() not in everything


def test_reading_a_keyring_as_a_credential_is_refused(machine: Machine) -> None:
    keyring = machine.keyring()
    keyring.credentials.commit("keyring.jwe.json", keyring.files.read("keyring.jwe.json")[0])
    with pytest.raises(Refused):
        keyring.open(keyring.credentials.read("keyring.jwe.json")[0], typ="vaultd-token+jwe", name="keyring.jwe.json")
