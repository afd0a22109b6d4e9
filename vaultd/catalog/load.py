"""Puts the catalogue together: shipped manifests < drop-in folder < the config's `providers.<id>`, leaf by leaf.

Remembers where each leaf came from, so that a person can ask and an error can name the right file. What a manifest
must hold to is `catalog.rules`; no vendor is named here.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from vaultd.catalog import rules
from vaultd.catalog.manifest import Entry, Model, Origins, Provider
from vaultd.catalog.models import Catalog, with_alias_facts, with_facts
from vaultd.config import yaml
from vaultd.config.model import Compat, Config
from vaultd.errors import Misconfigured

SHIPPED: Final = "shipped"

#: What endpoints of the chat format say of a credential with the status of a bad request: OpenAI's codes, which most
#: have taken over, and the words of common servers that have none. `providers.<name>.api.refusals` replaces it.
_REFUSALS: Final[list[dict[str, Any]]] = [
    {"status": [400, 403, 404], "code": ["model_not_found", "model_not_available"], "means": "model-not-allowed"},
    {
        "status": [404],
        "says": ["` does not exist", "not found, try pulling it first", "No endpoints found for "],
        "means": "model-not-allowed",
    },
    {"status": [400], "says": ["is not a valid model ID"], "means": "model-not-allowed"},
    {
        "status": [400, 403, 429],
        "code": ["insufficient_quota", "insufficient_balance", "billing_not_active", "billing_hard_limit_reached"],
        "means": "no-credit",
    },
    {"status": [400, 403, 429], "says": ["used all available credits", "Insufficient Balance"], "means": "no-credit"},
    {"status": [400, 403], "code": ["invalid_api_key"], "means": "bad-key"},
    {"status": [400, 403], "says": ["Incorrect API key provided", "API key not valid"], "means": "bad-key"},
]
#: What `doctor` calls a manifest that cannot be used.
_INVALID: Final = "manifest-invalid"
_NONE: Final[Mapping[Path, bytes]] = {}


def shipped_folder() -> Path:
    """Inside the wheel, else the checkout's folder (an editable install has no copy)."""
    packaged = Path(__file__).parents[1] / "_providers"
    return packaged if packaged.is_dir() else packaged.parents[1] / "providers"


def load(
    shipped: Path, dropin: Path | None, config: Config, config_source: str, coming: Mapping[Path, bytes] = _NONE
) -> Catalog:
    """`coming`: drop-ins that are to be written only if this takes them. Raises Misconfigured naming file, dotted key
    and nearest key."""
    notes: list[str] = []
    drafts = {path.stem: _Draft.of_file(path, SHIPPED, _NONE) for path in _manifests(shipped)}
    # A config beside the checkout's own `providers` would drop in what is shipped.
    there = _manifests(dropin) if dropin is not None and dropin.resolve() != shipped.resolve() else []
    for path in sorted({*there, *coming}):
        if path.stem in drafts:
            notes.append(f"{path} replaces the shipped manifest `{path.stem}` whole")
        drafts[path.stem] = _Draft.of_file(path, f"drop-in {path}", coming)
    _add_compat(drafts, config, config_source, notes)
    for id_, overlay in config.providers.items():
        _lay_over(drafts, id_.lower(), overlay, config_source)
    providers = {id_: draft.finished(config) for id_, draft in sorted(drafts.items())}
    notes.extend(_facts_for_nobody(config, providers))
    return Catalog(providers, tuple(notes))


class _Draft:
    """One manifest while it is put together: its raw tree and, for each leaf, where it came from."""

    def __init__(self, raw: dict[str, Any], where: str, origin: str) -> None:
        self.id = str(raw["id"])
        self.raw = raw
        #: What stands before a dotted path in an error: `FILE: ` or `FILE: providers.<id>.`.
        self.where = where
        self.origins: Origins = dict.fromkeys(_leaves(raw), origin)
        #: The same for leaves the overlay has set.
        self.edit_at: dict[str, str] = {}
        #: A key entry's base-url is the operator's word and may be plain http (`config check` reports it).
        self.free_endpoint = False
        #: It stands in the configuration whole, in no file of its own.
        self.from_config = origin.startswith("config ")

    @classmethod
    def of_file(cls, path: Path, origin: str, coming: Mapping[Path, bytes]) -> _Draft:
        # A name that is no UTF-8 can be no id, and half a character can be told to nobody.
        file = Path(os.fsencode(path).decode(errors="backslashreplace"))
        try:
            text = coming[path] if path in coming else path.read_bytes()
            raw = yaml.without_nulls(yaml.load(text, str(file)))
        except OSError as error:
            raise Misconfigured(f"{file}: cannot be read: {error.strerror}", code=_INVALID) from error
        except Misconfigured as error:
            raise Misconfigured(str(error), code=_INVALID) from None
        if not isinstance(raw, dict):
            raise Misconfigured(f"{file}: a manifest is a mapping of keys; see docs/providers.md", code=_INVALID)
        if raw.get("id") != file.stem:
            raise Misconfigured(f"{file}: id: must be `{file.stem}`, as the file is named", code=_INVALID)
        return cls(raw, f"{file}: ", origin)

    def finished(self, config: Config) -> Entry:
        models = self.raw.get("models")
        if isinstance(models, list):  # a bare id stands for a model with nothing else to say
            self.raw["models"] = [{"id": model} if isinstance(model, str) else model for model in models]
        try:
            provider = msgspec.convert(self.raw, Provider, strict=False)
        except msgspec.ValidationError as error:
            fault = yaml.find_fault(self.raw, Provider) or yaml.Fault("", str(error))
            raise self.wrong(fault.path, fault.message) from None
        if provider.id != self.id:
            raise self.wrong("id", f"must stay `{self.id}`")
        own_word = self.free_endpoint and "endpoints.api" not in self.edit_at
        for wrong in rules.broken(provider, free_api=own_word):
            raise self.wrong(wrong.path, wrong.message)
        if config.force_gpt_5_codex:
            provider = _with_gpt_5_codex(provider)
        provider = with_alias_facts(with_facts(provider, config.models))
        return Entry(provider=provider, origins=self.origins, raw=self.raw)

    def wrong(self, path: str, message: str) -> Misconfigured:
        """The error at `path`, naming the file that holds that leaf."""
        leaf = path
        while leaf and leaf not in self.edit_at:
            leaf = re.sub(r"(^|[.\[])[^.\[]*$", "", leaf)
        in_config = leaf in self.edit_at or self.from_config
        code = "config-invalid" if in_config else _INVALID
        return Misconfigured(f"{self.edit_at.get(leaf, self.where)}{path}: {message}", code=code)


