"""Whose renewal begins next: a queue per vendor, so that what waits at one vendor holds nobody up at another.

Cheap at every size: what did not change is not looked at. A thousand logins that are due in one hour wake the loop
some thousands of times, and each time it asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from vaultd.work import due
from vaultd.work.circuit import CLOSED, Circuit


@dataclass(frozen=True, slots=True)
class Turn:
    """One login's: to be renewed from `when`, and by `deadline` lest a request wait for it. Boot times.

    `urgent`: the outcome of its last renewal is unknown, and a vendor that takes a spent token again does so for
    seconds only (SEC-45): it waits for no pace, and is the first to try a vendor that failed.
    """

    vendor: str
    when: float
    deadline: float
    urgent: bool = False
    failures: int = 0


class Agenda:
    """Turns by credential id. `next` says who is to begin, `began` that somebody did."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        #: (when, id) of turns to come. An entry whose turn was changed since is skipped when its time comes.
        self._coming: list[tuple[float, str]] = []
        #: Whose time has come, by vendor: the urgent ones, and the others.
        self._urgent: dict[str, dict[str, Turn]] = {}
        self._waiting: dict[str, dict[str, Turn]] = {}
        #: No other at this vendor before this time.
        self._paced: dict[str, float] = {}

    def put(self, id: str, turn: Turn | None) -> None:  # noqa: A002
        """Its turn from now on; None: it has none."""
        before = self._turns.get(id)
        if turn == before:
            return
        if before is not None:
            for queues in (self._urgent, self._waiting):
                queues.get(before.vendor, {}).pop(id, None)
        if turn is None:
            del self._turns[id]
        else:
            self._turns[id] = turn
            heappush(self._coming, (turn.when, id))

    def began(self, vendor: str, boot: float) -> None:
        """A renewal at this vendor begins now: the next one waits."""
        deadlines = (turn.deadline for turn in self._waiting.get(vendor, {}).values())
        self._paced[vendor] = boot + due.gap(deadlines, boot)

    def next(self, boot: float, circuits: Mapping[str, Circuit]) -> str | None:
        """Who is to begin now. Asked again after each that did."""
        self._call_up(boot)
        for vendor, urgent in self._urgent.items():
            if urgent and circuits.get(vendor, CLOSED).admits(boot):
                return min(urgent, key=lambda one: (urgent[one].failures, urgent[one].when, one))
        for vendor, waiting in self._waiting.items():
            circuit = circuits.get(vendor, CLOSED)
            if waiting and circuit.admits(boot) and boot >= self._paced.get(vendor, boot):
                return _trial(waiting) if circuit.opened else _soonest(waiting, boot)
        return None

    def rest(self, boot: float, circuits: Mapping[str, Circuit]) -> float | None:
        """Seconds until `next` may have somebody, if nothing changes; None: nobody is in sight."""
        moments = [self._coming[0][0]] if self._coming else []
        for queues, paced in ((self._urgent, {}), (self._waiting, self._paced)):
            for vendor, queue in queues.items():
                circuit = circuits.get(vendor, CLOSED)
                if queue and not circuit.trial:
                    moments.append(max(paced.get(vendor, boot), circuit.until if circuit.opened else boot))
        return max(0.0, min(moments) - boot) if moments else None

    def _call_up(self, boot: float) -> None:
        while self._coming and self._coming[0][0] <= boot:
            when, id = heappop(self._coming)  # noqa: A001
            turn = self._turns.get(id)
            if turn is not None and turn.when == when:
                queues = self._urgent if turn.urgent else self._waiting
                queues.setdefault(turn.vendor, {})[id] = turn


def _soonest(waiting: Mapping[str, Turn], boot: float) -> str:
    """By deadline. Who missed it comes after those who still may not: a request that needs him renews him by itself."""
    return min(waiting, key=lambda one: (waiting[one].deadline <= boot, waiting[one].deadline, one))


def _trial(waiting: Mapping[str, Turn]) -> str:
    """Who failed least: one login that fails for reasons of its own must not be every trial."""
    return min(waiting, key=lambda one: (waiting[one].failures, waiting[one].when, one))
