"""Gemini `generateContent`, streamed, whole and counted: by API key, and in Code Assist's envelope by OAuth login."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from aiohttp import web

from vaultd.sandbox import google
from vaultd.sandbox.call import Call
from vaultd.sandbox.call import answer as whole
from vaultd.sandbox.llm import gate
from vaultd.sandbox.llm.content import body_of, text_of
from vaultd.sandbox.llm.pour import frame, pour, usual_headers
from vaultd.sandbox.llm.reply import Answer, Ask, Tool, answer, tokens_of
from vaultd.sandbox.refusal import google_error, llm

#: Members of a request, in the spelling with capitals; the one with underscores is taken too.
_KNOWN = frozenset(
    {
        *("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"),
        *("cachedContent", "labels", "model", "generateContentRequest"),
    }
)

_Wrap = Callable[[dict[str, Any]], dict[str, Any]]


async def by_key(call: Call) -> web.StreamResponse:
    """POST /v1beta/models/MODEL:METHOD with an API key in `x-goog-api-key` or `?key=`."""
    key = call.request.headers.get("x-goog-api-key") or call.query("key")
    if not key:
        raise llm("gemini", 403, "Method doesn't allow unregistered callers. Please use API Key.")
    _key_or_400(call, key)
    body = body_of(call, "gemini")
    model, method = call.request.match_info["model"], call.request.match_info["method"]
    return await _respond(call, body, model, method, wrap=lambda response: response)


async def code_assist(call: Call) -> web.StreamResponse:
    """POST /v1internal:METHOD with an OAuth login: the request in an envelope that names project and model."""
    gate.oauth_caller(call, "gemini")
    envelope = body_of(call, "gemini")
    method = call.request.match_info["method"]
    inner = envelope.get("request")
    if not isinstance(inner, dict):
        raise llm("gemini", 400, "Request contains an invalid argument: request is missing")
    model = str(envelope.get("model") or inner.get("model") or "").removeprefix("models/")
    if method == "countTokens":
        if "project" in envelope or "model" in envelope:
            raise llm("gemini", 400, 'Invalid JSON payload received. Unknown name "project": Cannot find field.')
    else:
        _check_project(call, str(envelope.get("project") or ""))
    return await _respond(call, inner, model, method, wrap=lambda said: {"response": said, "traceId": "sandbox-trace"})


def _key_or_400(call: Call, key: str) -> None:
    """Google says 400 for a wrong key."""
    if "CANARY" not in key or key in call.vendor.switches.bad_keys:
        call.vendor.counts["presented:key"] += 1
        call.vendor.counts["refused:key"] += 1
        refused = llm("gemini", 400, "API key not valid. Please pass a valid API key.")
        # Only this tells it from a request that is wrong.
        reason = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        refused.body["error"]["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo"} | reason]
        raise refused
    gate.key_caller(call, "gemini", key)


def _check_project(call: Call, project: str) -> None:
    if not project:
        raise llm("gemini", 400, "Request contains an invalid argument: project is missing")
    if project not in (*call.vendor.switches.projects, *call.vendor.onboarded.values()):
        raise llm("gemini", 403, f"The caller does not have permission on project {project}")
    if not google.service_on(call, project):
        raise llm(
            "gemini", 403, f"Gemini for Google Cloud API has not been used in project {project} or it is disabled."
        )


async def _respond(call: Call, body: dict[str, Any], model: str, method: str, *, wrap: _Wrap) -> web.StreamResponse:
    counting = method == "countTokens"
    if counting and isinstance(body.get("generateContentRequest"), dict):
        body = body["generateContentRequest"]
    ask = read(body, model)
    if model or not counting:
        gate.check_model(call, "gemini", model)
    _check(body)
    if counting:
        return whole({"totalTokens": tokens_of(ask.said)})
    said = answer(ask)
    if method == "generateContent":
        response = whole(wrap(_chunk(said, _parts(said), last=True)))
        response.headers.update(usual_headers(call))
        return response
    chunks = map(wrap, _chunks(said))
    if call.query("alt") == "sse":
        return await pour(call, map(frame, chunks), error_frame=frame(_ERROR))
    elements = _array(chunks)
    error = b",\n" + msgspec.json.encode(_ERROR) + b"]"
    return await pour(call, elements, error_frame=error, content_type="application/json")


_ERROR = google_error(503, "The model is overloaded. Please try again later.")


def _member(body: Mapping[str, Any], name: str) -> Any:
    """A member in either spelling."""
    return body.get(name, body.get(_snake(name)))


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def read(body: Mapping[str, Any], model: str) -> Ask:
    turns = [turn for turn in body.get("contents") or [] if isinstance(turn, dict)]
    users = [text_of(turn.get("parts")) for turn in turns if turn.get("role", "user") == "user"]
    config = _member(body, "generationConfig") or {}
    thinking = _member(config, "thinkingConfig") or {}
    return Ask(
        model=model,
        prompt=next((text for text in reversed(users) if text.strip()), ""),
        stream=True,
        tools=tuple(_tools(body)),
        tool_result=_result(turns[-1].get("parts") or []) if turns else None,
        forced=_forced(body),
        thinking=_member(thinking, "includeThoughts") is True,
        said=" ".join([text_of(_member(body, "systemInstruction")), *(text_of(turn.get("parts")) for turn in turns)]),
    )


def _tools(body: Mapping[str, Any]) -> Iterator[Tool]:
    for group in body.get("tools") or []:
        for declared in _member(group, "functionDeclarations") or []:
            schema = _member(declared, "parametersJsonSchema") or declared.get("parameters") or {}
            yield Tool(str(declared.get("name")), schema)


def _forced(body: Mapping[str, Any]) -> str:
    config = _member(_member(body, "toolConfig") or {}, "functionCallingConfig") or {}
    if config.get("mode") != "ANY":
        return ""
    names = _member(config, "allowedFunctionNames") or ["*"]
    return str(names[0])


def _result(parts: list[Any]) -> str | None:
    for part in parts:
        answered = _member(part, "functionResponse")
        if isinstance(answered, dict):
            response = answered.get("response") or {}
            text = next((value for value in response.values() if isinstance(value, str)), None)
            return text if text is not None else msgspec.json.encode(response).decode()
    return None


def _check(body: Mapping[str, Any]) -> None:
    known = _KNOWN | {_snake(name) for name in _KNOWN}
    if unknown := sorted(set(body) - known):
        raise llm("gemini", 400, f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')
    turns = body.get("contents")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        raise llm("gemini", 400, "* GenerateContentRequest.contents: contents is not specified")
    if any(turn.get("role", "user") not in ("user", "model", "function") for turn in turns):
        raise llm("gemini", 400, "Please use a valid role: user, model.")
    if turns[0].get("role", "user") == "model":
        raise llm("gemini", 400, "Please ensure that multiturn requests begin with a user turn.")
    if not all(turn.get("parts") for turn in turns):
        raise llm("gemini", 400, "* GenerateContentRequest.contents: contents.parts must not be empty.")


def _parts(said: Answer) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if said.thinking:
        parts.append({"text": said.thinking, "thought": True})
    if said.tool is None:
        parts.append({"text": said.text})
    else:
        called = {"id": said.tool.id, "name": said.tool.name, "args": said.tool.arguments}
        parts.append({"functionCall": called, "thoughtSignature": _SIGNATURE})
    return parts


_SIGNATURE = base64.b64encode(b"sandbox-thought-signature").decode()


def _chunks(said: Answer) -> Iterator[dict[str, Any]]:
    """Whole responses with a part each; the finish reason on the last."""
    parts = [part for part in _parts(said) if part.get("thought") or "functionCall" in part]
    parts += [{"text": piece} for piece in said.pieces]
    for number, part in enumerate(parts, 1):
        yield _chunk(said, [part], last=number == len(parts))


def _chunk(said: Answer, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
    if last:
        candidate["finishReason"] = "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": said.input_tokens,
            "candidatesTokenCount": said.output_tokens - said.thinking_tokens,
            "thoughtsTokenCount": said.thinking_tokens,
            "totalTokenCount": said.input_tokens + said.output_tokens,
        },
        "modelVersion": said.model,
        "responseId": said.id,
    }


def _array(chunks: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Without `alt=sse` the stream is one JSON array."""
    start = b"["
    for chunk in chunks:
        yield start + msgspec.json.encode(chunk)
        start = b",\n"
    yield b"]"
