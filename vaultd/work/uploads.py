"""Files that come and go by name, as CLIProxyAPI's programs know them, over credentials that have ids.

A credential answers to the name it was uploaded under, else to its own file's. Whoever uploads an account that is here
replaces it, whatever name it came under; no upload ever replaces another account, whatever name it comes under.

A file in clear may know less of its account than the vault does (CLIProxyAPI keeps an email, renewals tell the ids):
the same email under the same name is the same account. A login that was renewed here since the file was written stays:
the file's refresh token is spent, and presenting it may end the login that is alive (RFC 9700 §4.14.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import msgspec

from vaultd.catalog.models import Catalog
from vaultd.errors import Misconfigured
from vaultd.oauth.account import merged
from vaultd.vault.credential import Credential, alike, same, signed_in_again
from vaultd.vault.envelope import bound_name
from vaultd.vault.keyring import Keyring
from vaultd.vault.look import credential_in
from vaultd.vault.owner import Owner
from vaultd.work.importing.cliproxyapi import read_token_file

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
    """`name` and size are right already. Raises Misconfigured with what is wrong with it, and none of what it holds."""
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
    async with owner.naming:
        return await _take_in(owner, upload)


async def _take_in(owner: Owner, upload: Upload) -> Credential:
    snapshot, credential = owner.snapshot(), upload.credential
    id_ = find(snapshot, upload.name)
    holder = snapshot[id_] if id_ is not None else None
    if holder is not None and not alike(holder, credential):
        raise Conflict(f"{upload.name} is another account's, {id_}: delete that first, or use another name")
    if not upload.sealed:
        for held in snapshot.values():
            if alike(held, credential):
                _must_be_newer(upload, held)
        if holder is not None:
            credential = replace(credential, account=merged(holder.account, credential.account))
        return await owner.settle(credential, partial(_over, upload, id_))
    try:
        return await owner.restore(upload.credential)
    except Misconfigured as error:
        raise Conflict(f"{upload.name}: {error}") from None


def _over(upload: Upload, holder: str | None, current: Credential, new: Credential) -> Credential | None:
    """Judged under the lease: a renewal that was under way has ended, and may have told whose account it is."""
    if not alike(current, new):
        return None
    _must_be_newer(upload, current)
    if current.id != holder and current.dead is None and not same(current, new):
        return None
    return signed_in_again(current, replace(new, account=merged(current.account, new.account)))


def _must_be_newer(upload: Upload, held: Credential) -> None:
    """A second is what the writer of the file may have cut off."""
    tokens = upload.credential.tokens
    if held.tokens is None or tokens is None or held.dead is not None:
        return
    if held.tokens.issued_at > tokens.issued_at + 1.0:
        raise Conflict(f"{upload.name} is older than {held.id}, which was renewed since: delete that first")


def _unsealed(name: str, data: bytes, keyring: Keyring) -> Credential:
    try:
        return credential_in(data, keyring, bound_name(data))
    except (Misconfigured, msgspec.DecodeError) as error:
        raise Misconfigured(f"{name}: {error}") from None
