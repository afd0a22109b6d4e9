"""`vaultd providers …`: which vendors there are, and where each of their values came from. Needs no daemon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from vaultd.cli import terminal
from vaultd.cli.ask import call_of

if TYPE_CHECKING:
    from vaultd.catalog.manifest import Provider
    from vaultd.catalog.models import Catalog


@click.group()
def providers() -> None:
    """The vendors known, and where each value came from."""


@providers.command("list")
@terminal.json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Every provider: how to sign in, what it speaks, whether its vendor has closed it."""
    catalog = _catalog(ctx)
    rows = [_row(entry.provider) for entry in catalog.providers.values()]
    for note in catalog.notes:
        terminal.chat(note)
    if as_json:
        terminal.out_json({"data": rows, "notes": list(catalog.notes)})
        return
    cells = [
        (
            row["id"],
            row["name"],
            ", ".join(row["ways"]),
            ", ".join(row["formats"]),
            _sunset(row["sunset"]),
            row["verified"],
        )
        for row in rows
    ]
    terminal.table(("ID", "NAME", "WAY IN", "FORMATS", "SUNSET", "VERIFIED"), cells)


@providers.command()
@click.argument("provider")
@terminal.json_option
@click.pass_context
def show(ctx: click.Context, provider: str, as_json: bool) -> None:
    """Every value of one provider with its origin."""
    entry = _catalog(ctx).entry(provider)
    values = [
        {"key": path, "value": value, "origin": entry.origins.get(path, "default")}
        for path, value in _leaves(msgspec.to_builtins(entry.provider))
        if path in entry.origins or value not in ("", [], {}, None)
    ]
    if as_json:
        terminal.out_json({"id": entry.provider.id, "data": values})
        return
    rows = [(str(row["key"]), str(row["origin"]), _text(row["value"])) for row in values]
    terminal.table(("KEY", "ORIGIN", "VALUE"), rows)


def _catalog(ctx: click.Context) -> Catalog:
    from vaultd.catalog.load import load, shipped_folder  # noqa: PLC0415 - start-up time
    from vaultd.config.load import read  # noqa: PLC0415

    call = call_of(ctx)
    loaded = read(call.env, call.config)
    return load(shipped_folder(), loaded.places.providers_dir, loaded.config, loaded.source)


def _row(provider: Provider) -> dict[str, Any]:
    ways: list[str] = [] if provider.oauth is None else [provider.oauth.flow]
    if provider.oauth is not None and provider.oauth.flow == "code" and provider.oauth.device != "none":
        ways.append("device")
    if provider.keys:
        ways.append("key")
    return {
        "id": provider.id,
        "name": provider.name or provider.id,
        "ways": ways,
        "formats": list(provider.api.formats),
        "sunset": provider.sunset,
        "verified": provider.verified,
    }


def _sunset(day: str) -> str:
    today = datetime.now(tz=UTC).date().isoformat()
    return f"{day} (over)" if day and day <= today else day or "-"


def _leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        below = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value:
            yield from _leaves(value, below)
        else:
            yield below, value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item["id"] if isinstance(item, dict) and "id" in item else item) for item in value)
    return str(value)
