"""Which credentials can serve one model name, in which tiers; or, in words, why none can.

Pure but for its arguments. No cooldown, no turn, no time: the answer holds until roster, catalogue or config
change, and `work.plan` keeps it until then.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from vaultd.catalog.manifest import FormatName, Model, Provider
from vaultd.catalog.models import Catalog, is_pattern, resolve
from vaultd.pool import explain, pick
from vaultd.pool.state import Member
from vaultd.vault.credential import Credential
from vaultd.wire import thinking
from vaultd.wire.ir import Reasoning
from vaultd.wire.refusal import Refusal

#: `provider://model` (provider ids are YAML file names and the names of `openai-compatibility` entries).
_EXPLICIT: Final = re.compile(r"([^/:]{1,64})://(.+)", re.DOTALL)
#: The longest id in the catalogue has 40 characters; vendors with paths in theirs stay below 100.
_LONGEST_NAME: Final = 256


@dataclass(frozen=True, slots=True)
class Route:
    """Who serves `model`, in tiers of equal standing; `asked` is the reasoning that the name's suffix asks for."""

    model: str
    tiers: tuple[pick.Tier, ...]
    asked: Reasoning | None = None


@dataclass(frozen=True, slots=True)
class _Match:
    credential: Credential
    provider: Provider
    model: Model
    #: False where only a pattern matched: a model that nobody listed.
    listed: bool


def route(roster: Mapping[str, Credential], catalog: Catalog, fmt: FormatName, name: str) -> Route:
    """Raises Refusal where nobody can serve `name`, with the reason and the next action.

    Among equal priorities those whose vendor speaks `fmt`, the client's own, come first.
    """
    if not name or len(name) > _LONGEST_NAME:
        raise Refusal(400, "bad-request", "the request names no model" if not name else "the model name is too long")
    explicit = _EXPLICIT.fullmatch(name)
    provider, model = (explicit[1], explicit[2]) if explicit else ("", name)
    matches, asked = _matches(roster, catalog, fmt, provider, model), None
    if not any(match.listed for match in matches):
        for split in (thinking.suffix, thinking.old_gemini_suffix):
            plain, wanted = split(model)
            if wanted is not None and (found := _matches(roster, catalog, fmt, provider, plain)):
                matches, asked = found, wanted
                break
    usable = [match for match in matches if usable_now(match.credential, catalog)]
    if not usable:
        raise _nobody(matches, roster, catalog, name, provider)
    members = [
        Member(m.credential.id, m.provider, m.model, m.credential.settings.priority, fmt in m.provider.api.formats)
        for m in usable
    ]
    return Route(name, pick.tiers(members), asked)


def usable_now(credential: Credential, catalog: Catalog) -> bool:
    """True where nothing but a cooldown can keep it from serving. A config entry without a key asks without one."""
    return explain.standing(credential, catalog.providers).state == "available" and (
        credential.bearer is not None or credential.source == "config"
    )


def serves(credential: Credential, provider: Provider, name: str) -> tuple[Model, bool] | None:
    """The model that `name` is for this credential, and whether it is listed (a pattern is not a listing)."""
    if excluded(credential, name):
        return None
    if credential.settings.models:
        return _by_alias(credential, provider, name)
    model = resolve(provider, name)
    if model is None:
        return None
    return model, listed(provider, name) is not None


def excluded(credential: Credential, name: str) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in credential.settings.excluded_models)


def models(roster: Mapping[str, Credential], catalog: Catalog) -> dict[str, tuple[Model, list[str]]]:
    """Every listed model that a usable credential serves → the model, and the ids of the providers that do; sorted."""
    found: dict[str, tuple[Model, list[str]]] = {}
    for credential in roster.values():
        if not usable_now(credential, catalog):
            continue
        provider = catalog.providers[credential.provider].provider
        for model in _listed(credential, provider):
            _, providers = found.setdefault(model.id, (model, []))
            if provider.id not in providers:
                providers.append(provider.id)
    return {name: (model, sorted(providers)) for name, (model, providers) in sorted(found.items())}


def _listed(credential: Credential, provider: Provider) -> Iterator[Model]:
    if credential.settings.models:
        names: Iterable[str] = (alias for _, alias in credential.settings.models)
    else:
        names = (model.id for model in provider.models if not is_pattern(model))
    for name in names:
        served = serves(credential, provider, name)
        if served is not None:
            yield served[0]


def _by_alias(credential: Credential, provider: Provider, name: str) -> tuple[Model, bool] | None:
    """An operator's list replaces the catalogue; the facts of a model the catalogue knows stay."""
    for upstream, alias in credential.settings.models:
        if alias.lower() == name.lower():
            known = listed(provider, alias) or resolve(provider, upstream) or Model(id=alias)
            return msgspec.structs.replace(known, id=alias, upstream="" if alias == upstream else upstream), True
    return None


