"""What was used: CLIProxyAPI's shape, sums for plots, export, import."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Final, Literal, TypeVar, cast, get_args

import msgspec
from aiohttp import web

from vaultd.house import House
from vaultd.server.management.route import Call, Query, Refused, Route
from vaultd.work.usage import carrying, queries, shape
from vaultd.work.usage.queries import MOST_POINTS, By, Every
from vaultd.work.usage.rows import Key, Row, Share, hour_of

T = TypeVar("T")

#: 100,000 requests and a year of hours, as JSON; it is read whole.
_IMPORT_LIMIT: Final = 64 * 1024 * 1024
#: Rows that are read or written at once: some milliseconds.
_PAGE: Final = 2000
#: What one page of a list holds at most.
_MOST: Final = 1000
_HOUR, _DAY = 3600, 86400
#: That on which summer time ends.
_LONGEST_DAY: Final = 25 * _HOUR
#: A login's name; a key may have any sign in it.
_ADDRESS: Final = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
#: The first page of a table: below every key that there is.
_FIRST: Final = (-1, "", "", "", "", "", "")
#: Clocks differ; what is later than that is no request that has been.
_AHEAD: Final = 86400


class Series(msgspec.Struct):
    """`at`: when each hour or local day begins. A mean of nothing is null; so is `cost` where no price is known."""

    start: int = msgspec.field(name="from")
    to: int
    every: Every
    by: By
    currency: str
    at: list[int]
    rows: list[queries.Line]


class Sums(msgspec.Struct):
    start: int = msgspec.field(name="from")
    to: int
    by: By
    currency: str
    rows: list[queries.Sum]


class Requests(msgspec.Struct):
    """Newest first; the next page is asked for with the last `id` as `before`."""

    currency: str
    data: list[queries.Request]


class Imported(msgspec.Struct):
    """Lines that were new, and those that were there already or are too old to be kept."""

    added: int
    skipped: int


async def usage(call: Call) -> shape.Snapshot:
    return await call.house.usage.ask(lambda db: shape.snapshot(db, queries.book_id(db)))


async def series(call: Call) -> Series:
    every = cast("Every", call.query.get("every") or "hour")
    by = _by(call)
    start, end = _span(call, 30 * _DAY if every == "day" else _DAY)
    if (end - start) // (_DAY if every == "day" else _HOUR) >= MOST_POINTS:
        raise Refused(400, "invalid query", message=f"that is more than {MOST_POINTS} points: every=day, or less time")
    book = call.house.usage
    at, rows = await book.ask(lambda db: queries.series(db, start, end, every, by, book.prices))
    return Series(start, end, every, by, book.prices.currency, at, rows)


async def sums(call: Call) -> Sums:
    by, book = _by(call), call.house.usage
    start, end = _span(call, 30 * _DAY)
    rows = await book.ask(lambda db: queries.sums(db, start, end, by, book.prices))
    return Sums(start, end, by, book.prices.currency, rows)


async def requests(call: Call) -> Requests:
    book, query = call.house.usage, call.query
    limit = min(max(int(query.get("limit") or 100), 1), _MOST)
    before = int(query["before"]) if query.get("before") else None
    failed = query.get("failed", "").lower() in {"1", "true", "yes", "on"}
    names = {name: query[name] for name in ("credential", "model", "client", "provider") if query.get(name)}
    rows = await book.ask(lambda db: queries.requests(db, limit, before, book.prices, failed=failed, **names))
    return Requests(book.prices.currency, rows)


def _by(call: Call) -> By:
    return cast("By", call.query.get("by") or "total")


def _span(call: Call, usual: int) -> tuple[int, int]:
    """From and to, in unix seconds; as long as is usual up to now, where nothing is said."""
    end = int(call.query.get("to") or call.house.usage.now() + 1)
    start = int(call.query.get("from") or end - usual)
    # What `time.localtime` takes on every machine, less a day for its zone.
    if not 0 <= start < end < 1 << 40:
        raise Refused(400, "invalid query", message="from is to lie before to, and both after 1970")
    return start, end


# --- out --------------------------------------------------------------------------------------------------------------


async def export(call: Call) -> web.StreamResponse:
    """Page by page: what is in memory at once does not grow with what is kept."""
    house, form = call.house, call.query.get("format") or "json"
    start = int(call.query.get("from") or 0)
    end = int(call.query.get("to") or house.usage.now() + _AHEAD)
    day = datetime.fromtimestamp(house.usage.now(), UTC).strftime("%Y-%m-%d")
    headers = {
        "Content-Type": "text/csv; charset=utf-8" if form == "csv" else "application/json",
        "Content-Disposition": f'attachment; filename="vaultd-usage-{day}.{form}"',
    }
    own = await house.usage.ask(queries.book_id)  # while a refusal can still be told
    response = web.StreamResponse(headers=headers)
    await response.prepare(call.request)
    async for piece in _csv(house, own, start, end) if form == "csv" else _json(house, own, start, end):
        await response.write(piece)
    await response.write_eof()
    return response


async def _csv(house: House, own: str, start: int, end: int) -> AsyncIterator[bytes]:
    yield carrying.csv_head()
    async for hours in _hours(house, own, start, end):
        yield carrying.csv_lines(hours)


async def _json(house: House, own: str, start: int, end: int) -> AsyncIterator[bytes]:
    head = {"vaultd-usage": carrying.VERSION, "exported_at": house.usage.now()}
    yield msgspec.json.encode(head)[:-1] + b',"hours":[\n'
    before = b""
    async for hours in _hours(house, own, start, end):
        yield before + b",\n".join(map(msgspec.json.encode, hours))
        before = b",\n"
    yield b'\n],"requests":[\n'
    before, after = b"", -(1 << 62)
    while page := await house.usage.ask(
        partial(queries.page_of_requests, after=after, start=start, end=end, limit=_PAGE)
    ):
        after = page[-1][0]
        told = (carrying.asked(book or own, number, row) for _, book, number, row in page)
        yield before + b",\n".join(map(msgspec.json.encode, told))
        before = b",\n"
    yield b"\n]}\n"


async def _hours(house: House, own: str, start: int, end: int) -> AsyncIterator[list[carrying.Hour]]:
    after: Sequence[Any] = (start - _HOUR, *_FIRST[1:])  # the hour that `start` is in as well
    while page := await house.usage.ask(partial(queries.page_of_hours, after=after, end=end, limit=_PAGE)):
        book, key, _ = page[-1]
        after = (key.hour, *key[2:], book)
        yield [carrying.hour(book or own, key, share) for book, key, share in page]


# --- in ---------------------------------------------------------------------------------------------------------------


class _Names:
    """Ids for whatever another program calls a key: one in clear is never written down."""

    def __init__(self, house: House) -> None:
        self._clients = house.clients
        self._known: dict[str, str] = {}
        for credential in house.pool.roster(house).values():
            if credential.account.email:
                self._known.setdefault(credential.account.email, credential.id)
            if credential.key is not None:
                self._known[credential.key.reveal()] = credential.id
        self._known |= {key.value.reveal(): key.id for key in house.clients.list()}

    def client(self, name: str) -> str:
        return self._clients.id_of(name) if name else ""

    def credential(self, source: str) -> str:
        """CLIProxyAPI's `source`: a file, an e-mail address, a project or a key."""
        if source in self._known or not source:
            return self._known.get(source, "")
        if _ADDRESS.fullmatch(source) or source.endswith(".json"):
            return source
        return self._clients.id_of(source).replace("config-", "source-", 1)

    def ours(self, row: T) -> T:
        """A line of an export has ids already; should one be a key that is known here, it is its id from now on."""
        known = self._known
        return row._replace(  # type: ignore[attr-defined,no-any-return]
            client=known.get(row.client, row.client),  # type: ignore[attr-defined]
            credential=known.get(row.credential, row.credential),  # type: ignore[attr-defined]
        )


