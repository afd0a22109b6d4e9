"""What a backup takes along and how it comes back: all that a new machine needs but the root key.

Along go the credentials, the client keys issued here, the configuration's text, drop-in manifests and prices. What is
only of this machine stays: leases, ledger, journal, usage, logs. A login comes back as a file that somebody kept does
(`Owner.restore`): where it was overtaken its token is spent, and it is left; elsewhere it begins a life there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.models import Catalog
from vaultd.config.load import Loaded, parse
from vaultd.config.model import Config
from vaultd.config.places import Places
from vaultd.errors import Misconfigured
from vaultd.pool.explain import at
from vaultd.secret import Secret
from vaultd.vault.backup import Member
from vaultd.vault.clients import ClientKeys
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner
from vaultd.work.config_file import ConfigFile
from vaultd.work.usage import prices

#: A renewal takes 30 s and as much again; then the token it had goes along, which a vendor may still take.
_WAIT: Final = 60.0
#: As for the request that brings it; the largest known is the example with every key, 20 kB.
_TEXT_LIMIT: Final = 512 * 1024
#: As messages name a configuration that is not written yet.
_SOURCE: Final = "the backup's configuration"


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one member. `left`: nothing, for the reason that `says` gives."""

    name: str
    what: str
    does: Literal["new", "replace", "here", "left"]
    says: str = ""


def names(owner: Owner, clients: ClientKeys, places: Places) -> list[str]:
    """What there is to take along, in order of the names."""
    found = [name for name, path in _texts(places) if path.is_file()]
    found += [f"client-key/{key.id}" for key in clients.list() if key.source == "vault"]
    return sorted(found + [f"credential/{id_}" for id_ in owner.snapshot()])


async def members(wanted: Sequence[str], owner: Owner, clients: ClientKeys, places: Places) -> AsyncIterator[Member]:
    """Each as it is now. A login is taken between two renewals, so that its refresh token is not being spent."""
    texts = dict(_texts(places))
    issued = {key.id: key for key in clients.list()}
    for name in wanted:
        kind, _, id_ = name.partition("/")
        if name in texts:
            refusal = f"is larger than {_TEXT_LIMIT // 1024} KiB, which no backup takes along"
            yield Member(name, bounded(texts[name], _TEXT_LIMIT, refusal))
        elif kind == "client-key" and (key := issued.get(id_)) is not None:
            issue = {"alias": key.alias, "value": key.value.reveal()}
            yield Member(name, msgspec.json.encode(issue | {"enabled": key.enabled, "created_at": key.created_at}))
        elif kind == "credential":
            async with owner.leased(id_, timeout=_WAIT) as lease:
                if (credential := lease.current) is not None:
                    plain = {"generation": credential.generation, "plain": credential.to_plain()}
                    yield Member(name, msgspec.json.encode(plain))


def _texts(places: Places) -> Iterator[tuple[str, Path]]:
    yield "config", places.config_file or places.config_dir / "config.yaml"
    if places.prices_file is not None:
        yield "prices", places.prices_file
    for path in sorted(places.providers_dir.glob("*.yaml")):
        yield f"providers/{path.name}", path


def bounded(path: Path, limit: int, refusal: str) -> bytes:
    """All of a file. Raises Misconfigured where it cannot be read, and with `refusal` where it is larger."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise Misconfigured(f"{path}: {refusal}")
    return data


@dataclass(frozen=True, slots=True)
class Texts:
    """What comes back of the configuration's files: where each belongs, and what a reload would say against it."""

    places: Places
    #: Member → why it cannot be accepted.
    refused: Mapping[str, str]


def weighed(given: Mapping[str, str], here: Loaded, placed: Callable[[Config], Places]) -> Texts:
    """The backup's files by their names, found right as a reload would find them, before any is written: one that is
    wrong stops every command. Together, for one may be of use only with another; where that fails, one by one."""
    refused = dict(_priced_wrong(given))
    config, places = here.config, here.places
    comes = "config" in given and places.config_file is None
    if comes:
        try:
            config = parse(given["config"], _SOURCE, [])
        except Misconfigured as error:
            refused["config"], comes = str(error), False
    source = _SOURCE if comes else here.source
    try:
        _accept(placed(config), config, source, _coming(given, placed(config)))
        return Texts(placed(config), refused)
    except Misconfigured:
        good: dict[str, str] = {}
    for name, data in given.items():
        if not name.startswith("providers/"):
            continue
        try:
            _accept(places, here.config, here.source, _coming(good | {name: data}, places))
            good[name] = data
        except Misconfigured as error:
            refused[name] = str(error)
    if comes:
        try:
            _accept(placed(config), config, source, _coming(good, placed(config)))
            places = placed(config)
        except Misconfigured as error:
            refused["config"] = str(error)
    return Texts(places, refused)


