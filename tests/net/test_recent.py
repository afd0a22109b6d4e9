"""The last of the log, in memory: what a line of the file may not say, it may not say either."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from typing import Any

from vaultd.net.logs import Told
from vaultd.net.recent import CAPACITY, Recent
from vaultd.secret import Secret


def record(message: str, *args: Any, level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    said = {"msg": message, "args": args, "levelno": level, "levelname": logging.getLevelName(level)}
    return logging.makeLogRecord(said | fields)


def test_a_line_comes_in_its_parts() -> None:
    recent = Recent()
    recent.handle(record("%s renewed", "it was", created=7.5, credential="codex-a", expires_in=3600))
    (said,) = recent.since(0)
    assert (said.at, said.level, said.text) == ("1970-01-01T00:00:07.500Z", "info", "it was renewed")
    assert said.fields == {"credential": "codex-a", "expires_in": 3600}


def test_the_oldest_make_room_and_who_watches_gets_what_is_new() -> None:
    recent = Recent()
    for number in range(CAPACITY + 10):
        recent.handle(Told("vaultd.relay", f"line {number}", {}))
    seen = recent.told
    assert seen == CAPACITY + 10
    assert [said.text for said in recent.since(0)][:: CAPACITY - 1] == ["line 10", f"line {CAPACITY + 9}"]
    assert [said.text for said in recent.since(0, 2)] == [f"line {CAPACITY + 8}", f"line {CAPACITY + 9}"]
    assert recent.since(seen) == []
    recent.handle(Told("vaultd.relay", "one more", {}))
    assert [said.text for said in recent.since(seen)] == ["one more"]


def test_thr_27_only_listed_fields_are_kept_and_known_secrets_struck_out_of_every_line() -> None:
    recent = Recent(lambda: [Secret("CANARY-0123456789")])
    recent.handle(record("told CANARY-0123456789", token="CANARY", reason="x CANARY-0123456789 y"))
    recent.handle(record("told CANARY-0123456789", level=logging.ERROR))
    first, second = recent.since(0)
    assert (first.text, first.fields, second.text) == ("told ***", {"reason": "x *** y"}, "told ***")


def test_thr_28_an_exception_shows_where_and_not_what_and_keeps_nothing_alive() -> None:
    class Held:
        """A request's body, say."""

    recent = Recent()
    gone: list[weakref.ref[Held]] = []

    def failing() -> None:
        held = Held()
        gone.append(weakref.ref(held))
        raise ValueError("CANARY in a message")

    try:
        failing()
    except ValueError as error:
        recent.handle(record("failed", level=logging.ERROR, exc_info=(type(error), error, error.__traceback__)))
    gc.collect()
    assert gone[0]() is None, "before anybody looks"
    (said,) = recent.since(0)
    assert said.fields["exception"] == "ValueError" and str(said.fields["frames"]).startswith("test_recent.py:")
    assert "CANARY" not in repr(said)


def test_thr_29_nothing_breaks_the_page_or_the_terminal() -> None:
    recent = Recent()
    recent.handle(record("a\nb\x1b[2J", file="\u202etxt\r\n"))
    (said,) = recent.since(0)
    assert said.text.isprintable() and all(str(value).isprintable() for value in said.fields.values())


def test_a_line_that_cannot_be_made_is_one_line_less() -> None:
    recent = Recent()
    recent.handle(record("%d", "no number"))
    assert [said.text for said in recent.since(0)] == ["a line that cannot be shown"]


def test_threads_that_log_at_once_lose_nothing() -> None:
    recent = Recent()
    threads = [
        threading.Thread(target=lambda: [recent.handle(Told("vaultd.x", "line", {})) for _ in range(250)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        recent.since(0)
    assert recent.told == 1000 and len(recent.since(0)) == 1000
