"""A real folder, a real key, real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from disks import SickStore

from vaultd.vault import rootkey
from vaultd.vault.keyring import Keyring
from vaultd.vault.owner import Owner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "auth"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "root.key"


@pytest.fixture
def open_keyring(folder: Path, key_file: Path) -> Callable[[], Keyring]:
    """As each process of one machine opens the same folder."""

    def opened() -> Keyring:
        root = rootkey.find({}, None, key_file, sealed_files_exist=key_file.exists(), ask=None)
        return Keyring.open_or_create(folder, root)

    return opened


@pytest.fixture
def keyring(open_keyring: Callable[[], Keyring]) -> Keyring:
    return open_keyring()


@pytest.fixture
def owner(keyring: Keyring) -> Owner:
    return Owner(keyring.credentials, keyring)


@pytest.fixture
def process(open_keyring: Callable[[], Keyring], tmp_path: Path) -> Callable[[], Owner]:
    """Another process's owner, as the house builds it: own keyring, descriptors and memory, the same machine."""

    def started() -> Owner:
        keyring = open_keyring()
        places = [tmp_path / "run" / "emergency", tmp_path / "state" / "emergency"]
        store = SickStore(keyring.credentials.folder)
        return Owner(store, keyring, state_dir=tmp_path / "state", emergency=places)

    return started
