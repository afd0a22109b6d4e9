"""Reads the configuration: file → strict YAML → old spellings folded in → typed `Config`, with what should be told.

The only reader of the file. What it cannot accept is Misconfigured; what it accepts but an operator should know
is a warning. It knows no vendors (`catalog.load` does).
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from vaultd.config import legacy, places, yaml
from vaultd.config.model import Config
from vaultd.config.places import Places
from vaultd.errors import Misconfigured

#: Keys that stand in documentation and example files. Port 8317 is scanned for them (THR-03).
_PLACEHOLDER: Final = re.compile(
    r"your-(secure-)?(api|client)-key(-here|-\d+)?|another-key-for-different-client|sk-\.\.\.|changeme|<.*>",
    re.IGNORECASE,
)
LOOPBACK: Final = Config().host

#: Below this a key can be searched for (THR-04).
_STRONG_BITS: Final = 128

#: bcrypt looks no further (and since version 5 refuses more); a hash has 60.
BCRYPT_BYTES: Final = 72

#: Environment variables that would weaken TLS or hand its keys to a file, whatever the configuration says.
_FORBIDDEN_ENV: Final = {
    "AUTHLIB_INSECURE_TRANSPORT": "it would allow OAuth without TLS (SEC-06)",
    "SSLKEYLOGFILE": "it would write TLS session keys to a file (THR-09)",
}

#: THR-30: whoever turned it on is reminded for as long as it is.
BODIES_KEPT: Final = (
    "request-log is on: prompts and answers are kept, sealed, for a day; turn it off when you have seen it"
)


@dataclass(frozen=True, slots=True)
class Loaded:
    config: Config
    places: Places
    #: Each one line: what, where, what to do.
    warnings: list[str]

    @property
    def source(self) -> str:
        """The file as messages name it."""
        return str(self.places.config_file or "(no config file)")


def read(env: Mapping[str, str], config_option: str | None = None) -> Loaded:
    """Raises Misconfigured naming file, key and nearest key, or the environment variable."""
    for name, why in _FORBIDDEN_ENV.items():
        if env.get(name):
            raise Misconfigured(f"{name} is set in the environment: {why}; unset it", code="environment-unsafe")
    first = places.find(env, config_option, None)
    warnings: list[str] = []
    text = b"" if first.config_file is None else _text(first)
    host = "0.0.0.0" if places.in_container(env) else LOOPBACK  # noqa: S104 - its own network, see there
    config = parse(text, str(first.config_file), warnings, host)
    return Loaded(config, places.find(env, config_option, config), warnings)


def parse(text: bytes | str, source: str, warnings: list[str], host: str = LOOPBACK) -> Config:
    """One configuration from its text; the daemon's reload and the management API check candidates with it. `host` is
    where to listen if it does not say."""
    raw = yaml.load(text, source)
    if raw is None:
        return Config(host=host)
    if not isinstance(raw, dict):
        raise Misconfigured(f"{source}: a mapping of keys is expected")
    legacy.fold(raw, warnings)
    if later := legacy.set_aside_later_keys(raw):
        warnings.append(f"only later versions of CLIProxyAPI know these keys, vaultd ignores them: {', '.join(later)}")
    _read_params_naturally(raw)
    if raw.get("host") == "":
        if host == LOOPBACK:
            warnings.append("host is empty: listening on 127.0.0.1; write 0.0.0.0 to listen everywhere")
        del raw["host"]
    raw.setdefault("host", host)
    config = yaml.convert(raw, Config, source)
    _refuse_wrong(config, source)
    if config.trusted_proxies:  # compared with what a socket says of its peer, which spells an address in one way
        spelled = [str(ipaddress.ip_address(address)) for address in config.trusted_proxies]
        config = msgspec.structs.replace(config, trusted_proxies=spelled)
    warnings.extend(_worth_telling(config))
    return config


def key_bits(key: str) -> float:
    """An upper bound of a key's strength: its length times the bits of the alphabet it seems drawn from."""
    body = re.sub(r"^(sk|vk|key)[-_]|[-_.]", "", key)
    if len(set(body)) < 8:  # a random 128-bit key repeats so few characters once in 10^12
        return 0.0
    alphabets = ((r"\d*", 10), (r"[\da-f]*", 16), (r"[\da-z]*|[\dA-Z]*", 36), (r"[\da-zA-Z]*", 62))
    size = next((size for pattern, size in alphabets if re.fullmatch(pattern, body)), 90)
    return len(body) * math.log2(size)


def _text(found: Places) -> bytes:
    assert found.config_file is not None
    try:
        return found.config_file.read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"{found.config_file}: cannot be read: {error.strerror}", code="config-unreadable"
        ) from error


