"""What is asked of the database, each a function of a connection that only reads. Every answer is bounded: series have
so many rows and points, lists come page by page."""

from __future__ import annotations

import sqlite3
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from vaultd.work.story import CLIENT_GONE
from vaultd.work.usage.prices import Prices
from vaultd.work.usage.rows import OTHER, Key, Row, Share, hour_of

Every = Literal["hour", "day"]
By = Literal["total", "model", "credential", "client", "provider"]

#: What a legend holds and colours can tell apart.
MOST_ROWS: Final = 12
#: A month by the hour, ten years by the day: more than a screen has pixels.
MOST_POINTS: Final = 4000
#: Of what nobody was asked for: no credential had to be found, no key was needed.
_NONE: Final = "none"

_TOTALS: Final = ", ".join(f"sum({name})" for name in Share._fields)
_ROW: Final = ", ".join(Row._fields)
_FAILED: Final = f"status <> {CLIENT_GONE} AND NOT status BETWEEN 200 AND 399"


class Sum(msgspec.Struct):
    """One name's usage in a time. `seconds` and `first` are means; `cost` is None where no price is known."""

    name: str
    requests: int
    failures: int
    attempts_failed: int
    input: int
    output: int
    reasoning: int
    cached: int
    cache_written: int
    seconds: float | None
    first: float | None
    cost: float | None


class Line(msgspec.Struct):
    """One name's usage over a time: of each member, one value a point."""

    name: str
    requests: list[int]
    failures: list[int]
    attempts_failed: list[int]
    input: list[int]
    output: list[int]
    reasoning: list[int]
    cached: list[int]
    cache_written: list[int]
    seconds: list[float | None]
    first: list[float | None]
    cost: list[float | None] | None


class Request(msgspec.Struct):
    """One request."""

    id: int
    at: float
    endpoint: str
    format: str
    client: str
    provider: str
    credential: str
    model: str
    asked: str
    stream: bool
    status: int
    refused: str
    attempts: int
    input: int
    output: int
    reasoning: int
    cached: int
    cache_written: int
    seconds: float
    first: float
    cost: float | None


class _Tally:
    """One name at one point, added up."""

    __slots__ = ("cost", "share")

    def __init__(self) -> None:
        self.share = [0.0] * len(Share._fields)
        self.cost: float | None = None

    def add(self, share: Sequence[float], cost: float | None) -> None:
        self.share = [mine + more for mine, more in zip(self.share, share, strict=True)]
        if cost is not None:
            self.cost = (self.cost or 0.0) + cost

    def told(self, name: str) -> Sum:
        requests, failures, vain, input_, output, reasoning, cached, written = map(int, self.share[:8])
        seconds, first, firsts = self.share[8:]
        return Sum(
            name=name,
            requests=requests,
            failures=failures,
            attempts_failed=vain,
            input=input_,
            output=output,
            reasoning=reasoning,
            cached=cached,
            cache_written=written,
            seconds=seconds / requests if requests else None,
            first=first / firsts if firsts else None,
            cost=self.cost,
        )


def points(start: int, end: int, every: Every) -> list[int]:
    """When each hour or local day from `start` to before `end` begins."""
    if every == "hour":
        return list(range(hour_of(start)[0], end, 3600))
    first, found = time.localtime(start), []
    for number in range(MOST_POINTS + 1):
        # mktime knows that a day may have 23 hours (its `isdst` -1), and what a 32nd is.
        day = (first.tm_year, first.tm_mon, first.tm_mday + number, 0, 0, 0, 0, 0, -1)
        at = int(time.mktime(day))
        if at >= end:
            break
        found.append(at)
    return found


def series(
    connection: sqlite3.Connection, start: int, end: int, every: Every, by: By, prices: Prices
) -> tuple[list[int], list[Line]]:
    at = points(start, end, every)
    tallies: dict[str, list[_Tally]] = {}
    bucket = "hour" if every == "hour" else "day"
    for when, name, share, cost in _grouped(connection, bucket, at[0] if at else start, end, by, prices):
        place = bisect_right(at, when) - 1
        if place < 0:
            continue
        line = tallies.get(name)
        if line is None:
            line = tallies[name] = [_Tally() for _ in at]
        line[place].add(share, cost)
    lines = [_line(name, [tally.told("") for tally in line], bool(prices)) for name, line in tallies.items()]
    return at, sorted(lines, key=lambda line: (line.name == OTHER, -sum(line.requests), line.name))