#: By book: requests with their numbers there, and hours.
_Books = dict[str, tuple[list[tuple[int, Row]], list[tuple[Key, Share]]]]


async def take(call: Call) -> Imported:
    house, now = call.house, call.house.usage.now()
    names, kept = _Names(house), house.config.usage
    read = _from_csv if call.request.content_type == "text/csv" else _from_json
    # In a thread: what is as large as this takes a while to read.
    books = await asyncio.to_thread(read, call.body, names)
    oldest, oldest_hour = now - kept.detail_days * _DAY, now - kept.total_days * _DAY
    given = added = 0
    for book, (rows, hours) in books.items():
        given += len(rows) + len(hours)
        fresh = [(number, row) for number, row in rows if oldest < row.at < now + _AHEAD]
        within = [(key, share) for key, share in hours if oldest_hour < key.hour < now + _AHEAD]
        # Latest first, as `Store.take` numbers them; and hours first, for they are the sums.
        fresh.sort(key=lambda pair: -pair[1].at)
        for page in _pages(within):
            added += await house.usage.write(lambda store, b=book, p=page: store.take(b, (), p))  # type: ignore[misc]
        for some in _pages(fresh):
            added += await house.usage.write(lambda store, b=book, p=some: store.take(b, p, ()))  # type: ignore[misc]
    return Imported(added, given - added)