def _read_params_naturally(raw: dict[str, Any]) -> None:
    """Payload parameters are the vendor's values: only YAML's own rules can say what `0.7` or `true` is."""
    payload = raw.get("payload")
    for rules in payload.values() if isinstance(payload, dict) else ():
        for rule in rules if isinstance(rules, list) else ():
            if isinstance(rule, dict) and "params" in rule:
                rule["params"] = yaml.natural(rule["params"])


def _refuse_wrong(config: Config, source: str) -> None:
    _refuse_wrong_keys(config, source)
    for index, address in enumerate(config.trusted_proxies):
        if not _is_ip(address):
            raise Misconfigured(f"{source}: trusted-proxies[{index}]: is not an IP address; write each one out")
    if bool(config.tls.cert) != bool(config.tls.key):
        raise Misconfigured(f"{source}: tls: cert and key belong together; one is missing")
    for where, url in _base_urls(config):
        if not _is_address(url, {"http", "https"}):
            raise Misconfigured(f"{source}: {where}: is not an http or https address")
    if (url := config.alerts.webhook_url) and not _is_address(url, {"http", "https"}):
        raise Misconfigured(f"{source}: alerts.webhook-url: is not an http or https address")
    if (url := config.tracing.otlp_url) and not _is_address(url, {"http", "https"}):
        raise Misconfigured(f"{source}: tracing.otlp-url: is not an http or https address")
    for where, url in _proxy_urls(config):
        if not is_proxy(url):
            raise Misconfigured(f"{source}: {where}: is not a socks5, http or https address")


def _refuse_wrong_keys(config: Config, source: str) -> None:
    for index, key in enumerate(config.api_keys):
        if not key.strip():
            raise Misconfigured(f"{source}: api-keys[{index}]: is empty; remove it or write a key")
        if _PLACEHOLDER.fullmatch(key.strip()):
            raise Misconfigured(
                f"{source}: api-keys[{index}]: is a placeholder from an example and known to everybody; "
                "remove it (vaultd makes a key) or write one of your own",
                code="client-key-public",
            )
    secret = config.remote_management.secret_key.encode()
    # bcrypt looks no further, and what is longer would be another key than its owner thinks.
    if len(secret) > BCRYPT_BYTES or b"\0" in secret:
        raise Misconfigured(
            f"{source}: remote-management.secret-key: has {len(secret)} bytes; at most {BCRYPT_BYTES} without a NUL "
            "can be hashed: write a shorter one"
        )


def is_proxy(url: str) -> bool:
    return _is_address(url, {"socks5", "socks5h", "http", "https"})


def _is_address(url: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port that is no number
        return False


def is_near(url: str) -> bool:
    """True for an address on this machine or in its own network, written out as such."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_private)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def weak_keys(config: Config) -> Iterator[tuple[str, str]]:
    """Where a client key that can be guessed stands, and what is said of it."""
    for index, key in enumerate(config.api_keys):
        if key_bits(key) < _STRONG_BITS:
            place = f"api-keys[{index}]"
            yield place, f"{place} is weak (under 128 bit); make a key with `vaultd keys create` instead"


def _worth_telling(config: Config) -> Iterator[str]:
    yield from (says for _, says in weak_keys(config))
    for where, url in _base_urls(config):
        if urlsplit(url).scheme == "http":
            yield f"{where} is plain http: the key and the conversation cross the network unencrypted"
    if config.alerts.webhook_url.startswith("http:") and not is_near(config.alerts.webhook_url):
        yield "alerts.webhook-url is plain http: who is signed in where crosses the network unencrypted"
    if config.tracing.otlp_url.startswith("http:") and not is_near(config.tracing.otlp_url):
        yield "tracing.otlp-url is plain http: the collector's key and who asks which model cross the network so"
    if config.request_log:
        yield BODIES_KEPT
    if config.disable_cooling:
        yield "disable-cooling is on: a credential over its limit is asked again by every request"


def _base_urls(config: Config) -> Iterator[tuple[str, str]]:
    for name in ("gemini_api_key", "claude_api_key", "codex_api_key", "openai_compatibility"):
        for index, entry in enumerate(getattr(config, name)):
            if entry.base_url:
                yield f"{name.replace('_', '-')}[{index}].base-url", entry.base_url


def _proxy_urls(config: Config) -> Iterator[tuple[str, str]]:
    if config.proxy_url:
        yield "proxy-url", config.proxy_url
    for name in ("gemini_api_key", "claude_api_key", "codex_api_key"):
        for index, entry in enumerate(getattr(config, name)):
            if entry.proxy_url:
                yield f"{name.replace('_', '-')}[{index}].proxy-url", entry.proxy_url
    for index, compat in enumerate(config.openai_compatibility):
        for nth, key in enumerate(compat.api_key_entries):
            if key.proxy_url:
                yield f"openai-compatibility[{index}].api-key-entries[{nth}].proxy-url", key.proxy_url
