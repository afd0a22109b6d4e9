"""A conversation, written as Gemini's contents: turns of `user` and `model`, none of them empty. Google takes several
of a user in a row, so what was said apart stays apart."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.gemini import sealed
from vaultd.wire.ir import Call, Compaction, Media, Opaque, Part, Request, Result, Search, Text, Thinking, Turn
from vaultd.wire.loss import Loss
from vaultd.wire.media import mime_of
from vaultd.wire.names import Names

Raw = dict[str, Any]
#: Google demands a type: where nobody told one, the commonest of its kind.
_COMMONEST: Final = {"image": "image/jpeg", "audio": "audio/mpeg", "video": "video/mp4", "file": "application/pdf"}


def contents_of(request: Request, names: Names, lost: Loss) -> tuple[list[Raw], list[Raw]]:
    """The parts of the system instruction, and the contents."""
    system: list[Raw] = [{"text": text.text} for text in request.system if text.text]
    contents: list[Raw] = []
    for turn in request.turns:
        parts = _Turn(names, lost).parts(turn)
        if turn.role == "system" and not turn.anchored:
            system += parts
        elif parts:
            role = "model" if turn.role == "assistant" else "user"
            if role == "model" and contents and contents[-1]["role"] == role:
                contents[-1]["parts"] += parts
            else:
                contents.append({"role": role, "parts": parts})
    if not contents and system:
        # Google answers no instruction alone: the last one said is what is asked.
        contents.append({"role": "user", "parts": [system.pop()]})
    return system, contents


class _Turn:
    """One turn on its way."""

    def __init__(self, names: Names, lost: Loss) -> None:
        self._names = names
        self._lost = lost
        self._called = False

    def parts(self, turn: Turn) -> list[Raw]:
        parts: list[Raw] = []
        shown: list[Raw] = []
        for part in turn.parts:
            if type(part) is Result:
                response, media = self._result(part)
                parts.append(response)
                shown += media
                continue
            if shown:
                # Google counts answers against calls, so nothing stands between them.
                parts, shown = [*parts, *shown], []
            parts += self._part(part)
        return parts + shown

    def _part(self, part: Part) -> list[Raw]:
        if type(part) is Text:
            return _text(part)
        match part:
            case Thinking():
                # Without Google's seal it is nothing to Google: as a text it would be taken for an answer.
                seal = sealed.own(part.signature)
                return [{"text": part.text, "thought": True, "thoughtSignature": seal}] if seal else []
            case Media():
                return self._media(part)
            case Call():
                return [self._call(part)]
            case Compaction() if part.summary:
                return [{"text": part.summary}]
            case Opaque() if part.format == "gemini":
                return [part.value]
            case Opaque():
                self._lost.add(part.kind)
            case Search():
                self._lost.add("web_search")
            case _:
                self._lost.add("compaction")
        return []

    def _call(self, call: Call) -> Raw:
        """Google refuses a turn whose first call has no seal; later ones need none."""
        raw: Raw = {"functionCall": {"name": self._names.send(call.name), "args": _arguments(call)}}
        if call.id:
            raw["functionCall"]["id"] = call.id
        seal = sealed.own(call.signature) or ("" if self._called else sealed.SKIP)
        if seal:
            raw["thoughtSignature"] = seal
        self._called = True
        return raw

    def _result(self, result: Result) -> tuple[Raw, list[Raw]]:
        words = "\n\n".join([part.text for part in result.parts if isinstance(part, Text)])
        media = [raw for part in result.parts if isinstance(part, Media) for raw in self._media(part)]
        response: Raw = {"result": words}
        if result.is_error:
            response["is_error"] = True
        answer: Raw = {"name": self._names.send(result.name), "response": response}
        if result.call_id:
            answer["id"] = result.call_id
        return {"functionResponse": answer}, media

    def _media(self, media: Media) -> list[Raw]:
        raw: Raw
        if media.data:
            raw = {"inlineData": {"mimeType": _mime(media), "data": media.data}}
        elif media.url:
            # Vertex fetches https itself (recorded in 2026); what Google cannot fetch it refuses by name.
            raw = {"fileData": {"mimeType": _mime(media), "fileUri": media.url}}
        elif media.text:
            raw = {"text": media.text}
        else:
            self._lost.add(f"{media.kind}.file_id")
            return []
        return [raw]


def _mime(media: Media) -> str:
    return media.mime or mime_of(media.name) or mime_of(media.url) or _COMMONEST[media.kind]


def _text(text: Text) -> list[Raw]:
    if not text.text:
        return []
    raw: Raw = {"text": text.text}
    if seal := sealed.own(text.signature):
        raw["thoughtSignature"] = seal
    return [raw]


def _arguments(call: Call) -> Any:
    """An object, which Google demands. What the model wrote wrongly it is shown again as it wrote it."""
    if call.kind == "custom":
        return {"input": call.arguments}
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"input": call.arguments}
