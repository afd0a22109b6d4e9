"""When a login is due: arithmetic on stamps, so that every jump of a clock is one row of a test's table.

No waiting, no clock, no lock: the wall and the boot clock come in as numbers. Stamps on disk are wall time; everything
decided here is boot time (`CLOCK_BOOTTIME`: it goes on in suspend and nobody sets it), so that a wall clock set right,
or wrong, in mid-life moves nothing by itself (SEC-51).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from vaultd.catalog.manifest import Provider, duration
from vaultd.vault.credential import Credential

#: Seconds between two renewals that the loop starts at one vendor, so that never two fall in one second (SEC-50).
GAP = 1.0
#: Seconds between two renewals of one credential whose new tokens are of no use (SEC-51: at most one a minute).
FLOOR = 60.0
#: A token is stale in its last ten seconds: what is sent then may arrive too late. Go's x/oauth2 has the same number.
MARGIN = 10.0
#: The wall clock may drift or be slewed; a difference above this is a jump (SEC-51).
JUMP = 5.0
#: The longest pause after failures (SEC-49), and the longest one a vendor can ask for by Retry-After: within an hour a
#: person who has mended something should see it work without a restart.
LONGEST_PAUSE = 300.0
LONGEST_ASKED = 3600.0
#: How much of the time ahead the jitter may use up: enough to part a hundred accounts signed in together, and most of
#: the time ahead is left to ride out a vendor that is down.
SPREAD = 0.25


@dataclass(frozen=True, slots=True)
class Life:
    """Three moments of an access token on the boot clock: renew from `due`, wait for a new one from `stale`, `ends`."""

    due: float
    stale: float
    ends: float


def ahead(provider: Provider, lifetime: float, id: str) -> float:  # noqa: A002
    """How long before expiry to renew: the vendor's lead, at most a fifth of the life, less the id's jitter.

    A lead as long as the life would renew for ever (the fault of a fixed lead: see SEC-50).
    """
    lead = duration(provider.oauth.refresh_ahead) if provider.oauth else 0.0
    whole = min(lead, lifetime / 5) if lifetime > 0 else lead
    return whole * (1 - SPREAD * _fraction(id))


def life(credential: Credential, provider: Provider, *, wall: float, boot: float) -> Life | None:
    """Where the token's life lies on the boot clock, seen at `wall` = `boot`. None: nothing that could expire.

    Nothing lives longer than the lifetime its vendor stated, whatever a wall clock of 1970 makes of the stamps. Without
    a refresh token there is nothing to do before the end.
    """
    tokens = credential.tokens
    if tokens is None or provider.oauth is None:
        return None
    left = tokens.expires_at - wall
    if tokens.lifetime > 0:
        left = min(left, tokens.lifetime)
    ends = boot + left
    margin = min(MARGIN, tokens.lifetime / 10)
    if tokens.refresh is None:
        return Life(due=ends, stale=ends, ends=ends)
    return Life(due=ends - ahead(provider, tokens.lifetime, credential.id), stale=ends - margin, ends=ends)


def jumped(*, wall: float, boot: float, new_wall: float, new_boot: float) -> bool:
    """True where the wall clock was set between two looks at both clocks."""
    return abs((new_wall - wall) - (new_boot - boot)) > JUMP


def pause(failures: int, asked: float | None, chance: float) -> float:
    """Seconds to leave a vendor alone after so many failures in a row: 1 s doubling to 5 min, full jitter (SEC-49).

    `chance` is drawn from [0, 1). What the vendor asked for is the least, up to an hour.
    """
    ceiling = min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 9))
    return max(chance * ceiling, min(asked or 0.0, LONGEST_ASKED))


def _fraction(id: str) -> float:  # noqa: A002
    """A number in [0, 1) that is always the same for one id and unlike those of its neighbours."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8]) / 2**64
