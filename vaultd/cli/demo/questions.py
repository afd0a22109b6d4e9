"""One question, as clients of four formats ask it: what is posted where, and where the text stands in an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: The pretend model answers one event per number, so that one sees it stream.
PROMPT = "Please count to 24"
ANSWER = " ".join(str(n) for n in range(1, 25))


@dataclass(frozen=True, slots=True)
class Format:
    """How clients of one format ask."""

    name: str
    #: `{model}` is filled in where the model's name stands in the path.
    path: str
    #: The header that carries the client key.
    key_header: str
    body: Mapping[str, Any]
    #: The text that one event adds.
    text: Callable[[Mapping[str, Any]], str]

    def headers(self, key: str) -> dict[str, str]:
        return {self.key_header: f"Bearer {key}" if self.key_header == "Authorization" else key}

    def asked(self, model: str) -> tuple[str, Mapping[str, Any]]:
        """Path and body of the question to `model`."""
        if "{model}" in self.path:
            return self.path.replace("{model}", model), self.body
        return self.path, {"model": model, **self.body}


def _responses(event: Mapping[str, Any]) -> str:
    return str(event["delta"]) if event.get("type") == "response.output_text.delta" else ""


def _messages(event: Mapping[str, Any]) -> str:
    return str(event["delta"].get("text", "")) if event.get("type") == "content_block_delta" else ""


def _gemini(event: Mapping[str, Any]) -> str:
    parts = (part for candidate in event.get("candidates", []) for part in candidate["content"].get("parts", []))
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


def _chat(event: Mapping[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", []))


_MESSAGE = [{"role": "user", "content": PROMPT}]
CHAT = Format("OpenAI chat", "/v1/chat/completions", "Authorization", {"messages": _MESSAGE, "stream": True}, _chat)
RESPONSES = Format("OpenAI Responses", "/v1/responses", "Authorization", {"input": PROMPT, "stream": True}, _responses)
MESSAGES = Format(
    "Anthropic Messages",
    "/v1/messages",
    "x-api-key",
    {"max_tokens": 200, "messages": _MESSAGE, "stream": True},
    _messages,
)
GEMINI = Format(
    "Gemini",
    "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    "x-goog-api-key",
    {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]},
    _gemini,
)
FORMATS = (CHAT, RESPONSES, MESSAGES, GEMINI)


@dataclass(frozen=True, slots=True)
class Vendor:
    provider: str
    #: The format that it speaks itself.
    speaks: Format
    model: str

    @property
    def asked_for(self) -> str:
        """Several vendors serve each other's models: the provider is named."""
        return f"{self.provider}://{self.model}"


VENDORS = (
    Vendor("codex", RESPONSES, "gpt-5"),
    Vendor("claude", MESSAGES, "claude-sonnet-4-5-20250929"),
    Vendor("gemini", GEMINI, "gemini-2.5-pro"),
    Vendor("qwen", CHAT, "qwen3-coder-plus"),
    Vendor("iflow", CHAT, "glm-4.6"),
)
