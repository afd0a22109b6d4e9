"""Which credentials can serve one model name, in which tiers; or, in words, why none can.

Pure but for its arguments. No cooldown, no turn, no time: the answer holds until a fact that routing looks at changes
(`routed_alike`), and `work.plan` keeps it until then. What a name means is worked out once for all credentials of one
kind: ten thousand of them are a handful.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from vaultd.catalog.manifest import FormatName, Model, Provider
from vaultd.catalog.models import Catalog, is_pattern, resolve
from vaultd.config.model import QuotaExceeded
from vaultd.pool import explain, pick
from vaultd.pool.state import Member, Variant
from vaultd.vault.credential import Credential
from vaultd.wire import thinking
from vaultd.wire.ir import Reasoning
from vaultd.wire.refusal import Refusal

#: `provider://model` (provider ids are YAML file names and the names of `openai-compatibility` entries).
_EXPLICIT: Final = re.compile(r"([^/:]{1,64})://(.+)", re.DOTALL)
#: The longest id in the catalogue has 40 characters; vendors with paths in theirs stay below 100.
_LONGEST_NAME: Final = 256
#: So many credentials that cannot serve are named in a refusal; a status page has them all.
_NAMED: Final = 8


@dataclass(frozen=True, slots=True)
class Route:
    """Who serves `model`, in tiers of equal standing; `asked` is the reasoning that the name's suffix asks for. `name`
    is what the vendor calls it: two names of one model share turns, homes and probes."""

    model: str
    tiers: tuple[pick.Tier, ...]
    asked: Reasoning | None = None

    @property
    def name(self) -> str:
        return self.tiers[0].members[0].variants[0].name


@dataclass(frozen=True, slots=True)
class Kind:
    """Credentials that routing cannot tell apart but by their standing: what a name means for one it means for all."""

    provider: Provider
    disabled: bool
    models: tuple[tuple[str, str], ...]
    excluded: tuple[str, ...]
    projects: tuple[str, ...]
    ids: list[str]


@dataclass(frozen=True, slots=True)
class _Match:
    kind: Kind
    model: Model
    #: False where only a pattern matched: a model that nobody listed.
    listed: bool


def kinds(roster: Mapping[str, Credential], catalog: Catalog) -> list[Kind]:
    """Everybody whose vendor is known, by kind."""
    found: dict[tuple[object, ...], Kind] = {}
    for credential in roster.values():
        settings = credential.settings
        projects = projects_of(credential)
        key = (credential.provider, settings.disabled, settings.models, settings.excluded_models, projects)
        kind = found.get(key)
        if kind is not None:
            kind.ids.append(credential.id)
        elif (entry := catalog.providers.get(credential.provider)) is not None:
            found[key] = Kind(
                entry.provider, settings.disabled, settings.models, settings.excluded_models, projects, [credential.id]
            )
    return list(found.values())


def route(
    roster: Mapping[str, Credential],
    kinds: Sequence[Kind],
    catalog: Catalog,
    fmt: FormatName,
    name: str,
    quota: QuotaExceeded,
) -> Route:
    """Raises Refusal where nobody can serve `name`, with the reason and the next action. `kinds`: the roster's.

    Among equal priorities those whose vendor speaks `fmt`, the client's own, come first.
    """
    if not name or len(name) > _LONGEST_NAME:
        raise Refusal(400, "bad-request", "the request names no model" if not name else "the model name is too long")
    explicit = _EXPLICIT.fullmatch(name)
    provider, model = (explicit[1], explicit[2]) if explicit else ("", name)
    matches, asked = _matches(kinds, fmt, provider, model), None
    if not any(match.listed for match in matches):
        for split in (thinking.suffix, thinking.old_gemini_suffix):
            plain, wanted = split(model)
            if wanted is None:
                continue
            if found := _matches(kinds, fmt, provider, plain):
                matches, asked = found, wanted
                break
            # A pattern takes the whole name: that is no way round an exclusion.
            matches = [match for match in matches if not _excluded(match.kind, plain, _meant(match.kind, plain)[0])]
    members = [member for match in matches for member in _members(match, roster, catalog, fmt, quota)]
    if not members:
        raise _nobody(matches, roster, kinds, catalog, name, provider)
    return Route(name, pick.tiers(members), asked)


def routed_alike(old: Credential, new: Credential) -> bool:
    """True where nothing changed that routing looks at: new tokens are nothing to it."""
    return (
        (old.settings is new.settings or old.settings == new.settings)
        and (old.provider, old.kind, old.source) == (new.provider, new.kind, new.source)
        and (old.dead is None, old.bearer is None) == (new.dead is None, new.bearer is None)
        and projects_of(old) == projects_of(new)
    )


def projects_of(credential: Credential) -> tuple[str, ...]:
    """The operator's choice, else those the sign-in found."""
    facts = credential.account.facts
    found = credential.settings.projects or (facts.get("projects") if facts else None)
    return tuple(map(str, found)) if found else ()


