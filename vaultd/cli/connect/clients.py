"""The clients: which files each reads, and what is to stand in them. One entry a client; nothing is written here.

Every name was looked up in the installed client (Claude Code 2.1.330, Codex 0.169.0, Gemini CLI 0.61.0, opencode
1.18.33, Qwen Code 0.24.4). Where a client can run a command for its key it does, so that the key is in none of its
files; else the key is in a file of its own, or in the client's own `.env`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vaultd.cli.connect import env_text
from vaultd.cli.connect.edit import NOTHING, Edit
from vaultd.cli.connect.plan import Target
from vaultd.cli.connect.record import home
from vaultd.errors import Misconfigured

#: Milliseconds that Codex waits for its command: its own five seconds are few on a machine that is busy.
_PATIENCE: Final = 15_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client is to be pointed at."""

    env: Mapping[str, str]
    #: Without a path.
    url: str
    #: Prints the client key on stdout.
    helper: Sequence[str]
    #: For clients that cannot run a command.
    key: str
    #: Where a key may be kept in a file of its own.
    key_file: Path
    #: Slot → model; "" is the client's own one.
    models: Mapping[str, str] = field(default_factory=dict)
    #: What `vaultd models list` has.
    catalogue: Sequence[Mapping[str, Any]] = ()
    code_assist: bool = False

    def folder(self, variable: str, default: str) -> Path:
        """A client's folder, where its own variable has it."""
        return Path(self.env[variable]) if self.env.get(variable) else home(self.env) / default


@dataclass(frozen=True, slots=True)
class Client:
    title: str
    targets: Callable[[Wish], tuple[Target, ...]]
    #: The models it has places for; "" is the one it begins with.
    slots: tuple[str, ...]
    #: Cannot run a command: it is given the key itself.
    keeps_key: bool = False
    #: Variables that count for more than its files.
    rivals: tuple[str, ...] = ()
    #: What a person should know, once.
    note: str = ""


#: Each counts for more than the helper, or leads to another vendor than the address.
_CLAUDE_CODE_RIVALS: Final = (
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
)


def _claude_code(wish: Wish) -> tuple[Target, ...]:
    slots = {slot: ("env", f"ANTHROPIC_DEFAULT_{slot.upper()}_MODEL") for slot in wish.models if slot}
    edits = [
        Edit(("env", "ANTHROPIC_BASE_URL"), wish.url),
        *(Edit(("env", name), NOTHING) for name in _CLAUDE_CODE_RIVALS),
        *(Edit(("env", "ANTHROPIC_MODEL"), NOTHING) for _ in range("" in wish.models)),
        *(Edit(("env", "ANTHROPIC_SMALL_FAST_MODEL"), NOTHING) for _ in range("haiku" in wish.models)),
        *(Edit(path, wish.models[slot]) for slot, path in slots.items()),
        *(Edit(("model",), wish.models[""]) for _ in range("" in wish.models)),
        Edit(("apiKeyHelper",), shlex.join(wish.helper)),
    ]
    return (Target(wish.folder("CLAUDE_CONFIG_DIR", ".claude") / "settings.json", "json", tuple(edits)),)


def _codex(wish: Wish) -> tuple[Target, ...]:
    command, *args = wish.helper
    provider = {
        "name": "vaultd",
        "base_url": f"{wish.url}/v1",
        "wire_api": "responses",
        "auth": {"command": command, "args": args, "timeout_ms": _PATIENCE},
    }
    edits = [
        *(Edit(("model",), wish.models[""]) for _ in range("" in wish.models)),
        Edit(("model_provider",), "vaultd"),
        Edit(("model_providers", "vaultd"), provider, ours=True),
    ]
    return (Target(wish.folder("CODEX_HOME", ".codex") / "config.toml", "toml", tuple(edits)),)


def _gemini_cli(wish: Wish) -> tuple[Target, ...]:
    folder = wish.folder("GEMINI_CLI_HOME", "") / ".gemini"
    if wish.code_assist:
        kind = "oauth-personal"
        variables = [
            _variable("CODE_ASSIST_ENDPOINT", wish.url),
            _variable("GOOGLE_GENAI_USE_GCA", "true"),
            _variable("GOOGLE_CLOUD_ACCESS_TOKEN", wish.key, secret=True),
        ]
    else:
        kind = "gemini-api-key"
        variables = [
            _variable("GOOGLE_GEMINI_BASE_URL", wish.url),
            _variable("GEMINI_API_KEY", wish.key, secret=True),
        ]
    # The file's own model counts for more than that of the settings.
    variables += [Edit(("GEMINI_MODEL",), NOTHING) for _ in range("" in wish.models)]
    settings = [
        Edit(("security", "auth", "selectedType"), kind),
        *(Edit(("model", "name"), wish.models[""]) for _ in range("" in wish.models)),
    ]
    return (
        Target(folder / "settings.json", "json", tuple(settings)),
        Target(folder / ".env", "env", tuple(variables)),
    )


