"""Usage as CLIProxyAPI tells it at `/usage`, out and in.

Out: its members, with ids where it has keys. `apis` is by method and path, as its manual shows; `details` are the last
requests, and only so many, for there everything ever asked is listed. In: a snapshot of one of its runs, which holds a
detail for each request, so the hours are added up from those. It may hold raw keys; they become ids.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from vaultd.work.usage.rows import TOO_MANY, Key, Row, Share, failed, hour_of

#: As much as its panel draws at once; it asks for all of it every few seconds.
DETAILS: Final = 2000
#: No endpoint, model or login has a longer name.
_NAME: Final = 200

Text = Annotated[str, Meta(max_length=4096)]
Count = Annotated[int, Meta(ge=0, lt=1 << 53)]
Few = Annotated[int, Meta(ge=0, lt=TOO_MANY)]


class Tokens(msgspec.Struct):
    input_tokens: Few = 0
    output_tokens: Few = 0
    reasoning_tokens: Few = 0
    cached_tokens: Few = 0
    total_tokens: Few = 0


class Detail(msgspec.Struct):
    timestamp: Text = ""
    source: Text = ""
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    failed: bool = False
    #: By which later panels find a file's requests, whatever it was uploaded as.
    auth_index: Text = ""


class Model(msgspec.Struct):
    total_requests: Count = 0
    total_tokens: Count = 0
    details: list[Detail] = []


class Api(msgspec.Struct):
    total_requests: Count = 0
    total_tokens: Count = 0
    models: dict[Text, Model] = {}


class Statistics(msgspec.Struct):
    total_requests: Count = 0
    success_count: Count = 0
    failure_count: Count = 0
    total_tokens: Count = 0
    apis: dict[Text, Api] = {}
    requests_by_day: dict[str, Count] = {}
    requests_by_hour: dict[str, Count] = {}
    tokens_by_day: dict[str, Count] = {}
    tokens_by_hour: dict[str, Count] = {}


class Snapshot(msgspec.Struct):
    """`book`: whose summary this is, where it is one of vaultd's; its details are not all there is."""

    usage: Statistics
    failed_requests: Count = 0
    book: Text = ""


def snapshot(connection: sqlite3.Connection, book: str) -> Snapshot:
    """Everything that is kept, summed."""
    told = Statistics()
    days: list[Counter[str]] = [Counter(), Counter()]
    hours: list[Counter[str]] = [Counter(), Counter()]
    for hour, requests, failures, tokens in connection.execute(
        "SELECT hour, sum(requests), sum(failures), sum(input + output) FROM hours GROUP BY hour"
    ):
        told.total_requests += requests
        told.failure_count += failures
        told.total_tokens += tokens
        local = time.localtime(hour)
        for place, count in enumerate((requests, tokens)):
            days[place][time.strftime("%Y-%m-%d", local)] += count
            hours[place][time.strftime("%H", local)] += count
    told.success_count = told.total_requests - told.failure_count
    told.requests_by_day, told.tokens_by_day = dict(days[0]), dict(days[1])
    told.requests_by_hour, told.tokens_by_hour = dict(hours[0]), dict(hours[1])
    for endpoint, model, requests, tokens in connection.execute(
        "SELECT endpoint, model, sum(requests), sum(input + output) FROM hours GROUP BY 1, 2 HAVING sum(requests) > 0"
    ):
        api = told.apis.setdefault(endpoint, Api(models={}))
        api.total_requests += requests
        api.total_tokens += tokens
        api.models[model or "unknown"] = Model(requests, tokens, [])
    _detailed(connection, told)
    return Snapshot(told, told.failure_count, book)


def _detailed(connection: sqlite3.Connection, told: Statistics) -> None:
    columns = "endpoint, model, at, credential, provider, input, output, reasoning, cached, status"
    last = f"SELECT {columns} FROM requests ORDER BY id DESC LIMIT ?"  # noqa: S608
    found = list(connection.execute(last, (DETAILS,)))
    for endpoint, model, at, credential, provider, input_, output, reasoning, cached, status in reversed(found):
        api = told.apis.setdefault(endpoint, Api(models={}))
        tokens = Tokens(input_, output, reasoning, cached, input_ + output)
        stamp = dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        detail = Detail(stamp, credential or provider, tokens, failed(status), credential or "")
        api.models.setdefault(model or "unknown", Model(details=[])).details.append(detail)


def taken(
    usage: Statistics, client_id: Callable[[str], str], credential_id: Callable[[str], str]
) -> tuple[str, list[tuple[int, Row]], list[tuple[Key, Share]]]:
    """A snapshot as a book: its id, its requests, and its hours. `client_id` and `credential_id` say how a key that may
    be in clear is called here.

    The book is named by the run's first request, for the list begins anew with each run: a later snapshot of the same
    run is the same book, and only what it has more of is added.
    """
    rows: dict[int, Row] = {}
    repeated: Counter[int] = Counter()
    for asked, model, detail in _details(usage):
        at = _stamp(detail.timestamp)
        if at is None:
            continue
        endpoint, client = _told_by(asked, client_id)
        used = detail.tokens
        row = Row(
            at=at,
            endpoint=endpoint,
            format="",
            client=client,
            provider="",
            credential=credential_id(detail.source[:_NAME]),
            model=model[:_NAME],
            asked="",
            stream=False,
            status=500 if detail.failed else 200,
            refused="",
            attempts=1,
            input=used.input_tokens,
            output=max(used.output_tokens, used.total_tokens - used.input_tokens),
            reasoning=used.reasoning_tokens,
            cached=used.cached_tokens,
            written=0,
            seconds=0.0,
            first=0.0,
        )
        number = _hashed(detail.timestamp, *map(str, row))
        repeated[number] += 1
        rows[number + repeated[number] - 1] = row
    if not rows:
        return "", [], []
    first = min(rows.values())
    return f"cliproxyapi-{_hashed(*map(str, first)):x}", list(rows.items()), _summed(rows.values())


def _details(usage: Statistics) -> Iterator[tuple[str, str, Detail]]:
    for asked, api in usage.apis.items():
        for model, listed in api.models.items():
            for detail in listed.details:
                yield asked, model, detail


def _told_by(asked: str, client_id: Callable[[str], str]) -> tuple[str, str]:
    """`apis` is by `METHOD /path`, or by the client's key, in clear."""
    method, _, path = asked.partition(" ")
    if method.isupper() and path.startswith("/"):
        return asked.partition("?")[0][:_NAME], ""  # Gemini's clients send their key as `?key=`
    return "", client_id(asked)


def _stamp(text: str) -> float | None:
    """RFC 3339; Go writes nanoseconds, of which Python reads six digits."""
    head, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        text = f"{head}.{rest[:digits][:6]:0<6}{rest[digits:]}"
    try:
        at = dt.datetime.fromisoformat(text)
        return at.timestamp() if at.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def _summed(rows: Iterable[Row]) -> list[tuple[Key, Share]]:
    sums: dict[Key, Share] = {}
    for row in rows:
        key = Key(*hour_of(row.at), row.endpoint, row.client, row.provider, row.credential, row.model)
        one = Share(1, int(failed(row.status)), 0, row.input, row.output, row.reasoning, row.cached)
        known = sums.get(key, Share())
        sums[key] = Share._make([mine + more for mine, more in zip(known, one, strict=True)])
    return list(sums.items())


def _hashed(*parts: str) -> int:
    """52 bits, which JSON's numbers hold (RFC 8259 §6); two of a million are alike by a chance of 1 in 10,000."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:7], "big") >> 4
