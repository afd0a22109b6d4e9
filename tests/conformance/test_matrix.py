"""The public matrix, client × vendor × feature: each cell is written by an assertion that ran (`docs/conformance.md`).

In process, through the grammars alone: what the daemon adds is proved by the suites beside this file.
VAULTD_WRITE_DOCS=1 writes the page; else the committed one must be what ran.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from disputed import DISPUTED, RECORDED
from features import ANSWERED, ASKED, CALL, Answered, Asked, answer
from grammars import faults
from talk import FORMATS, MODEL, TARGET, asked, grammar, heard, streamed, told

from vaultd.wire import signature, thinking, tokens
from vaultd.wire.folding import fold, unfold
from vaultd.wire.formats import COUNTING
from vaultd.wire.formats import FORMATS as FACES
from vaultd.wire.ir import Answer, Begin, Call, Fail, Part, Request, Text, Thinking
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
SHOWN = {
    "openai-chat": "OpenAI chat",
    "openai-responses": "OpenAI Responses",
    "anthropic-messages": "Anthropic Messages",
    "gemini": "Gemini",
}
SEAL, COUNT, ERROR, BROKEN = "seal of thinking, there and back", "token count", "error", "error in a stream"
FEATURES = [*[each.name for each in (*ASKED, *ANSWERED)], SEAL, COUNT, ERROR, BROKEN]
NONE = "–"

cells: dict[tuple[str, str, str], str] = {}
pairs = pytest.mark.parametrize(("client", "vendor"), list(product(FORMATS, FORMATS)))


def outcome(arrived: object, lost: Loss) -> str:
    assert arrived or lost, "lost in silence"
    return f"works, loses {', '.join(f'`{name}`' for name in lost)}" if lost else "works"


@pairs
@pytest.mark.parametrize("feature", ASKED, ids=lambda feature: feature.name)
def test_what_a_client_asks_reaches_the_vendor(client: str, vendor: str, feature: Asked) -> None:
    body, _, _ = asked(client, feature.request(client))
    read = grammar(client).read_request(body, model=MODEL, stream=False)
    cells[client, vendor, feature.name] = reached(read, vendor, feature) if feature.heard(read) else NONE


def reached(read: Request, vendor: str, feature: Asked) -> str:
    read.reasoning = thinking.fit(read, TARGET)
    try:
        sent, _, lost = asked(vendor, read)
    except Refusal as refusal:
        assert refusal.status == 400
        return f"refused: {refusal.message}"
    return outcome(feature.heard(grammar(vendor).read_request(sent, model=MODEL, stream=False)), lost)


@pairs
@pytest.mark.parametrize("feature", ANSWERED, ids=lambda feature: feature.name)
def test_what_a_vendor_answers_reaches_the_client(client: str, vendor: str, feature: Answered) -> None:
    """Whole, and as a stream that obeys the client's grammar."""
    body, _ = told(vendor, feature.says(), Request(format=vendor, model=MODEL))
    read = grammar(vendor).read_answer(body, Names())
    if not feature.heard(read):
        cells[client, vendor, feature.name] = NONE
        return
    asking = Request(format=client, model=MODEL, stream=True)
    whole, lost = told(client, read, asking)
    stream, streamed_lost = streamed(client, unfold(read), asking)
    assert faults(client, stream) == []
    assert set(streamed_lost) == set(lost)
    arrived = feature.heard(grammar(client).read_answer(whole, Names()))
    assert bool(feature.heard(fold(heard(client, [stream])))) is bool(arrived)
    cells[client, vendor, feature.name] = outcome(arrived, lost)


@pairs
def test_a_seal_comes_back_to_its_vendor(client: str, vendor: str) -> None:
    """What a vendor signed is in the next request as it was signed: after a tool call it refuses a turn without."""
    seal = signature.carry("c2VhbA==", vendor)
    said = answer(Thinking("hm", seal), Call(CALL.id, CALL.name, CALL.arguments, signature=seal), reason="tool")
    body, _ = told(vendor, said, Request(format=vendor, model=MODEL))
    read = grammar(vendor).read_answer(body, Names())
    if not seals(read.parts):
        cells[client, vendor, SEAL] = NONE
        return
    shown, lost = told(client, read, Request(format=client, model=MODEL))
    history = json.dumps(HISTORIES[client](json.loads(shown))).encode()
    back = grammar(client).read_request(history, model=MODEL, stream=False)
    sent, _, _ = asked(vendor, back)
    found = grammar(vendor).read_request(sent, model=MODEL, stream=False)
    arrived = seals([part for turn in found.turns for part in turn.parts])
    # Chat has no place for a vendor's thinking but Google's: it is left out there, and the vendor asked without.
    cells[client, vendor, SEAL] = "works" if arrived else outcome(client == "openai-chat", lost) + ", without the seal"


def chat_history(told: dict[str, Any]) -> dict[str, Any]:
    result = {"role": "tool", "tool_call_id": CALL.id, "content": "rain"}
    return {"messages": [{"role": "user", "content": "hi"}, told["choices"][0]["message"], result]}


