"""The audit log: who changed what, written before a change is made and after it (THR-39).

    async with audit.action(who, "keys.delete", "laptop") as told:    # refused here where no line can be written
        …                                                             # told.what, told.status, told.outcome

Fail closed: whatever changes something asks first, and where it cannot, nothing is changed. Relaying and renewing are
not asked about: a busy daemon's requests would bury what people did, the usage database has them, and a full disk must
stop nobody's work. `audit_file` is the log on the disk, `audit_chain` what a line is.

Each outcome is told to the ordinary log too, with the line's number and MAC: whoever keeps the journal elsewhere has
there what a rewritten audit log can be held against.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaultd.errors import Misconfigured, TryLater, VaultdError
from vaultd.vault.audit_chain import ACCEPTED, Keys, Line, Outcome, Report
from vaultd.vault.audit_file import HEAD, LOG, AuditFile, Said
from vaultd.vault.journal import tag
from vaultd.vault.keyring import Keyring
from vaultd.vault.store.files import reason

_log = logging.getLogger("vaultd.audit")

#: A line takes three syncs, some milliseconds; on a disk that is written to heavily each may be a second.
_WAIT: Final = 10.0
#: Wrong keys that are written one by one in an hour. A flood of them is one fact, and must neither fill the disk nor
#: push out what was done: at 300 bytes each it takes these seven years to fill the log.
_DENIALS: Final = 20
_HOUR: Final = 3600.0
#: Between two tries of a log that could not be written: as often as alerts look.
_RETRY: Final = 60.0

#: Who did what nobody asked for.
DAEMON: Final = "daemon"
_RESUMED: Final = "audit resumed"
#: From the first page to the login that is sealed, wherever the person sits.
_SIGN_IN: Final = "sign in"

_WORDS: Final[Mapping[str, str]] = {
    "done": "changed", "refused": "not changed", "failed": "not changed", "unknown": "perhaps changed",
}  # fmt: skip


@dataclass
class Told:
    """What an action may say of itself before it ends. Names, never values. An `outcome` of its own counts before what
    becomes of the block."""

    what: str
    status: str = ""
    outcome: Outcome | None = None


@dataclass
class _Denials:
    """How many were written in this hour, and how many were not since the last that was."""

    since: float = float("-inf")
    written: int = 0
    unwritten: int = 0


class Audit:
    """`now`: unix seconds."""

    def __init__(self, keyring: Keyring, state_dir: Path, now: Callable[[], float] = time.time) -> None:
        folder = keyring.credentials.folder
        # One state folder may serve several credentials' folders, each with keys of its own.
        usual = folder == Path(os.path.realpath(state_dir / "auth"))
        path = state_dir / ("audit.log" if usual else f"audit-{tag(folder)}.log")
        self._keys: Final = Keys(keyring.pepper)
        self._file: Final = AuditFile(path, keyring.files, self._keys)
        self._store: Final = keyring.files
        self._now: Final = now
        self._turn: Final = asyncio.Lock()
        self._writing: set[asyncio.Task[Line]] = set()
        #: Why the last line could not be written, and how many could not since one could.
        self._unwritable = ""
        self._missing = 0
        self._failed: Final = asyncio.Event()
        self._denials: Final = _Denials()

    @property
    def path(self) -> Path:
        return self._file.path

    def mark(self, value: str) -> str:
        """Stands for a value that must not be written: the same one always has the same mark."""
        return self._keys.mark(value)

    # --- writing ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def action(self, who: str, action: str, what: str = "") -> AsyncIterator[Told]:
        """Raises TryLater, before anything is done, where no line can be written."""
        asked = await self._ask(who, action, what)
        told = Told(what)
        outcome: Outcome = "failed"
        try:
            yield told
            outcome = "done"
        except asyncio.CancelledError:
            outcome = "unknown"
            raise
        except Exception as error:
            outcome = "refused" if isinstance(error, VaultdError) else "failed"
            told.status = told.status or type(error).__name__
            raise
        finally:
            await self._after(self._said(who, action, told.outcome or outcome, told.what, told.status, asked.seq))

    @asynccontextmanager
    async def sign_in(self, who: str, provider: str) -> AsyncIterator[Told]:
        """`action` for a sign-in: one that is cancelled has changed nothing, for a login that is being saved outlasts
        it."""
        async with self.action(who, _SIGN_IN, provider) as told:
            try:
                yield told
            except asyncio.CancelledError:
                told.outcome, told.status = "refused", "cancelled"
                raise

    async def _ask(self, who: str, action: str, what: str) -> Line:
        asking = self._start(self._said(who, action, "asked", what))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:  # nothing has begun, and that is to be said too
            with suppress(TryLater):
                asked = await asking
                await self._after(self._said(who, action, "refused", what, "cancelled", asked.seq))
            raise

    async def note(self, who: str, action: str, what: str = "", status: str = "") -> None:
        """Something happened that no refusal could have kept from happening. Raises nothing."""
        await self._after(self._said(who, action, "noted", what, status))

    async def denied(self, who: str, what: str) -> None:
        """Somebody showed what did not let him in. Raises nothing."""
        kept, now = self._denials, self._now()
        if not kept.since <= now < kept.since + _HOUR:
            kept.since, kept.written = now, 0
        if kept.written >= _DENIALS:
            kept.unwritten += 1
            return
        more = f"; {kept.unwritten} more before it were not written" if kept.unwritten else ""
        kept.written, kept.unwritten = kept.written + 1, 0
        await self._after(self._said(who, "access denied", "noted", f"{what}{more}"))

    async def accept(self, findings: int) -> None:
        """From here on the log has to be whole, whatever was found before. Who says so stands in the line that asked.
        Raises TryLater."""
        await self._write(self._said(LOG, ACCEPTED, "noted", f"{findings} findings"))

    def _said(self, who: str, action: str, outcome: Outcome, what: str, status: str = "", asked: int = 0) -> Said:
        at = dt.datetime.fromtimestamp(self._now(), dt.UTC).isoformat(timespec="milliseconds")
        return Said(at.replace("+00:00", "Z"), who, action, outcome, what, status, asked)

    async def _after(self, said: Said) -> None:
        """What it speaks of is done: that it cannot be written is told, and is no reason to fail."""
        line: Line | None = None
        with suppress(TryLater):
            line = await self._write(said)
        if said.outcome != "noted":  # what is noted, whoever saw it has told in words of his own
            _tell(said, line)

    async def _write(self, said: Said) -> Line:
        """Durable when it returns. Ends before a cancellation of the caller does. Raises TryLater."""
        task = self._start(said)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            with suppress(TryLater):
                await task
            raise

    def _start(self, said: Said) -> asyncio.Task[Line]:
        """A task of its own, which no caller's end cuts short."""
        task = asyncio.get_running_loop().create_task(self._in_turn(said))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    async def _in_turn(self, said: Said) -> Line:
        try:
            async with self._turn, self._store.lease(HEAD, wait=_WAIT, held="another process writes it"):
                if self._missing and said.action != _RESUMED:
                    await asyncio.to_thread(self._file.append, self._resumed())
                    self._missing = 0
                line = await asyncio.to_thread(self._file.append, said)
        except (OSError, Misconfigured, TryLater) as error:
            why = f"the audit log {self.path} cannot be written: {reason(error)}"
            if self._unwritable != why:
                self._unwritable = why
                _log.error("nothing is changed while the audit log cannot be written", extra={"reason": reason(error)})
            self._missing += 1
            self._failed.set()
            raise TryLater(f"{why}; nothing was changed", own=True) from error
        self._unwritable, self._missing = "", 0
        self._failed.clear()
        return line

    async def keep_trying(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """A daemon's: after lines that could not be written, one that says so, though nothing else is."""
        while True:
            await self._failed.wait()
            await sleep(_RETRY)
            if self._failed.is_set():
                await self._after(self._resumed())

    def _resumed(self) -> Said:
        return self._said(DAEMON, _RESUMED, "noted", f"{self._missing} lines could not be written")

    # --- reading ------------------------------------------------------------------------------------------------------

    async def verify(self) -> Report:
        """Walks along the whole log. Writes nothing. Raises OSError."""
        try:
            async with self._store.lease(HEAD, wait=_WAIT):
                log = await asyncio.to_thread(self._file.as_it_is)
        except TryLater:  # a folder in which nothing can be made, so nothing is written either
            log = await asyncio.to_thread(self._file.as_it_is)
        return await asyncio.to_thread(self._file.walk, log)

    async def last(self, most: int) -> list[Line]:
        """Oldest first. Raises OSError."""
        return await asyncio.to_thread(self._file.last, most)

    def troubles(self) -> Iterator[tuple[str, str]]:
        """Code of `doctor` → sentence, by a short look at the end of the log."""
        try:
            if wrong := self._file.trouble():
                yield "audit-broken", f"the audit log {self.path} is not as it was left: {wrong}"
            now = self._file.unwritable()
        except OSError as error:
            now = f"{self.path}: {reason(error)}"
        if why := self._unwritable or (now and f"the audit log cannot be written: {now}"):
            yield "audit-unwritable", f"{why}; no change can be made"


def command_line() -> str:
    """Who types a command that works on the folder itself."""
    return f"command line uid {os.getuid()}"


def _tell(said: Said, line: Line | None) -> None:
    facts = {"who": said.who, "route": said.action, "status": said.status or None, "what": said.what or None}
    if line is None:
        _log.warning("%s, and not in the audit log", _WORDS[said.outcome], extra=facts)
    else:
        _log.info(_WORDS[said.outcome], extra=facts | {"line": f"{line.seq}:{line.mac}"})
