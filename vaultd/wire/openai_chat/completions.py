"""OpenAI's legacy Completions, `POST /v1/completions`: a thin face of chat, for clients alone.

The prompt is one user message, and the answer's text is all that the format can hold.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.ir import (
    Answer,
    Begin,
    Call,
    Close,
    Delta,
    End,
    Event,
    Fail,
    Open,
    Part,
    Reason,
    Request,
    Stamp,
    Text,
    Thinking,
    Turn,
)
from vaultd.wire.loss import Loss
from vaultd.wire.openai_chat.answer_out import missed
from vaultd.wire.openai_chat.face import error_event
from vaultd.wire.openai_chat.request_in import decoded, sampled
from vaultd.wire.openai_chat.tally import usage_told, word_of
from vaultd.wire.refusal import Refusal

NAME: Final = "openai-completions"

_READ: Final = frozenset(
    {
        "model",
        "stream",
        "prompt",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "n",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "user",
        "stream_options",
    }
)
#: What these members say where they ask for nothing.
_IDLE: Final[dict[str, tuple[Any, ...]]] = {
    "echo": (False,),
    "best_of": (0, 1),
    "suffix": ("",),
    "logprobs": (0, False),
}

_encode: Final = msgspec.json.Encoder().encode
_DONE: Final = b"data: [DONE]\n\n"
_AFTER: Final = b',"logprobs":null,"finish_reason":null}]}\n\n'


def read_request(body: bytes, *, model: str, stream: bool) -> Request:
    """Raises Refusal 400."""
    said = decoded(body)
    request = sampled(said, model=model, stream=stream)
    request.format = NAME
    request.logprobs = request.top_logprobs = None
    request.turns = [Turn("user", [Text(_prompt(said.get("prompt")))])]
    for name, value in said.items():
        if name not in _READ and value is not None and value not in _IDLE.get(name, ()):
            request.rest[name] = value
    return request


def _prompt(value: Any) -> str:
    """Tokens mean nothing to another model, and several prompts want an answer each."""
    prompts = value if isinstance(value, list) else [value]
    if not any(prompts):
        raise Refusal(400, "bad-request", "'prompt' is missing")
    if not all(isinstance(prompt, str) for prompt in prompts):
        raise Refusal(400, "bad-request", "'prompt' must be text: arrays of tokens cannot be translated")
    if len(prompts) > 1:
        raise Refusal(400, "bad-request", "'prompt' must be one text: several prompts cannot be translated")
    return str(prompts[0])


def write_answer(answer: Answer, request: Request, stamp: Stamp, lost: Loss) -> bytes:
    if answer.stop:
        lost.add("stop_sequence")
    variants = [(answer.parts, answer.reason), *((variant.parts, variant.reason) for variant in answer.others)]
    body: dict[str, Any] = {
        **_head(answer.id, answer.created, answer.model, request, stamp),
        "choices": [
            {"index": at, "text": _text(parts, lost), "logprobs": None, "finish_reason": _word(reason)}
            for at, (parts, reason) in enumerate(variants)
        ],
    }
    if answer.usage is not None:
        body["usage"] = usage_told(answer.usage)
    return _encode(body)


def _text(parts: list[Part], lost: Loss) -> str:
    for part in parts:
        _missed(part, lost)
    return "".join([part.text for part in parts if isinstance(part, Text)])


def _missed(part: Part, lost: Loss) -> None:
    missed(part, lost)
    if isinstance(part, Text) and part.citations:
        lost.add("citations")
    elif isinstance(part, Thinking):
        lost.add("reasoning_content")
    elif isinstance(part, Call):
        lost.add("tool_calls")


def _head(ident: str, created: int, model: str, request: Request, stamp: Stamp) -> dict[str, Any]:
    return {
        "id": ident or f"cmpl-{stamp.token}",
        "object": "text_completion",
        "created": created or stamp.now,
        "model": model or request.model,
    }


def _word(reason: Reason) -> str:
    return "stop" if reason == "tool" else word_of(reason)


class Writer:
    """A chunk for each text; nothing is sent before there is one."""

    def __init__(self, request: Request, stamp: Stamp, lost: Loss) -> None:
        self._request = request
        self._stamp = stamp
        self._lost = lost
        self._head = b""
        #: What stands before the text of each block; blocks that are no text are not among them.
        self._before: dict[int, bytes] = {}
        self._over = False

    def feed(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._over:
                break
            if type(event) is Delta:
                before = self._before.get(event.block)
                if before:
                    out += (before, _encode(event.text), _AFTER)
            else:
                self._other(event, out)
        return b"".join(out)

    def _other(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Begin():
                head = _head(event.id, event.created, event.model, self._request, self._stamp)
                self._head = b"data: " + _encode(head)[:-1]
            case Open(part=Text()):
                self._before[event.block] = b'%b,"choices":[{"index":%d,"text":' % (self._head, event.choice)
            case Open():
                _missed(event.part, self._lost)
            case Close():
                if event.part is not None:
                    _missed(event.part, self._lost)
            case End():
                self._end(event, out)
                self._over = True
            case Fail():
                out.append(error_event(event.refusal))
                self._over = True

    def _end(self, event: End, out: list[bytes]) -> None:
        if event.stop:
            self._lost.add("stop_sequence")
        for index, reason in enumerate([event.reason, *event.others]):
            choice = {"index": index, "text": "", "logprobs": None, "finish_reason": _word(reason)}
            out.append(self._chunk({"choices": [choice]}))
        if event.usage is not None and self._request.usage_asked:
            out.append(self._chunk({"choices": [], "usage": usage_told(event.usage)}))
        out.append(_DONE)

    def _chunk(self, members: dict[str, Any]) -> bytes:
        return self._head + b"," + _encode(members)[1:] + b"\n\n"


writer = Writer
