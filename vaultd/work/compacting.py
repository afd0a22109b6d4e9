"""Compaction for vendors that have none: a summary, asked of the same vendor by the same way.

Codex asks for it by an item at the end of its input (`compaction_trigger`) and wants one `compaction` item back. The
question below is the one text of vaultd's own that a vendor ever reads. It makes no part of a conversation: its answer
is the whole answer, and what comes of it is an item that only vaultd reads (`vault.compaction_seal`). Pure but for the
seal.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.vault.compaction_seal import MARK, CompactionSeal
from vaultd.wire.ir import Answer, Choice, Compaction, Request, Text, Turn
from vaultd.wire.refusal import Refusal

#: What Codex's reader calls the item, in `Request.rest`.
TRIGGER: Final = "compaction_trigger"

QUESTION: Final = """\
This conversation has grown too long and everything above is about to be replaced by your answer to this message.
Write the summary that the work can go on from, for a reader who has seen nothing else:
- what the user asked for, with every requirement, preference and correction, in the user's own words where they matter;
- what has been done and found, and what came of it: files with their paths, names, commands, results, errors;
- decisions that were taken, with their reasons, and what was tried in vain;
- what is in hand just now, and what is still to be done, in order.
Leave out nothing that would have to be found out again. Call no tool. Answer with the summary alone.
"""

_items: Final = msgspec.json.Decoder(list[msgspec.Raw])
_KINDS: Final = frozenset({"compaction", "compaction_summary"})
_MARK: Final = MARK.encode()


class _Item(msgspec.Struct):
    type: str = ""
    encrypted_content: str = ""


_item: Final = msgspec.json.Decoder(_Item)


def asks(request: Request) -> bool:
    return TRIGGER in request.rest


def summarising(request: Request) -> Request:
    """The request that gets the summary; `request` itself stays as it is.

    The tools stay declared, for vendors refuse a history with calls of tools that nobody declares; none may be called.
    What shapes an answer (a form, a limit, several choices) was meant for another one.
    """
    question = Text(QUESTION)
    last = request.turns[-1] if request.turns else None
    if last is not None and last.role == "user":
        turns = [*request.turns[:-1], Turn("user", [*last.parts, question])]
    else:
        turns = [*request.turns, Turn("user", [question])]
    return msgspec.structs.replace(
        request,
        turns=turns,
        hosted=[],
        choice=Choice(mode="none") if request.tools else None,
        parallel=None,
        max_output=None,
        stop=[],
        n=None,
        logprobs=None,
        top_logprobs=None,
        output=None,
        verbosity="",
        modalities=[],
        image={},
        rest={name: value for name, value in request.rest.items() if name != TRIGGER},
    )


def compacted(answer: Answer, seal: CompactionSeal) -> Answer:
    """The answer to the client, made of the answer to `summarising`. Raises Refusal where that is no summary.

    One that was cut off at the vendor's limit is a summary still: without one Codex cannot go on at all.
    """
    texts = [part for part in answer.parts if isinstance(part, Text)]
    summary = "".join([part.text for part in texts]).strip()
    if not summary or answer.reason == "filter" or any(part.refusal for part in texts):
        raise Refusal(502, "upstream", "the vendor gave no summary of the conversation to compact it to")
    return Answer(
        id=answer.id,
        model=answer.model,
        created=answer.created,
        parts=[Compaction(seal.seal(summary), summary)],
        usage=answer.usage,
        tier=answer.tier,
    )


def open_summaries(request: Request, seal: CompactionSeal) -> None:
    """Fills in what the request's own items of ours say. Raises Refusal 400 where one does not open."""
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, Compaction) and part.content.startswith(MARK):
                part.summary = _opened(part.content, seal)


def readable(items: bytes, seal: CompactionSeal) -> bytes:
    """`input` of a Responses request, each item that only vaultd can read told as a message of the user's.

    For vendors of the same format, whose requests are not read otherwise. The very same bytes where there is none.
    Raises Refusal 400 where one does not open.
    """
    if _MARK not in items:
        return items
    try:
        raw = _items.decode(items)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return items  # a text, or not sound: the vendor's to judge
    told = [_told(bytes(item), seal) for item in raw]
    return b"[" + b",".join(told) + b"]"


def _told(item: bytes, seal: CompactionSeal) -> bytes:
    if _MARK not in item:
        return item
    try:
        said = _item.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return item
    if said.type not in _KINDS or not said.encrypted_content.startswith(MARK):
        return item
    summary = _opened(said.encrypted_content, seal)
    message: dict[str, Any] = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": summary}],
    }
    return msgspec.json.encode(message)


def _opened(content: str, seal: CompactionSeal) -> str:
    summary = seal.open(content)
    if summary is None:
        raise Refusal(
            400,
            "bad-request",
            "a `compaction` item of this conversation does not open: it was changed, or another keyring sealed it. "
            "Begin a new conversation, or bring back the keyring (`.vault/keyring.jwe.json` of that auth-dir)",
        )
    return summary