def responses_history(told: dict[str, Any]) -> dict[str, Any]:
    call = next(item["call_id"] for item in told["output"] if item["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call, "output": "rain"}
    return {"input": [{"role": "user", "content": "hi"}, *told["output"], result]}


def claude_history(told: dict[str, Any]) -> dict[str, Any]:
    call = next(block["id"] for block in told["content"] if block["type"] == "tool_use")
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": "rain"}]}
    said = {"role": "assistant", "content": told["content"]}
    return {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}, said, result]}


def gemini_history(told: dict[str, Any]) -> dict[str, Any]:
    result = {"functionResponse": {"name": CALL.name, "response": {"result": "rain"}}}
    asked = {"role": "user", "parts": [{"text": "hi"}]}
    return {"contents": [asked, told["candidates"][0]["content"], {"role": "user", "parts": [result]}]}


#: The next request of a client that echoes what it was told, as all of them do.
HISTORIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "openai-chat": chat_history,
    "openai-responses": responses_history,
    "anthropic-messages": claude_history,
    "gemini": gemini_history,
}


def seals(parts: list[Part]) -> bool:
    return any(isinstance(part, Thinking | Call) and bool(part.signature) for part in parts)


@pairs
def test_tokens_are_counted(client: str, vendor: str) -> None:
    """Asked of vendors that count; other vendors' tokens are estimated (`wire.tokens`)."""
    if client not in COUNTING:
        cells[client, vendor, COUNT] = NONE
    elif vendor in COUNTING:
        counted = COUNTING[vendor].read_count(COUNTING[vendor].write_count(42))  # type: ignore[index]
        assert "42" in COUNTING[client].write_count(counted).decode()  # type: ignore[index]
        members, _ = grammar(vendor).write_request(Asked("", dict, bool).request(client), TARGET, Loss())
        assert COUNTING[vendor].count_members(members)  # type: ignore[index]
        cells[client, vendor, COUNT] = "works"
    else:
        assert tokens.estimate(Asked("", dict, bool).request(client)) > 0
        cells[client, vendor, COUNT] = "works, as an estimate"


@pairs
def test_an_error_is_told_in_the_clients_shape(client: str, vendor: str) -> None:
    refusal = Refusal(429, "upstream", "slow down", 3)
    body = json.loads(FACES[client].error_body(refusal))  # type: ignore[index]
    assert "slow down" in json.dumps(body["error"])
    cells[client, vendor, ERROR] = "works"
    broken = [*unfold(Answer(parts=[Text("hello")]))[:3], Fail(refusal)]
    stream, _ = streamed(vendor, broken, Request(format=vendor, model=MODEL, stream=True))
    read = heard(vendor, [stream])
    assert isinstance(read[0], Begin)
    assert isinstance(read[-1], Fail)
    shown, _ = streamed(client, read, Request(format=client, model=MODEL, stream=True))
    assert faults(client, shown) == []
    assert b"slow down" in shown
    cells[client, vendor, BROKEN] = "works"


def test_the_page_is_what_ran() -> None:
    if len(cells) < len(FEATURES) * len(FORMATS) ** 2:
        pytest.skip("only a part of the cells ran")
    page = rendered()
    if os.environ.get("VAULTD_WRITE_DOCS") == "1":
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run `make docs`"


def rendered() -> str:
    lines = [
        "# What translation carries",
        "",
        "Generated by `make docs`; do not edit. Each cell is written by a test that ran, and the tests fail where this",
        "page says something else.",
        "",
        "A client of any format can use a vendor of any format. A row is one feature, a column the vendor's format;",
        "where both are the same, bytes pass and nothing is translated at all.",
        "",
        "- **works**: it arrives, read back from what was really written, whole and streamed.",
        "- **works, loses `x`**: the rest arrives; `x` does not, and is named in the response header",
        "  `x-vaultd-dropped` (a request's), or in the log and the metrics (an answer's).",
        "- **refused**: answered with 400 and the reason.",
        "- **–**: the client's format has no word for it, or for an answer the vendor's has none.",
        "",
        "The cells run in process, through the grammars alone. Through a running daemon go, beside the test suite:",
        "219 cases taken from other relays' bugs and 1,100 recorded answers of real vendors (`make conformance`), and",
        "real clients in several arrangements (`make clients`).",
    ]
    for client in FORMATS:
        lines += ["", f"## {SHOWN[client]} clients", ""]
        lines.append("| | " + " | ".join(SHOWN[vendor] for vendor in FORMATS) + " |")
        lines.append("|---" * (len(FORMATS) + 1) + "|")
        lines += [
            f"| {feature} | " + " | ".join(cells[client, vendor, feature] for vendor in FORMATS) + " |"
            for feature in FEATURES
        ]
    lines += ["", "## Cases judged wrong", ""]
    lines += [f"- `{name}`: {case.why} <{case.documentation}>" for name, case in DISPUTED.items()]
    lines += ["", "## Recorded answers judged not to arrive whole", ""]
    lines += [f"- `{name}`, at {clients} of 4 clients: {why}" for name, (clients, why) in RECORDED.items()]
    return "\n".join(lines) + "\n"
