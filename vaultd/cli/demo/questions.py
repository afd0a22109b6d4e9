"""One question per vendor, each in the vendor's own format: what is posted, and where the text stands in an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: The pretend model answers one event per number, so that one sees it stream.
PROMPT = "Please count to 24"
ANSWER = " ".join(str(n) for n in range(1, 25))


@dataclass(frozen=True, slots=True)
class Question:
    provider: str
    format: str
    path: str
    #: The header that carries the client key.
    key_header: str
    body: Mapping[str, Any]
    #: The text that one event adds.
    text: Callable[[Mapping[str, Any]], str]

    def headers(self, key: str) -> dict[str, str]:
        return {self.key_header: f"Bearer {key}" if self.key_header == "Authorization" else key}


def _responses(event: Mapping[str, Any]) -> str:
    return str(event["delta"]) if event.get("type") == "response.output_text.delta" else ""


def _messages(event: Mapping[str, Any]) -> str:
    return str(event["delta"].get("text", "")) if event.get("type") == "content_block_delta" else ""


def _gemini(event: Mapping[str, Any]) -> str:
    parts = (part for candidate in event.get("candidates", []) for part in candidate["content"].get("parts", []))
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


def _chat(event: Mapping[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", []))


def _chat_question(provider: str, model: str) -> Question:
    """Several vendors speak this format and serve each other's models: the provider is named."""
    messages = [{"role": "user", "content": PROMPT}]
    body = {"model": f"{provider}://{model}", "messages": messages, "stream": True}
    return Question(provider, "OpenAI chat", "/v1/chat/completions", "Authorization", body, _chat)


QUESTIONS = (
    Question(
        "codex",
        "OpenAI Responses",
        "/v1/responses",
        "Authorization",
        {"model": "gpt-5", "input": PROMPT, "stream": True},
        _responses,
    ),
    Question(
        "claude",
        "Anthropic Messages",
        "/v1/messages",
        "x-api-key",
        {
            "model": "claude-sonnet-4-5-20250929",
            "max_tokens": 200,
            "messages": [{"role": "user", "content": PROMPT}],
            "stream": True,
        },
        _messages,
    ),
    Question(
        "gemini",
        "Gemini",
        "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        "x-goog-api-key",
        {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]},
        _gemini,
    ),
    _chat_question("qwen", "qwen3-coder-plus"),
    _chat_question("iflow", "glm-4.6"),
)