def _manifests(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("."))


def _lay_over(drafts: dict[str, _Draft], id_: str, overlay: dict[str, Any], source: str) -> None:
    """A leaf replaces a leaf, a list a list. An id nobody has is a new provider, if the overlay is a whole one."""
    where = f"{source}: providers.{id_}"
    origin = f"config {source}"
    if id_ not in drafts:
        if "api" not in overlay:
            hint = yaml.nearest(id_, drafts)
            raise Misconfigured(f"{where}: no such provider{hint}; a new one needs at least `api` and `endpoints`")
        drafts[id_] = _Draft({"id": id_}, f"{where}.", origin)
    draft = drafts[id_]
    _merge(draft.raw, copy.deepcopy(overlay))
    for path in _leaves(overlay):
        for gone in [known for known in draft.origins if known.startswith(f"{path}.") or path.startswith(f"{known}.")]:
            del draft.origins[gone]
        draft.origins[path] = origin
        draft.edit_at[path] = f"{where}."


def _merge(into: dict[str, Any], overlay: dict[str, Any]) -> None:
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _add_compat(drafts: dict[str, _Draft], config: Config, source: str, notes: list[str]) -> None:
    """Each `openai-compatibility` entry is a provider; entries of one name share it and differ as credentials do."""
    for index, entry in enumerate(config.openai_compatibility):
        id_, where = entry.name.lower(), f"openai-compatibility[{index}]"
        known = drafts.get(id_)
        if known is None:
            drafts[id_] = draft = _Draft(_compat_manifest(entry), f"{source}: {where}: ", f"config {source}: {where}")
            draft.free_endpoint = True
        elif known.free_endpoint:
            listed = {model["id"] for model in known.raw["models"]}
            known.raw["models"] += [model for model in _compat_models(entry) if model["id"] not in listed]
        elif "openai-chat" in known.raw.get("api", {}).get("formats", []):
            notes.append(f"{where}: `{entry.name}` joins the provider of that name with its own base-url and models")
        else:
            raise Misconfigured(f"{source}: {where}.name: `{entry.name}` is another provider's id; choose another name")


def _compat_manifest(entry: Compat) -> dict[str, Any]:
    return {
        "id": entry.name.lower(),
        "name": entry.name,
        "keys": True,
        "endpoints": {"api": entry.base_url},
        "api": {"formats": ["openai-chat"], "hooks": ["chat-stream-usage"], "refusals": copy.deepcopy(_REFUSALS)},
        "models": _compat_models(entry),
    }


def _compat_models(entry: Compat) -> list[dict[str, Any]]:
    return [{"id": m.alias, "upstream": m.name} if m.alias else {"id": m.name} for m in entry.models]


def _with_gpt_5_codex(provider: Provider) -> Provider:
    """`force-gpt-5-codex`: whoever serves both ids serves the one for the other."""
    if not any(model.id == "gpt-5-codex" for model in provider.models):
        return provider

    def forced(model: Model) -> Model:
        return msgspec.structs.replace(model, upstream="gpt-5-codex") if model.id == "gpt-5" else model

    return msgspec.structs.replace(provider, models=[forced(model) for model in provider.models])


def _facts_for_nobody(config: Config, providers: dict[str, Entry]) -> Iterator[str]:
    for index, fact in enumerate(config.models):
        if fact.provider and fact.provider.lower() not in providers:
            yield f"models[{index}].provider: no provider `{fact.provider}`{yaml.nearest(fact.provider, providers)}"
        elif not any(m.id.lower() == fact.id.lower() for entry in providers.values() for m in entry.provider.models):
            yield f"models[{index}].id: no provider serves `{fact.id}`; name one with `provider`"


def _leaves(tree: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in tree.items():
        below = yaml.join(path, key)
        if isinstance(value, dict) and value:
            yield from _leaves(value, below)
        else:
            yield below
