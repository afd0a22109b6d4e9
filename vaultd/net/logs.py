"""How the log looks: one line per verb finished, `key=value` or JSON, on stderr (the journal) or in a file
(`net.log_file`). The last of it stays in memory (`net.recent`).

Fields come from an allow-list, so that nothing reaches the log because somebody passed it along (THR-27). Control and
direction characters are escaped (THR-29), and halves of characters, which no encoding takes. An exception shows its
class and frames, never its message: a message may quote what it choked on (THR-28). Warnings and errors are searched
for the secrets in memory, value by value.

    logging.getLogger("vaultd.work").info("renewed", extra={"credential": credential.id, "expires_in": 3600})
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
import re
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, TextIO

import msgspec

from vaultd.secret import Secret

#: What may stand in a line beside the message. None of them can hold a secret.
FIELDS: Final = (
    "credential", "provider", "account", "model", "format", "status", "attempt", "reason", "error", "after",
    "expires_in", "generation", "seconds", "bytes", "input_tokens", "output_tokens", "client", "peer", "address",
    "file", "verb", "task", "dropped", "refused", "code", "who", "route", "what", "line",
)  # fmt: skip

#: A value shorter than this is no secret of ours, and would blank ordinary words.
_SECRET_MIN: Final = 12

_ALLOWED: Final = frozenset(FIELDS)

#: How old a line may be when it is written.
_GATHER_SECONDS: Final = 0.1

#: A value that needs no quotes.
_PLAIN: Final = re.compile(r'[^ "=\\]+')

Secrets = Callable[[], Iterable[Secret]]
Form = Literal["text", "json"]

#: sd-daemon(3): what a line begins with for the journal to know how bad it is.
_PRIORITIES: Final = {"DEBUG": "<7>", "INFO": "<6>", "WARNING": "<4>", "ERROR": "<3>", "CRITICAL": "<2>"}


class Told(logging.LogRecord):
    """A record at INFO made by hand: `Logger.info` looks for its caller in the stack, which nobody reads, and
    `LogRecord` for much besides; together that costs as much as the line."""

    fields: Mapping[str, object]

    def __init__(self, name: str, message: str, fields: Mapping[str, object]) -> None:
        self.__dict__ = _BLANK | {"name": name, "msg": message, "created": time.time(), "fields": fields, **fields}


_BLANK: Final = logging.makeLogRecord({"levelno": logging.INFO, "levelname": "INFO"}).__dict__


class Line(logging.Formatter):
    """`2026-01-02T03:04:05.678Z info renewed credential=codex-a expires_in=3600`; for the journal, which has the time
    itself, `<6>info renewed …`."""

    def __init__(self, secrets: Secrets = tuple, *, journal: bool = False) -> None:
        super().__init__()
        self._secrets = secrets
        self._begins = _priority if journal else _stamp

    def format(self, record: logging.LogRecord) -> str:
        line = f"{self._begins(record)}{record.levelname.lower()} {record.getMessage()}"
        given: Mapping[str, object] = record.__dict__
        names: Iterable[str] = FIELDS
        if type(record) is Told:  # one a request: its few fields are walked, not all that there are
            given, names = record.fields, [name for name in record.fields if name in _ALLOWED]
        line += "".join(
            [
                f" {name}={value if type(value) is int else quoted(str(value))}"
                for name in names
                if (value := given.get(name)) is not None
            ]
        )
        if record.exc_info and record.exc_info[0]:
            line += f" exception={record.exc_info[0].__name__} at={frames(record.exc_info[2])}"
        line = escaped(line)
        return scrubbed(line, self._secrets()) if record.levelno >= logging.WARNING else line


class JsonLine(logging.Formatter):
    """`{"ts":"2026-01-02T03:04:05.678Z","level":"info","logger":"vaultd.work","msg":"renewed","credential":"codex-a"}`

    For the journal the same after its `<6>`, time included: whoever reads these lines by program has one shape to know.
    """

    def __init__(self, secrets: Secrets = tuple, *, journal: bool = False) -> None:
        super().__init__()
        self._secrets = secrets
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": moment(record), "level": record.levelname.lower(), "logger": record.name, "msg": record.getMessage(),
        }  # fmt: skip
        if type(record) is Told:  # as above
            for name, value in record.fields.items():
                if value is not None and name in _ALLOWED:
                    line[name] = value if type(value) in _NUMBERS else str(value)
        else:
            given = record.__dict__
            line |= {
                name: value if type(value) in _NUMBERS else str(value)
                for name in FIELDS
                if (value := given.get(name)) is not None
            }
        if record.exc_info and record.exc_info[0]:
            line |= {"exception": record.exc_info[0].__name__, "at": frames(record.exc_info[2])}
        if record.levelno >= logging.WARNING:  # before a quote in a secret becomes two characters
            secrets = list(self._secrets())
            line = {name: scrubbed(value, secrets) if isinstance(value, str) else value for name, value in line.items()}
        text = jsoned(line)
        return f"{_priority(record)}{text}" if self._journal else text


_NUMBERS: Final = frozenset({int, float, bool})
_json: Final = msgspec.json.Encoder().encode


def jsoned(line: Mapping[str, object]) -> str:
    """In one line of printable characters, and JSON still."""
    try:
        text = _json(line).decode()
    except UnicodeEncodeError:  # half of a character, of a file's name
        text = json.dumps(line, separators=(",", ":"))
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def in_journal(env: Mapping[str, str], stream: int = 2) -> bool:
    """Whether stderr leads to the journal: systemd says where that is by device and inode (systemd.exec(5))."""
    with suppress(OSError):
        facts = os.fstat(stream)
        return env.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"
    return False


def journal_unit(env: Mapping[str, str]) -> str:
    """The unit that the journal keeps our lines under; empty where they go elsewhere. The last of our control group's
    path, which for a unit of a person's own lies below `user@UID.service`."""
    if not in_journal(env):
        return ""
    with suppress(OSError):
        group = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
        name = group.rpartition("/")[2]
        return f"{'--user-unit' if '/user@' in group else '--unit'}={name}" if name.endswith(".service") else ""
    return ""


