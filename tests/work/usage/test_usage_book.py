"""What is entered is written down, added up, and still there after a restart; what is too old or too much goes."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import FREE, Shelf, Vain, story, written

from vaultd.wire.usage import Usage
from vaultd.work.usage import queries, rows
from vaultd.work.usage.prices import Prices, Rates
from vaultd.work.usage.writer import Keep

DAY = 86400


async def test_a_request_is_one_row_and_its_share_of_an_hour(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now))
    (row,) = await shelf.last()
    assert (row.client, row.provider, row.credential, row.model) == ("config-1", "acme", "acme-1", "real-opus")
    assert (row.input, row.output, row.reasoning, row.cached, row.cache_written) == (10, 5, 2, 4, 1)
    assert (row.status, row.stream, row.seconds, row.first) == (200, False, 2.0, 1.0)
    total = await shelf.total()
    assert (total.requests, total.failures, total.input, total.output) == (1, 0, 10, 5)
    assert (total.reasoning, total.cached, total.cache_written) == (2, 4, 1)
    assert (total.seconds, total.first, total.cost) == (2.0, 1.0, None)


async def test_a_restart_forgets_nothing_and_counts_nothing_twice(shelf: Shelf) -> None:
    for _ in range(3):
        shelf.enter(story(shelf.now), story(shelf.now, 500))
        await shelf.book.close()
        shelf.again()
    total = await shelf.total()
    assert (total.requests, total.failures) == (6, 3)
    assert len(await shelf.last()) == 6


async def test_who_hung_up_is_nobodys_failure_and_who_was_refused_is(shelf: Shelf) -> None:
    shelf.enter(*(story(shelf.now, status) for status in (200, 499, 429, 502, 0)))
    assert (await shelf.total()).failures == 3
    assert sorted(row.status for row in await shelf.last(failed=True)) == [0, 429, 502]


async def test_a_try_in_vain_is_told_of_the_credential_that_failed(shelf: Shelf) -> None:
    tries = [Vain("acme", "acme-2", "real-opus", 429), Vain("acme", "acme-2", "real-opus", 500)]
    shelf.enter(story(shelf.now, vain=tries, attempts=3))
    rows_ = {row.name: (row.requests, row.failures, row.attempts_failed) for row in await shelf.sums("credential")}
    assert rows_ == {"acme-1": (1, 0, 0), "acme-2": (0, 0, 2)}


async def test_what_nobody_was_found_for_is_told_as_none(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now, 503, client="", provider="", credential="", model="", usage=None))
    for by in ("client", "provider", "credential", "model"):
        assert [row.name for row in await shelf.sums(by)] == ["none"]  # type: ignore[arg-type]
    assert len(await shelf.last(client="none", credential="none")) == 1


async def test_model_names_are_a_clients_word_and_so_many_of_them_are_kept_apart(shelf: Shelf) -> None:
    shelf.enter(*(story(shelf.now, model=f"m-{number}") for number in range(1500)))
    told = await shelf.sums("model")
    assert len(told) <= 1001
    assert told[-1].name == "other"
    assert sum(row.requests for row in told) == 1500


@pytest.mark.parametrize("nonsense", [Usage(1 << 70, 1), Usage((1 << 63) - 1, 1), Usage(-5, 1), Usage(5, 1, -1)])
async def test_a_number_of_tokens_that_cannot_be_is_no_count(shelf: Shelf, nonsense: Usage) -> None:
    shelf.enter(story(shelf.now, usage=nonsense))
    assert (await shelf.total()).requests == 1  # in a statement of its own
    shelf.enter(story(shelf.now))
    total = await shelf.total()
    assert (total.requests, total.input, total.output) == (2, 10, 5)
    assert shelf.counted('vaultd_tokens_total{kind="input",provider="acme"}') == 10


async def test_what_was_entered_before_a_question_is_in_its_answer(shelf: Shelf) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def slow(_store: object) -> None:
        began.set()
        goes_on.wait()

    an_import = asyncio.ensure_future(shelf.book.write(slow))  # noqa: TID251 - awaited below
    await asyncio.to_thread(began.wait)
    shelf.enter(story(shelf.now))
    question = asyncio.ensure_future(shelf.book.write(lambda store: written(store.file)))  # noqa: TID251 - awaited below
    await asyncio.sleep(0)
    goes_on.set()
    await an_import
    assert await question == 1


async def test_what_no_database_takes_holds_up_nothing_after_it(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now, asked="\ud800"))  # half a character, which is no text in UTF-8
    assert await shelf.sums() == []
    shelf.enter(story(shelf.now))
    assert (await shelf.total()).requests == 1
    assert shelf.counted("vaultd_usage_dropped_total") == 1


async def test_the_metrics_count_tokens_by_provider_and_kind(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now), story(shelf.now))
    await shelf.total()
    assert shelf.counted('vaultd_tokens_total{kind="input",provider="acme"}') == 20
    assert shelf.counted('vaultd_tokens_total{kind="cached",provider="acme"}') == 8


async def test_switched_off_nothing_is_collected_and_on_again_it_goes_on(shelf: Shelf) -> None:
    shelf.book.use(False, Keep(), FREE)
    shelf.enter(story(shelf.now))
    assert await shelf.sums() == [] and await shelf.last() == []
    shelf.book.use(True, Keep(), FREE)
    shelf.enter(story(shelf.now))
    assert (await shelf.total()).requests == 1


async def test_two_daemons_write_one_book(shelf: Shelf) -> None:
    other = Shelf(shelf.folder, shelf.clock)
    try:
        for number in range(50):
            (shelf if number % 2 else other).enter(story(shelf.now))
            if number % 7 == 0:
                await other.total()
        await shelf.total()
        await other.total()
        assert (await shelf.total()).requests == 50
    finally:
        await other.book.close()


# --- how long -------------------------------------------------------------------------------------------------------


async def test_requests_are_let_go_after_their_days_and_hours_after_theirs(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now))
    assert len(await shelf.last()) == 1
    for days, rows_, sums in ((29, 1, 1), (2, 0, 1), (368, 0, 1), (3, 0, 0)):
        await shelf.book.close()
        shelf.clock.advance(days * DAY)
        shelf.again()
        assert (len(await shelf.last()), len(await shelf.sums())) == (rows_, sums), days


async def test_where_no_day_of_requests_is_kept_none_is_written(shelf: Shelf) -> None:
    shelf.book.use(True, Keep(0, 400), FREE)
    shelf.enter(story(shelf.now))
    assert (await shelf.total()).requests == 1
    assert await shelf.last() == []


async def test_of_too_many_the_oldest_go_bite_by_bite(shelf: Shelf) -> None:
    shelf.enter(*(story(shelf.now + number * 60, model=f"m-{number}") for number in range(300)))
    await shelf.total()
    more = True
    while more:
        more = await shelf.book.write(lambda store: store.tidy(shelf.now, 30, 400, most=10, most_hours=100))
    assert [row.model for row in await shelf.last()] == [f"m-{number}" for number in range(299, 289, -1)]
    left = await shelf.sums("model")
    assert len(left) <= 100 and "m-299" in {row.name for row in left}


# --- when -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def kolkata(monkeypatch: pytest.MonkeyPatch) -> object:
    """Half an hour off everybody else's hours."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    os.environ.setdefault("TZ", "")
    time.tzset()
    os.environ.pop("TZ")
    time.tzset()


