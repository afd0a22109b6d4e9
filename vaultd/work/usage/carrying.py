"""Usage on its way from one house to another: JSON, which has all, and CSV, which has the hours for a spreadsheet.

Both name the book each line comes from, so that what is imported twice is there once. Names are ids, never keys.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from vaultd.errors import Misconfigured
from vaultd.work.usage.rows import TOO_MANY, Key, Row, Share

VERSION: Final = 1
#: What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"). Our own quote is doubled, so that
#: it can be taken off again.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")

_COLUMNS: Final = ("book", *Key._fields, *Share._fields)

Text = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, lt=TOO_MANY)]
#: What JSON's numbers hold (RFC 8259 §6).
Number = Annotated[int, Meta(ge=0, lt=1 << 53)]
Seconds = Annotated[float, Meta(ge=0, lt=1e12)]


class Hour(msgspec.Struct, forbid_unknown_fields=True):
    """One group's share of one hour."""

    book: Annotated[str, Meta(min_length=1, max_length=64)]
    hour: Count
    day: Count
    endpoint: Text = ""
    client: Text = ""
    provider: Text = ""
    credential: Text = ""
    model: Text = ""
    requests: Count = 0
    failures: Count = 0
    vain: Count = 0
    input: Count = 0
    output: Count = 0
    reasoning: Count = 0
    cached: Count = 0
    written: Count = 0
    seconds: Seconds = 0.0
    first: Seconds = 0.0
    firsts: Count = 0


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """One request; `number` is its id in its book."""

    book: Annotated[str, Meta(min_length=1, max_length=64)]
    number: Number
    at: Seconds
    endpoint: Text = ""
    format: Text = ""
    client: Text = ""
    provider: Text = ""
    credential: Text = ""
    model: Text = ""
    asked: Text = ""
    stream: bool = False
    status: Annotated[int, Meta(ge=0, le=999)] = 0
    refused: Text = ""
    attempts: Count = 0
    input: Count = 0
    output: Count = 0
    reasoning: Count = 0
    cached: Count = 0
    written: Count = 0
    seconds: Seconds = 0.0
    first: Seconds = 0.0


class Carried(msgspec.Struct, forbid_unknown_fields=True, rename={"version": "vaultd-usage"}):
    """All of an export."""

    version: int
    exported_at: Seconds = 0.0
    hours: list[Hour] = []
    requests: list[Asked] = []


def hour(book: str, key: Key, share: Share) -> Hour:
    return Hour(book=book, **key._asdict(), **share._asdict())


def asked(book: str, number: int, row: Row) -> Asked:
    return Asked(book, number, **row._replace(stream=bool(row.stream))._asdict())


def key_and_share(told: Hour) -> tuple[Key, Share]:
    values = msgspec.structs.astuple(told)[1:]
    return Key(*values[: len(Key._fields)]), Share(*values[len(Key._fields) :])


def row_of(told: Asked) -> Row:
    return Row(*msgspec.structs.astuple(told)[2:])


def csv_head() -> bytes:
    return _written([list(_COLUMNS)])


def csv_lines(hours: Iterable[Hour]) -> bytes:
    return _written([[_safe(value) for value in msgspec.structs.astuple(each)] for each in hours])


def read_csv(text: str) -> Iterator[Hour]:
    """Raises Misconfigured naming the line."""
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        if tuple(next(rows, ())) != _COLUMNS:
            raise Misconfigured(f"the first line is to name the columns of an export: {','.join(_COLUMNS)}")
        for row in rows:
            if row:
                if len(row) != len(_COLUMNS):
                    raise Misconfigured(f"line {rows.line_num} has {len(row)} columns, not {len(_COLUMNS)}")
                named = dict(zip(_COLUMNS, map(_plain, row), strict=True))
                yield msgspec.convert(named, Hour, strict=False)
    except (csv.Error, msgspec.ValidationError):
        raise Misconfigured(f"line {rows.line_num} is not as an export writes it") from None


def _written(rows: list[list[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _plain(text: str) -> str:
    return text.removeprefix("'")