def _priority(record: logging.LogRecord) -> str:
    return _PRIORITIES.get(record.levelname, "<6>")


def _stamp(record: logging.LogRecord) -> str:
    return f"{moment(record)} "


def moment(record: logging.LogRecord) -> str:
    second = int(record.created)
    return f"{_second(second)}.{int((record.created - second) * 1000):03}Z"


@lru_cache(8)
def _second(at: int) -> str:
    """A busy second has thousands of lines."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat()[:-6]


def scrubbed(text: str, secrets: Iterable[Secret]) -> str:
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= _SECRET_MIN:
            text = text.replace(value, "***")
    return text


def escaped(text: str) -> str:
    if text.isprintable():  # asked of the whole first: a line is written for every request
        return text
    return "".join(_escaped(char) for char in text)


@lru_cache(1024)
def quoted(text: str) -> str:
    """Kept, for the same providers, credentials and models stand in line after line."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _escaped(char: str) -> str:
    hidden = unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return char.encode("unicode_escape").decode() if hidden else char


def frames(trace: TracebackType | None) -> str:
    return ">".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(trace)[-6:])


class Gathered(logging.StreamHandler[TextIO]):
    """A stream, stderr if not told another, written to at most ten times a second: a line made and written for each
    request, one by one, would cost a third of what relaying it does.

    Warnings go out at once, with what was gathered before them; so does everything outside an event loop and at exit.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._records: list[logging.LogRecord] = []
        self._waiting: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
        loop = asyncio._get_running_loop()  # noqa: SLF001 - the public one raises, and this is asked for every line
        if loop is None or record.levelno >= logging.WARNING:
            self.flush()
        elif loop is not self._waiting:
            self._waiting = loop
            loop.call_later(_GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        with self.lock or nullcontext():
            records, self._records, self._waiting = self._records, [], None
            lines = [self._line(record) for record in records]
            # A full disk, a reader that is gone: nothing that a log tells of may fail because nobody hears. A commit
            # that a full disk refuses says so, and what it could not save is kept by the line after that.
            with suppress(OSError, ValueError):
                if lines:
                    self.stream.write("".join(lines))
                super().flush()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record) + "\n"
        except Exception:  # noqa: BLE001 - as logging itself: a bad line must not end the work it tells of
            # Which would show on stderr, in many lines, what the line was made of: a key, perhaps (THR-28).
            facts = {name: record.__dict__[name] for name in ("name", "levelno", "levelname", "created")}
            return self.format(logging.makeLogRecord(facts | {"msg": "a line that cannot be shown"})) + "\n"

    def close(self) -> None:
        self.flush()
        super().close()


def set_up(
    handler: logging.Handler,
    recent: logging.Handler | None = None,
    *,
    debug: bool,
    secrets: Secrets = tuple,
    form: Form = "text",
    journal: bool = False,
) -> None:
    """Sends the whole process's log to `handler`, and to `recent`. Called again on reload: the last call holds.
    `journal`: what `handler` writes goes there."""
    # Facts that no line shows need not be gathered for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler.setFormatter((JsonLine if form == "json" else Line)(secrets, journal=journal))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        if old is not recent:
            old.close()
    root.addHandler(handler)
    if recent is not None:
        root.addHandler(recent)
    # Other people's libraries log URLs and headers at lower levels.
    root.setLevel(logging.WARNING)
    logging.getLogger("vaultd").setLevel(logging.DEBUG if debug else logging.INFO)
