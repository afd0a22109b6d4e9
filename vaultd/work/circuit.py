"""How one vendor's token endpoint does, and whether it is to be asked: arithmetic, so that it is a table in a test.

closed: it works, or has not failed enough. open: nothing is asked of it until `until`. Then one trial at a time, until
one succeeds; each that fails opens it for longer. However many logins wait, a vendor that is down sees one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vaultd.work import due

#: Failures in a row that say it is the vendor. One is an accident, two are a bad minute; and with three lost, the
#: pauses of the logins that failed still end within seconds, so that nothing is gained by trying more of them.
TRIPS = 3


@dataclass(frozen=True, slots=True)
class Circuit:
    """One vendor's. `until` is a time of the boot clock, `reason` what its last failure said."""

    failures: int = 0
    reason: str = ""
    until: float = 0.0
    #: How often it opened since it last worked; 0 is closed.
    opened: int = 0
    #: Whose renewal is the trial, while one is under way.
    trial: str = ""
    #: Who failed, as far as that matters.
    who: frozenset[str] = frozenset()

    def admits(self, boot: float) -> bool:
        """True where a renewal may begin."""
        return not self.opened or (boot >= self.until and not self.trial)

    def begun(self, id: str, boot: float) -> Circuit:  # noqa: A002
        """`id` begins. Who begins although nobody may (a person asked) is no trial."""
        return replace(self, trial=id) if self.opened and self.admits(boot) else self

    def unanswered(self, id: str) -> Circuit:  # noqa: A002
        """It ended without a word on the endpoint's health: a full disk, or an answer about this login alone."""
        return replace(self, trial="") if self.trial == id else self

    def failed(
        self,
        id: str,  # noqa: A002
        reason: str,
        *,
        boot: float,
        asked: float | None,
        chance: float,
        logins: int,
    ) -> Circuit:
        """`id` failed in passing. `asked`: by Retry-After; `logins`: how many this vendor has; `chance` from [0, 1).

        One login's failures may be its own (its proxy, its account), and it has its own pauses for them: it takes
        three different ones, or all there are, to say that it is the vendor.
        """
        who = self.who if len(self.who) >= TRIPS else self.who | {id}
        until = max(self.until, boot + min(asked or 0.0, due.LONGEST_ASKED))
        now = replace(self, failures=self.failures + 1, reason=reason, who=who, until=until)
        if self.opened and self.trial != id:  # it left before this opened: its failure is no news
            return now
        if not self.opened and (now.failures < TRIPS or len(who) < min(TRIPS, logins)):
            return now
        opened = self.opened + 1
        return replace(now, opened=opened, trial="", until=max(until, boot + due.pause(opened, asked, chance)))


#: One that works. There is nothing to remember of it.
CLOSED = Circuit()