def variants(model: Model, projects: Sequence[str], quota: QuotaExceeded) -> tuple[Variant, ...]:
    """In the order in which a 429 moves on: the model in each project, then its preview ids in each."""
    places = (projects if quota.switch_project else projects[:1]) or ("",)
    previews = model.preview if quota.switch_preview_model else ()
    ids = [model, *(msgspec.structs.replace(model, upstream=preview, preview=[]) for preview in previews)]
    return tuple(Variant(one, place) for one in ids for place in places)


def usable_now(credential: Credential, catalog: Catalog) -> bool:
    """True where nothing but a cooldown can keep it from serving. A config entry without a key asks without one."""
    return (
        credential.dead is None
        and not credential.settings.disabled
        and credential.provider in catalog.providers
        and (credential.bearer is not None or credential.source == "config")
    )


def _members(
    match: _Match, roster: Mapping[str, Credential], catalog: Catalog, fmt: FormatName, quota: QuotaExceeded
) -> Iterator[Member]:
    kind, model = match.kind, match.model
    if kind.excluded and model.preview:
        allowed = [preview for preview in model.preview if not _excluded(kind, preview, model)]
        model = msgspec.structs.replace(model, preview=allowed)
    provider, native = kind.provider, fmt in kind.provider.api.formats
    ways = variants(model, kind.projects, quota)
    for id_ in kind.ids:
        credential = roster[id_]
        if usable_now(credential, catalog):
            own = credential.settings
            yield Member(id_, provider, model, own.priority, native, own.weight, own.parallel, ways)


def _serves(kind: Kind, name: str) -> tuple[Model, bool] | None:
    """The model that `name` is for this kind, and whether it is listed (a pattern is not a listing)."""
    known = _known(kind, name)
    return None if known is None or _excluded(kind, name, known[0]) else known


def _known(kind: Kind, name: str) -> tuple[Model, bool] | None:
    if kind.models:
        return _by_alias(kind, name)
    model = resolve(kind.provider, name)
    if model is None:
        return None
    return model, listed(kind.provider, name) is not None


def _meant(kind: Kind, name: str) -> tuple[Model, bool]:
    """Likewise, for a name that may be nobody's."""
    return _known(kind, name) or (Model(id=name), False)


def _excluded(kind: Kind, name: str, model: Model) -> bool:
    """By the name that the client gives it or by the vendor's own: `gpt-5-high` is `gpt-5`."""
    names = {name.lower(), model.upstream.lower()} if kind.excluded else ()
    return any(fnmatchcase(one, pattern.lower()) for pattern in kind.excluded for one in names)


def _keeps_out(kind: Kind, name: str, wanted: str) -> bool:
    """True where only the exclusion is why it does not serve."""
    if wanted and kind.provider.id.lower() != wanted.lower():
        return False
    plain = name.removeprefix(f"{wanted}://") if wanted else name
    known = _known(kind, plain)
    return known is not None and _excluded(kind, plain, known[0])


def models(
    roster: Mapping[str, Credential], kinds: Sequence[Kind], catalog: Catalog
) -> dict[str, tuple[Model, list[str]]]:
    """Every listed model that a usable credential serves → the model, and the ids of the providers that do; sorted."""
    found: dict[str, tuple[Model, list[str]]] = {}
    for kind in kinds:
        if not any(usable_now(roster[id_], catalog) for id_ in kind.ids):
            continue
        for model in _listed(kind):
            _, providers = found.setdefault(model.id, (model, []))
            if kind.provider.id not in providers:
                providers.append(kind.provider.id)
    return {name: (model, sorted(providers)) for name, (model, providers) in sorted(found.items())}


