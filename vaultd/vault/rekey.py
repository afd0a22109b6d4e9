"""A new root key: written, seen to open the keyring, and only then is the old one let go.

    1  the new key is made (in `<file>.new`, or in the person's head)
    2  the keyring is sealed to both, and opened with both
    3  the source is switched: the new key file replaces the old, or the old one is removed
    4  the keyring is sealed to the new one alone

Killed after any step, the source that stands opens the keyring. Where the key comes from outside (systemd, the
environment) only the operator can do step 3, and `finish` is step 4.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaultd.errors import Misconfigured
from vaultd.vault import rootkey
from vaultd.vault.keyring import Keyring
from vaultd.vault.rootkey import Ask, RootKey

#: systemd.exec(5): where a unit finds its credentials.
_OF_SYSTEMD: Final = "the credential /run/credentials/"


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """`todo` is what the operator has to do, empty where nothing is left."""

    source: str
    todo: str = ""


def to_key_file(keyring: Keyring, default_key_file: Path) -> Rekeyed:
    """A new random key in place of the file that the old one came from."""
    old = keyring.root
    asked = rootkey.is_passphrase_kid(str(old.key.kid))
    if old.file is None and not asked:
        raise Misconfigured(
            f"the root key comes from {old.source}: name a new file for the next one with --to, which is then to be put"
            " there"
        )
    target = old.file or default_key_file
    new = rootkey.create(target.with_name(f"{target.name}.new"), replacing=True)
    keyring.admit(new.key)
    assert new.file is not None
    new.file.replace(target)
    rootkey.sync_folder(target.parent)
    keyring.adopt(rootkey.read_key_file(target))
    return Rekeyed(f"the key file {target}")


def admit(keyring: Keyring, text: bytes, file: str) -> Rekeyed:
    """Lets in the key that somebody has put into `file`, beside the old one, whose source is not ours to change."""
    old = keyring.root
    keyring.admit(rootkey.parse(text, file))
    finish = "vaultd vault rekey --finish"
    if old.source.startswith(_OF_SYSTEMD):
        sealed = f"systemd-creds encrypt --name=vaultd-root {shlex.quote(file)} /etc/credstore.encrypted/vaultd-root"
        steps = f"{sealed} && rm {shlex.quote(file)} && systemctl restart vaultd && {finish}"
        return Rekeyed(f"still {old.source}, and {file} from now on", steps)
    todo = f"put the key of {file} where {old.source} is now, restart vaultd where it runs, then: {finish}"
    return Rekeyed(f"still {old.source}, and {file} from now on", todo)


def to_passphrase(keyring: Keyring, ask: Ask) -> Rekeyed:
    old = keyring.root
    kid = rootkey.new_passphrase_kid()
    new = RootKey(rootkey.from_passphrase(ask(), kid), "the passphrase")
    keyring.admit(new.key)
    if old.file is None and not rootkey.is_passphrase_kid(str(old.key.kid)):
        return Rekeyed(new.source, f"remove {old.source}, then: vaultd vault rekey --finish")
    if old.file is not None:
        old.file.unlink()
        rootkey.sync_folder(old.file.parent)
    keyring.adopt(new)
    return Rekeyed(new.source)


def finish(keyring: Keyring) -> Rekeyed:
    """Lets the old root key go, once the new one is what the sources give."""
    incoming = keyring.ring.next_root
    if incoming is None:
        raise Misconfigured("no change of the root key is under way")
    if incoming.kid != keyring.root.key.kid:
        raise Misconfigured(
            f"{keyring.root.source} still gives the old root key: put the new one there first, and restart vaultd where"
            " it runs"
        )
    keyring.adopt(keyring.root)
    return Rekeyed(keyring.root.source)