@pytest.mark.usefixtures("kolkata")
def test_hours_and_days_are_local_ones() -> None:
    midnight = 1_700_073_000  # 2023-11-16T00:00+05:30
    assert rows.hour_of(midnight + 1) == (midnight, midnight)
    assert rows.hour_of(midnight - 1) == (midnight - 3600, midnight - DAY)
    assert queries.points(midnight + 5, midnight + 2 * DAY, "day") == [midnight, midnight + DAY]


def test_a_day_may_have_23_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    before = 1_711_753_200  # 2024-03-30T00:00+01:00
    at = queries.points(before, before + 3 * DAY, "day")
    assert [b - a for a, b in pairwise(at)] == [DAY, 23 * 3600, DAY]
    monkeypatch.undo()
    time.tzset()


async def test_a_series_has_a_point_for_each_hour_and_the_smallest_rows_are_one(shelf: Shelf) -> None:
    start = int(shelf.now) // 3600 * 3600
    for number in range(20):
        shelf.enter(*[story(start + 10, model=f"m-{number:02}")] * (20 - number))
    shelf.enter(story(start + 3 * 3600 + 10, model="m-00"))
    at, lines = await shelf.book.ask(lambda db: queries.series(db, start, start + 4 * 3600, "hour", "model", FREE))
    assert at == [start + hour * 3600 for hour in range(4)]
    assert len(lines) == queries.MOST_ROWS
    assert [line.name for line in lines][:2] == ["m-00", "m-01"] and lines[-1].name == "other"
    assert lines[0].requests == [20, 0, 0, 1]
    assert lines[0].seconds == [2.0, None, None, 2.0] and lines[0].cost is None
    assert sum(sum(line.requests) for line in lines) == 211


async def test_costs_are_worked_out_when_asked_so_a_corrected_price_corrects_the_past(shelf: Shelf) -> None:
    shelf.enter(story(shelf.now), story(shelf.now, model="unpriced"))
    assert (await shelf.total()).cost is None
    rates = Rates(input=1, output=10, cached=0.1, cache_write=2, reasoning=20)
    shelf.book.use(True, Keep(), Prices("USD", {"real-*": rates}))
    one = (5 * 1 + 4 * 0.1 + 1 * 2 + 3 * 10 + 2 * 20) / 1e6
    assert (await shelf.total()).cost == pytest.approx(one)
    assert {row.name: row.cost for row in await shelf.sums("model")} == {
        "real-opus": pytest.approx(one),
        "unpriced": None,
    }
    shelf.book.use(True, Keep(), Prices("USD", {"acme://*": Rates(input=100, output=0)}))
    assert (await shelf.total()).cost == pytest.approx(2 * 10 * 100 / 1e6)


NAMES = st.sampled_from(["", "a", "b", "c"])
TOKENS = st.integers(0, rows.TOO_MANY - 1)


@given(
    st.lists(
        st.tuples(st.integers(0, 5 * DAY), NAMES, NAMES, st.sampled_from([200, 499, 500]), TOKENS, TOKENS), max_size=30
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_way_to_add_up_says_the_same(told: list[tuple[int, str, str, int, int, int]]) -> None:
    stories = [
        story(1_790_000_000 + at, status, credential=credential, model=model, usage=Usage(input_, output))
        for at, credential, model, status, input_, output in told
    ]
    lines, sums = rows.Gathering().gather(stories)
    assert sum(share[0] for share in sums.values()) == len(lines) == len(told)
    assert sum(share[3] for share in sums.values()) == sum(line[4] for line in told)
    assert sum(share[1] for share in sums.values()) == sum(line[3] == 500 for line in told)
    for key in sums:
        assert key[0] <= max(one.at for one in stories) and key[1] <= key[0]
