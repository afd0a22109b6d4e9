"""What choosing a credential costs, in process: plan, first candidate, a hold and a report, over 10,000 credentials and
50 models, one after another. Prints a table, and what routes and renewals cost. `CREDENTIALS=1000` for another size.

Nothing is sent and nothing is asserted here.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vaultd.catalog.manifest import Api, Entry, FormatName, Model, Provider
from vaultd.catalog.models import Catalog
from vaultd.config.model import Config, Routing
from vaultd.net.clock import SystemClock
from vaultd.oauth.tokens import Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.wire.members import Members
from vaultd.wire.refusal import Refusal
from vaultd.work.plan import OK, Outcome, Pool, plan
from vaultd.work.session import Session, session_of

CREDENTIALS = int(os.environ.get("CREDENTIALS", "10000"))
MODELS = 50
#: The least of so many runs: what the machine did meanwhile is not the pool's.
RUNS = 5
ROUNDS = 4000

VENDOR = Provider(id="v", api=Api(formats=["openai-chat"]), models=[Model(id=f"m{number}") for number in range(MODELS)])
FAR = Outcome(429, retry_after=86_000.0)


class Owner:
    """As much of the vault's as a plan asks for."""

    def __init__(self, held: dict[str, Credential]) -> None:
        self._held = MappingProxyType(held)

    def snapshot(self) -> Mapping[str, Credential]:
        return self._held

    def get(self, id: str) -> Credential | None:  # noqa: A002
        return self._held.get(id)

    def renew(self, id: str) -> None:  # noqa: A002
        held = self._held[id]
        tokens = Tokens(Secret("CANARY-newer"), Secret("CANARY-refresh"), issued_at=2.0, expires_at=4e9)
        self._held = MappingProxyType({**self._held, id: replace(held, tokens=tokens, generation=held.generation + 1)})


@dataclass
class House:
    owner: Owner
    config: Config = field(default_factory=Config)
    catalog: Catalog = field(default_factory=lambda: Catalog({"v": Entry(VENDOR, {}, {})}))
    clock: SystemClock = field(default_factory=SystemClock)
    pool: Pool = field(default_factory=Pool)


def house(settings: Callable[[int], Settings] = lambda _: Settings(), config: Config | None = None) -> House:
    tokens = Tokens(Secret("CANARY-access"), Secret("CANARY-refresh"), issued_at=1.0, expires_at=4e9)
    held = {
        id_: Credential(id_, "v", "oauth", tokens, settings=settings(number))
        for number, id_ in enumerate(f"v-{number:05}@example.com" for number in range(CREDENTIALS))
    }
    built = House(Owner(held), config or Config())
    for model in VENDOR.models:
        built.pool.route(built, "openai-chat", model.id)
    return built


def one(built: House, number: int, session: Session | None = None, outcome: Outcome = OK) -> None:
    going = plan(built, "openai-chat", f"m{number % MODELS}", session)
    candidate = next(going.candidates)
    with going.hold(candidate):
        going.report(candidate, outcome)


def cool(built: House, resting: Callable[[int], bool]) -> None:
    """Sets credentials aside for every model."""
    state, now = built.pool.state, built.clock.boot()
    for model in VENDOR.models:
        for tier in built.pool.route(built, "openai-chat", model.id).tiers:
            for number, member in enumerate(tier.members):
                if resting(number):
                    state.report(member, FAR, now, longest=86_400.0)


def least(run: Callable[[], None], times: int = ROUNDS) -> float:
    """µs of CPU each: the machine may have other work."""
    found = []
    for _ in range(RUNS):
        began = time.thread_time()
        run()
        found.append(time.thread_time() - began)
    return min(found) / times * 1e6


def choosing(built: House, *, sessions: int = 0, outcome: Outcome = OK) -> float:
    names: list[Session | None] = [Session(f"{number:024x}") for number in range(sessions)] or [None]

    def run() -> None:
        for number in range(ROUNDS):
            one(built, number, names[number % len(names)], outcome)

    run()  # a tier that never was asked looks at everybody once
    return least(run)


def table() -> None:
    fill = Config(routing=Routing(strategy="fill-first"))
    rows: list[tuple[str, Callable[[], float]]] = []

    def row(what: str, build: Callable[[], House], rests: Callable[[int], bool] | None = None, **more: object) -> None:
        def measured() -> float:
            built = build()
            if rests is not None:
                cool(built, rests)
            return choosing(built, **more)  # type: ignore[arg-type]

        rows.append((what, measured))

    def nine_tenths(number: int) -> bool:
        return number % 10 != 0

    def all_but_one(number: int) -> bool:
        return number != CREDENTIALS // 2

    def weights(number: int) -> Settings:
        return Settings(weight=number % 7 + 1)

    row("all ready", house)
    row("nine of ten rest", house, nine_tenths)
    row("all but one rest", house, all_but_one)
    row("fill-first, all but one rest", lambda: house(config=fill), all_but_one)
    row("weights 1 to 7, all ready", lambda: house(weights))
    row("weights 1 to 7, nine of ten rest", lambda: house(weights), nine_tenths)
    row("a cap of 1, all ready", lambda: house(lambda _: Settings(parallel=1)))
    row("5,000 sessions, all ready", house, sessions=5000)
    row("5,000 sessions, nine of ten rest", house, nine_tenths, sessions=5000)
    if CREDENTIALS > 2 * ROUNDS:  # of fewer, all would soon be set aside
        row("each answer sets one aside for a second", house, outcome=Outcome(429, retry_after=1.0))
    print(f"| {CREDENTIALS} credentials, {MODELS} models | µs a request |")
    print("|---|---|")
    for what, measured in rows:
        print(f"| {what} | {measured():.1f} |", flush=True)
        gc.collect()


def routes() -> None:
    built = house()

    def anew() -> None:
        built.pool._clear()  # noqa: SLF001
        for model in VENDOR.models:
            built.pool.route(built, "openai-chat", model.id)

    print(f"| a route, worked out | {least(anew, MODELS) / 1000:.1f} ms |")
    before = built.pool.route(built, "openai-chat", "m0")

    def renewing() -> None:
        for number in range(20):
            built.owner.renew(f"v-{number:05}@example.com")
            built.pool.route(built, "openai-chat", "m0")

    print(f"| the first request after a renewal | {least(renewing, 20) / 1000:.2f} ms |")
    print(f"| its route is still the same | {built.pool.route(built, 'openai-chat', 'm0') is before} |")
    cool(built, lambda _: True)

    def refused() -> None:
        for _ in range(100):
            with suppress(Refusal):
                one(built, 0)

    print(f"| a request that is refused, all resting | {least(refused, 100):.1f} µs |")


def conversations() -> None:
    said = b'{"role":"user","content":"%b"},{"role":"assistant","content":"%b"}' % (b"please look. " * 70, b"so " * 300)
    asked: list[tuple[FormatName, bytes]] = [("openai-chat", b"messages"), ("openai-responses", b"input")]
    for fmt, name in asked:
        body = Members(b'{"model":"m0","%b":[%b]}' % (name, b",".join([said] * 90)))

        def session(fmt: FormatName = fmt, body: Members = body) -> None:
            for _ in range(1000):
                session_of(fmt, {}, body)

        print(f"| the session of {len(body.body) // 1000} kB of {fmt} | {least(session, 1000):.1f} µs |")


if __name__ == "__main__":
    table()
    routes()
    conversations()
