"""From a file to a configuration: CLIProxyAPI's own starts unchanged, and what is dangerous is refused or told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vaultd.config import load
from vaultd.config.load import key_bits, parse
from vaultd.errors import Misconfigured

STRONG = "sk-CANARY7f3kQ9zR2mX8wL5vB1nH6tY4cJ0"

#: Every key of November 2025, the older spellings, and some of later versions.
CLIPROXYAPI = f"""
port: 8317
auth-dir: "~/.cli-proxy-api"
auth:
  providers:
    - {{name: default, type: config-api-key, api-keys: ["{STRONG}"]}}
remote-management: {{secret-key: "", disable-control-panel: false}}
allow-remote-management: true
remote-management-key: CANARY-management
debug: false
logging-to-file: false
usage-statistics-enabled: false
disable-cooling: false
request-log: false
proxy-url: ""
request-retry: 3
quota-exceeded: {{switch-project: true, switch-preview-model: false}}
ws_auth: true
force-gpt-5-codex: true
gemini-api-key:
  - {{api-key: CANARY-g1, base-url: "https://generativelanguage.googleapis.com", headers: {{X-A: b}}}}
generative-language-api-key: [CANARY-g1, CANARY-g2]
claude-api-key:
  - api-key: CANARY-c1
    base-url: https://claude.example
    proxy-url: socks5://u:p@proxy.example:1080
    models: [{{name: claude-3-5-sonnet-20241022, alias: sonnet}}]
codex-api-key:
  - {{api-key: CANARY-x1, base-url: "https://codex.example"}}
  - {{api-key: CANARY-x2}}
openai-compatibility:
  - name: OpenRouter
    base-url: https://openrouter.ai/api/v1
    prefix: test
    api-keys: [CANARY-o1]
    api-key-entries: [{{api-key: CANARY-o2, proxy-url: "http://proxy.example:3128"}}]
    models: [{{name: "moonshotai/kimi-k2:free", alias: kimi-k2}}]
payload:
  default:
    - {{models: [{{name: "gemini-2.5-pro", protocol: gemini}}], params: {{"generationConfig.temperature": 0.7}}}}
  override:
    - {{models: [{{name: "gpt-*"}}], params: {{"reasoning.effort": high, store: false}}}}
