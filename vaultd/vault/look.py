"""One look at one file of the folder: a credential, a reason against it, or nothing to be said.

Apart from the owner because it is done in a worker thread and touches nothing of his.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from vaultd.errors import Misconfigured
from vaultd.vault.credential import Credential
from vaultd.vault.envelope import TOKEN, NotSealed, Refused
from vaultd.vault.keyring import Keyring
from vaultd.vault.store.files import FileStore, Stamp


@dataclass(frozen=True, slots=True)
class Look:
    """`refused`: the file is not to be used. `trouble`: it cannot be judged now, what is known of it stays."""

    credential: Credential | None = None
    stamp: Stamp | None = None
    refused: str = ""
    trouble: str = ""


GONE = Look()


def credential_in(data: bytes, keyring: Keyring, name: str) -> Credential:
    """Raises Refused where it is not sealed by us for this name, Misconfigured, msgspec.DecodeError."""
    opened = keyring.open(data, typ=TOKEN, name=name)
    plain = msgspec.json.decode(opened.plain)
    if plain.get("provider") != opened.provider:
        raise Refused(f"sealed for the provider {opened.provider}, but it holds another's login")
    return Credential.from_plain(plain, id=name.removesuffix(".json"), generation=opened.generation)


def look(store: FileStore, keyring: Keyring, name: str) -> Look:
    try:
        data, stamp = store.read(name)
        return Look(credential_in(data, keyring, name), stamp)
    except FileNotFoundError:
        return GONE if keyring.stands() else Look(trouble=f"not to be seen: {keyring.folder} holds no keyring any more")
    except NotSealed:
        action = f"vaultd credentials import {store.folder / name} --yes --remove"
        return Look(refused=f"not sealed, so not loaded; next: {action}")
    except Refused as error:
        return Look(refused=str(error))
    except (Misconfigured, msgspec.DecodeError) as error:
        return Look(trouble=str(error))
    except OSError as error:
        return Look(trouble=f"cannot be read: {error.strerror}")
