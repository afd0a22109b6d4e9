"""Which providers exist, which model ids they serve, and what a model can do. Pure look-ups; reading is `catalog.load`.

Replaced whole on reload, so that whoever holds a `Catalog` holds one consistent view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from vaultd.catalog.manifest import Entry, Model, Provider, Thinking
from vaultd.config.model import ModelFacts
from vaultd.config.yaml import nearest
from vaultd.errors import Misconfigured

#: Every request asks who serves its model (25 µs to find out). A client may send any name, so the memory is bounded.
_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class Catalog:
    providers: Mapping[str, Entry]
    #: What an operator should hear at start: replaced manifests, facts for nobody's model.
    notes: tuple[str, ...] = ()
    _served: dict[str, list[tuple[Provider, Model]]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def entry(self, id: str) -> Entry:  # noqa: A002
        """In any case. Raises Misconfigured naming the nearest id."""
        found = self.providers.get(id) or self.providers.get(id.lower())
        if found is None:
            raise Misconfigured(f"no provider `{id}`{nearest(id.lower(), self.providers)}; see `vaultd providers list`")
        return found

    def provider(self, id: str) -> Provider:  # noqa: A002
        return self.entry(id).provider

    def sign_in_ids(self) -> list[str]:
        """Providers a person can sign in to: one `vaultd login --<id>` each."""
        return sorted(name for name, entry in self.providers.items() if entry.provider.oauth is not None)

    def key_ids(self) -> list[str]:
        """Providers that take an API key: `vaultd credentials add <id>`."""
        return sorted(name for name, entry in self.providers.items() if entry.provider.keys)

    def serving(self, model: str) -> list[tuple[Provider, Model]]:
        """Every provider that lists `model` or has a pattern for it."""
        if (known := self._served.get(model)) is None:
            every = (entry.provider for entry in self.providers.values())
            known = [(provider, found) for provider in every if (found := resolve(provider, model)) is not None]
            if len(self._served) >= _REMEMBERED:
                self._served.clear()
            self._served[model] = known
        return known


def resolve(provider: Provider, model: str) -> Model | None:
    """The model of that id, in any case; else the first pattern it matches, with the id asked for."""
    wanted = model.lower()
    pattern: Model | None = None
    for candidate in provider.models:
        if is_pattern(candidate):
            if pattern is None and fnmatchcase(wanted, candidate.id.lower()):
                pattern = candidate
        elif candidate.id.lower() == wanted:
            return candidate
    return msgspec.structs.replace(pattern, id=model) if pattern else None


def is_pattern(model: Model) -> bool:
    return "*" in model.id


def with_facts(provider: Provider, facts: Sequence[ModelFacts]) -> Provider:
    """`provider` with the operator's facts laid over its models; an id that only a pattern covers becomes listed."""
    models = list(provider.models)
    for fact in facts:
        if fact.provider and fact.provider.lower() != provider.id:
            continue
        known = resolve(provider, fact.id)
        if known is None and not fact.provider:
            continue
        updated = _over(known or Model(id=fact.id), fact)
        at = next((index for index, model in enumerate(models) if model.id.lower() == fact.id.lower()), None)
        if at is None:
            models.insert(0, updated)
        else:
            models[at] = updated
    return msgspec.structs.replace(provider, models=models)


def with_alias_facts(provider: Provider) -> Provider:
    """An alias (`upstream`) says only what is its own; the rest are the facts of the model it stands for."""
    known = {model.id: model for model in provider.models}
    unsaid = msgspec.structs.asdict(Model(id=""))

    def filled(model: Model) -> Model:
        meant = known.get(model.upstream)
        own = {name: value for name, value in msgspec.structs.asdict(model).items() if value != unsaid[name]}
        return msgspec.structs.replace(meant, **own) if meant else model

    return msgspec.structs.replace(provider, models=[filled(model) for model in provider.models])


def _over(model: Model, fact: ModelFacts) -> Model:
    changes: dict[str, object] = {}
    if fact.context is not None:
        changes["context"] = fact.context
    if fact.max_output is not None:
        changes["max_output"] = fact.max_output
    if fact.thinking is not None:
        said = {name: value for name, value in msgspec.structs.asdict(fact.thinking).items() if value is not None}
        changes["thinking"] = msgspec.structs.replace(model.thinking or Thinking(), **said)
    return msgspec.structs.replace(model, **changes)
