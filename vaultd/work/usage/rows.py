"""What is kept of a request: one row of its own, and its share in a row for each hour. Values only, no database.

An hour is one of the daemon's local time zone, as is a day: "today" is the operator's. It is named by the unix second
at which it begins, so that a change of the zone moves nothing that was counted before.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from vaultd.wire.usage import Usage
from vaultd.work.story import CLIENT_GONE, Story

#: Model ids are the client's word where a vendor takes any. More of them than every vendor has are told as one.
_MODELS: Final = 1000
#: No answer has so many tokens, and a million rows of as many can still be added up: SQLite's integers have 63 bits,
#: and a sum over them is no answer but an error.
TOO_MANY: Final = 1 << 40
OTHER: Final = "other"


class Row(NamedTuple):
    """One request. `first`: seconds to the vendor's first output, 0 where none came."""

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
    written: int
    seconds: float
    first: float


class Key(NamedTuple):
    """Whose share of which hour. `day` is when the hour's day begins."""

    hour: int
    day: int
    endpoint: str
    client: str
    provider: str
    credential: str
    model: str


class Share(NamedTuple):
    """What is added up. `vain`: tries that failed, whatever came of the request. `first`: that of `firsts` requests."""

    requests: int = 0
    failures: int = 0
    vain: int = 0
    input: int = 0
    output: int = 0
    reasoning: int = 0
    cached: int = 0
    written: int = 0
    seconds: float = 0.0
    first: float = 0.0
    firsts: int = 0


#: The values of a Row, and of Keys and Shares, while there are many of them.
Values = tuple[Any, ...]
Sums = dict[Values, list[float]]
_NOTHING: Final = Usage()


def failed(status: int) -> bool:
    """A client that hung up is nobody's failure: a person who presses Escape is no fault of a vendor."""
    return status != CLIENT_GONE and not 200 <= status < 400


#: Every zone's offset is a multiple of a quarter of an hour, and so this often is exact.
_QUARTER: Final = 900


def hour_of(at: float) -> tuple[int, int]:
    """When the hour and the day of `at` began, in local time."""
    return _of_quarter(int(at // _QUARTER))


@lru_cache(maxsize=256)
def _of_quarter(quarter: int) -> tuple[int, int]:
    at = quarter * _QUARTER
    local = time.localtime(at)
    day = time.mktime((local.tm_year, local.tm_mon, local.tm_mday, 0, 0, 0, 0, 0, -1))
    return at - local.tm_min * 60 - local.tm_sec, int(day)


class Gathering:
    """Makes rows of stories. One for each book: it knows which models it has met.

    Plain tuples, and no bool among them: sqlite3 binds those of exact types at a third of the cost of any other, and
    this is done for each request.
    """

    def __init__(self) -> None:
        self._models: set[str] = set()

    def gather(self, stories: Iterable[Story]) -> tuple[list[Values], Sums]:
        rows: list[Values] = []
        sums: Sums = {}
        for story in stories:
            began, endpoint, client, at = story.began, story.endpoint, story.client, story.at
            provider, credential, status = story.provider, story.credential, story.status
            model = story.model if story.model in self._models else self._known(story.model)
            seconds = story.ended - began
            first = story.first - began if story.first else 0.0
            usage = story.usage
            if usage is not None and not 0 <= min(usage) <= max(usage) < TOO_MANY:
                usage = None  # a vendor's nonsense is no count
            input_, output, cached, reasoning, written = usage or _NOTHING
            rows.append(
                (
                    at, endpoint, story.format, client, provider, credential, model, story.asked, int(story.stream),
                    status, story.refused, story.attempts, input_, output, reasoning, cached, written, seconds, first,
                )
            )  # fmt: skip
            hour, day = _of_quarter(int(at // _QUARTER))
            key = (hour, day, endpoint, client, provider, credential, model)
            share = sums.get(key)
            if share is None:
                share = sums[key] = list(Share())
            share[0] += 1
            if not 200 <= status < 400 and failed(status):
                share[1] += 1
            if usage is not None:
                share[3] += input_
                share[4] += output
                share[5] += reasoning
                share[6] += cached
                share[7] += written
            share[8] += seconds
            if first:
                share[9] += first
                share[10] += 1
            for vain in story.vain:
                theirs = (hour, day, endpoint, client, vain.provider, vain.credential, self._known(vain.model))
                sums.setdefault(theirs, list(Share()))[2] += 1
        return rows, sums

    def _known(self, model: str) -> str:
        if model not in self._models:
            if len(self._models) >= _MODELS:
                return OTHER
            self._models.add(model)
        return model
