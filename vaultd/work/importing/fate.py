"""What would become of a login that is imported, and the one way it then takes: new, in the place of an older one, or
left.

An import never goes back in time: a login that was renewed here since the file was written stays, for the file's
refresh token is spent, and presenting it may end the login that is alive (RFC 9700 §4.14.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from vaultd.errors import Misconfigured
from vaultd.oauth.account import merged
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, alike, file_stem, same, signed_in_again
from vaultd.vault.owner import Owner
from vaultd.work.importing.fields import Found

#: What the writer of a file may have cut off a time.
_ROUNDED: Final = 1.0
#: Where a file only says when its token ends: a vendor's lifetimes differ by a second or two, and no login is renewed
#: more often than once a minute.
_SAME_RENEWAL: Final = 30.0


#: The fact that keeps, over all renewals, which login was taken over: a hash, so that the file it came from is known
#: again.
IMPORTED: Final = "imported"


class Older(Misconfigured):
    """The login here is newer than the file's."""


@dataclass(frozen=True, slots=True)
class Fate:
    """`id`: of the credential it becomes, replaces, is, or gives way to. `credential`: with what is known here."""

    does: Literal["new", "replace", "here", "older"]
    id: str
    credential: Credential


def judge(found: Found, held: Mapping[str, Credential]) -> Fate:
    credential = found.credential
    if (told := _by_token(found, held)) is not None:
        return told
    known = next((one for one in held.values() if _is_his(one, credential)), None)
    if known is None:
        id_ = file_stem(credential)
        return Fate("new", id_ if id_ not in held else file_stem(credential, distinct=True), credential)
    credential = replace(credential, account=merged(known.account, credential.account))
    if not known.account.email and not known.account.person:
        credential = replace(credential, settings=replace(credential.settings, label=known.settings.label))
    if credential.key is not None and known.key == credential.key and same(known, credential):
        return Fate("here", known.id, credential)
    return Fate("older" if is_older(found, known) else "replace", known.id, credential)


def _by_token(found: Found, held: Mapping[str, Credential]) -> Fate | None:
    """Two files may hold one login and name it differently, or one of them nobody: a refresh token tells. Presented
    twice it would end what it began. A dead login is replaced by a file of its account all the same."""
    known = holder(found, held.values())
    if known is None or (known.dead is not None and _is_his(known, found.credential)):
        return None
    return Fate("here" if _refresh(known) == _refresh(found.credential) else "older", known.id, found.credential)


async def take_in(owner: Owner, found: Found) -> Fate:
    """Settled, sealed and durable when it returns; "here" and "older" change nothing. Raises TryLater,
    Misconfigured."""
    async with owner.naming:
        fate = judge(found, owner.snapshot())
        if fate.does in {"here", "older"}:
            return fate
        try:
            settled = await owner.settle(_marked(fate.credential), partial(_over, found))
        except Older:  # renewed while we looked
            return replace(fate, does="older")
        return replace(fate, id=settled.id)


def holder(found: Found, held: Iterable[Credential]) -> Credential | None:
    """Who is the very login that the file holds, or was made from it."""
    refresh, mark = _refresh(found.credential), _mark(found.credential)
    if refresh is None:
        return None
    return next((one for one in held if _refresh(one) == refresh or one.account.facts.get(IMPORTED) == mark), None)


def _marked(credential: Credential) -> Credential:
    facts = dict(credential.account.facts) | ({IMPORTED: mark} if (mark := _mark(credential)) else {})
    return replace(credential, account=replace(credential.account, facts=facts))


def _mark(credential: Credential) -> str:
    """64 bits of a hash of a secret that has at least 128: nothing to guess it by."""
    refresh = _refresh(credential)
    return hashlib.sha256(refresh.reveal().encode()).hexdigest()[:16] if refresh is not None else ""


def _refresh(credential: Credential) -> Secret | None:
    return credential.tokens.refresh if credential.tokens is not None else None


def is_older(found: Found, held: Credential) -> bool:
    """Whether the file is from before what is held, as far as it tells."""
    new, known = found.credential.tokens, held.tokens
    if new is None or known is None or held.dead is not None:
        return False
    if found.dated:
        return known.issued_at > new.issued_at + _ROUNDED
    return known.expires_at > new.expires_at + _SAME_RENEWAL


def nameless(found: Iterable[Found]) -> bool:
    """Whether any of them is told apart by its label alone."""
    return any(not one.credential.account.email and not one.credential.account.person for one in found)


def _over(found: Found, current: Credential, new: Credential) -> Credential | None:
    """Judged under the lease: a renewal that was under way has ended."""
    if not _is_his(current, new):
        return None
    if is_older(found, current):
        raise Older(f"{current.id} was renewed since")
    return signed_in_again(current, replace(new, account=merged(current.account, new.account)))


def _is_his(held: Credential, credential: Credential) -> bool:
    """One account; a file that names nobody goes by its label, under which its login was imported."""
    if alike(held, credential):
        return True
    account, label = credential.account, credential.settings.label
    named = account.email or account.person or account.account
    return held.provider == credential.provider and not named and bool(label) and held.settings.label == label
