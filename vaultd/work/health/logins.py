"""Credentials, their renewal and the vendors behind it. How a credential stands comes from `pool.explain` alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from vaultd.oauth.answers import MOVED
from vaultd.pool import explain
from vaultd.vault.credential import Credential
from vaultd.work.health.codes import Finding, found
from vaultd.work.health.seen import House

#: Somebody should know a whole day before a login ends (it may be a night), and after a weekend.
_ENDING: Final = 3 * 86400.0
#: A renewal that fails has a day of its token left to succeed, and then the login serves nobody.
_FAILING: Final = 86400.0
#: As `sunset` in a manifest: a month is enough to move.
_SUNSET_DAYS: Final = 30


def standings(house: House) -> Iterator[Finding]:
    """What is wrong with each credential, in the words that `status` and a refused client get."""
    if not house.pool.roster(house):
        yield found("no-credential", "no credential")
    for row in house.pool.standings(house):
        if row.code:
            yield Finding(row.code, row.credential, row.words, row.action)


def ending(house: House) -> Iterator[Finding]:
    """Logins that nobody renews, or that nobody can."""
    failing = house.renewer.failing()
    now = house.clock.now()
    for credential in house.owner.snapshot().values():
        tokens = credential.tokens
        if tokens is None or credential.dead or credential.settings.disabled:
            continue
        left = tokens.expires_at - now
        if left <= 0:
            expired = f"{credential.id}: its token expired at {explain.at(tokens.expires_at)}"
            yield found("token-expired", expired, subject=credential.id)
        elif tokens.refresh is None and left < _ENDING:
            yield _ending(credential, "it has no refresh token")
        elif credential.id in failing and left < _FAILING:
            yield _ending(credential, f"its renewal fails: {failing[credential.id]}")


def vendors(house: House) -> Iterator[Finding]:
    """Token endpoints that fail for everybody, or are not where the manifest says."""
    failing = house.renewer.failing()
    moved = {house.owner.snapshot()[id_].provider: why for id_, why in failing.items() if MOVED in why}
    for id_, why in sorted(moved.items()):
        yield found("endpoint-moved", f"{id_}: {why}", subject=id_)
    offset = house.clock.now() - house.clock.boot()
    for id_, circuit in sorted(house.renewer.vendors().items()):
        if circuit.opened and id_ not in moved:
            until = explain.at(circuit.until + offset)
            yield found("vendor-down", f"{id_}: its token endpoint fails until {until}: {circuit.reason}", subject=id_)


def _ending(credential: Credential, why: str) -> Finding:
    assert credential.tokens is not None
    says = f"{credential.id}: ends at {explain.at(credential.tokens.expires_at)}: {why}"
    return found("login-ending", says, subject=credential.id, action=explain.renewing(credential))


def saved(house: House) -> Iterator[Finding]:
    """What is used and is not what lies on disk, and whether that could be told."""
    owner = house.owner
    unsaved = owner.unsaved()
    for id_, reason in sorted(owner.troubles().items()):
        code = ("emergency-copy" if unsaved[id_] else "unsaved") if id_ in unsaved else "file-unreadable"
        yield found(code, f"{id_}: {reason}", subject=id_)
    for id_, reason in sorted(owner.ledger_troubles().items()):
        yield found("ledger-damaged", f"{id_}: {reason}", subject=id_)
    if reason := owner.journal_trouble():
        yield found("journal-unusable", reason)
    for path, reason in sorted(owner.emergency_troubles().items()):
        yield found("emergency-unusable", f"{path}: {reason}", subject=path)


def sunsets(house: House) -> Iterator[Finding]:
    today = dt.datetime.fromtimestamp(house.clock.now(), dt.UTC).date()
    used = {credential.provider for credential in house.pool.roster(house).values()}
    for id_, entry in sorted(house.catalog.providers.items()):
        day = entry.provider.sunset
        if id_ in used and day and dt.date.fromisoformat(day) - today < dt.timedelta(days=_SUNSET_DAYS):
            note = entry.provider.sunset_note or "the vendor closes this way in"
            yield found("sunset", f"{id_}: {note} ({day})", subject=id_)
