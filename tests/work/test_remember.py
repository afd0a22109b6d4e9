"""What rests goes on resting over a restart, for as long as was said and no longer; and a file that cannot be meant for
us is no trouble."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from desk import START, HandClock

from vaultd.catalog.manifest import Api, Model, Provider
from vaultd.house import House, build
from vaultd.oauth.tokens import Account, Tokens
from vaultd.pool.state import Member, Outcome
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.work.plan import Pool, plan
from vaultd.work.remember import Memory, Writer
from vaultd.work.tasks import Tasks

DAY: Final = 86400.0
CODEX: Final = Provider(id="codex", api=Api(formats=["openai-responses"]))
LIMITED: Final = Outcome(429, 5 * 3600, "5-hour limit")


def member(id_: str = "codex-a", model: str = "gpt-5") -> Member:
    return Member(id_, CODEX, Model(id=model))


class Run:
    """One daemon's pool. Its boot clock starts anew, as a machine's does."""

    def __init__(self, folder: Path, later: float = 0.0, longest: float = DAY) -> None:
        self.clock = HandClock()
        self.clock.wall_error = later
        self.pool = Pool()
        self.memory = Memory(folder, self.pool, self.clock)
        self.memory.recall(longest)

    def report(self, outcome: Outcome, who: Member | None = None) -> None:
        self.pool.state.report(who or member(), outcome, self.clock.boot(), longest=30 * DAY)

    def rests(self) -> dict[tuple[str, str], tuple[float, int, str]]:
        now = self.clock.boot()
        marks = self.pool.state.cooldowns(now)
        return {key: (round(mark.until - now, 3), mark.status, mark.why) for key, mark in marks}

    @property
    def said(self) -> Any:
        return json.loads((self.memory.path).read_bytes())


async def before(folder: Path, *outcomes: Outcome, wall_error: float = 0.0) -> None:
    """A daemon that heard this, and ended."""
    run = Run(folder)
    run.clock.wall_error = wall_error
    for number, outcome in enumerate(outcomes):
        run.report(outcome, member(model=f"gpt-{number}"))
    await run.memory.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- for as long as was said ------------------------------------------------------------------------------------------


async def test_what_rests_goes_on_resting_until_the_same_moment_and_for_the_same_reason(tmp_path: Path) -> None:
    await before(tmp_path, LIMITED, Outcome(402, why="no credit left"), Outcome(404, why="not for you", own=True))
    assert Run(tmp_path, later=600).rests() == {
        ("codex-a", "gpt-0"): (5 * 3600 - 600, 429, "5-hour limit"),
        ("codex-a", "gpt-1"): (1200, 402, "no credit left"),
        ("codex-a", "gpt-2"): (1200, 404, "not for you"),
    }
    assert Run(tmp_path, later=1800).rests().keys() == {("codex-a", "gpt-0")}


async def test_a_second_restart_loses_no_more(tmp_path: Path) -> None:
    await before(tmp_path, LIMITED)
    second = Run(tmp_path, later=600)
    second.report(LIMITED, member("codex-b"))
    await second.memory.close()
    assert Run(tmp_path, later=1200).rests() == {
        ("codex-a", "gpt-0"): (5 * 3600 - 1200, 429, "5-hour limit"),
        ("codex-b", "gpt-5"): (5 * 3600 - 600, 429, "5-hour limit"),
    }


async def test_a_pool_that_was_asked_nothing_writes_nothing(tmp_path: Path) -> None:
    await before(tmp_path)
    assert names(tmp_path) == []


async def test_how_often_it_was_refused_in_a_row_is_known_too(tmp_path: Path) -> None:
    """The next rest without a hint goes on growing, where a start from 1 s would tell the vendor of each restart."""
    run = Run(tmp_path)
    for _ in range(6):
        run.report(Outcome(429))
        run.clock.advance(40)
    run.report(Outcome(429))
    await run.memory.close()
    again = Run(tmp_path, later=270)
    again.clock.advance(60)
    again.report(Outcome(429))
    assert again.rests()[("codex-a", "gpt-5")][0] > 60


# --- clocks -----------------------------------------------------------------------------------------------------------

LONG_AGO: Final = -START
FAR: Final = 50 * 365 * DAY


@pytest.mark.parametrize(
    ("then", "now", "left"),
    [
        (0.0, LONG_AGO, 5 * 3600),  # 1970 at boot: nothing is known of how long ago it was
        (LONG_AGO, 0.0, None),  # it was 1970 then, and all is long over
        (0.0, -3600.0, 5 * 3600),
        (FAR, 0.0, 5 * 3600),
        (0.0, FAR, None),
    ],
)
async def test_a_wrong_clock_lengthens_no_rest(tmp_path: Path, then: float, now: float, left: float | None) -> None:
    await before(tmp_path, LIMITED, wall_error=then)
    rests = Run(tmp_path, later=now).rests()
    assert [seconds for seconds, _, _ in rests.values()] == ([left] if left else [])


async def test_nothing_rests_longer_from_the_start_than_the_configuration_says(tmp_path: Path) -> None:
    await before(tmp_path, Outcome(429, 18 * DAY))
    assert Run(tmp_path, longest=3600).rests() == {("codex-a", "gpt-0"): (3600, 429, "")}
    assert Run(tmp_path, later=17 * DAY, longest=3600).rests() == {("codex-a", "gpt-0"): (3600, 429, "")}


# --- a file that is not ours ------------------------------------------------------------------------------------------


def link(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


def instead(text: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text if isinstance(text, bytes) else text.encode())


def edited(**members: Any) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | members))


@pytest.mark.parametrize(
    "spoil",
    [
        instead(""),
        instead("not json"),
        instead(b"\xff\xfe"),
        instead("[]"),
        instead("[" * 100_000),
        edited(version=2),
        instead('{"at": 1, "kept": {"more": ' + "[" * 100_000 + "]" * 100_000 + "}}"),
        edited(more=1),
        edited(at="now"),
        edited(kept={"marks": [["codex-a", "gpt-5", 0, "soon", 429]]}),
        link,
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
async def test_a_file_that_is_not_ours_is_left_out_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    await before(tmp_path, LIMITED)
    spoil(tmp_path / "pool.json")
    with caplog.at_level(logging.INFO):
        assert Run(tmp_path).rests() == {}
    (line,) = caplog.records
    assert line.levelname == "WARNING" and line.__dict__["reason"]


async def test_times_that_no_file_of_ours_holds_are_bounded(tmp_path: Path) -> None:
    await before(tmp_path, LIMITED)
    path = tmp_path / "pool.json"
    marks = [
        ["codex-a", f"gpt-{n}", since, until, 429]
        for n, (since, until) in enumerate([(9e99, 9e99), (-9e99, 1), (9e99, 2)])
    ]
    edited(kept={"marks": marks, "homes": [["h", "gpt-5", "codex-a", "", 9e99]]})(path)
    run = Run(tmp_path, longest=60)
    assert [seconds for seconds, _, _ in run.rests().values()] == [60, 1, 2]
    assert all(mark.since <= run.clock.boot() for _, mark in run.pool.state.cooldowns(run.clock.boot()))
    run.clock.advance(2 * 3600)
    assert run.pool.state.homes.find(("h", "gpt-5"), run.clock.boot()) is None


# --- the writing of it ------------------------------------------------------------------------------------------------


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    running = Tasks()
    yield running
    await running.close()


async def test_a_storm_is_written_once_a_second(tmp_path: Path, tasks: Tasks) -> None:
    run = Run(tmp_path)
    tasks.start("remember", run.memory.forever())
    await run.clock.to_next()
    for second in range(1, 4):
        for number in range(100):
            run.report(LIMITED, member(f"codex-{second}-{number}"))
        await run.clock.to_next()  # it has written and sleeps; a second goes by
        assert len(run.said["kept"]["marks"]) == second * 100
        assert run.said["at"] == run.clock.now() - 1
    written = run.said
    for _ in range(3):
        await run.clock.to_next()
    assert run.said == written, "nothing changed, nothing is written"


async def test_it_is_private_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    await before(tmp_path, LIMITED)
    assert names(tmp_path) == ["pool.json"]
    assert (tmp_path / "pool.json").stat().st_mode & 0o777 == 0o600


async def test_a_folder_that_cannot_be_written_is_one_line_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path)
    (tmp_path / "pool.json" / "in the way").mkdir(parents=True)
    for number in range(3):
        run.report(LIMITED, member(f"codex-{number}"))
        await run.memory.close()
    (line,) = caplog.records
    assert "cannot be kept" in line.message and line.__dict__["reason"]
    assert names(tmp_path) == ["pool.json"]
    (tmp_path / "pool.json" / "in the way").rmdir()
    (tmp_path / "pool.json").rmdir()
    await run.memory.close()
    assert len(run.said["kept"]["marks"]) == 3


async def test_a_write_that_was_overtaken_undoes_nothing(tmp_path: Path) -> None:
    """The daemon ends while a write is under way in its thread: the last one counts, whichever ends first."""
    writer = Writer(tmp_path / "pool.json")
    await asyncio.to_thread(writer.write, {"it": "is newer"}, 2)
    await asyncio.to_thread(writer.write, {"it": "is older"}, 1)
    assert json.loads((tmp_path / "pool.json").read_bytes()) == {"it": "is newer"}


# --- a house ----------------------------------------------------------------------------------------------------------

Daemon = Callable[..., Any]


@pytest.fixture
async def daemon(home: dict[str, str]) -> AsyncIterator[Daemon]:
    async with AsyncExitStack() as stack:

        async def start(later: float = 0.0) -> House:
            clock = HandClock()
            clock.wall_error = later
            house = await build(home, None, for_daemon=False, clock=clock)
            stack.push_async_callback(house.close)
            await house.start()
            return house

        yield start


def login(person: str) -> Credential:
    return Credential(
        id=f"codex-{person}",
        provider="codex",
        kind="oauth",
        tokens=Tokens(Secret("CANARY-access"), Secret("CANARY-refresh"), issued_at=START, expires_at=START + 30 * DAY),
        account=Account(person=person, account="c", email=f"{person}@example.com"),
        created_at=START,
    )


async def put(house: House, credential: Credential) -> None:
    async with house.owner.leased(credential.id) as lease:
        present = lease.current
        await lease.put(replace(credential, generation=present.generation if present else 0))


def standings(house: House) -> dict[str, str]:
    return {one.credential: one.state for one in house.pool.standings(house)}


async def refused(house: House, outcome: Outcome, model: str = "gpt-5") -> None:
    """One request that everybody refused so."""
    going = plan(house, "openai-responses", model)
    for candidate in going.candidates:
        going.report(candidate, outcome)


async def test_a_daemon_that_starts_again_knows_who_rests(daemon: Daemon) -> None:
    first = await daemon()
    await put(first, login("a"))
    await refused(first, LIMITED)
    await first.close()
    second = await daemon(later=60)
    assert standings(second) == {"codex-a": "cooling"}
    (_, mark), *_ = second.pool.state.cooldowns(second.clock.boot())
    assert (mark.until - second.clock.boot(), mark.why) == (5 * 3600 - 60, "5-hour limit")


async def test_a_renewal_lifts_nothing_and_a_new_sign_in_all_but_the_limits(daemon: Daemon) -> None:
    """A limit is the account's, whoever signs in to it; that it was refused was the old sign-in's."""
    first = await daemon()
    await put(first, login("a"))
    await refused(first, LIMITED, "gpt-5")
    await refused(first, Outcome(402), "gpt-5.1")
    await refused(first, Outcome(404, own=True), "gpt-5-codex")
    await first.close()

    second = await daemon(later=60)
    present = second.owner.get("codex-a")
    assert present is not None and present.tokens is not None
    await put(second, replace(present, tokens=replace(present.tokens, access=Secret("CANARY-renewed"))))
    assert standings(second) == {"codex-a": "cooling"}
    rests = partial(second.pool.state.cooldowns, second.clock.boot())
    assert {slot for (_, slot), _ in rests()} == {"gpt-5", "gpt-5.1", "gpt-5-codex"}

    await put(second, replace(login("a"), created_at=START + 60))
    standings(second)
    assert {slot for (_, slot), _ in rests()} == {"gpt-5"}


async def test_a_sign_in_while_no_daemon_ran_counts_as_well(daemon: Daemon) -> None:
    first = await daemon()
    await put(first, login("a"))
    await refused(first, Outcome(401))
    await first.close()
    await put(first, replace(login("a"), created_at=START + 60))
    second = await daemon(later=120)
    assert standings(second) == {"codex-a": "available"}


async def test_what_is_kept_holds_no_secret(daemon: Daemon) -> None:
    first = await daemon()
    await put(first, login("a"))
    await refused(first, LIMITED)
    await first.close()
    kept = (first.owner.folder / ".vault" / "pool.json").read_text()
    assert "codex-a" in kept and "CANARY" not in kept
