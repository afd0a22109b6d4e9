"""`vaultd config …`: is the configuration right, and what is in force. Needs no daemon, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from vaultd.cli import terminal
from vaultd.cli.ask import call_of
from vaultd.errors import Misconfigured

if TYPE_CHECKING:
    from vaultd.catalog.models import Catalog
    from vaultd.config.load import Loaded


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command()
@terminal.json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Read configuration and manifests; name what is wrong (exit 78) or worth knowing."""
    try:
        loaded, catalog = _read(ctx)
    except Misconfigured as error:
        if as_json:
            terminal.out_json({"ok": False, "error": str(error), "warnings": []})
        raise
    warnings = [*loaded.warnings, *catalog.notes, *_sunsets(loaded, catalog)]
    if as_json:
        terminal.out_json({"ok": True, "file": loaded.source, "warnings": warnings})
        return
    for warning in warnings:
        terminal.out(f"warning: {warning}")
    terminal.out(f"ok: {loaded.source}")


@config.command()
@terminal.json_option
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Every value in force, defaults included, secrets masked."""
    from vaultd.config.masked import masked  # noqa: PLC0415 - start-up time

    loaded, _ = _read(ctx)
    values = masked(loaded.config)
    if as_json:
        terminal.out_json(values)
        return
    import yaml  # noqa: PLC0415

    for line in yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000).splitlines():
        terminal.out(line)


def _read(ctx: click.Context) -> tuple[Loaded, Catalog]:
    from vaultd.catalog.load import load, shipped_folder  # noqa: PLC0415 - start-up time
    from vaultd.config.load import read  # noqa: PLC0415

    call = call_of(ctx)
    loaded = read(call.env, call.config)
    return loaded, load(shipped_folder(), loaded.places.providers_dir, loaded.config, loaded.source)


def _sunsets(loaded: Loaded, catalog: Catalog) -> Iterator[str]:
    """Vendors that closed the way in which somebody here still uses."""
    today = datetime.now(tz=UTC).date().isoformat()
    for id_, entry in catalog.providers.items():
        day = entry.provider.sunset
        if day and day <= today and any(loaded.places.auth_dir.glob(f"{id_}-*.json")):
            yield f"{id_}: closed by its vendor on {day}. {entry.provider.sunset_note}".rstrip()
