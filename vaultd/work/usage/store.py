"""The database of usage: one row a request for some weeks, one row an hour and group for much longer.

SQLite in WAL. A kill loses nothing that was committed: it lies with the kernel. A power cut may cost what was written
since the last checkpoint, for a commit does not wait for the disk (`synchronous=NORMAL`, sqlite.org/wal.html); the
writer makes one each minute. It is never left half: a frame whose checksum fails ends the log.

Several daemons may write the same file. One thread at a time uses a `Store`; readers open connections of their own.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Final

from vaultd.work.usage.rows import Key, Row, Share, Sums, Values

SCHEMA: Final = 1
#: "vltd": says of a SQLite file that it is one of ours (sqlite.org/pragma.html#pragma_application_id).
_APPLICATION: Final = 0x766C7464
#: Another daemon's transaction takes milliseconds.
_BUSY_SECONDS: Final = 2.0
#: A checkpoint cuts the log back to this; it grows over it only while one long read goes on.
_LOG_BYTES: Final = 16 * 1024 * 1024
#: Rows that go at once: a few milliseconds, between which others are written.
_BITE: Final = 5000

#: `book` is "" for what was counted here, else the id of the book it was imported from, and `number` its id there.
#: Imported rows have ids below zero: "the last requests" are those of this house.
_TABLES: Final = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE requests(
  id INTEGER PRIMARY KEY, at REAL, endpoint TEXT, format TEXT, client TEXT, provider TEXT, credential TEXT, model TEXT,
  asked TEXT, stream INTEGER, status INTEGER, refused TEXT, attempts INTEGER, input INTEGER, output INTEGER,
  reasoning INTEGER, cached INTEGER, written INTEGER, seconds REAL, first REAL,
  book TEXT NOT NULL DEFAULT '', number INTEGER);
CREATE UNIQUE INDEX imported ON requests(book, number) WHERE book <> '';
CREATE TABLE hours(
  hour INTEGER, day INTEGER, endpoint TEXT, client TEXT, provider TEXT, credential TEXT, model TEXT,
  requests INTEGER, failures INTEGER, vain INTEGER, input INTEGER, output INTEGER, reasoning INTEGER, cached INTEGER,
  written INTEGER, seconds REAL, first REAL, firsts INTEGER, book TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(hour, endpoint, client, provider, credential, model, book)) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {SCHEMA};
"""
_ROW: Final = ", ".join(Row._fields)
_HOUR: Final = ", ".join((*Key._fields, *Share._fields))
_VALUES: Final = f"({', '.join('?' * len(Row._fields))})"
#: Rows a statement. sqlite3 lets go of the interpreter's lock for each statement and wants it back after: with a row a
#: statement a busy daemon is stopped once for each request, and the thread waits 5 ms for each. 50 rows are 950 values,
#: of which every SQLite takes 999.
_AT_ONCE: Final = (50, 5, 1)
_INTO: Final = f"INSERT INTO requests({_ROW}) VALUES "  # noqa: S608 - columns of ours
_ENTER: Final = {count: _INTO + ", ".join([_VALUES] * count) for count in _AT_ONCE}
_MARKS: Final = ", ".join("?" * (len(Key._fields) + len(Share._fields) + 1))
_ONTO: Final = "ON CONFLICT(hour, endpoint, client, provider, credential, model, book) DO UPDATE SET"
_ADDED: Final = ", ".join(f"{name} = {name} + excluded.{name}" for name in Share._fields)
_ADD: Final = f"INSERT INTO hours({_HOUR}, book) VALUES({_MARKS}) {_ONTO} {_ADDED}"
#: What is imported replaces what was imported of the same book and hour before, where it holds more: a book only grows.
_TAKEN: Final = ", ".join(f"{name} = excluded.{name}" for name in Share._fields)
_MORE: Final = "excluded.requests + excluded.vain > requests + vain"
_TAKE: Final = f"INSERT INTO hours({_HOUR}, book) VALUES({_MARKS}) {_ONTO} {_TAKEN} WHERE {_MORE}"
_IMPORT: Final = (
    f"INSERT OR IGNORE INTO requests(id, {_ROW}, book, number) VALUES({', '.join('?' * (len(Row._fields) + 3))})"
)


class Unusable(Exception):
    """The file is whole and not for this version, or not ours to touch; the message says why."""


def is_broken(error: BaseException) -> bool:
    """Whether the file itself is at fault, and no better tomorrow."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    return (code & 0xFF) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def reading(file: Path) -> sqlite3.Connection:
    """A connection that cannot write, for any thread. Raises sqlite3.Error."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
    connection.execute("PRAGMA query_only = 1")
    return connection


