"""The audit log, read, proved, and accepted as it is; `vault.audit` owns it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from vaultd.errors import TryLater
from vaultd.house import House
from vaultd.vault.audit_chain import Line, Report
from vaultd.vault.store.files import reason
from vaultd.verbs.arguments import number

#: A screenful; and what one answer over the admin socket may be (16 MiB) holds this many.
_USUAL, _MOST = 50, 20_000


async def show(house: House, args: Mapping[str, Any]) -> Any:
    """The last actions, oldest first, each with what became of it."""
    most = number(args, "lines", least=1, most=_MOST) or _USUAL
    try:
        lines = await house.audit.last(2 * most + _MOST)
    except OSError as error:
        raise TryLater(f"{house.audit.path}: {reason(error)}", own=True) from error
    rows = _rows(lines)[-most:]
    return {"data": rows, "count": len(rows), "file": str(house.audit.path)}


async def verify(house: House, _args: Mapping[str, Any]) -> Any:
    return _told(house, await _walked(house))


async def accept(house: House, _args: Mapping[str, Any]) -> Any:
    """Answers what was wrong until now."""
    report = await _walked(house)
    if not report.sound:
        await house.audit.accept(len(report.problems))
    return _told(house, report)


async def _walked(house: House) -> Report:
    try:
        return await house.audit.verify()
    except OSError as error:
        raise TryLater(f"{house.audit.path}: {reason(error)}", own=True) from error


def _told(house: House, report: Report) -> Any:
    return {**msgspec.to_builtins(report), "log": str(house.audit.path)}


def _rows(lines: list[Line]) -> list[dict[str, Any]]:
    """One for each action: the line that asked, and its outcome where it has one."""
    rows: dict[int, dict[str, Any]] = {}
    for line in lines:
        row = {
            "line": line.seq,
            "at": line.at,
            "who": line.who,
            "action": line.action,
            "what": line.what,
            "outcome": "unfinished" if line.outcome == "asked" else line.outcome,
            "status": line.status,
        }
        if line.asked in rows:
            rows[line.asked] |= {"what": line.what, "outcome": line.outcome, "status": line.status}
        else:
            rows[line.seq] = row
    return list(rows.values())
