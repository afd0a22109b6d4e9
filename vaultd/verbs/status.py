"""One screen: what needs a person, the daemon, every credential."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from vaultd import __version__
from vaultd.house import House
from vaultd.pool import explain
from vaultd.verbs.credentials import rows_of
from vaultd.work.health.examine import quick


async def status(house: House, _args: Mapping[str, Any]) -> Any:
    return {
        "version": __version__,
        "daemon": _daemon(house),
        "folder": str(house.places.auth_dir),
        "config": house.config_source,
        "needs_a_person": list(needs_a_person(house)),
        "warnings": [*house.keyring.news, *house.warnings],
        "credentials": rows_of(house),
        "client_keys": len(house.clients.list()),
    }


def needs_a_person(house: House) -> Iterator[str]:
    """Each one line: what is wrong, and the next action. What is worth waking somebody for, and what fails now."""
    for finding in quick(house):
        if finding.fault.wakes or finding.fault.state == "fail":
            yield finding.sentence


def _daemon(house: House) -> dict[str, Any] | None:
    if house.daemon is None:
        return None
    return {
        "pid": os.getpid(),
        "address": house.daemon.address,
        "admin_socket": house.daemon.admin_socket,
        "started_at": explain.at(house.daemon.started_at),
        "draining": house.draining.is_set(),
    }
