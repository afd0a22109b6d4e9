"""Writes the series into `docs/monitoring.md` from their table, so that none is described twice: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vaultd.work.metrics.series import EVERY, LABELS, PROCESS

PAGE: Final = Path("docs/monitoring.md")
#: What stands between these two lines of the page is written here, all else by hand.
BEGIN: Final = "<!-- Generated from vaultd/work/metrics/series.py by `make docs`; edit there. -->"
END: Final = "<!-- End of what is generated. -->"


def page(text: str) -> str:
    """`text` with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    return "\n".join([before + BEGIN, "", *_tables(), "", END]) + rest.partition(END)[2]


def _tables() -> Iterator[str]:
    yield "| series | kind | labels | what it says |"
    yield "|---|---|---|---|"
    for series in (*EVERY, *PROCESS):
        labels = ", ".join(f"`{label}`" for label in series.labels)
        yield f"| `{series.name}` | {series.kind} | {labels} | {series.says} |"
    yield ""
    yield "| label | what it may be |"
    yield "|---|---|"
    for label, says in LABELS.items():
        yield f"| `{label}` | {says} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