def _priced_wrong(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        prices.parse(given.get("prices", "").encode(), "the backup's prices")
    except Misconfigured as error:
        yield "prices", str(error)


def _accept(places: Places, config: Config, source: str, coming: Mapping[Path, bytes]) -> None:
    load(shipped_folder(), places.providers_dir, config, source, coming)


def _coming(given: Mapping[str, str], places: Places) -> dict[Path, bytes]:
    """The manifests that are not there yet."""
    manifests = (name.partition("/")[2] for name in given if name.startswith("providers/") and name.endswith(".yaml"))
    paths = (places.providers_dir / file for file in manifests)
    return {path: given[f"providers/{path.name}"].encode() for path in paths if not path.exists()}


async def text_back(name: str, data: str, texts: Texts, *, act: bool) -> Row:
    """A file of the configuration comes where none is; one that is there stays."""
    path = _place_of(name, texts.places)
    if path is None:
        return Row(name, "no place for it", "left", "the configuration does not say where it would lie")
    try:
        file = ConfigFile(path)
        there = file.read()
        if there is None and name in texts.refused:
            return Row(name, "cannot be accepted", "left", texts.refused[name])
        if there is None and act:
            async with file.held():
                if not file.replace(data.encode(), None):
                    there = file.read()
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}") from error
    if there is None:
        return Row(name, str(path), "new")
    if there == data.encode():
        return Row(name, str(path), "here")
    return Row(name, str(path), "left", "another one is here, which stays")


def _place_of(name: str, places: Places) -> Path | None:
    kind, _, file = name.partition("/")
    if name == "config":
        return places.config_file or places.config_dir / "config.yaml"
    if name == "prices":
        return places.prices_file
    return places.providers_dir / file if kind == "providers" and file.endswith(".yaml") else None


async def key_back(name: str, data: str, clients: ClientKeys, *, act: bool) -> Row:
    plain = _plain(name, data)
    try:
        alias, value = str(plain["alias"]), Secret(str(plain["value"]))
        enabled, created_at = bool(plain["enabled"]), float(plain["created_at"])
    except (KeyError, TypeError, ValueError):
        raise Misconfigured(f"{name}: is no client key") from None
    if any(key.value == value for key in clients.list()):
        return Row(name, alias, "here")
    if act:
        await clients.adopt(alias, value, enabled=enabled, created_at=created_at)
    return Row(name, alias, "new")


async def login_back(name: str, data: str, owner: Owner, catalog: Catalog, *, now: float, act: bool) -> Row:
    kept = _credential(name, data)
    what = f"{kept.provider} {kept.account.email or kept.account.person or kept.settings.label}".strip()
    current = owner.get(kept.id)
    if current is not None and _is_same_life(current, kept):
        return Row(name, what, "here")
    try:
        owner.may_return(kept)
        if act:
            await owner.restore(kept)
    except Misconfigured as error:
        return Row(name, what, "left", str(error))
    notes = []
    if kept.provider not in catalog.providers:
        notes.append(f"no provider {kept.provider} is known here: its manifest or openai-compatibility is missing")
    if kept.tokens is not None and kept.dead is None and kept.tokens.expires_at <= now:
        notes.append(
            f"its token ended at {at(kept.tokens.expires_at)}: where another vaultd has renewed it since, this one is"
            " spent, and a sign-in is needed"
        )
    return Row(name, what, "new" if current is None else "replace", "; ".join(notes))


def _credential(name: str, data: str) -> Credential:
    plain = _plain(name, data)
    generation, inner = plain.get("generation"), plain.get("plain")
    if type(generation) is not int or generation < 0 or not isinstance(inner, dict):
        raise Misconfigured(f"{name}: holds no credential")
    return Credential.from_plain(inner, id=name.partition("/")[2], generation=generation)


def _is_same_life(current: Credential, kept: Credential) -> bool:
    """The very tokens, whatever was set meanwhile: what is set here is the later word."""
    if current.tokens is None or kept.tokens is None:
        return current.key == kept.key and current.provider == kept.provider
    return current.tokens.refresh == kept.tokens.refresh and current.tokens.access == kept.tokens.access


def _plain(name: str, data: str) -> Mapping[str, Any]:
    try:
        plain = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise Misconfigured(f"{name}: is damaged")
    return plain
