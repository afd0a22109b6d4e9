"""How what comes from outside goes wrong: any JSON type anywhere, members gone, twice or too deep, bytes bent."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

#: What nobody expects there.
ODD = [
    None,
    True,
    0,
    -1,
    1e308,
    2**64,
    -(2**70),
    0.5,
    "",
    " ",
    "\ud800",
    "\x00",
    "x" * 3000,
    [],
    [[]],
    [None],
    {},
    {"": None},
    {"type": None},
    {"type": "text"},
    {"type": []},
    [{"type": "text", "text": 1}],
    {"role": "user"},
    "data:image/png;base64,",
    "data:,",
    "nonsense",
    "function",
    "text",
]
Path = tuple[str | int, ...]


def paths(value: Any, at: Path = ()) -> list[Path]:
    """Where something stands in a JSON value."""
    found = [at]
    if isinstance(value, dict):
        for name, member in value.items():
            found += paths(member, (*at, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += paths(item, (*at, number))
    return found


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """`value` with one to four places bent."""
    bent = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 4))):
        bent = _bend(draw, bent)
    return bent


def _bend(draw: st.DrawFn, root: Any) -> Any:
    path = draw(st.sampled_from(paths(root)))
    if not path:
        return copy.deepcopy(draw(st.sampled_from(ODD))) if draw(st.integers(0, 9)) == 0 else root
    holder = root
    for step in path[:-1]:
        holder = holder[step]
    at = path[-1]
    match draw(st.sampled_from(["odd", "odd", "odd", "gone", "twice", "listed", "deep", "other"])):
        case "gone":
            del holder[at]
        case "twice" if isinstance(holder, list):
            holder.insert(int(at), copy.deepcopy(holder[int(at)]))
        case "listed":
            holder[at] = [holder[at]]
        case "deep":
            holder[at] = _nested(draw(st.sampled_from([30, 200])))
        case "other":
            other = draw(st.sampled_from(paths(root)))
            found = root
            for step in other:
                found = found[step]
            holder[at] = copy.deepcopy(found)
        case _:
            holder[at] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return root


def _nested(levels: int) -> Any:
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"items": value}
    return value


def encoded(value: Any) -> bytes:
    """Lone surrogates, NaN and all, as a careless client writes them."""
    return json.dumps(value).encode()


@st.composite
def bent_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes taken out, put in, turned over or repeated."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.integers(0, 40))
        piece = draw(
            st.sampled_from(
                [b"", b"\n\n", b"\r\n\r\n", b"data: ", b"data: [DONE]\n\n", b"null", b'"', b"}", b"\xff", b"{}"]
            )
            | st.binary(max_size=8)
        )
        match draw(st.sampled_from(["out", "in", "instead", "again"])):
            case "out":
                data = data[:at] + data[at + size :]
            case "in":
                data = data[:at] + piece + data[at:]
            case "instead":
                data = data[:at] + piece + data[at + len(piece) :]
            case _:
                data = data[: at + size] + data[at:]
    return data
