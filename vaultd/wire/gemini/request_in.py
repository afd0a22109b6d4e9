"""A Gemini client's request, read. Its model and whether it streams stand in the path, not in the body."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire import turns
from vaultd.wire.gemini import sealed
from vaultd.wire.gemini.openapi import as_json_schema
from vaultd.wire.gemini.parts_in import part_of
from vaultd.wire.gemini.spelling import flag, listed, number, structure, text, texts, whole, wrong
from vaultd.wire.gemini.tools_in import read_choice, read_tools
from vaultd.wire.ir import Call, Output, Part, Reasoning, Request, Role, Text, Thinking, Turn
from vaultd.wire.refusal import Refusal

#: `function` and `tool` are older names of the turn that answers calls.
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "function": "user",
    "tool": "user",
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_READ: Final = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "model", "stream"}
)
#: Thresholds of filters that Google alone has: no other vendor has anything to set by them, so none is lost.
_HARMLESS: Final = frozenset({"safetySettings"})
_TIERS: Final = {"standard": "default", "unspecified": "auto"}


def read_request(body: bytes, *, model: str, stream: bool) -> Request:
    """Raises Refusal 400 for what is no Gemini request, naming the member."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise wrong("the body", "JSON") from None
    members = structure(given if given is not None else False, "the body")
    if "generateContentRequest" in members:  # countTokens may be asked with a whole request inside
        members = structure(members["generateContentRequest"], "generateContentRequest")
    request = Request(format="gemini", model=model, stream=stream)
    for name, value in members.items():
        if name not in _READ and name not in _HARMLESS and value is not None:
            request.rest[name] = value
    request.system = _system(members.get("systemInstruction"), request.unread)
    request.turns = _turns(members.get("contents"), request.unread)
    read_tools(members.get("tools"), request)
    read_choice(members.get("toolConfig"), request)
    tier = text(members.get("serviceTier"), "serviceTier").lower().removeprefix("service_tier_")
    request.tier = _TIERS.get(tier, tier)
    _configure(structure(members.get("generationConfig"), "generationConfig"), request)
    return turns.settle(request)


def _system(given: Any, unread: list[str]) -> list[Text]:
    if given is None:
        return []
    if isinstance(given, str):
        return [Text(given)] if given else []
    content = {"parts": given} if isinstance(given, list) else given
    parts = _parts(structure(content, "systemInstruction"), "systemInstruction", unread)
    unread += ["systemInstruction.parts" for part in parts if not isinstance(part, Text)]
    return [part for part in parts if isinstance(part, Text) and part.text]


def _turns(given: Any, unread: list[str]) -> list[Turn]:
    if isinstance(given, str):
        return [Turn("user", [Text(given)])]
    found: list[Turn] = []
    for content in [given] if isinstance(given, dict) else listed(given, "contents"):
        members = structure(content, "contents[]")
        parts = _parts(members, "contents[].parts", unread)
        said = text(members.get("role"), "contents[].role").lower()
        if said:
            role = _ROLES.get(said)
            if role is None:
                raise Refusal(400, "bad-request", f"contents[].role {said[:40]!r} is none of user, model")
        else:
            role = "assistant" if any(isinstance(part, Call) for part in parts) else "user"
        if role == "assistant" and found and found[-1].role == role:
            found[-1].parts += parts
        else:
            found.append(Turn(role, parts))
    for turn in found:
        if turn.role == "assistant":
            turn.parts = _joined(turn.parts)
    return found


def _parts(content: dict[str, Any], name: str, unread: list[str]) -> list[Part]:
    parts: list[Part] = []
    for given in listed(content.get("parts"), name):
        if not isinstance(given, dict):
            raise wrong(name, "a list of objects")
        words = given.get("text")
        if type(words) is str and len(given) == 1:  # as nearly all are
            if words:
                parts.append(Text(words))
            continue
        part = part_of(given, sealed.returned, unread)
        if not isinstance(part, Text | Thinking) or part.text or part.signature:
            parts += [part] if part is not None else []
    return parts


def _joined(parts: list[Part]) -> list[Part]:
    """A streamed text comes back in the pieces it came in: they are one. A seal on an empty piece is that of the part
    before it, and closes it."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Text | Thinking) and last is not None and type(last) is type(part) and not last.signature:
            joined[-1] = msgspec.structs.replace(part, text=last.text + part.text)
        elif not isinstance(part, Text) or part.text:
            joined.append(part)
        elif isinstance(last, Thinking | Call) and not last.signature:
            last.signature = part.signature
    return joined


def _configure(config: dict[str, Any], request: Request) -> None:
    request.temperature = number(config.get("temperature"), "temperature")
    request.top_p = number(config.get("topP"), "topP")
    request.top_k = whole(config.get("topK"), "topK")
    request.max_output = whole(config.get("maxOutputTokens"), "maxOutputTokens")
    request.stop = texts(config.get("stopSequences"), "stopSequences")
    request.n = whole(config.get("candidateCount"), "candidateCount")
    request.seed = whole(config.get("seed"), "seed")
    request.presence_penalty = number(config.get("presencePenalty"), "presencePenalty")
    request.frequency_penalty = number(config.get("frequencyPenalty"), "frequencyPenalty")
    request.logprobs = flag(config.get("responseLogprobs"), "responseLogprobs")
    request.top_logprobs = whole(config.get("logprobs"), "logprobs")
    request.modalities = [name.lower() for name in texts(config.get("responseModalities"), "responseModalities")]
    image = structure(config.get("imageConfig"), "imageConfig")
    for camelled, name in _IMAGE.items():
        if found := text(image.get(camelled), f"imageConfig.{camelled}"):
            request.image[name] = found
    request.unread += [f"imageConfig.{name}" for name in image if name not in _IMAGE]
    request.reasoning = _reasoning(structure(config.get("thinkingConfig"), "thinkingConfig"))
    request.output = _output(config)
    for name, value in config.items():
        if name not in _CONFIG and value is not None:
            request.rest[f"generationConfig.{name}"] = value


_IMAGE: Final = {"aspectRatio": "aspect_ratio", "imageSize": "image_size"}
_CONFIG: Final = frozenset(
    {
        "temperature",
        "topP",
        "topK",
        "maxOutputTokens",
        "stopSequences",
        "candidateCount",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "responseModalities",
        "imageConfig",
        "thinkingConfig",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "ResponseJsonSchema",
    }
)


def _reasoning(config: dict[str, Any]) -> Reasoning | None:
    level = text(config.get("thinkingLevel"), "thinkingLevel").lower()
    if level == "thinking_level_unspecified":
        level = ""
    budget = None if level else whole(config.get("thinkingBudget"), "thinkingBudget")
    shown = flag(config.get("includeThoughts"), "includeThoughts")
    summary = "" if shown is None else "auto" if shown else "none"
    if not level and budget is None and not summary:
        return None
    return Reasoning(level=level, budget=budget, summary=summary)


def _output(config: dict[str, Any]) -> Output | None:
    """`_responseJsonSchema`, as an older SDK spells it, has lost its underscore here."""
    schema = next((config[key] for key in ("responseJsonSchema", "ResponseJsonSchema") if config.get(key)), None)
    if schema is None and config.get("responseSchema"):
        schema = as_json_schema(config["responseSchema"])
    if schema is not None and not isinstance(schema, dict):
        raise wrong("responseSchema", "an object")
    mime = text(config.get("responseMimeType"), "responseMimeType").lower()
    if schema is not None:
        return Output(kind="schema", schema=schema)
    if mime == "application/json":
        return Output(kind="json")
    return Output(kind="text") if mime else None