def _pages(values: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while page := list(islice(rest, _PAGE)):
        yield page


def _from_csv(body: bytes, names: _Names) -> _Books:
    books: _Books = {}
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(400, "invalid body", message="not UTF-8") from None
    for told in carrying.read_csv(text):
        _add_hour(books, told, names)
    return books


def _from_json(body: bytes, names: _Names) -> _Books:
    books: _Books = {}
    try:
        if b'"vaultd-usage"' not in body[:1000]:
            return _from_snapshot(msgspec.json.decode(body, type=shape.Snapshot), names)
        carried = msgspec.json.decode(body, type=carrying.Carried)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refused(400, "invalid body", message="neither an export nor a /usage of CLIProxyAPI") from None
    if carried.version != carrying.VERSION:
        raise Refused(400, "invalid body", message=f"an export in format {carried.version}: install a newer vaultd")
    for hour in carried.hours:
        _add_hour(books, hour, names)
    for asked in carried.requests:
        rows, _ = books.setdefault(asked.book, ([], []))
        rows.append((asked.number, names.ours(carrying.row_of(asked))))
    return books


def _add_hour(books: _Books, told: carrying.Hour, names: _Names) -> None:
    key, share = carrying.key_and_share(told)
    if not 0 <= key.hour - key.day <= _LONGEST_DAY:
        key = key._replace(day=hour_of(key.hour)[1])
    books.setdefault(told.book, ([], []))[1].append((names.ours(key), share))


def _from_snapshot(told: shape.Snapshot, names: _Names) -> _Books:
    if told.book:
        raise Refused(400, "invalid body", message="a summary of vaultd's: import what /usage/export gives")
    book, rows, hours = shape.taken(told.usage, names.client, names.credential)
    return {book: (rows, hours)} if book else {}


_FROM: Final = Query("from", "Unix seconds; without it as long before `to` as a plot shows.", "integer")
_TO: Final = Query("to", "Unix seconds, not included; without it now.", "integer")
_BY: Final = Query("by", "What the rows are; without it one for all.", choices=get_args(By))
_EVERY: Final = Query("every", "How much one point sums up, in the daemon's time zone.", choices=get_args(Every))
_FORM: Final = Query("format", "JSON has all that is kept, CSV the hours.", choices=get_args(Literal["json", "csv"]))

_TIMES: Final = {400: "`from` does not lie before `to`."}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/usage",
        usage,
        "Everything counted, as CLIProxyAPI shapes it; ids stand where it has keys, `details` are the last requests.",
        "usage",
        answers=shape.Snapshot,
        theirs=True,
    ),
    Route(
        "GET",
        "/usage/series",
        series,
        "Requests, tokens, times and costs by the hour or day, for at most twelve rows; all others are `other`.",
        "usage",
        query=(_FROM, _TO, _EVERY, _BY),
        answers=Series,
        also=_TIMES,
    ),
    Route(
        "GET",
        "/usage/sums",
        sums,
        "The same for the whole time, one row a name.",
        "usage",
        query=(_FROM, _TO, _BY),
        answers=Sums,
        also=_TIMES,
    ),
    Route(
        "GET",
        "/usage/requests",
        requests,
        "The last requests, newest first; `none` asks for those without a client key, credential or model.",
        "usage",
        query=(
            Query("limit", "At most 1000; 100 without it.", "integer"),
            Query("before", "Those before the request of this id.", "integer"),
            Query("credential", "Only of this credential."),
            Query("model", "Only of this model, as the vendor calls it."),
            Query("client", "Only of this client key's id."),
            Query("provider", "Only of this provider."),
            Query("failed", "Only those that failed.", "boolean"),
        ),
        answers=Requests,
    ),
    Route(
        "GET",
        "/usage/export",
        export,
        "A file with what is kept, to be imported elsewhere or opened in a spreadsheet.",
        "usage",
        query=(_FORM, _FROM, _TO),
        answers=dict[str, Any],
        gives="application/json, text/csv",
    ),
    Route(
        "POST",
        "/usage/import",
        take,
        "Adds an export, or a `/usage` of CLIProxyAPI; what was added before is skipped.",
        "usage",
        body=bytes,
        takes=("application/json", "text/csv"),
        answers=Imported,
        also={400: "It is neither an export nor a `/usage` of CLIProxyAPI."},
        limit=_IMPORT_LIMIT,
    ),
)