routing: {{strategy: fill-first, session-affinity-ttl: 1h}}
oauth-excluded-models: {{claude: [claude-3-5-haiku-20241022]}}
tls: {{enable: false, cert: "", key: ""}}
"""


def test_a_cliproxyapi_config_starts_unchanged(home: dict[str, str], planted: Callable[[Path], Path]) -> None:
    file = planted(Path(home["HOME"], "config.yaml"))
    file.write_text(CLIPROXYAPI)
    loaded = load.read(home, str(file))
    config = loaded.config
    assert (config.host, config.port, config.request_retry, config.ws_auth) == ("127.0.0.1", 8317, 3, True)
    assert loaded.places.auth_dir == Path(home["HOME"], ".cli-proxy-api")
    assert config.api_keys == [STRONG]
    assert config.remote_management.allow_remote
    assert config.remote_management.secret_key == ""  # both spellings: the present one counts
    assert [entry.api_key for entry in config.gemini_api_key] == ["CANARY-g1", "CANARY-g2"]
    assert config.gemini_api_key[0].headers == {"X-A": "b"}
    assert [entry.api_key for entry in config.codex_api_key] == ["CANARY-x1"]
    assert [key.api_key for key in config.openai_compatibility[0].api_key_entries] == ["CANARY-o2", "CANARY-o1"]
    assert config.openai_compatibility[0].models[0].alias == "kimi-k2"
    assert config.payload.default[0].params == {"generationConfig.temperature": 0.7}
    assert config.payload.override[0].params == {"reasoning.effort": "high", "store": False}
    assert config.force_gpt_5_codex
    assert not config.quota_exceeded.switch_preview_model


def test_keys_of_later_versions_are_one_warning_that_names_them() -> None:
    warnings: list[str] = []
    parse(CLIPROXYAPI, "c.yaml", warnings)
    later = [warning for warning in warnings if "later versions" in warning]
    assert len(later) == 1
    for name in (
        "oauth-excluded-models",
        "routing.session-affinity-ttl",
        "openai-compatibility[0].prefix",
        "tls.enable",
    ):
        assert name in later[0]


def test_an_entry_without_base_url_is_left_out_and_told() -> None:
    warnings: list[str] = []
    parse(CLIPROXYAPI, "c.yaml", warnings)
    assert any(warning.startswith("codex-api-key[1] has no base-url") for warning in warnings)


def test_https_switched_off_by_a_later_key_stays_off() -> None:
    assert parse("tls: {enable: false, cert: a.pem, key: a.key}", "c.yaml", []).tls.cert == ""
    assert parse("tls: {enable: true, cert: a.pem, key: a.key}", "c.yaml", []).tls.cert == "a.pem"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prot: 8317", r"c\.yaml: prot: no such key \(nearest: port\)"),
        ("routing: {stategy: fill-first}", r"routing\.stategy: no such key \(nearest: strategy\)"),
        ("routing: {strategy: random}", r"routing\.strategy: is not one of round-robin, fill-first"),
        ("request-retry: -1", r"request-retry: expected int >= 0"),
        ("port: 0", r"port: expected int >= 1"),
        ("tls: {cert: a.pem}", "cert and key belong together"),
        ("proxy-url: proxy.example:1080", "proxy-url: is not a socks5, http or https address"),
        ("gemini-api-key: [{api-key: a, base-url: 'ftp://x'}]", r"gemini-api-key\[0\]\.base-url: is not an http"),
        ("gemini-api-key: [{api-key: a, base-url: 'http://[x'}]", r"gemini-api-key\[0\]\.base-url: is not an http"),
        ("- 1", "a mapping of keys is expected"),
        ("api-keys: ['']", r"api-keys\[0\]: is empty"),
    ],
)
def test_wrong_is_named(text: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint):
        parse(text, "c.yaml", [])


@pytest.mark.parametrize("key", ["your-api-key-1", "your-api-key-2", "YOUR-API-KEY", "your-secure-api-key-here"])
def test_thr_03_placeholders_of_example_files_are_refused(key: str) -> None:
    with pytest.raises(Misconfigured, match=r"api-keys\[1\]: is a placeholder") as caught:
        parse(f'api-keys: ["{STRONG}", "{key}"]', "c.yaml", [])
    assert key not in str(caught.value)


def test_thr_04_weak_keys_are_told_and_taken() -> None:
    warnings: list[str] = []
    config = parse(f"api-keys: [sk-1234, {STRONG}, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]", "c.yaml", warnings)
    assert len(config.api_keys) == 3
    assert [warning[:11] for warning in warnings] == ["api-keys[0]", "api-keys[2]"]
    assert not any("1234" in warning for warning in warnings)


@pytest.mark.parametrize("key", ["a" * 64, "password1234", "1234567890" * 3, "abcabcabcabcabcabcabcabcabcabc"])
def test_thr_04_what_a_person_thinks_up_is_weak(key: str) -> None:
    assert key_bits(key) < 128


def test_thr_04_random_keys_of_128_bit_are_strong() -> None:
    for key in ("9f86d081884c7d659a2feaa0c55ad015", "550e8400-e29b-41d4-a716-446655440000", STRONG):
        assert key_bits(key) >= 128


def test_thr_07_a_plain_http_base_url_is_the_operators_word_and_told() -> None:
    warnings: list[str] = []
    parse("claude-api-key: [{api-key: CANARY, base-url: 'http://10.0.0.7:8080'}]", "c.yaml", warnings)
    assert warnings == [
        "claude-api-key[0].base-url is plain http: the key and the conversation cross the network unencrypted"
    ]


@pytest.mark.parametrize("address", ["10.0.0.0/8", "proxy.example", "*"])
def test_thr_24_a_trusted_proxy_is_an_address_for_nothing_else_would_ever_match(address: str) -> None:
    with pytest.raises(Misconfigured, match=r"c\.yaml: trusted-proxies\[0\]: is not an IP address"):
        parse(f'trusted-proxies: ["{address}"]', "c.yaml", [])


@pytest.mark.parametrize("name", ["AUTHLIB_INSECURE_TRANSPORT", "SSLKEYLOGFILE"])
def test_sec_06_thr_09_no_environment_switch_weakens_tls(home: dict[str, str], name: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name} is set in the environment.*unset it"):
        load.read({**home, name: "1"})


def test_in_the_image_all_of_the_containers_own_network_is_listened_on(tmp_path: Path) -> None:
    """On the container's loopback nobody could reach it; a host that is written down counts all the same."""
    image = {"HOME": str(tmp_path), "CONFIGURATION_DIRECTORY": str(tmp_path), "VAULTD_IN_CONTAINER": "1"}
    file = tmp_path / "config.yaml"
    assert load.read(image).config.host == "0.0.0.0"
    for text, host in (("port: 1\n", "0.0.0.0"), ('host: ""\n', "0.0.0.0"), ("host: 127.0.0.2\n", "127.0.0.2")):
        file.write_text(text)
        loaded = load.read(image)
        assert (loaded.config.host, loaded.warnings) == (host, [])
    assert load.read(image | {"VAULTD_IN_CONTAINER": ""}).config.host == "127.0.0.2"


def test_an_empty_host_is_not_the_whole_world() -> None:
    warnings: list[str] = []
    assert parse('host: ""', "c.yaml", warnings).host == "127.0.0.1"
    assert "0.0.0.0" in warnings[0]


def test_nothing_shows_a_key() -> None:
    config = parse(CLIPROXYAPI, "c.yaml", [])
    assert "CANARY" not in f"{config!r} {config.claude_api_key!r} {config.remote_management}"


def test_the_example_file_starts_without_a_word(home: dict[str, str]) -> None:
    example = Path(__file__).parents[2] / "config.example.yaml"
    assert load.read(home, str(example)).warnings == []


def test_the_example_file_uncommented_is_right_too() -> None:
    example = Path(__file__).parents[2] / "config.example.yaml"
    lines = [line.removeprefix("# ") for line in example.read_text().splitlines()[3:]]
    prose = [
        line for line in lines if line.strip() and (line.lstrip().startswith("-") or ": " in line or line.endswith(":"))
    ]
    text = "\n".join(line for line in prose if not line[0].isupper()).replace(
        "- <make one: vaultd keys create laptop>", "[]"
    )
    text = text.replace("api-keys:\n  []", "api-keys: []")
    config = parse(text, "c.yaml", [])
    assert config.openai_compatibility[0].models[0].alias == "kimi-k2"
    assert config.models[0].thinking is not None
    assert config.providers["claude"]