def _variable(name: str, value: str, *, secret: bool = False) -> Edit:
    if not env_text.PLAIN.fullmatch(value):
        raise Misconfigured(f"the value of {name} has a character that .env files disagree about; nothing was written")
    return Edit((name,), value, secret=secret)


def _opencode(wish: Wish) -> tuple[Target, ...]:
    folder = wish.folder("XDG_CONFIG_HOME", ".config") / "opencode"
    # It reads both, and the second counts for more.
    names = [name for name in ("opencode.jsonc", "opencode.json") if (folder / name).exists()]
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "vaultd",
        "options": {"baseURL": f"{wish.url}/v1", "apiKey": f"{{file:{wish.key_file}}}"},
        "models": {name: _opencode_model(row) for name, row in _rows(wish).items()},
    }
    edits = [
        Edit(("provider", "vaultd"), provider, ours=True),
        *(Edit(("model",), f"vaultd/{wish.models['']}") for _ in range("" in wish.models)),
        *(Edit(("small_model",), f"vaultd/{wish.models['small']}") for _ in range("small" in wish.models)),
    ]
    seed = '{\n  "$schema": "https://opencode.ai/config.json"\n}\n'
    return (
        Target(folder / (names or ["opencode.json"])[0], "json", tuple(edits), seed),
        Target(wish.key_file, "key", (Edit(("key",), wish.key, secret=True),)),
    )


def _opencode_model(row: Mapping[str, Any]) -> dict[str, Any]:
    limits = {"context": row.get("context") or 0, "output": row.get("max_output") or 0}
    return {"name": row.get("modelName") or row["modelIdentifier"]} | (
        {"limit": limits} if all(limits.values()) else {}
    )


def _qwen_code(wish: Wish) -> tuple[Target, ...]:
    folder = wish.folder("QWEN_HOME", ".qwen")
    models = [
        {"id": name, "name": row.get("modelName") or name, "baseUrl": f"{wish.url}/v1", "envKey": "VAULTD_CLIENT_KEY"}
        for name, row in _rows(wish).items()
    ]
    settings = [
        Edit(("modelProviders", "vaultd"), models, ours=True),
        Edit(("providerProtocol", "vaultd"), "openai", ours=True),
        Edit(("security", "auth", "selectedType"), "openai"),
        *(Edit(("model", "name"), wish.models[""]) for _ in range("" in wish.models)),
    ]
    return (
        Target(folder / "settings.json", "json", tuple(settings)),
        Target(folder / ".env", "env", (_variable("VAULTD_CLIENT_KEY", wish.key, secret=True),)),
    )


def _rows(wish: Wish) -> dict[str, Mapping[str, Any]]:
    """Every model that can be asked for, and those that were asked for in words of their own (`model(high)`)."""
    rows = {str(row["modelIdentifier"]): row for row in wish.catalogue}
    return rows | {name: {"modelIdentifier": name} for name in wish.models.values() if name not in rows}


_OWN_ENV: Final = "a project's own .env hides ~/{}/.env from it: start it elsewhere, or set the variables there too"

CLIENTS: Final[Mapping[str, Client]] = {
    "claude-code": Client(
        "Claude Code",
        _claude_code,
        ("", "opus", "sonnet", "haiku", "fable"),
        rivals=("ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", *_CLAUDE_CODE_RIVALS),
    ),
    "codex": Client("Codex", _codex, ("",)),
    "gemini-cli": Client(
        "Gemini CLI",
        _gemini_cli,
        ("",),
        keeps_key=True,
        rivals=("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "GEMINI_MODEL", "GOOGLE_GENAI_USE_VERTEXAI"),
        note=_OWN_ENV.format(".gemini"),
    ),
    "opencode": Client("opencode", _opencode, ("", "small"), keeps_key=True),
    "qwen-code": Client("Qwen Code", _qwen_code, ("",), keeps_key=True, rivals=("VAULTD_CLIENT_KEY",)),
}