def listed(provider: Provider, name: str) -> Model | None:
    """The model of exactly that id, in any case: patterns do not count."""
    return next((model for model in provider.models if model.id.lower() == name.lower()), None)


def _matches(
    roster: Mapping[str, Credential], catalog: Catalog, fmt: FormatName, provider: str, name: str
) -> list[_Match]:
    return _by_provider(roster, catalog, provider, name) if provider else _by_name(roster, catalog, fmt, name)


def _by_name(roster: Mapping[str, Credential], catalog: Catalog, fmt: FormatName, name: str) -> list[_Match]:
    """Who lists the id; and for an id that nobody here lists in this format, whose pattern matches it.

    A model listed in another format alone goes first where a pattern speaks the client's own, untranslated. A disabled
    credential does not count as listing it; a dead one does, for its login is meant to come back and the request is not
    to go to a stranger meanwhile.
    """
    found = [match for credential in roster.values() if (match := _match(credential, catalog, name)) is not None]
    listing = [match for match in found if match.listed and not match.credential.settings.disabled]
    native = any(fmt in match.provider.api.formats for match in listing)
    return [
        match for match in found if match.listed or not listing or (not native and fmt in match.provider.api.formats)
    ]


def _match(credential: Credential, catalog: Catalog, name: str) -> _Match | None:
    entry = catalog.providers.get(credential.provider)
    served = None if entry is None else serves(credential, entry.provider, name)
    if entry is None or served is None:
        return None
    return _Match(credential, entry.provider, *served)


def _by_provider(roster: Mapping[str, Credential], catalog: Catalog, wanted: str, name: str) -> list[_Match]:
    """`provider://model`: that provider's credentials, also for models nobody listed."""
    found: list[_Match] = []
    for credential in roster.values():
        entry = catalog.providers.get(credential.provider)
        if entry is None or credential.provider.lower() != wanted.lower() or excluded(credential, name):
            continue
        model, listed = serves(credential, entry.provider, name) or (Model(id=name), False)
        found.append(_Match(credential, entry.provider, model, listed))
    return found


def _nobody(
    matches: list[_Match], roster: Mapping[str, Credential], catalog: Catalog, name: str, wanted: str
) -> Refusal:
    """Credentials that cannot serve now; else vendors to sign in to; else a name that nobody knows."""
    if matches:
        rows = [explain.standing(match.credential, catalog.providers) for match in matches]
        dead = any(row.state == "sign-in required" for row in rows)
        words = "; ".join(row.sentence for row in rows)
        message = f"no credential can serve {_shown(name)} now: {words}"
        return Refusal(503, "sign-in-required" if dead else "no-credential", message)
    vendors = _vendors(catalog, name, wanted)
    if vendors:
        ways = " or ".join(f"`{way_in(provider)}`" for provider in vendors[:4])
        return Refusal(503, "no-credential", f"no credential serves {_shown(name)}: {ways}")
    if wanted:
        near = difflib.get_close_matches(wanted.lower(), catalog.providers, n=3)
        words = _nearest(near, "`vaultd providers list` lists those known")
        return Refusal(404, "no-such-model", f"no such provider: {_shown(wanted)}{words}")
    near = difflib.get_close_matches(name.lower(), list(models(roster, catalog)), n=3, cutoff=0.5)
    words = _nearest(near, "GET /v1/models lists those served")
    return Refusal(404, "no-such-model", f"no such model: {_shown(name)}{words}")


def _vendors(catalog: Catalog, name: str, wanted: str) -> list[Provider]:
    """Who would serve `name` if only there were a credential: those that list it before those whose pattern matches."""
    if wanted:
        return [entry.provider for entry in catalog.providers.values() if entry.provider.id == wanted.lower()]
    knowing = [provider for provider, _ in catalog.serving(name)]
    listing = [provider for provider in knowing if listed(provider, name)]
    return sorted(listing or knowing, key=lambda provider: (provider.oauth is None, provider.id))


def way_in(provider: Provider) -> str:
    """The command that gives this provider a credential."""
    return f"vaultd login --{provider.id}" if provider.oauth else f"vaultd credentials add {provider.id}"


def _nearest(near: list[str], otherwise: str) -> str:
    return f"; nearest: {', '.join(near)}" if near else f"; {otherwise}"


def _shown(name: str) -> str:
    """A client's word fit for a log line and a terminal: escaped, and not endless."""
    return repr(name[:80])
