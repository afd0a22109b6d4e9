"""Every check, run: `examine` for whoever asks, `quick` for one screen, `watched` for who looks each minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from vaultd.work.health import configuration, keys, logins, machine, network, others
from vaultd.work.health.codes import CHECKS, FAULTS, Finding
from vaultd.work.health.seen import House

#: What may be asked each minute of a busy daemon: system calls on a few files, and what the house knows.
_QUICK: Final[tuple[Callable[[House], Iterator[Finding]], ...]] = (
    configuration.troubles,
    configuration.usage,
    configuration.audit,
    configuration.warnings,
    configuration.daemon,
    configuration.client_keys,
    keys.root_key,
    keys.next_start,
    keys.recovery,
    keys.folders,
    keys.sealed_files,
    machine.disk,
    machine.file_system,
    machine.clock,
    machine.process,
    logins.standings,
    logins.ending,
    logins.saved,
    logins.vendors,
    logins.sunsets,
    network.certificate,
)
#: What binds ports, and so may be in another program's way for a moment; and what reads other programs' files, which
#: only somebody who asks should have read.
_RARE: Final[tuple[Callable[[House], Iterator[Finding]], ...]] = (
    network.exposure,
    network.callback_ports,
    others.second_refreshers,
)

_ORDER: Final = {check: number for number, check in enumerate(CHECKS)}
_CODES: Final = {code: number for number, code in enumerate(FAULTS)}


async def examine(house: House) -> list[Finding]:
    """Everything that is wrong, in the order of `CHECKS`."""
    findings = [*quick(house), *(finding for check in _RARE for finding in check(house))]
    findings += [finding async for finding in network.proxies(house)]
    return _in_order(findings)


def quick(house: House) -> list[Finding]:
    """Without what may be in another program's way, or waits."""
    return _in_order(finding for check in _QUICK for finding in check(house))


async def watched(house: House) -> list[Finding]:
    """The same, but letting others in between: with a thousand credentials all checks together are 20 ms."""
    findings: list[Finding] = []
    for check in _QUICK:
        findings += check(house)
        await asyncio.sleep(0)
    return _in_order(findings)


def _in_order(findings: list[Finding] | Iterator[Finding]) -> list[Finding]:
    once = dict.fromkeys(findings)
    return sorted(once, key=lambda one: (_ORDER[one.fault.check], _CODES[one.code], one.subject))
