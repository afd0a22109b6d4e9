"""What CLIProxyAPI's files hold beyond our model: old spellings folded in, keys of its later versions set aside.

So that its `config.yaml` starts vaultd unchanged. Works on the raw mapping, before any type is asked of it.
"""

from __future__ import annotations

from typing import Any, Final

#: Keys that CLIProxyAPI has after November 2025 and vaultd does not know. `[]` stands for each entry of a list.
_KEY_ENTRY: Final = (
    "prefix disable-cooling request-retry request-scoped-errors alpha-search websockets "
    "rebuild-mid-system-message cloak fingerprint-profile experimental-cch-signing"
)
_MODEL: Final = (
    "display-name max-context-length force-mapping is-compat thinking image input-modalities output-modalities"
)
_RULE_MODEL: Final = "from-protocol headers match not-match exist not-exist"
LATER: Final = {
    "": (
        "ampcode antigravity antigravity-signature-bypass-strict antigravity-signature-cache-enabled "
        "auth-auto-refresh-workers claude-code claude-header-defaults codex codex-header-defaults "
        "codex-instructions-enabled commercial-mode credential-concurrency credential-in-flight "
        "disable-claude-cloak-mode disable-image-generation enable-gemini-cli-endpoint error-logs-max-files "
        "force-model-prefix gpt-image-2-base-model incognito-browser interactions-api-key kiro "
        "logs-max-total-size-mb max-retry-interval nonstream-keepalive-interval oauth-excluded-models "
        "oauth-model-alias oauth-model-mappings oauth-request-scoped-errors passthrough-headers plugins pprof "
        "redis-usage-queue-retention-seconds save-cooldown-status transient-error-cooldown-seconds vertex-api-key "
        "video-result-auth-cache-ttl xai xai-api-key"
    ),
    "tls": "enable",
    "remote-management": "panel-github-repository disable-auto-update-panel",
    "quota-exceeded": "antigravity-credits",
    "routing": "session-affinity-ttl session-affinity-subagents",
    "streaming": "bootstrap-retries",
    "payload": "default-raw override-raw filter",
    "payload.default[].models[]": _RULE_MODEL,
    "payload.override[].models[]": _RULE_MODEL,
    "gemini-api-key[]": _KEY_ENTRY,
    "gemini-api-key[].models[]": _MODEL,
    "claude-api-key[]": _KEY_ENTRY,
    "claude-api-key[].models[]": _MODEL,
    "codex-api-key[]": _KEY_ENTRY,
    "codex-api-key[].models[]": _MODEL,
    "openai-compatibility[]": (
        "disabled prefix support-prompt-cache-key disable-cooling request-retry request-scoped-errors"
    ),
    "openai-compatibility[].models[]": _MODEL,
}
#: Present spelling → older one, of the keys that no route changes.
OLDER_LOCKED: Final = {
    "remote-management.allow-remote": "allow-remote-management",
    "remote-management.secret-key": "remote-management-key",
}


def fold(raw: dict[str, Any], warnings: list[str]) -> None:
    """Old spellings to the present ones, in place. Where both are written, the present one counts."""
    _rename(raw, "ws_auth", raw, "ws-auth")
    for path, older in OLDER_LOCKED.items():
        if older in raw:
            section, _, name = path.partition(".")
            _rename(raw, older, _mapping(raw, section), name)
    _fold_auth_providers(raw)
    _fold_gemini_keys(raw)
    for entry in _entries(raw, "openai-compatibility"):
        if isinstance(keys := entry.pop("api-keys", None), list):
            entries = entry.get("api-key-entries")
            entry["api-key-entries"] = [*(entries or []), *({"api-key": key} for key in keys)]
    _drop_without_base_url(raw, warnings)
    if isinstance(tls := raw.get("tls"), dict) and str(tls.get("enable", "")).lower() == "false":
        # Later versions switch HTTPS by `enable`; reading the files all the same would turn it on.
        tls.pop("cert", None)
        tls.pop("key", None)


def set_aside_later_keys(raw: dict[str, Any]) -> list[str]:
    """Removes the keys only later versions of CLIProxyAPI have, in place, and returns their dotted names."""
    found: list[str] = []
    for where, names in LATER.items():
        for place, mapping in _at(raw, where):
            for name in names.split():
                if name in mapping:
                    del mapping[name]
                    found.append(f"{place}.{name}" if place else name)
    return found


def _at(raw: Any, where: str, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """The mappings at the dotted place `where`, each with its own path."""
    if not where:
        return [(path, raw)] if isinstance(raw, dict) else []
    step, _, rest = where.partition(".")
    name = step.removesuffix("[]")
    value = raw.get(name) if isinstance(raw, dict) else None
    below = f"{path}.{name}" if path else name
    if not step.endswith("[]"):
        return _at(value, rest, below)
    members = value if isinstance(value, list) else []
    return [found for index, member in enumerate(members) for found in _at(member, rest, f"{below}[{index}]")]


def _rename(old: dict[str, Any], old_name: str, new: dict[str, Any], new_name: str) -> None:
    if old_name in old:
        value = old.pop(old_name)
        new.setdefault(new_name, value)


def _mapping(raw: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(raw.get(name), dict):
        raw[name] = {}
    found: dict[str, Any] = raw[name]
    return found


def _entries(raw: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = raw.get(name)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _fold_auth_providers(raw: dict[str, Any]) -> None:
    """`auth.providers`: the first `config-api-key` entry's keys count where `api-keys` is empty; then it is dropped."""
    auth = raw.pop("auth", None)
    if not isinstance(auth, dict) or raw.get("api-keys"):
        return
    for entry in _entries(auth, "providers"):
        if entry.get("type") == "config-api-key":
            raw["api-keys"] = entry.get("api-keys") or []
            return


def _fold_gemini_keys(raw: dict[str, Any]) -> None:
    """The older bare list joins the newer one; a key given twice counts once."""
    older = raw.pop("generative-language-api-key", None)
    newer = raw.get("gemini-api-key") or []
    if not isinstance(newer, list):
        return
    merged = [*newer, *({"api-key": key} for key in older or [])]
    seen: set[Any] = set()
    kept = []
    for entry in merged:
        key = str(entry.get("api-key")) if isinstance(entry, dict) else None
        if key is None or key not in seen:
            kept.append(entry)
        seen.add(key)
    if kept:
        raw["gemini-api-key"] = kept


def _drop_without_base_url(raw: dict[str, Any], warnings: list[str]) -> None:
    """CLIProxyAPI leaves these out too, silently."""
    for name in ("codex-api-key", "openai-compatibility"):
        if not isinstance(raw.get(name), list):
            continue
        kept = []
        for index, entry in enumerate(raw[name]):
            if isinstance(entry, dict) and not entry.get("base-url"):
                warnings.append(f"{name}[{index}] has no base-url and is left out; write one")
            else:
                kept.append(entry)
        raw[name] = kept
