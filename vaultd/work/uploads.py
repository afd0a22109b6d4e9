"""Files that come and go by name, as CLIProxyAPI's programs know them, over credentials that have ids.

A credential answers to the name it was uploaded under, else to its own file's. Whoever uploads an account that is here
replaces it, whatever name it came under; no upload ever replaces another account, whatever name it comes under.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from vaultd.catalog.models import Catalog
from vaultd.errors import Misconfigured
from vaultd.vault.credential import Credential, same
from vaultd.vault.envelope import NAME, bound_name
from vaultd.vault.keyring import Keyring
from vaultd.vault.look import credential_in
from vaultd.vault.owner import Owner
from vaultd.work.importing import read_token_file

#: CLIProxyAPI's largest token file has 8 kB, a sealed one of ours ends at 48 KiB (THR-18).
FILE_LIMIT: Final = 64 * 1024


class Conflict(Misconfigured):
    """The upload is good, but what is here forbids it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was read and found good. `sealed`: by us, some time ago."""

    name: str
    credential: Credential
    sealed: bool


def names(snapshot: Mapping[str, Credential]) -> dict[str, str]:
    """Name → id of each; no two have one name, whatever was uploaded."""
    found: dict[str, str] = {}
    uploaded = [credential for credential in snapshot.values() if credential.settings.uploaded_as]
    for credential in sorted(uploaded, key=lambda credential: credential.id):
        found.setdefault(credential.settings.uploaded_as, credential.id)
    named = set(found.values())
    for id_ in sorted(snapshot.keys() - named):
        name = f"{id_}.json"
        while name in found:
            name = f"{name.removesuffix('.json')}+.json"
        found[name] = id_
    return found


def find(snapshot: Mapping[str, Credential], name: str) -> str | None:
    """Who answers to `name`; its own file's name does as well, where nobody else has it."""
    id_ = name.removesuffix(".json")
    return names(snapshot).get(name) or (id_ if name.endswith(".json") and id_ in snapshot else None)


def read(name: str, data: bytes, catalog: Catalog, keyring: Keyring, *, now: float) -> Upload:
    """Raises Misconfigured with what is wrong with it, and none of what it holds."""
    if not NAME.fullmatch(name):
        raise Misconfigured("invalid name")
    if len(data) > FILE_LIMIT:
        raise Misconfigured(f"{name}: larger than {FILE_LIMIT // 1024} KiB, so no token file")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Misconfigured(f"{name}: is not JSON") from None
    plain = read_token_file(text, name, catalog, now=now)
    credential = plain or _unsealed(name, data, keyring)
    if credential.provider not in catalog.providers:
        raise Misconfigured(f"{name}: there is no provider {credential.provider} here")
    label = credential.settings.label
    if not any(credential.identity[1:]):
        # Nothing in it says whose it is: the name that its owner gave it does.
        label = name.removesuffix(".json").removeprefix(f"{credential.provider}-")
    settings = replace(credential.settings, label=label, uploaded_as=name)
    return Upload(name, replace(credential, settings=settings), sealed=plain is None)


async def take_in(owner: Owner, upload: Upload) -> Credential:
    """In the pool when it returns, sealed before it touches the disk. Raises Conflict, TryLater, Misconfigured."""
    snapshot = owner.snapshot()
    holder = find(snapshot, upload.name)
    if holder is not None and not same(snapshot[holder], upload.credential):
        raise Conflict(f"{upload.name} is another account's, {holder}: delete that first, or use another name")
    if not upload.sealed:
        return await owner.settle(upload.credential)
    try:
        return await owner.restore(upload.credential)
    except Misconfigured as error:
        raise Conflict(f"{upload.name}: {error}") from None


def _unsealed(name: str, data: bytes, keyring: Keyring) -> Credential:
    try:
        return credential_in(data, keyring, bound_name(data))
    except (Misconfigured, msgspec.DecodeError) as error:
        raise Misconfigured(f"{name}: {error}") from None