def sums(connection: sqlite3.Connection, start: int, end: int, by: By, prices: Prices) -> list[Sum]:
    """As many names as there are, but for those that together make the least."""
    tallies: dict[str, _Tally] = {}
    for _, name, share, cost in _grouped(connection, "0", hour_of(start)[0], end, by, prices, most=1000):
        tallies.setdefault(name, _Tally()).add(share, cost)
    rows = [tally.told(name) for name, tally in tallies.items()]
    return sorted(rows, key=lambda row: (row.name == OTHER, -row.requests, row.name))


def _grouped(
    connection: sqlite3.Connection, bucket: str, start: int, end: int, by: By, prices: Prices, most: int = MOST_ROWS
) -> Iterator[tuple[int, str, Sequence[float], float | None]]:
    """Bucket, name, share and cost; by model as well where a price may depend on it."""
    column = "'total'" if by == "total" else by
    top = f"SELECT {column} FROM hours WHERE hour >= ? AND hour < ? GROUP BY 1 ORDER BY sum(requests) DESC LIMIT ?"  # noqa: S608
    names = {row[0] for row in connection.execute(top, (start, end, most + 1))}
    if len(names) > most:  # what is left out is told as one, so one more is left out
        names = {row[0] for row in connection.execute(top, (start, end, most - 1))}
    priced = ", provider, model" if prices else ""
    groups = f"SELECT {bucket}, {column}, {_TOTALS}{priced} FROM hours WHERE hour >= ? AND hour < ?"  # noqa: S608
    found = connection.execute(f"{groups} GROUP BY 1, 2{priced}", (start, end))
    last = 2 + len(Share._fields)
    for row in found:
        share = row[2:last]
        cost = prices.cost(row[last], row[last + 1], tuple(share[3:8])) if prices else None
        yield row[0], (row[1] or _NONE) if row[1] in names else OTHER, share, cost


def _line(name: str, told: list[Sum], priced: bool) -> Line:
    columns: dict[str, Any] = {field: [getattr(each, field) for each in told] for field in Sum.__struct_fields__[1:]}
    if not priced:
        columns["cost"] = None
    return Line(name, **columns)


def requests(
    connection: sqlite3.Connection,
    limit: int,
    before: int | None,
    prices: Prices,
    *,
    failed: bool = False,
    **names: str,
) -> list[Request]:
    """The last ones, newest first. `names`: what a column has to hold."""
    wanted = ["id < ?"] if before is not None else []
    values: list[Any] = [before] if before is not None else []
    for column, name in names.items():
        wanted.append(f"{column} = ?")
        values.append("" if name == _NONE else name)
    if failed:
        wanted.append(_FAILED)
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    text = f"SELECT id, {_ROW} FROM requests {where} ORDER BY id DESC LIMIT ?"  # noqa: S608
    found = []
    for id_, *values_ in connection.execute(text, (*values, limit)):
        row = Row(*values_)
        tokens = (row.input, row.output, row.reasoning, row.cached, row.written)
        cost = prices.cost(row.provider, row.model, tokens) if prices else None
        known = row._replace(stream=bool(row.stream))._asdict()
        found.append(Request(id=id_, cache_written=known.pop("written"), cost=cost, **known))
    return found


def page_of_requests(
    connection: sqlite3.Connection, after: int, start: int, end: int, limit: int
) -> list[tuple[int, str, int, Row]]:
    """Id here, book, number there and the row, of the oldest after `after`; for an export, page by page."""
    text = (
        f"SELECT id, book, coalesce(number, id), {_ROW} FROM requests "  # noqa: S608
        "WHERE id > ? AND at >= ? AND at < ? ORDER BY id LIMIT ?"
    )
    found = connection.execute(text, (after, start, end, limit))
    return [(id_, book, number, Row(*row)) for id_, book, number, *row in found]


def page_of_hours(
    connection: sqlite3.Connection, after: Sequence[Any], end: int, limit: int
) -> list[tuple[str, Key, Share]]:
    """Book, group and share, in the order of the table's key from `after` on."""
    key = "hour, endpoint, client, provider, credential, model, book"
    columns = ", ".join((*Key._fields, *Share._fields))
    text = (
        f"SELECT book, {columns} FROM hours WHERE ({key}) > ({', '.join('?' * 7)}) AND hour < ? ORDER BY {key} LIMIT ?"  # noqa: S608
    )
    own = len(Key._fields) + 1
    found = connection.execute(text, (*after, end, limit))
    return [(row[0], Key(*row[1:own]), Share(*row[own:])) for row in found]


def book_id(connection: sqlite3.Connection) -> str:
    return str(connection.execute("SELECT value FROM meta WHERE name = 'book'").fetchone()[0])
