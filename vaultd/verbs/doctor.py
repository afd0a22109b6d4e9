"""`doctor`: every check named, what it saw, and one next action. What there is to be found is `work.health`'s word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vaultd.house import House
from vaultd.work.health.codes import CHECKS, Finding
from vaultd.work.health.examine import examine


async def doctor(house: House, _args: Mapping[str, Any]) -> Any:
    findings = await examine(house)
    return {"well": not findings, "checks": list(rows(findings))}


def rows(findings: Iterable[Finding]) -> Iterator[dict[str, str]]:
    """A row per finding, and one for each check that found nothing."""
    by_check: dict[str, list[Finding]] = {}
    for finding in findings:
        by_check.setdefault(finding.fault.check, []).append(finding)
    for check, well in CHECKS.items():
        if check not in by_check:
            yield {"check": check, "code": "", "state": "ok", "subject": "", "says": well, "action": ""}
        for finding in by_check.get(check, ()):
            yield row(finding)


def row(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.fault.check,
        "code": finding.code,
        "state": finding.fault.state,
        "subject": finding.subject,
        "says": finding.says,
        "action": finding.action,
    }
