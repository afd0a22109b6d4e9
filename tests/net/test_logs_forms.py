"""The log's two forms, and what the journal is told: the same fields, nothing more, in one line (THR-27 to THR-29)."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.net.log_file import LogFile, tail_of
from vaultd.net.logs import FIELDS, JsonLine, Line, Told, in_journal
from vaultd.net.recent import Recent
from vaultd.secret import Secret


def record(message: str, *, level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    known = {"name": "vaultd.work", "msg": message, "levelno": level, "levelname": logging.getLevelName(level)}
    return logging.makeLogRecord(known | {"created": 0.25} | fields)


def test_a_json_line_is_time_level_logger_message_and_fields() -> None:
    line = JsonLine().format(record("renewed", credential="codex-a", expires_in=3600, reason='it was "due"'))
    assert list(json.loads(line).items()) == [
        ("ts", "1970-01-01T00:00:00.250Z"),
        ("level", "info"),
        ("logger", "vaultd.work"),
        ("msg", "renewed"),
        ("credential", "codex-a"),
        ("reason", 'it was "due"'),
        ("expires_in", 3600),
    ]


def test_thr_27_both_forms_have_the_same_fields_for_both_kinds_of_record() -> None:
    fields = {name: f"a {name}" for name in FIELDS} | {"token": "CANARY", "headers": {"authorization": "CANARY"}}
    for one in (record("renewed", **fields), Told("vaultd.relay", "relayed", fields)):
        found = json.loads(JsonLine().format(one))
        assert set(found) - {"ts", "level", "logger", "msg"} == set(FIELDS)
        assert all(f"{name}=" in Line().format(one) for name in FIELDS)
        assert "CANARY" not in str(found)


def test_thr_27_a_secret_is_struck_out_of_what_went_wrong_however_json_would_spell_it() -> None:
    secret = 'CANARY-"quoted"\\0123'
    line = JsonLine(lambda: [Secret(secret)]).format(
        record(f"bad {secret}", level=logging.WARNING, reason=f"x{secret}", bytes=7)
    )
    assert json.loads(line)["msg"] == "bad ***"
    assert json.loads(line)["reason"] == "x***"
    assert "CANARY" not in line


def test_thr_28_an_exception_shows_where_and_not_what() -> None:
    try:
        raise ValueError("CANARY in a message")
    except ValueError as error:
        line = JsonLine().format(record("failed", exc_info=(type(error), error, error.__traceback__)))
    assert "CANARY" not in line
    assert json.loads(line)["exception"] == "ValueError"
    assert json.loads(line)["at"].startswith("test_logs_forms.py:")


@given(st.text())
def test_thr_29_a_json_line_is_one_printable_line_whatever_is_in_it(text: str) -> None:
    line = JsonLine().format(record(text, file=text))
    assert line.isprintable()
    assert json.loads(line)["file"] == text


def test_thr_29_half_a_character_of_a_files_name_breaks_no_line() -> None:
    assert json.loads(JsonLine().format(record("imported", file="\udcff\u202e.json")))["file"] == "\udcff\u202e.json"


@pytest.mark.parametrize(("level", "begins"), [("INFO", "<6>"), ("WARNING", "<4>"), ("ERROR", "<3>"), ("DEBUG", "<7>")])
def test_for_the_journal_a_line_begins_with_its_priority_and_text_has_no_time(level: str, begins: str) -> None:
    one = record("renewed", level=getattr(logging, level), credential="codex-a")
    assert Line(journal=True).format(one) == f"{begins}{level.lower()} renewed credential=codex-a"
    assert JsonLine(journal=True).format(one) == begins + JsonLine().format(one)


SPEAKING = """
import logging, os, sys
from vaultd.net import logs
logs.set_up(logs.Gathered(), debug=False, form=sys.argv[1], journal=logs.in_journal(os.environ))
logging.getLogger("vaultd.work").warning("not renewed", extra={"credential": "codex-a"})
"""


@pytest.mark.parametrize("ours", [True, False])
def test_the_journal_is_known_by_device_and_inode_of_stderr(ours: bool) -> None:
    """systemd.exec(5): a service that starts another with its own stderr hands the variable on."""
    reader, writer = os.pipe()
    facts = os.fstat(writer if ours else 0)
    env = {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", SPEAKING, "text"], stderr=writer, env=env, check=True)
    os.close(writer)
    with open(reader) as pipe:  # noqa: PTH123  - a descriptor
        said = pipe.read()
    if ours:
        assert said == "<4>warning not renewed credential=codex-a\n"
    else:
        assert said.endswith("Z warning not renewed credential=codex-a\n")


def test_no_journal_is_seen_where_there_is_none() -> None:
    assert not in_journal({})
    assert not in_journal({"JOURNAL_STREAM": "nonsense"})
    assert not in_journal({"JOURNAL_STREAM": "0:0"}, stream=999_999)


def test_a_file_of_json_lines_is_read_from_its_end_by_time(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "vaultd.log")
    file.setFormatter(JsonLine())
    for second in (10, 20, 30):
        file.emit(record(f"at {second}", created=float(second)))
    assert [json.loads(line)["msg"] for line in file.tail(10, 9, 9999).lines] == ["at 20", "at 30"]
    file.setFormatter(Line())  # as after a reload
    file.emit(record("at 40", created=40.0))
    found = file.tail(20, 9, 9999)
    assert (len(found.lines), found.latest) == (2, 40)
    assert tail_of(tmp_path / "vaultd.log", 20, 9, 9999) == found
    file.close()


def test_what_is_kept_in_memory_reads_as_the_log_does() -> None:
    recent = Recent()
    recent.handle(record("renewed", credential="codex a", expires_in=5))
    (said,) = recent.since(0)
    assert said.line("text") == Line().format(record("renewed", credential="codex a", expires_in=5))
    logged = json.loads(JsonLine().format(record("renewed", credential="codex a", expires_in=5)))
    assert json.loads(said.line("json")) == {name: value for name, value in logged.items() if name != "logger"}


@pytest.mark.parametrize("form", ["text", "json"])
def test_thr_28_a_line_that_cannot_be_made_says_so_in_one_line_and_nothing_of_what_it_was_made_of(form: str) -> None:
    """Python's logging would print a traceback and the arguments instead."""
    speaking = f"""
import logging
from vaultd.net import logs
logs.set_up(logs.Gathered(), debug=False, form={form!r})
logging.getLogger("somebody.elses").warning("%d tokens", "CANARY")
"""
    done = subprocess.run([sys.executable, "-c", speaking], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    assert "warning" in line
    assert "a line that cannot be shown" in line
    assert "CANARY" not in line
