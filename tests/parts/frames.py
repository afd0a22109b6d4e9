"""A stream's frames, read strictly: what our own reader would forgive is a fault here."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Frame(NamedTuple):
    event: str
    data: Any


class Faults(list[str]):
    def where(self, wrong: object, what: str) -> None:
        if wrong:
            self.append(what)


def frames_in(stream: bytes, bad: Faults) -> list[Frame]:
    """Its frames, comments left out; what is no frame of one `event:` and `data:` lines goes to `bad`."""
    found: list[Frame] = []
    try:
        text = stream.decode()
    except UnicodeDecodeError as error:
        bad.append(f"not UTF-8: {error}")
        return []
    bad.where(text and not text.endswith("\n\n"), f"ends within a frame: {text[-40:]!r}")
    for block in text.split("\n\n")[:-1]:
        event, data = "", []
        for line in block.split("\n"):
            name, colon, value = line.partition(": ")
            if name == "event" and colon and not event:
                event = value
            elif name == "data" and colon:
                data.append(value)
            elif not line.startswith(":"):
                bad.append(f"no line of a frame: {line[:80]!r}")
        if not data:
            bad.where(event, f"event {event} without data")
            continue
        try:
            found.append(Frame(event, _decoded("\n".join(data))))
        except ValueError as error:
            bad.append(f"no JSON: {error}: {data[0][:80]!r}")
    return found


def _decoded(text: str) -> Any:
    return text if text == "[DONE]" else json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
