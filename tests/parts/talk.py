"""The four grammars at work: a request asked, an answer told, a stream shown and heard."""

from __future__ import annotations

from typing import Final, Protocol, cast

import msgspec

from vaultd.wire.formats import CLIENTS, VENDORS, ClientSide, VendorSide
from vaultd.wire.ir import (
    Answer,
    Begin,
    Call,
    Close,
    Delta,
    End,
    Event,
    Media,
    Open,
    Part,
    Request,
    Stamp,
    Target,
    Text,
    Thinking,
)
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal

FORMATS: Final = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")
STAMP: Final = Stamp(1_763_000_000, "0123456789abcdef0123456789abcdef")
MODEL: Final = "target-model"
#: A model of which nothing is known.
TARGET: Final = Target(model=MODEL)


class Grammar(ClientSide, VendorSide, Protocol):
    """A format, both ways."""


def grammar(fmt: str) -> Grammar:
    found = next(module for name, module in CLIENTS.items() if name == fmt)
    assert found in VENDORS.values()
    return cast("Grammar", found)


def asked(fmt: str, request: Request, target: Target = TARGET) -> tuple[bytes, Names, Loss]:
    """The body a vendor of that format would be sent, how its tools are called in it, and what it does not say."""
    lost = Loss()
    members, names = grammar(fmt).write_request(request, target, lost)
    return msgspec.json.encode(members), names, lost


def told(fmt: str, answer: Answer, request: Request) -> tuple[bytes, Loss]:
    lost = Loss()
    return grammar(fmt).write_answer(answer, request, STAMP, lost), lost


def streamed(fmt: str, events: list[Event], request: Request) -> tuple[bytes, Loss]:
    """The client's stream, each event written as it comes."""
    lost = Loss()
    writer = grammar(fmt).writer(request, STAMP, lost)
    return b"".join([writer.feed([event]) for event in events]), lost


def heard(fmt: str, chunks: list[bytes], names: Names | None = None) -> list[Event]:
    reader = grammar(fmt).reader(names or Names())
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [*events, *reader.end()]


def legal(events: list[Event]) -> None:
    """What `wire.ir` says of a stream that ends well."""
    assert isinstance(events[0], Begin)
    assert isinstance(events[-1], End)
    opened: dict[int, Part] = {}
    closed: set[int] = set()
    for event in events[1:-1]:
        match event:
            case Open():
                assert event.block == len(opened), "blocks count from 0 in order of opening"
                assert not getattr(event.part, "text", "") or isinstance(event.part, Media), "text comes in deltas"
                assert not getattr(event.part, "arguments", ""), "arguments come in deltas"
                opened[event.block] = event.part
            case Delta():
                assert event.text, "an empty delta"
                assert event.block in opened
                assert event.block not in closed
                assert isinstance(opened[event.block], Text | Thinking | Call)
            case Close():
                assert event.block in opened
                assert event.block not in closed
                closed.add(event.block)
            case _:
                raise AssertionError(f"{event} within a stream")
    assert closed == set(opened), "a block is never closed"


def differences(found: object, wanted: object, at: str = "") -> list[str]:
    """Where two values differ, in words: a whole request is too long to look at."""
    if isinstance(found, msgspec.Struct) and type(found) is type(wanted):
        pairs = [(f"{at}.{name}", getattr(found, name), getattr(wanted, name)) for name in found.__struct_fields__]
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = [(f"{at}[{number}]", *pair) for number, pair in enumerate(zip(found, wanted, strict=True))]
    elif isinstance(found, Refusal) and isinstance(wanted, Refusal):
        return differences([found.status, found.kind, found.message], [wanted.status, wanted.kind, wanted.message], at)
    elif found == wanted and type(found) is type(wanted):
        return []
    else:
        return [f"{at}: {found!r} is not {wanted!r}"]
    return [line for place, one, other in pairs for line in differences(one, other, place)]
