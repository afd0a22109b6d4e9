"""What this process knows of each login beyond its file: how old its token is by the boot clock, and how it was doing.

One `Standing` per credential, worked out when first met and when its tokens change. It is never written down: a new
process judges by the stamps on disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from vaultd.catalog.models import Catalog
from vaultd.errors import Misconfigured
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.work import due


@dataclass(slots=True)
class Standing:
    """`credential` is the version it was worked out for."""

    credential: Credential
    life: due.Life | None
    #: Both clocks (wall, boot) when the token's age was judged. Where this process made the token (`ours`), the wall
    #: is the token's own stamp: its age is known, and no wall clock counts any more.
    judged: tuple[float, float]
    ours: bool = False
    #: When it was last renewed, on the boot clock; by another process: as far as the stamps can be believed.
    renewed: float = -inf
    failures: int = 0
    #: Failures after which nobody knows whether the refresh token was spent.
    unknown: int = 0
    not_before: float = 0.0
    reason: str = ""
    #: What the vendor refused and renewal did not change (a derived API key): not forced again (SEC-52).
    hopeless: Secret | None = field(default=None, repr=False)
    #: A person asks: no pause, no circuit and no floor holds the next renewal.
    asked: bool = False

    @property
    def rested(self) -> float:
        """From when a minute lies between it and the next renewal."""
        return -inf if self.asked else self.renewed + due.FLOOR

    @property
    def forcible(self) -> float:
        """From when a 401 renews it. What another process made may be refused at once: it knows why it made it, this
        one does not."""
        return self.rested if self.ours else -inf

    @property
    def earliest(self) -> float:
        """When a renewal may begin, as far as this login goes."""
        return -inf if self.asked else max(self.not_before, self.rested)

    def failed(self, reason: str, *, boot: float, asked: float | None, unknown: bool, chance: float) -> float:
        """Notes a failure; the pause after it. The first whose outcome is unknown is tried again within a second,
        whatever was before: a vendor's grace for a spent token is short (SEC-45)."""
        self.failures += 1
        self.unknown += unknown
        pause = due.pause(self.unknown if unknown else self.failures, asked, chance)
        self.not_before, self.reason, self.asked = boot + pause, reason, False
        return pause


class Standings:
    """By credential id. The clocks are looked at by the caller, who hands in both."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._catalog = catalog
        self._standings: dict[str, Standing] = {}
        self._crowds: Mapping[str, int] = {}
        self._known: Catalog | None = None

    def of(self, credential: Credential, *, wall: float, boot: float) -> Standing:
        """What is known, worked out anew where the file has moved on. An operator's settings leave a token as old as it
        was; but what he mended may be why it failed, so that is forgotten."""
        known = self._standings.get(credential.id)
        if known is not None and known.credential is credential:
            return known
        if known is not None and known.credential.tokens == credential.tokens:
            if known.credential.generation == credential.generation:  # the same file, read again
                known.credential = credential
                return known
            new = Standing(credential, known.life, known.judged, known.ours, known.renewed, hopeless=known.hopeless)
        else:
            new = Standing(credential, self._life(credential, wall, boot), (wall, boot))
            # A sign-in is no renewal: where its token lives for less than a minute, the next need not wait for that.
            age = wall - credential.renewed_at if credential.renewed_at > credential.created_at else inf
            new.renewed = max(boot - age if 0 <= age < due.FLOOR else -inf, known.renewed if known else -inf)
        self._standings[credential.id] = new
        return new

    def values(self) -> Iterable[Standing]:
        return self._standings.values()

    def forget(self, ids: Iterable[str]) -> None:
        for id in ids:  # noqa: A001
            self._standings.pop(id, None)

    def renewed(self, credential: Credential, asked_at: float, rejected: Secret | None) -> Standing:
        """This process just renewed it: whatever was against it is over. `rejected`: the bearer for whose sake."""
        issued = credential.tokens.issued_at if credential.tokens is not None else 0.0
        hopeless = rejected if rejected is not None and credential.bearer == rejected else None
        life = self._life(credential, issued, asked_at)
        new = Standing(credential, life, (issued, asked_at), ours=True, renewed=asked_at, hopeless=hopeless)
        self._standings[credential.id] = new
        return new

    def count(self, snapshot: Mapping[str, Credential]) -> bool:
        """Looks at what all due times depend on: the catalogue, and how many logins a vendor has. True if that
        changed; all lives are worked out again then, each seen from where it was judged."""
        logins = Counter(credential.provider for credential in snapshot.values() if renewable(credential))
        crowds = {vendor: due.crowds(number) for vendor, number in logins.items()}
        catalog = self._catalog()
        same = catalog is self._known and all(self._crowds.get(vendor, 1) == crowd for vendor, crowd in crowds.items())
        self._known, self._crowds = catalog, crowds
        if not same:
            for standing in self._standings.values():
                standing.life = self._life(standing.credential, *standing.judged)
        return not same

    def clock_was_set(self, *, wall: float, boot: float) -> None:
        """Judges anew what was judged by the wall clock (SEC-51).

        What we renewed ourselves stands, its age is known. Of two judgements by the wall clock the earlier holds: the
        clock may just have been set wrong, and a renewal too many is harmless where one too few is not. But a guess
        counts less than either.
        """
        for standing in self._standings.values():
            new = self._life(standing.credential, wall, boot)
            old = standing.life
            if standing.ours or new is None or old is None:
                continue
            if (old.guessed and not new.guessed) or (old.guessed == new.guessed and new.due < old.due):
                standing.life, standing.judged = new, (wall, boot)

    def _life(self, credential: Credential, wall: float, boot: float) -> due.Life | None:
        try:
            provider = self._catalog().provider(credential.provider)
        except Misconfigured:
            return None  # its manifest is gone; `status` says so
        crowd = self._crowds.get(credential.provider, 1)
        return due.life(credential, provider, wall=wall, boot=boot, crowd=crowd)


def renewable(credential: Credential) -> bool:
    """True where renewing it is this process's business.

    A disabled login is none: who takes one out of use, or moves it to another machine, wants nothing sent in its name,
    and a renewal here would log out the other. It is renewed as soon as it is enabled. What a login rests from
    (quota, errors of the API) is no reason to leave it: it would be dead when its rest is over.
    """
    return credential.tokens is not None and credential.dead is None and not credential.settings.disabled


def short_lived(standing: Standing) -> str:
    """Why a token that has ended is not renewed before its minute is over."""
    tokens = standing.credential.tokens
    lives = f"{tokens.lifetime:.0f} s" if tokens is not None else "no time"
    return f"the vendor's new token had expired after {lives}, and none is renewed more than once a minute"
