"""Writes `docs/doctor.md` from the codes, so that none is explained twice: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vaultd.work.health.codes import CHECKS, FAULTS

PAGE: Final = Path("docs/doctor.md")

_HEAD: Final = """\
# What can be wrong

<!-- Generated from vaultd/work/health/codes.py by `make docs`; edit there. -->

`vaultd doctor` runs every check, asks the daemon where one runs and works on the folder itself where none does, and
exits with 0 only where nothing is found, with 1 otherwise. `vaultd doctor --json` answers

```json
{"well": false, "checks": [{"check": "credentials", "code": "sign-in-required", "state": "fail",
  "subject": "codex-ann@example.com", "says": "…", "action": "vaultd login --codex"}]}
```

with one row per fault, and one of `"state": "ok"` and without a code for each check that found none. A code is one kind
of fault and stays what it is; it may stand in several rows, for several subjects. `says` is for people and may change.
What stands here as next is the general action; a row names the command with its own credential, file or provider.
From what is seen to the code: [troubleshooting](troubleshooting.md).

A start that fails (exit 78) is told by `doctor` in a single row. The codes with a bell (🔔) are told without asking:
in the log and to `alerts.webhook-url`, once when the fault is new and once when it is mended. A daemon looks each
minute and whenever a credential changes; the metric `vaultd_faults{code}` counts what it found. What it told it knows
by heart only: after a restart it tells again what still stands. Of many faults of one code three are told one by one
and the others as one.
"""


def page() -> str:
    return "\n".join([_HEAD, *_contents(), *_sections()])


def _codes(check: str) -> list[str]:
    return [code for code, fault in FAULTS.items() if fault.check == check]


def _contents() -> Iterator[str]:
    yield "| check | codes |"
    yield "|---|---|"
    for check in CHECKS:
        yield f"| [{check}](#check-{check}) | {', '.join(f'[`{code}`](#{code})' for code in _codes(check))} |"
    yield ""


def _sections() -> Iterator[str]:
    """A heading for each code: an alert, a page and a person can point at one."""
    for check in CHECKS:
        yield f"## Check: {check}\n"
        for code in _codes(check):
            fault = FAULTS[code]
            bell = " 🔔" if fault.wakes else ""
            yield f"### {code}\n\n{fault.means}{bell}\n\nNext: {fault.action.replace('{subject}', '…')}\n"


if __name__ == "__main__":
    PAGE.write_text(page())
