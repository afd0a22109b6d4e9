"""Who talks to whom: which model name each client asks for, and what the daemon behind it is made of."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: Cases of the shared client scripts in their group `core`; what each is can be seen there.
CORE = (
    *("codex-sse", "codex-ws", "codex-lite-sse", "codex-lite-ws", "codex-builtin", "codex-zstd", "codex-compact"),
    *("claude-token", "claude-key", "claude-streamjson", "claude-count"),
    *("gemini-apikey", "gemini-codeassist", "raw-timing"),
    *("py-openai", "py-openai-ws", "py-anthropic", "py-genai-v1", "py-genai-v1beta"),
    *("js-openai", "js-anthropic", "js-genai", "js-genai-v1beta"),
)


@dataclass(frozen=True)
class Arrangement:
    """The models that clients of each kind ask for, and what of `CORE` a short run tries."""

    openai: str
    codex_lite: str
    anthropic: str
    gemini: str
    short: tuple[str, ...]
    full: tuple[str, ...] = CORE

    def env(self) -> dict[str, str]:
        return {
            "MODEL_OPENAI": self.openai,
            "MODEL_CODEX_LITE": self.codex_lite,
            "MODEL_ANTHROPIC": self.anthropic,
            "MODEL_GEMINI": self.gemini,
        }

    @property
    def cases(self) -> tuple[str, ...]:
        return self.full if os.environ.get("VAULTD_CLIENTS") == "core" else self.short


#: Without the one case whose right answer this upstream gives in Responses alone: elsewhere it knows nothing of a
#: compaction, asks for the same file after each, and counts more tokens than the client's limit of five.
TRANSLATED = tuple(case for case in CORE if case != "codex-compact")
_CLAUDE = ("claude-token", "claude-key", "claude-streamjson", "claude-count")
ARRANGEMENTS = {
    "own": Arrangement(
        "gpt-5.5",
        "gpt-6-astra",
        "claude-opus-4-8",
        "gemini-3-pro",
        ("claude-token", "codex-sse", "py-openai", "py-anthropic", "py-genai-v1beta", "raw-timing"),
    ),
    "crossed": Arrangement(
        "claude-opus-4-8",
        "claude-opus-4-8",
        "gpt-6-astra",
        "gpt-6-astra",
        ("claude-token", "codex-sse", "py-genai-v1beta"),
        TRANSLATED,
    ),
    "gemini": Arrangement(
        "gemini-3-pro",
        "gemini-3-pro",
        "gemini-3-pro",
        "claude-opus-4-8",
        ("claude-token", "codex-sse"),
        TRANSLATED,
    ),
    # Claude Code at chat vendors, as Qwen and iFlow are.
    "qwen": Arrangement("", "", "qwen3-coder-plus", "", ("claude-token",), _CLAUDE),
    "iflow": Arrangement("", "", "glm-4.6", "", (), _CLAUDE),
}

CONFIG = """\
port: {port}
auth-dir: {auth}
api-keys: [{key}]
claude-api-key:
  - api-key: up-CANARY-claude
    base-url: "{upstream}"
    models: [{{name: claude-opus-4-8}}]
codex-api-key:
  - api-key: up-CANARY-codex
    base-url: "{upstream}/v1"
    models: [{{name: gpt-5.5}}, {{name: gpt-6-astra}}]
gemini-api-key:
  - api-key: up-CANARY-gemini
    base-url: "{upstream}"
    models: [{{name: gemini-3-pro}}]
openai-compatibility:
  - name: chat
    base-url: "{upstream}/v1"
    api-key-entries: [{{api-key: up-CANARY-chat}}]
    models: [{{name: gpt-5.5}}]
  - name: qwen-chat
    base-url: "{upstream}/v1"
    api-key-entries: [{{api-key: up-CANARY-qwen}}]
    models: [{{name: qwen3-coder-plus}}]
  - name: iflow-chat
    base-url: "{upstream}/v1"
    api-key-entries: [{{api-key: up-CANARY-iflow}}]
    models: [{{name: glm-4.6}}]
"""
