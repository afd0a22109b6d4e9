"""The thread that writes usage down. The loop that serves never waits for it: what ended is appended to a list, and a
disk that is slow or full costs places in that list and, when they run out, counts; never a request.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from vaultd.net.clock import Clock
from vaultd.work.story import Story
from vaultd.work.usage.rows import Gathering, Sums
from vaultd.work.usage.store import Store, Unusable, is_broken

_log = logging.getLogger("vaultd.usage")

#: Seconds from the first story that waits to its commit: with the time of a commit well below the second that a kill
#: may cost.
PACE: Final = 0.5
#: After a disk has refused.
_AGAIN: Final = 5.0
#: What a power cut may cost; a checkpoint waits for the disk, and so may not come with each commit.
_CHECKPOINT: Final = 60.0
#: Nothing grows faster than a bite of what is let go.
_TIDY: Final = 600.0
#: Stories that wait for a disk: half a minute of all that one process can relay, 50 MB.
MOST_WAITING: Final = 50_000
#: Rows of requests: 200 MB, and a plot of each of them. A household has some 1,000 a day.
MOST_REQUESTS: Final = 500_000
#: Rows of hours: as much again, for 400 days with 100 groups an hour.
MOST_HOURS: Final = 1_000_000
#: A disk that hangs is not waited for longer than this at the end.
_END: Final = 5.0


class Keep(NamedTuple):
    """For how many days what is kept."""

    detail_days: float = 30
    total_days: float = 400


class Job(NamedTuple):
    do: Callable[[Store], Any]
    done: Future[Any]


class Writer:
    """Begins with the first story or question, and ends with `close`."""

    def __init__(
        self, store: Store, clock: Clock, tokens: Callable[[str, str, int], None], dropped: Callable[[int], None]
    ) -> None:
        """`tokens`: told of provider, kind and count. `dropped`: of stories that found no place."""
        self.waiting: Final[list[Story]] = []
        self.keep = Keep()
        #: Code of `work.health` → sentence.
        self.troubles: dict[str, str] = {}
        self._store, self._clock, self._tokens, self._dropped = store, clock, tokens, dropped
        self._gathering = Gathering()
        self._jobs: deque[Job] = deque()
        #: Something waits; and: it does not wait any longer.
        self._some, self._hurry = threading.Event(), threading.Event()
        self._ends = self._suspect = self._unsynced = False
        self._tidied = -_TIDY
        self._checked = 0.0
        self._thread: threading.Thread | None = None

    def enter(self, story: Story) -> None:
        waiting = self.waiting
        if len(waiting) >= MOST_WAITING:
            self._dropped(1)
            return
        waiting.append(story)
        if len(waiting) == 1:  # whoever empties the list looks again before it sleeps
            self.start()
            self._some.set()

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
            self._thread.start()

    def ask(self, do: Callable[[Store], Any]) -> Future[Any]:
        """Done in the thread, after what waits was written or refused."""
        job = Job(do, Future())
        self._jobs.append(job)
        self.start()
        self._hurry.set()
        self._some.set()
        return job.done

    def suspect(self) -> None:
        """A reader found the file broken."""
        self._suspect = True
        self._hurry.set()
        self._some.set()

    def close(self) -> None:
        """Writes what waits, where the disk lets it."""
        self._ends = True
        self._hurry.set()
        self._some.set()
        if self._thread is not None:
            self._thread.join(_END)

    def _run(self) -> None:
        pause = PACE
        while True:
            self._some.clear()
            if not (self.waiting or self._jobs or self._ends or self._suspect):
                self._some.wait(_CHECKPOINT)
            if self.waiting and not self._ends:
                self._hurry.wait(pause)
            self._hurry.clear()
            # Who asks from here on is told of the next round: what he entered before may not be in this one.
            ends, asked = self._ends, len(self._jobs)
            try:
                pause = PACE if self._round() else _AGAIN
            except Exception:  # noqa: BLE001 - a fault of ours must not end the counting
                _log.exception("usage was not written")
            for _ in range(len(self._jobs) if ends else asked):
                self._do(self._jobs.popleft())
            if ends:
                self._store.close()
                return

    def _round(self) -> bool:
        """What waits, written; then what there is to tidy. False where the disk refused."""
        if self._suspect:
            self._suspect = False
            self._set_aside()
        written = self._write()
        now = time.monotonic()
        if written and not self._ends:
            self._guarded(self._upkeep, now)
        return written

    def _write(self) -> bool:
        count = len(self.waiting)
        if not count and "usage-unwritable" not in self.troubles:
            return True
        taken = self.waiting[:count]
        try:
            rows, sums = self._gathering.gather(taken)
            if not self._guarded(self._store.enter, rows if self.keep.detail_days else [], sums):
                return False
        except Exception:
            # What no database takes must not stand before all that comes after it.
            del self.waiting[:count]
            self._dropped(count)
            raise
        del self.waiting[:count]
        self._unsynced = True
        self.troubles.pop("usage-unwritable", None)
        self._tell(sums)
        return True

    def _guarded(self, do: Callable[..., Any], *words: Any) -> bool:
        """Done, if need be with a new file in place of a broken one."""
        for _ in range(2):
            try:
                do(*words)
            except (sqlite3.Error, OSError, Unusable) as error:
                if not is_broken(error) or not self._set_aside():
                    return self._refused(error)
            else:
                return True
        return False

    def _refused(self, error: Exception) -> bool:
        reason = getattr(error, "strerror", None) or str(error)
        says = f"{self._store.file} cannot be written ({reason}): what was used is not counted for long"
        if self.troubles.get("usage-unwritable") != says:
            _log.warning("usage cannot be written", extra={"file": str(self._store.file), "reason": reason})
        self.troubles["usage-unwritable"] = says
        return False

    def _set_aside(self) -> bool:
        try:
            aside = self._store.set_aside(self._clock.now())
        except OSError:
            return False
        self.troubles["usage-broken"] = f"the usage database was broken and is now {aside}: counting began anew"
        _log.warning("the usage database is broken: a new one is begun", extra={"file": str(aside)})
        return True

    def _upkeep(self, now: float) -> None:
        if self._unsynced and now - self._checked >= _CHECKPOINT:
            self._checked, self._unsynced = now, False
            self._store.checkpoint()
        if now - self._tidied >= _TIDY:
            more = self._store.tidy(self._clock.now(), *self.keep, MOST_REQUESTS, MOST_HOURS)
            self._tidied = now - _TIDY + PACE if more else now

    def _tell(self, sums: Sums) -> None:
        told: Counter[tuple[str, str]] = Counter()
        for key, share in sums.items():
            _, _, _, _, provider, _, _ = key
            for kind, count in zip(KINDS, share[3:8], strict=True):
                told[provider, kind] += int(count)
        for (provider, kind), count in told.items():
            if provider and count:
                self._tokens(provider, kind, count)

    def _do(self, job: Job) -> None:
        if not job.done.set_running_or_notify_cancel():
            return
        try:
            job.done.set_result(job.do(self._store))
        except BaseException as error:  # noqa: BLE001 - whoever asked is told
            job.done.set_exception(error)


#: What tokens are counted as; `input` holds `cached` and `written`, `output` holds `reasoning`.
KINDS: Final = ("input", "output", "reasoning", "cached", "written")
