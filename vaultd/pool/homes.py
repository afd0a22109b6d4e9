"""Which credential each session lives with: a switched account loses the vendor's prompt cache.

A home is given when a session is first seen and proven when an answer came from it; until then whoever answers is the
home. While a proven home rests the session stays with one other, `away`, and goes back when home is ready again. Who is
ready is `pool.pick`'s to say. Pure: the time comes in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

#: A session, and the model as the vendor calls it: each model has a cache of its own.
Stay = tuple[str, str]

#: Sessions remembered; of more the longest unused makes room. A large office in one hour, in some megabytes.
HOMES: Final = 10_000
#: Requests remembered that may each begin a conversation; most never go on, and these are not to drive out those that
#: do. The next turn comes within minutes.
BEGINNINGS: Final = 1000
#: Unused for so long a session has no home: no vendor keeps a prompt cache for longer (Anthropic's longest is an hour).
UNUSED: Final = 3600.0


@dataclass(slots=True)
class Home:
    credential: str
    used: float
    proven: bool = False
    #: Who serves while the home cannot.
    away: str = ""


class KeptHome(msgspec.Struct, frozen=True, array_like=True):
    """A home to be kept; `used` in seconds from the moment of export."""

    session: str
    model: str
    credential: str
    away: str
    used: float


class Homes:
    def __init__(self) -> None:
        self._homes: OrderedDict[Stay, Home] = OrderedDict()
        self._beginnings: OrderedDict[Stay, str] = OrderedDict()
        #: Rises whenever somebody moves, not when a home is merely used.
        self.version = 0

    def find(self, stay: Stay, now: float) -> Home | None:
        home = self._homes.get(stay)
        if home is not None and now - home.used > UNUSED:
            del self._homes[stay]
            home = None
        if home is None and (credential := self._beginnings.pop(stay, "")):
            home = Home(credential, now, proven=True)
            self._keep(stay, home)
            self.version += 1
        return home

    def began(self, stay: Stay, credential: str) -> None:
        """It answered what may be the first question of a session: there it is to go on."""
        if stay in self._homes or stay in self._beginnings:
            return
        self._beginnings[stay] = credential
        if len(self._beginnings) > BEGINNINGS:
            self._beginnings.popitem(last=False)

    def lodge(self, stay: Stay, credential: str, now: float, *, away: bool) -> None:
        """The strategy chose it for this session: for the time being (`away`), or as its home."""
        home = self._homes.get(stay)
        if home is not None and away:
            home.away = credential
            self.version += home.proven
        else:
            self._keep(stay, Home(credential, now))

    def served(self, stay: Stay, credential: str, now: float) -> None:
        """It answered."""
        home = self._homes.get(stay)
        if home is None:
            self._keep(stay, Home(credential, now, proven=True))
            self.version += 1
            return
        before = (home.proven, home.credential, home.away)
        if credential == home.credential or not home.proven:
            home.credential, home.proven, home.away = credential, True, ""
        else:
            home.away = credential
        home.used = now
        self._homes.move_to_end(stay)
        self.version += before != (home.proven, home.credential, home.away)

    def export(self, now: float) -> list[KeptHome]:
        """The longest unused first, as they are to be restored."""
        return [
            KeptHome(*stay, home.credential, home.away, home.used - now)
            for stay, home in self._homes.items()
            if home.proven and now - home.used <= UNUSED
        ]

    def restore(self, kept: Iterable[KeptHome], now: float) -> None:
        for home in kept:
            stay = (home.session, home.model)
            if stay not in self._homes and -home.used <= UNUSED:
                self._keep(stay, Home(home.credential, now + home.used, proven=True, away=home.away))

    def _keep(self, stay: Stay, home: Home) -> None:
        self._homes[stay] = home
        self._homes.move_to_end(stay)
        if len(self._homes) > HOMES:
            self._homes.popitem(last=False)
