"""The last of the log, in memory, for a page that shows it: there whether the log goes to a file or to the journal.

A record costs one entry in a list of fixed length; it becomes text when somebody looks. Not so a warning, and whatever
holds an exception: a traceback would keep alive what a request held. Of the line of a request only its fields are kept:
2,000 whole records are some megabytes that each request would drive through the processor's cache.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vaultd.net.logs import FIELDS, Form, Secrets, Told, escaped, frames, jsoned, moment, quoted, scrubbed
from vaultd.secret import Secret

#: A screenful at a time, a page shows the last hour of a household; as text they are half a megabyte.
CAPACITY: Final = 2000


class Said(msgspec.Struct, frozen=True):
    """One line of the log in its parts. `at`: RFC 3339, in UTC."""

    at: str
    level: str
    text: str
    fields: dict[str, str | int]

    def line(self, form: Form) -> str:
        """As the log has it."""
        if form == "json":
            return jsoned({"ts": self.at, "level": self.level, "msg": self.text, **self.fields})
        return " ".join(
            [self.at, self.level, self.text, *(f"{name}={quoted(str(v))}" for name, v in self.fields.items())]
        )


#: What is kept of a `Told`, which is what it is made of, and when that was.
_Brief = tuple[str, str, Mapping[str, object], float]


class Recent(logging.Handler):
    """The last `CAPACITY` lines. `told` counts all there ever were: whoever watches knows by it what is new to him."""

    def __init__(self, secrets: Secrets = tuple) -> None:
        super().__init__()
        self._secrets = secrets
        self._numbers = itertools.count(1)
        self._kept: deque[tuple[int, list[logging.LogRecord | _Brief | Said]]] = deque(maxlen=CAPACITY)

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the lock of `Handler.handle`: to append is one step, whichever thread does it."""
        if type(record) is Told:
            self._kept.append((next(self._numbers), [(record.name, record.msg, record.fields, record.created)]))
            return True
        early = record.levelno >= logging.WARNING or record.exc_info
        self._kept.append((next(self._numbers), [_said(record, list(self._secrets())) if early else record]))
        return True

    @property
    def told(self) -> int:
        return self._kept[-1][0] if self._kept else 0

    def since(self, number: int, most: int = CAPACITY) -> list[Said]:
        """The last `most` of those told after the one of this number, oldest first."""
        kept, secrets = self._kept.copy(), list(self._secrets())
        fresh = [slot for told, slot in itertools.islice(reversed(kept), most) if told > number]
        return [_read(slot, secrets) for slot in reversed(fresh)]


def _read(slot: list[logging.LogRecord | _Brief | Said], secrets: Sequence[Secret]) -> Said:
    found = slot[0]
    if isinstance(found, tuple):
        name, text, fields, at = found
        found = Told(name, text, fields)
        found.created = at
    if isinstance(found, logging.LogRecord):
        found = slot[0] = _said(found, secrets)
    return found


def _said(record: logging.LogRecord, secrets: Sequence[Secret]) -> Said:
    """What `net.logs.Line` would write. Searched for secrets whatever its level: this is not on anybody's way."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - as in logging itself: a bad line must not end the work it tells of
        text = "a line that cannot be shown"
    given = record.__dict__
    found = {name: given[name] for name in FIELDS if given.get(name) not in (None, "")}
    if record.exc_info and record.exc_info[0]:
        found |= {"exception": record.exc_info[0].__name__, "frames": frames(record.exc_info[2])}
    fields = {name: value if type(value) is int else _clean(str(value), secrets) for name, value in found.items()}
    return Said(moment(record), record.levelname.lower(), _clean(text, secrets), fields)


def _clean(text: str, secrets: Sequence[Secret]) -> str:
    return scrubbed(escaped(text), secrets)