class Store:
    """The file at `file`. Whatever is asked of it opens it, and again where another file stands there meanwhile."""

    def __init__(self, file: Path) -> None:
        self.file: Final = file
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._log: Final = file.with_name(file.name + "-wal")

    def enter(self, rows: Sequence[Values], sums: Sums) -> None:
        """Both or neither. Raises sqlite3.Error, OSError, Unusable."""
        with self._transaction() as connection:
            done = 0
            for count in _AT_ONCE:
                while len(rows) - done >= count:
                    connection.execute(_ENTER[count], list(chain.from_iterable(rows[done : done + count])))
                    done += count
            connection.executemany(_ADD, [(*key, *share, "") for key, share in sums.items()])

    def take(self, book: str, rows: Iterable[tuple[int, Row]], hours: Iterable[tuple[Key, Share]]) -> int:
        """Rows of another book; how many were new. Those of this very book go back to where they were."""
        with self._transaction() as connection:
            if book == _meta(connection, "book"):
                book = ""
            before = connection.total_changes
            (least,) = connection.execute("SELECT min(0, coalesce(min(id), 0)) FROM requests").fetchone()
            newest_first = sorted(rows, key=lambda pair: -pair[1].at)
            for place, (number, row) in enumerate(newest_first, 1):
                id_ = least - place if book else number
                connection.execute(_IMPORT, (id_, *row, book, number if book else None))
            connection.executemany(_TAKE, [(*key, *share, book) for key, share in hours])
            return connection.total_changes - before

    def tidy(self, now: float, detail_days: float, total_days: float, most: int, most_hours: int) -> bool:
        """Lets go of one bite of what is too old or too much. True where there may be more."""
        with self._transaction() as connection:
            before = connection.total_changes
            old = "SELECT id FROM requests WHERE at < ? LIMIT ?"
            connection.execute(f"DELETE FROM requests WHERE id IN ({old})", (now - detail_days * 86400, _BITE))  # noqa: S608
            (count,) = connection.execute("SELECT count(*) FROM requests").fetchone()
            if (over := min(count - most, _BITE)) > 0:
                first = "SELECT id FROM requests ORDER BY id LIMIT ?"
                connection.execute(f"DELETE FROM requests WHERE id IN ({first})", (over,))  # noqa: S608
            until = now - total_days * 86400 - 3600
            bite = "SELECT hour FROM hours WHERE hour < ? ORDER BY hour LIMIT 1 OFFSET ?"
            (last,) = connection.execute(bite, (until, _BITE)).fetchone() or (until,)
            connection.execute("DELETE FROM hours WHERE hour <= ?", (last,))
            (count,) = connection.execute("SELECT count(*) FROM hours").fetchone()
            if count > most_hours:
                oldest = "SELECT hour FROM hours ORDER BY hour LIMIT 1 OFFSET ?"
                connection.execute(f"DELETE FROM hours WHERE hour <= ({oldest})", (count - most_hours - 1,))  # noqa: S608
            return connection.total_changes - before >= _BITE

    def checkpoint(self) -> None:
        """What was committed is on the disk."""
        if self._connection is not None:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def set_aside(self, now: float) -> Path:
        """Another file may begin; this one is kept for whoever can mend it. Raises OSError."""
        self.close()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        aside = self.file.with_name(f"{self.file.name}.broken-{stamp}")
        if aside.exists():
            aside = aside.with_name(f"{aside.name}-{secrets.token_hex(3)}")
        self.file.rename(aside)
        for more in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.file.with_name(self.file.name + more).rename(aside.with_name(aside.name + more))
        return aside

    def open(self) -> sqlite3.Connection:
        """Raises sqlite3.Error, OSError, Unusable."""
        if self._connection is not None and self._there():
            return self._connection
        self.close()
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            # Only where there is none: to close a second descriptor would drop the locks of the first (fcntl(2)).
            os.close(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            facts = self.file.lstat()
            if not stat.S_ISREG(facts.st_mode):
                raise Unusable("no regular file") from None
            if facts.st_mode & 0o077:
                self.file.chmod(0o600)
        connection = sqlite3.connect(self.file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        connection.execute("SELECT count(*) FROM meta").fetchone()  # the first question makes the log
        self._connection, self._inode = connection, self.file.stat().st_ino
        return connection

    def _there(self) -> bool:
        """Its log, too: without its name nobody else can read, and a kill would cost all that is in it. To close still
        brings that into the file."""
        try:
            return self.file.stat().st_ino == self._inode and self._log.exists()
        except FileNotFoundError:
            return False

    def _transaction(self) -> _Transaction:
        return _Transaction(self.open())


class _Transaction:
    """`with` begins it for writing, and ends it either way."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}").fetchall()
    version, application = _pragma(connection, "user_version"), _pragma(connection, "application_id")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == _APPLICATION and version > SCHEMA:
        raise Unusable(f"written by a later vaultd (format {version}, this one knows {SCHEMA})")
    if application not in {0, _APPLICATION} or (application == 0 and tables):
        raise Unusable("the database of another program")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = NORMAL")
    if application == 0:
        with closing(connection.cursor()) as cursor:
            # Another daemon may make them at the same time; who comes second finds them made.
            cursor.execute("BEGIN EXCLUSIVE")
            if not cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _TABLES.split(";\n"):
                    cursor.execute(statement)
                cursor.execute("INSERT INTO meta VALUES('book', ?)", (secrets.token_hex(8),))
            cursor.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _meta(connection: sqlite3.Connection, name: str) -> str:
    found = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return str(found[0]) if found else ""
