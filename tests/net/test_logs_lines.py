"""Log lines: what may stand in one, and what never does."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from vaultd.net.logs import Line
from vaultd.secret import Secret


def line(message: str, *, level: int = logging.INFO, secrets: tuple[str, ...] = (), **fields: Any) -> str:
    record = logging.makeLogRecord(
        {"msg": message, "levelno": level, "levelname": logging.getLevelName(level)} | fields
    )
    return Line(lambda: [Secret(value) for value in secrets]).format(record)


def test_a_line_is_time_level_verb_and_fields() -> None:
    said = line("renewed", created=0.25, credential="codex-a", expires_in=3600, reason="it was due")
    assert said == '1970-01-01T00:00:00.250Z info renewed credential=codex-a reason="it was due" expires_in=3600'


def test_thr_27_only_listed_fields_are_written() -> None:
    assert "CANARY" not in line("renewed", token="CANARY", headers={"authorization": "CANARY"})


def test_thr_27_a_value_in_memory_is_struck_out_of_what_went_wrong() -> None:
    said = line("refused", level=logging.WARNING, secrets=("CANARY-0123456789",), reason="bad token CANARY-0123456789")
    assert said.endswith('reason="bad token ***"')


def test_thr_28_an_exception_shows_where_and_not_what() -> None:
    try:
        raise ValueError("CANARY in a message")
    except ValueError as error:
        said = line("failed", level=logging.ERROR, exc_info=(type(error), error, error.__traceback__))
    assert "CANARY" not in said
    assert "exception=ValueError at=test_logs_lines.py:" in said


def test_thr_29_nothing_breaks_the_line_or_the_terminal() -> None:
    said = line("imported", file="a\nb\x1b[2J\u202etxt\udcff")
    assert said.encode().endswith(rb"\udcff"), "half a character, of a file's name"
    assert "\n" not in said
    assert "\x1b" not in said
    assert "\u202e" not in said


SPEAKING = """
import logging
from vaultd.net import logs
logs.set_up(logs.Gathered(), debug=False)
logging.getLogger("vaultd.vault").error("not committed")
print("and went on")
"""


def test_sec_46_a_log_that_cannot_be_written_ends_nothing_it_tells_of() -> None:
    """As on the full disk that a commit failed on, where stderr goes to a file on it."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", SPEAKING], stdout=subprocess.PIPE, stderr=full, check=False)
    assert done.stdout == b"and went on\n"


def test_a_log_whose_reader_is_gone_ends_nothing_it_tells_of() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as broken:  # noqa: PTH123  - a descriptor
        done = subprocess.run([sys.executable, "-c", SPEAKING], stdout=subprocess.PIPE, stderr=broken, check=False)
    assert done.stdout == b"and went on\n"
