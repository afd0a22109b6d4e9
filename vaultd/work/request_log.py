"""The request log: what a client and a vendor said to each other, for the operator who turned it on.

Off by default. One sealed file a request, redacted, capped in size and number, gone after a day (THR-30). It is made
into text, sealed and written by a thread of its own; a request that comes while too much waits for that is not kept,
for no client waits for a log. What is refused before it is relayed (a wrong key, no JSON) is not in here.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from vaultd.net.clock import Clock
from vaultd.pool.explain import at
from vaultd.secret import Secret
from vaultd.vault.envelope import Refused
from vaultd.vault.keyring import Keyring
from vaultd.vault.request_files import RequestFiles
from vaultd.wire.refusal import Refusal
from vaultd.work.ask import Ask
from vaultd.work.attempt import Whole
from vaultd.work.deliver import Client
from vaultd.work.redaction import Redaction
from vaultd.work.request_note import KEPT, Body, Note, Overheard, Try
from vaultd.work.story import Story

_log = logging.getLogger("vaultd.relay")

#: Bodies that may wait to be written: a second's worth of a disk that is slow.
_WAITING: Final = 16 * 1024 * 1024
#: Files also grow old while nothing is written.
_SWEEP: Final = 600.0

Serve = Callable[[Ask, Client, Story], Awaitable[Whole | None]]


class Facts(msgspec.Struct):
    """What a list of them tells. `at`: RFC 3339."""

    at: str
    endpoint: str
    model: str
    credential: str
    status: int


class Entry(Facts):
    name: str
    bytes: int


class RequestLog:
    """The request log of one house. `known`: every secret that is to be left out."""

    def __init__(self, folder: Path, keyring: Keyring, clock: Clock, known: Callable[[], Iterable[Secret]]) -> None:
        self._files = RequestFiles(folder, keyring)
        self._clock = clock
        self._known = known
        #: Asked of each request.
        self.on = False
        #: The first request that is kept, else when it was turned on; unix seconds.
        self.since = 0.0
        self._thread: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._facts: dict[str, Facts] = {}
        #: Why the last one was not kept.
        self.trouble = ""

    @property
    def folder(self) -> Path:
        return self._files.folder

    def turn(self, on: bool) -> None:
        if on and not self.on:
            before = self._files.kept()
            self.since = before[-1].at if before else self._clock.now()
        self.on = on

    async def kept(self, serve: Serve, ask: Ask, client: Client, story: Story) -> Whole | None:
        """What `serve` does, overheard."""
        note = Note(ask.headers, ask.envelope or ask.body)
        try:
            whole = await serve(msgspec.structs.replace(ask, note=note), Overheard(client, note), story)
            if whole is not None:
                note.told(whole.status, whole.headers, whole.body)
            return whole
        except Refusal as refusal:
            note.refused(refusal)
            raise
        except asyncio.CancelledError:
            note.trouble = "the client hung up"
            raise
        except Exception as error:
            note.trouble = f"it failed: {type(error).__name__}"
            raise
        finally:
            self._keep(note, story)

    # For whoever looks at them.

    async def entries(self) -> list[Entry]:
        """Newest first. Those that cannot be opened any more are left out."""
        return await asyncio.to_thread(self._entries)

    async def text(self, name: str) -> str | None:
        """None where there is no such request. Raises Refused where it cannot be opened."""
        try:
            return await asyncio.to_thread(self._files.text, name)
        except FileNotFoundError:
            return None

    async def remove(self, name: str) -> bool:
        """False where there was none."""
        return await asyncio.to_thread(self._files.remove, name)

    async def remove_all(self) -> int:
        names = [kept.name for kept in await asyncio.to_thread(self._files.kept)]
        return sum([await self.remove(name) for name in names])

    async def forever(self) -> None:
        while True:
            with suppress(OSError):  # a folder that lets nothing go today may tomorrow
                await asyncio.to_thread(self._files.sweep, self._clock.now())
            await self._clock.sleep(_SWEEP)

    async def settled(self) -> None:
        """Until what waits now is written."""
        if self._thread is not None:
            await asyncio.wrap_future(self._thread.submit(lambda: None))

    async def close(self) -> None:
        await self.settled()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown()

    def _entries(self) -> list[Entry]:
        found, known = [], self._facts
        kept = self._files.kept()
        for name, size in kept:
            try:
                facts = known.get(name) or msgspec.json.decode(self._files.facts(name), type=Facts)
            except (OSError, Refused, msgspec.DecodeError):
                continue
            known[name] = facts
            found.append(Entry(**msgspec.structs.asdict(facts), name=name, bytes=size))
        self._facts = {entry.name: known[entry.name] for entry in found}
        return found

    def _keep(self, note: Note, story: Story) -> None:
        size = note.size
        if self._waiting + size > _WAITING:
            self._failed("too much waits to be written")
            return
        self._waiting += size
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "request log")
        # Taken on the loop, where they change.
        known = [*self._known(), *note.secrets]
        done = self._thread.submit(self._write, note, story, known, self._clock.now())
        loop = asyncio.get_running_loop()
        done.add_done_callback(lambda _: loop.call_soon_threadsafe(self._written, size))

    def _written(self, size: int) -> None:
        self._waiting -= size

    def _write(self, note: Note, story: Story, known: list[Secret], now: float) -> None:
        """In the thread."""
        name = f"{int(now * 1000):013}-{secrets.token_hex(3)}"
        redaction = Redaction(secret.reveal() for secret in known)
        facts = Facts(at(story.at), story.endpoint, story.model or story.asked, story.credential, note.status)
        try:
            text = "\n".join(_lines(name, note, story, redaction))
            self._files.put(name, msgspec.json.encode(facts), text)
            self._files.sweep(now)
            self.trouble = ""
        except OSError as error:
            self._failed(error.strerror or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a log that fails ends nothing; the message may quote what it is about
            self._failed(type(error).__name__)

    def _failed(self, why: str) -> None:
        if why != self.trouble:
            self.trouble = why
            _log.warning("a request was not kept", extra={"reason": why})


# --- as text ----------------------------------------------------------------------------------------------------------


def _lines(name: str, note: Note, story: Story, redaction: Redaction) -> Iterator[str]:
    yield f"request {name}"
    facts = {
        "at": at(story.at),
        "endpoint": story.endpoint,
        "format": story.format,
        "client key": story.client,
        "model": story.asked,
        "status": note.status or "none",
        "seconds": f"{max(0.0, story.ended - story.began):.3f}",
        "told": note.trouble,
    }
    yield from (f"{what}: {_plain(redaction.text(str(value)))}" for what, value in facts.items() if value != "")
    yield from _side("the client asked", note.headers, note.asked, redaction)
    for number, one in enumerate(note.tries, 1):
        yield from _try(number, one, redaction)
    if note.missed:
        yield f"\n=== {note.missed} more tries, not kept"
    yield from _side(f"the client was told {note.status or 'nothing'}", note.said_headers, note.said, redaction)


def _try(number: int, one: Try, redaction: Redaction) -> Iterator[str]:
    where = f"try {number}: {one.provider}, {one.credential}, POST {one.url}"
    yield from _side(_plain(redaction.text(where)), one.headers, one.asked, redaction)
    answered = f"try {number} was answered with {one.status or 'nothing'}"
    yield from _side(answered, one.heard_headers, one.heard, redaction)
    if one.trouble:
        yield f"in vain: {_plain(redaction.text(one.trouble))}"


def _side(title: str, headers: dict[str, str], body: Body, redaction: Redaction) -> Iterator[str]:
    """Each line of a body is moved in by two blanks, so that none of it looks like one of ours."""
    yield f"\n=== {title}"
    yield from map(_plain, redaction.headers(headers))
    if not body.size:
        return
    coding = next((value for name, value in headers.items() if name.lower() == "content-encoding"), "identity")
    if coding.lower() != "identity":
        yield f"\n[{body.size} bytes, {_plain(coding)}]"
        return
    text = redaction.text(body.kept.decode("utf-8", "backslashreplace"))
    cut = body.size > KEPT
    yield ""
    yield from (f"  {_plain(line)}" for line in text[:KEPT].split("\n"))
    if cut:
        yield f"[cut: {KEPT} of {body.size} bytes are kept]"


def _plain(line: str) -> str:
    """THR-29: nothing in it steers a terminal. The tab is let be."""
    if line.isprintable():
        return line
    runs = itertools.groupby(line, lambda char: char.isprintable() or char == "\t")
    return "".join(
        run if fine else run.encode("unicode_escape").decode() for fine, chars in runs for run in ["".join(chars)]
    )
