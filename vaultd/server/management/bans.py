"""Who showed wrong management keys, and how long he is not listened to (THR-23).

Wrong keys count, missing ones do not: a panel that is not signed in asks too. Who sits at the machine itself is not
counted here, so that no stranger's guesses lock him out.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

#: As CLIProxyAPI: so many wrong keys, so long a ban.
WRONG: Final = 5
BAN: Final = 30 * 60.0
#: Keys never seen before that are looked at in a minute, from all peers together: a botnet has an address for every
#: guess, and each guess costs a quarter of a second of a core (bcrypt). A key that was right once is known.
BUDGET: Final = 30
_MINUTE: Final = 60.0
#: What the budget lets in while a ban lasts, four times over.
_PEERS: Final = 4096


@dataclass(slots=True)
class _Peer:
    wrong: int = 0
    #: When the last wrong key came; once banned, when the ban ends.
    until: float = 0.0
    banned: bool = False


class Bans:
    """All times are the caller's, in seconds of a clock that never jumps."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, _Peer] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=BUDGET)

    def left(self, address: str, now: float) -> float:
        """Seconds that this address is still banned for; 0 where it is not."""
        peer = self._peers.get(_network(address))
        if peer is None or not peer.banned:
            return 0.0
        return max(0.0, peer.until - now)

    def wait(self, now: float) -> float:
        """Seconds until another unknown key is looked at, from anybody; 0 where it is now, and then it is counted."""
        if len(self._recent) == BUDGET and (wait := self._recent[0] + _MINUTE - now) > 0:
            return wait
        self._recent.append(now)
        return 0.0

    def wrong(self, address: str, now: float) -> bool:
        """Counts one. True where it was one too many, and the ban begins."""
        name = _network(address)
        peer = self._peers.pop(name, None)
        if peer is None or now >= peer.until:
            peer = _Peer()
        self._peers[name] = peer
        while len(self._peers) > _PEERS:
            self._peers.popitem(last=False)
        peer.wrong += 1
        peer.until = now + BAN
        begins, peer.banned = peer.wrong >= WRONG and not peer.banned, peer.wrong >= WRONG
        return begins

    def right(self, address: str) -> None:
        self._peers.pop(_network(address), None)


def _network(address: str) -> str:
    """One customer's addresses are one peer: of IPv6 he is given a /64 at least (RFC 6177)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip) >> 64 << 64, 64)))
    return str(ip)


def in_words(seconds: float) -> str:
    """`29 minutes and 40 seconds`; rounded up, so that it is never too early."""
    minutes, rest = divmod(max(1, int(-(-seconds // 1))), 60)
    said = [
        f"{number} {unit}{'' if number == 1 else 's'}"
        for number, unit in ((minutes, "minute"), (rest, "second"))
        if number
    ]
    return " and ".join(said)