def _listed(kind: Kind) -> Iterator[Model]:
    if kind.models:
        names: Iterable[str] = (alias for _, alias in kind.models)
    else:
        names = (model.id for model in kind.provider.models if not is_pattern(model))
    for name in names:
        served = _serves(kind, name)
        if served is not None:
            yield served[0]


def _by_alias(kind: Kind, name: str) -> tuple[Model, bool] | None:
    """An operator's list replaces the catalogue; the facts of a model the catalogue knows stay."""
    for upstream, alias in kind.models:
        if alias.lower() == name.lower():
            known = listed(kind.provider, alias) or resolve(kind.provider, upstream) or Model(id=alias)
            return msgspec.structs.replace(known, id=alias, upstream="" if alias == upstream else upstream), True
    return None


def listed(provider: Provider, name: str) -> Model | None:
    """The model of exactly that id, in any case: patterns do not count."""
    return next((model for model in provider.models if model.id.lower() == name.lower()), None)


def _matches(kinds: Sequence[Kind], fmt: FormatName, provider: str, name: str) -> list[_Match]:
    return _by_provider(kinds, provider, name) if provider else _by_name(kinds, fmt, name)


def _by_name(kinds: Sequence[Kind], fmt: FormatName, name: str) -> list[_Match]:
    """Who lists the id; and for an id that nobody here lists in this format, whose pattern matches it.

    A model listed in another format alone goes first where a pattern speaks the client's own, untranslated. A disabled
    credential does not count as listing it; a dead one does, for its login is meant to come back and the request is not
    to go to a stranger meanwhile.
    """
    found = [_Match(kind, *served) for kind in kinds if (served := _serves(kind, name)) is not None]
    listing = [match for match in found if match.listed and not match.kind.disabled]
    native = any(fmt in match.kind.provider.api.formats for match in listing)
    return [
        match
        for match in found
        if match.listed or not listing or (not native and fmt in match.kind.provider.api.formats)
    ]


def _by_provider(kinds: Sequence[Kind], wanted: str, name: str) -> list[_Match]:
    """`provider://model`: that provider's credentials, also for models nobody listed."""
    of_it = [kind for kind in kinds if kind.provider.id.lower() == wanted.lower()]
    known = [(kind, *_meant(kind, name)) for kind in of_it]
    return [_Match(kind, model, is_listed) for kind, model, is_listed in known if not _excluded(kind, name, model)]


def _nobody(
    matches: list[_Match],
    roster: Mapping[str, Credential],
    kinds: Sequence[Kind],
    catalog: Catalog,
    name: str,
    wanted: str,
) -> Refusal:
    """Credentials that cannot serve now; else those that exclude it; else vendors to sign in to; else a name that
    nobody knows."""
    if matches:
        ids = sorted(id_ for match in matches for id_ in match.kind.ids)
        rows = [explain.standing(roster[id_], catalog.providers) for id_ in ids]
        dead = any(row.state == "sign-in required" for row in rows)
        words = "; ".join(row.sentence for row in rows[:_NAMED])
        words += f"; and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        message = f"no credential can serve {_shown(name)} now: {words}"
        return Refusal(503, "sign-in-required" if dead else "no-credential", message)
    vendors = _vendors(catalog, name, wanted)
    if excluding := sorted(id_ for kind in kinds if _keeps_out(kind, name, wanted) for id_ in kind.ids):
        more = f" and {len(excluding) - _NAMED} more" if len(excluding) > _NAMED else ""
        words = f"{', '.join(excluding[:_NAMED])}{more} would, and may not (vaultd credentials show {excluding[0]})"
        return Refusal(503, "no-credential", f"{_shown(name)} is excluded: {words}")
    if vendors:
        ways = " or ".join(f"`{way_in(provider)}`" for provider in vendors[:4])
        return Refusal(503, "no-credential", f"no credential serves {_shown(name)}: {ways}")
    if wanted:
        near = difflib.get_close_matches(wanted.lower(), catalog.providers, n=3)
        words = _nearest(near, "`vaultd providers list` lists those known")
        return Refusal(404, "no-such-model", f"no such provider: {_shown(wanted)}{words}")
    near = difflib.get_close_matches(name.lower(), list(models(roster, kinds, catalog)), n=3, cutoff=0.5)
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
