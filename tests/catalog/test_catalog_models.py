"""Which ids exist, who serves them, and what an operator may say about them."""

from __future__ import annotations

import pytest

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.manifest import Model, Thinking, duration
from vaultd.catalog.models import Catalog, resolve
from vaultd.config.load import parse
from vaultd.errors import Misconfigured


def catalog(config: str = "", notes: int = 0) -> Catalog:
    found = load(shipped_folder(), None, parse(config, "c.yaml", []), "c.yaml")
    assert len(found.notes) == notes, found.notes
    return found


def model(provider: str, id_: str, config: str = "") -> Model:
    found = resolve(catalog(config).provider(provider), id_)
    assert found is not None
    return found


STATIC = {
    "claude": "claude-haiku-4-5-20251001 claude-sonnet-4-5-20250929 claude-opus-4-1-20250805 claude-opus-4-20250514 "
    "claude-sonnet-4-20250514 claude-3-7-sonnet-20250219 claude-3-5-haiku-20241022",
    "gemini": "gemini-2.5-flash gemini-2.5-pro gemini-3-pro-preview-11-2025",
    "gemini-api-key": "gemini-2.5-flash gemini-2.5-pro gemini-2.5-flash-lite",
    "codex": "gpt-5 gpt-5-minimal gpt-5-low gpt-5-medium gpt-5-high gpt-5-codex gpt-5-codex-low gpt-5-codex-medium "
    "gpt-5-codex-high gpt-5-codex-mini gpt-5-codex-mini-medium gpt-5-codex-mini-high gpt-5.1 gpt-5.1-none gpt-5.1-low "
    "gpt-5.1-medium gpt-5.1-high gpt-5.1-codex gpt-5.1-codex-low gpt-5.1-codex-medium gpt-5.1-codex-high "
    "gpt-5.1-codex-mini gpt-5.1-codex-mini-medium gpt-5.1-codex-mini-high",
    "qwen": "qwen3-coder-plus qwen3-coder-flash vision-model",
    "iflow": "tstars2.0 qwen3-coder-plus qwen3-coder qwen3-max qwen3-vl-plus qwen3-max-preview kimi-k2-0905 glm-4.6 "
    "kimi-k2 kimi-k2-thinking deepseek-v3.2 deepseek-v3.1 deepseek-r1 deepseek-v3 qwen3-32b "
    "qwen3-235b-a22b-thinking-2507 qwen3-235b-a22b-instruct qwen3-235b minimax-m2",
}


@pytest.mark.parametrize("provider", STATIC)
def test_every_id_known_in_november_2025_is_listed(provider: str) -> None:
    listed = {entry.id for entry in catalog().provider(provider).models if "*" not in entry.id}
    assert listed == set(STATIC[provider].split())


@pytest.mark.parametrize(
    ("id_", "thinking"),
    [
        ("gemini-2.5-flash", Thinking(min=0, max=24576, zero_allowed=True, dynamic_allowed=True)),
        ("gemini-2.5-pro", Thinking(min=128, max=32768, dynamic_allowed=True)),
        ("gemini-2.5-flash-lite", Thinking(min=512, max=24576, zero_allowed=True, dynamic_allowed=True)),
    ],
)
def test_thinking_ranges_of_gemini(id_: str, thinking: Thinking) -> None:
    found = model("gemini-api-key", id_)
    assert (found.thinking, found.context, found.max_output) == (thinking, 1048576, 65536)


def test_an_alias_has_the_facts_of_what_it_stands_for() -> None:
    found = model("codex", "gpt-5.1-codex-high")
    assert (found.upstream, found.effort, found.context, found.max_output) == ("gpt-5.1-codex", "high", 400000, 128000)
    assert found.thinking == Thinking(levels=["low", "medium", "high"])


@pytest.mark.parametrize(
    ("provider", "newer"),
    [("claude", "claude-opus-9"), ("codex", "gpt-5.9-codex"), ("gemini", "Gemini-4-pro"), ("qwen", "qwen9"),
     ("kimi", "kimi-k9"), ("xai", "grok-9"), ("iflow", "glm-9")],
)  # fmt: skip
def test_a_model_newer_than_the_manifest_works_on_its_first_day(provider: str, newer: str) -> None:
    assert model(provider, newer).id == newer


def test_a_pattern_counts_only_where_no_id_fits() -> None:
    assert model("gemini", "gemini-2.5-flash").thinking != model("gemini", "gemini-9").thinking
    assert model("codex", "GPT-5").id == "gpt-5"


def test_no_pattern_no_such_model() -> None:
    assert catalog().serving("llama-4") == []
    assert [provider.id for provider, _ in catalog().serving("qwen3-coder-plus")] == ["iflow", "qwen"]


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(Misconfigured, match=r"no provider `claud` \(nearest: claude\)"):
        catalog().provider("claud")


def test_facts_go_over_the_catalogue() -> None:
    config = "models: [{id: gpt-5, context: 7, thinking: {levels: [low]}}, {id: gemini-2.5-pro, thinking: {max: 9}}]"
    assert model("codex", "gpt-5", config).context == 7
    assert model("codex", "gpt-5-high", config).context == 7
    assert model("codex", "gpt-5", config).max_output == 128000
    assert model("gemini", "gemini-2.5-pro", config).thinking == Thinking(min=128, max=9, dynamic_allowed=True)


def test_facts_can_list_what_only_a_pattern_knew_and_add_what_nobody_knew() -> None:
    config = "models: [{id: gpt-5.9, context: 9}, {id: secret, provider: kimi, max-output: 5}]"
    assert "gpt-5.9" in {entry.id for entry in catalog(config).provider("codex").models}
    assert model("kimi", "secret", config).max_output == 5
    assert [provider.id for provider, _ in catalog(config).serving("secret")] == ["kimi"]


def test_facts_about_nobodys_model_are_told() -> None:
    assert catalog("models: [{id: llama-4}]", notes=1).notes == (
        "models[0].id: no provider serves `llama-4`; name one with `provider`",
    )
    assert "(nearest: codex)" in catalog("models: [{id: x, provider: codx}]", notes=1).notes[0]


def test_force_gpt_5_codex_sends_the_one_for_the_other() -> None:
    config = "force-gpt-5-codex: true"
    for provider in ("codex", "codex-api-key"):
        assert model(provider, "gpt-5", config).upstream == "gpt-5-codex"
        assert model(provider, "gpt-5-codex", config).upstream == ""
        assert model(provider, "gpt-5-high", config).upstream == "gpt-5"
    assert model("codex", "gpt-5").upstream == ""


@pytest.mark.parametrize(("text", "seconds"), [("5d", 432000), ("4h", 14400), ("5m", 300), ("90s", 90)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "1h30m", "-1h", "1.5h", "5 d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Misconfigured, match="is not a duration"):
        duration(text)
