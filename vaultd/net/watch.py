"""Says "something changed in these folders", and whether it would: watchdog behind one awaitable.

An event is a hint to look again, nothing more: what it claims is never believed (THR-36). Folders are resolved first,
for watchdog delivers nothing at all through a symlink (a `StateDirectory=` under `DynamicUser=` is one), and a file of
our own must come back as an event before the watch counts as alive (THR-37).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

#: Reading a folder makes events too (`opened`, `closed_no_write`): looking again on those would never end.
_CHANGES: Final = frozenset({"created", "modified", "moved", "deleted", "closed"})
#: inotify takes milliseconds; a machine under load seldom a second.
_PROOF_SECONDS: Final = 3.0


class Eye(FileSystemEventHandler):
    """Watches folders, not what is below them."""

    def __init__(self, observer: BaseObserver | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._proof = asyncio.Event()
        self._proof_name = ""
        self._observer = observer or Observer()
        self._watched: frozenset[Path] = frozenset()
        self._started = False

    def watch(self, folders: Iterable[Path]) -> list[str]:
        """Watches exactly these from now on. Answers what cannot be watched, one line each."""
        wanted = frozenset(folder.resolve() for folder in folders if folder.is_dir())
        if wanted == self._watched:
            return []
        self._observer.unschedule_all()
        troubles = []
        for folder in sorted(wanted):
            try:
                self._observer.schedule(self, str(folder))
            except OSError as error:
                troubles.append(f"{folder} cannot be watched: {error.strerror or type(error).__name__}")
        if not self._started:
            try:
                self._observer.start()
                self._started = True
            except OSError as error:
                troubles.append(f"file events are not available: {error.strerror or type(error).__name__}")
        self._watched = wanted
        return troubles

    async def proves_itself(self, folder: Path) -> bool:
        """Makes a file there and waits for its event: a watch that says nothing is found out at start."""
        proof = folder / f".watch-{os.getpid()}"
        self._proof_name = proof.name
        self._proof.clear()
        try:
            os.close(os.open(proof, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
        except OSError:
            return False
        try:
            async with asyncio.timeout(_PROOF_SECONDS):
                await self._proof.wait()
        except TimeoutError:
            return False
        finally:
            os.unlink(proof)  # noqa: PTH108 - pathlib's would be taken for slow work in a coroutine
        return True

    async def hint(self, timeout: float) -> bool:  # noqa: ASYNC109 - waiting so long is the meaning, not a failure
        """True when something changed, False after `timeout` seconds without."""
        # Not `wait_for`: before Python 3.12 an event in the moment of a cancellation makes it swallow the cancellation.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._event.wait()
        seen = self._event.is_set()
        self._event.clear()
        return seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _CHANGES:
            # From watchdog's thread; the loop may be closed while the last events arrive.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._arrived, os.fsdecode(event.src_path))

    def _arrived(self, path: str) -> None:
        if self._proof_name and path.endswith(self._proof_name):
            self._proof.set()
        else:
            self._event.set()

    def close(self) -> None:
        if self._started:
            self._observer.stop()
            self._observer.join(timeout=5)
