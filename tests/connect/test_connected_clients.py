"""The real clients after `vaultd connect`: a turn with a tool by the daemon; after `--undo` all is as it was."""

from __future__ import annotations

import json
import os
import re
import tomllib

import pytest
from beside import Machine, Owner, installed

#: The slowest client, and the second way of another.
LONG = pytest.mark.skipif(os.environ.get("VAULTD_CLIENTS") != "core", reason="the long form: make clients")
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
}
CLAUDE = b'{\n    "env": {"FOO": "bar", "ANTHROPIC_AUTH_TOKEN": "CANARY-old"},\n    "permissions": {}\n}'
CODEX = b'# mine\nmodel_reasoning_effort = "low" # not much\n\n[analytics]\nenabled = false\n'
QWEN = b'{\n  // its own shell needs a terminal\n  "tools": {"shell": {"enableInteractiveShell": false}}\n}\n'


def test_claude_code_with_other_vendors_in_its_slots(owner: Owner, machine: Machine) -> None:
    program = installed("claude-code/node_modules/.bin/claude")
    settings = owner.has(".claude/settings.json", CLAUDE)
    before = owner.tree()
    owner.connects("claude-code", "--models", "opus=gemini-3-pro,sonnet=gpt-5.5,haiku=qwen3-coder-plus")
    said = json.loads(settings.read_text())
    assert said["env"]["FOO"] == "bar" and "ANTHROPIC_AUTH_TOKEN" not in said["env"]
    assert "vk_" not in settings.read_text()
    for slot, model in (("opus", "gemini-3-pro"), ("sonnet", "gpt-5.5"), ("haiku", "qwen3-coder-plus")):
        since = len(machine.asked())
        owner.tool_turn(program, "-p", "PROMPT", "--allowedTools", "Bash Read", "--model", slot, more=QUIET)
        assert any(model in line for line in machine.asked()[since:]), slot
    owner.connects("claude-code", "--undo")
    assert before.items() <= owner.tree().items()


def test_codex(owner: Owner, machine: Machine) -> None:
    program = installed("codex/node_modules/.bin/codex")
    config = owner.has(".codex/config.toml", CODEX)
    before = owner.tree()
    owner.connects("codex", "--models", "gemini-3-pro")
    assert tomllib.loads(config.read_text())["model_providers"]["vaultd"]["base_url"] == f"{machine.url}/v1"
    assert "vk_" not in config.read_text()
    since = len(machine.asked())
    owner.tool_turn(program, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "PROMPT")
    assert any("gemini-3-pro" in line for line in machine.asked()[since:])
    owner.connects("codex", "--undo")
    assert before.items() <= owner.tree().items()

    owner.connects("codex", "--models", "gemini-3-pro")
    owner.runs(program, "mcp", "add", "mine", "--", "true")  # it writes to the same file
    left = owner.connects("codex", "--undo")
    assert tomllib.loads(config.read_text()) == tomllib.loads(CODEX.decode()) | {
        "mcp_servers": {"mine": {"command": "true"}}
    }
    assert config.read_bytes().startswith(CODEX.rstrip()) and "stays" not in left.err


def test_gemini_cli(owner: Owner, machine: Machine) -> None:
    program = installed("gemini-cli/node_modules/.bin/gemini")
    done = owner.connects("gemini-cli", "--models", "gpt-5.5")
    assert "holds the client key" in done.err
    since = len(machine.asked())
    owner.tool_turn(program, "--skip-trust", "--approval-mode", "yolo", "-p", "PROMPT")
    assert any("gpt-5.5" in line for line in machine.asked()[since:])
    owner.runs(program, "mcp", "add", "--scope", "user", "mine", "true")
    owner.connects("gemini-cli", "--undo")
    left = owner.tree()
    assert ".gemini/.env" not in left
    assert json.loads(left[".gemini/settings.json"][1])["mcpServers"].keys() == {"mine"}
    assert len(json.loads(left[".gemini/settings.json"][1])) == 1


@LONG
def test_gemini_cli_by_code_assist(owner: Owner, machine: Machine) -> None:
    program = installed("gemini-cli/node_modules/.bin/gemini")
    owner.connects("gemini-cli")
    owner.connects("gemini-cli", "--code-assist", "--models", "gemini-3-pro")
    since = len(machine.asked())
    owner.tool_turn(program, "--skip-trust", "--approval-mode", "yolo", "-p", "PROMPT")
    assert any("gemini-3-pro" in line for line in machine.asked()[since:])
    owner.connects("gemini-cli", "--undo")
    assert {".gemini/.env", ".gemini/settings.json"}.isdisjoint(owner.tree())


def test_opencode(owner: Owner, machine: Machine) -> None:
    program = installed("opencode/node_modules/.bin/opencode")
    owner.connects("opencode", "--models", "claude-opus-4-8,small=qwen3-coder-plus")
    config = owner.tree()[".config/opencode/opencode.json"][1]
    assert b"vk_" not in config and json.loads(config)["provider"]["vaultd"]["models"].keys() >= {"gpt-5.5"}
    since = len(machine.asked())
    owner.tool_turn(program, "run", "PROMPT")
    assert any("claude-opus-4-8" in line for line in machine.asked()[since:])
    owner.connects("opencode", "--undo")
    left = owner.tree()
    assert ".config/opencode/opencode.json" not in left
    assert not any(b"vk_" in content for _, content in left.values())


@LONG
def test_qwen_code(owner: Owner, machine: Machine) -> None:
    program = installed("qwen-code/node_modules/.bin/qwen")
    owner.has(".qwen/settings.json", QWEN)
    owner.connects("qwen-code", "--models", "claude-opus-4-8")
    since = len(machine.asked())
    owner.tool_turn(program, "--yolo", "-p", "PROMPT")
    assert any("claude-opus-4-8" in line for line in machine.asked()[since:])
    owner.connects("qwen-code", "--undo")
    left = owner.tree()
    assert ".qwen/.env" not in left
    # The client has written a version of its own into the same file.
    found = re.sub(r',\n  "\$version": \d+', "", left[".qwen/settings.json"][1].decode())
    assert found == QWEN.decode()
