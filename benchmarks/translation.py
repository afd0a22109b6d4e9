"""What translation alone costs, in process, for each pair of formats: microseconds an event and a request. Prints a
table; with the name of a pair (`anthropic-messages<-openai-chat`) a profile of its stream.

Nothing is sent: `benchmarks/relay.py` tells the cost of a whole relayed request. Nothing is asserted here.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections.abc import Callable
from itertools import product

import msgspec

from vaultd.wire import sse
from vaultd.wire.formats import CLIENTS, FORMATS, VENDORS, FormatName
from vaultd.wire.ir import Begin, Close, Delta, End, Open, Request, Stamp, Target, Text, Tool, Turn
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.usage import Usage

EVENTS = 200
#: The least of so many runs: what the machine did meanwhile is not the translation's.
RUNS = 15
STAMP = Stamp(1_763_000_000, "0123456789abcdef0123456789abcdef")
TARGET = Target(model="target-model")
SCHEMA = {"type": "object", "properties": {"path": {"type": "string", "description": "the path " * 10}}}


def question() -> list[Turn]:
    """1 kB."""
    return [Turn("user", [Text("hi " * 300)])]


def conversation() -> list[Turn]:
    """An agent's turn of about 170 kB."""
    turns: list[Turn] = []
    for number in range(75):
        turns.append(Turn("user", [Text(f"please look at file {number} and explain what it does. " * 20)]))
        turns.append(Turn("assistant", [Text("the file defines a function which " * 30)]))
    return [*turns, Turn("user", [Text("continue")])]


def asking(fmt: FormatName, *, large: bool) -> Request:
    tools = [Tool(name=f"tool_{n}", description="does a thing " * 40, schema=SCHEMA) for n in range(20)]
    turns = conversation() if large else question()
    return Request(format=fmt, model="m", stream=True, max_output=1024, turns=turns, tools=tools if large else [])


def body(client: FormatName, *, large: bool) -> bytes:
    members, _ = VENDORS[client].write_request(asking(client, large=large), TARGET, Loss())
    return msgspec.json.encode(members)


def frames(vendor: FormatName) -> list[bytes]:
    """The vendor's stream of so many words, a frame each."""
    said = [Delta(0, f" token{number}") for number in range(EVENTS)]
    ended = End("stop", Usage(10, EVENTS))
    events = [Begin("id1", "bench", 1_763_000_000), Open(0, Text("")), *said, Close(0), ended]
    stream = CLIENTS[vendor].writer(Request(format=vendor, model="m", stream=True), STAMP, Loss()).feed(events)
    return list(sse.frames_of(stream))


def translated(client: FormatName, vendor: FormatName, chunks: list[bytes]) -> None:
    reader = VENDORS[vendor].reader(Names())
    writer = CLIENTS[client].writer(Request(format=client, model="m", stream=True), STAMP, Loss())
    for chunk in chunks:
        writer.feed(reader.feed(chunk))
    writer.feed(reader.end())


def sent(client: FormatName, vendor: FormatName, said: bytes) -> bytes:
    request = CLIENTS[client].read_request(said, model="m", stream=True)
    members, _ = VENDORS[vendor].write_request(request, TARGET, Loss())
    return msgspec.json.encode(members)


def least(work: Callable[[], object]) -> float:
    """Microseconds."""
    found = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found) * 1e6


def row(client: FormatName, vendor: FormatName) -> str:
    chunks = frames(vendor)
    whole = [b"".join(chunks)]
    small, large = body(client, large=False), body(client, large=True)
    dripped = least(lambda: translated(client, vendor, chunks)) / EVENTS
    burst = least(lambda: translated(client, vendor, whole)) / EVENTS
    asked = [least(lambda said=said: sent(client, vendor, said)) for said in (small, large)]  # type: ignore[misc]
    return f"| {client}<-{vendor} | {dripped:.1f} | {burst:.1f} | {asked[0]:.0f} | {asked[1]:.0f} |"


def profile(client: FormatName, vendor: FormatName) -> None:
    chunks = frames(vendor)
    watch = cProfile.Profile()
    watch.enable()
    for _ in range(50):
        translated(client, vendor, chunks)
    watch.disable()
    pstats.Stats(watch).sort_stats("tottime").print_stats(20)


def main() -> None:
    pairs = {f"{client}<-{vendor}": (client, vendor) for client, vendor in product(FORMATS, FORMATS)}
    for name in sys.argv[1:]:
        profile(*pairs[name])
    if sys.argv[1:]:
        return
    print("| client<-vendor | µs an event, dripped | in a burst | µs a 1 kB request | 170 kB |\n|---|---|---|---|---|")
    for client, vendor in pairs.values():
        if client != vendor:
            print(row(client, vendor), flush=True)


if __name__ == "__main__":
    main()
