"""When a login is due: arithmetic on stamps, so that every jump of a clock is one row of a test's table.

No waiting, no clock, no lock: the wall and the boot clock come in as numbers. Stamps on disk are wall time; everything
decided here is boot time (`CLOCK_BOOTTIME`: it goes on in suspend and nobody sets it), so that a wall clock set right,
or wrong, in mid-life moves nothing by itself (SEC-51).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.catalog.manifest import Provider, duration
from vaultd.vault.credential import Credential

#: Seconds between two renewals that the loop starts at one vendor, so that never two fall in one second (SEC-50).
GAP = 1.0
#: And the least, where so many tokens end so soon that a second between them would let some run out: twenty a second
#: is less than one busy program asks of a vendor, and with less time than that no pace saves them all.
LEAST_GAP = 0.05
#: Seconds between two renewals of one credential, whatever asks for them: a 401, clocks that jump, tokens that hardly
#: live (SEC-51: at most one a minute). A token that lives for less is served while it lives, and then there is none
#: until the minute is over: no vendor means such a life, and asking as often as it demands is what gets logins blocked.
FLOOR = 60.0
#: A token is stale in its last ten seconds: what is sent then may arrive too late. Go's x/oauth2 has the same number.
MARGIN = 10.0
#: The wall clock may drift or be slewed; a difference above this is a jump (SEC-51).
JUMP = 5.0
#: A token from the future shows that the clock is wrong. Whoever sets it does so when the network is up, within seconds
#: of a start; after five minutes nobody will, and the token is renewed without knowing its age.
CLOCK_SET = 300.0
#: The longest pause after failures (SEC-49), and the longest one a vendor can ask for by Retry-After: within an hour a
#: person who has mended something should see it work without a restart.
LONGEST_PAUSE = 300.0
LONGEST_ASKED = 3600.0
#: How much of the time ahead the jitter may use up: enough to part a hundred accounts signed in together, and most of
#: the time ahead is left to ride out a vendor that is down.
SPREAD = 0.25


@dataclass(frozen=True, slots=True)
class Life:
    """Three moments of an access token on the boot clock: renew from `due`, wait for a new one from `stale`, `ends`.

    `guessed`: its stamps are from the future, so nobody knows how old it is.
    """

    due: float
    stale: float
    ends: float
    guessed: bool = False


def ahead(provider: Provider, lifetime: float, id: str, crowd: int = 1) -> float:  # noqa: A002
    """How long before expiry to renew: the vendor's lead, at most a fifth of the life, less the id's jitter.

    A lead as long as the life would renew for ever (the fault of a fixed lead: see SEC-50). Where this vendor has so
    many logins (`crowd`) that they would not fit in there at one a second, it is as long as they need, up to half the
    life: a thousand with tokens of an hour need 17 minutes of it, and a fifth is 12.
    """
    lead = duration(provider.oauth.refresh_ahead) if provider.oauth else 0.0
    if lifetime <= 0:
        return lead
    needed = crowd * GAP / (1 - SPREAD)
    whole = max(min(lead, lifetime / 5), min(needed, lifetime / 2)) if crowd > 1 else min(lead, lifetime / 5)
    return whole * (1 - SPREAD * _fraction(id))


def crowds(logins: int) -> int:
    """How many a vendor's logins count as: in hundreds, so that a sign-in does not move the due times of all others.

    A handful fits into any lead, and counts as one.
    """
    return -(-logins // 100) * 100 if logins > 20 else 1


def gap(deadlines: Iterable[float], boot: float) -> float:
    """Seconds until the next may start where those with these deadlines wait: one, or less where that is too slow.

    Who missed his deadline hurries nobody: the request that needs him renews him by itself.
    """
    left = sorted(deadline - boot for deadline in deadlines if deadline > boot)
    paces = (seconds / turn for turn, seconds in enumerate(left, 1))
    return max(LEAST_GAP, min(GAP, min(paces, default=GAP)))


def life(credential: Credential, provider: Provider, *, wall: float, boot: float, crowd: int = 1) -> Life | None:
    """Where the token's life lies on the boot clock, seen at `wall` = `boot`. None: nothing that could expire.

    Nothing lives longer than the lifetime its vendor stated, whatever a wall clock of 1970 makes of the stamps. Of a
    token from the future that is all there is to say: a request that needs it renews it first, the loop waits for the
    clock to be set. Without a refresh token there is nothing to do before the end.
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
    when = ends - ahead(provider, tokens.lifetime, credential.id, crowd)
    if wall < tokens.issued_at - JUMP:
        return Life(due=min(when, boot + CLOCK_SET), stale=boot, ends=ends, guessed=True)
    return Life(due=when, stale=ends - margin, ends=ends)


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
