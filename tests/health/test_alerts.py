"""Who did not ask is told: once when a fault is new, once when it is mended, by a receiver that may fail."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from desk import login
from homes import LOGIN, configured, dead, inside, overlaid, signed_in
from homes import login as made_up
from shell import LONGEST, Daemon, Person
from vendors import vendors

from vaultd.config.masked import masked
from vaultd.effects import Reply, Send
from vaultd.errors import TryLater
from vaultd.house import House, build
from vaultd.work.alerts import Alerts, Pace
from vaultd.work.health.codes import Finding, found

QUICK = Pace(look=0.02, settle=0.001, between=0.001, first_pause=0.01, last_pause=0.02)


@dataclass
class Receiver:
    """A receiver of webhooks: what it was sent, and what it answers next."""

    url: str
    got: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    answers: list[int] = field(default_factory=list)

    def next(self) -> dict[str, Any]:
        return self.got.get(timeout=LONGEST)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = here.answers.pop(0) if here.answers else 200
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            here.got.put(body | {"answered": status})

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    here = Receiver(f"http://127.0.0.1:{server.server_port}/services/CANARY-hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield here
    server.shutdown()
    server.server_close()
    thread.join(LONGEST)


def test_a_login_that_dies_while_the_daemon_runs_is_told_and_so_is_its_return(
    person: Person, receiver: Receiver, serves: Callable[..., Daemon], planted: Callable[[Path], Path]
) -> None:
    planted(person.config)
    with vendors() as sandbox:
        overlaid(person, sandbox.overlay())
        configured(person, alerts={"webhook-url": receiver.url})
        signed_in(person, login(sandbox, "codex", "", time.time()))
        daemon = serves(person)
        sandbox["codex"].sign_out("")
        assert person.types("credentials", "refresh", "codex-codex@example.com").code == 3
        message = receiver.next()
        assert (message["code"], message["state"]) == ("sign-in-required", "fault")
        assert message["subject"] == "codex-codex@example.com"
        assert message["action"] == "vaultd login --codex"
        assert message["text"].startswith(f"vaultd on {message['host']}: codex-codex@example.com: sign-in required")
        assert message["text"].endswith("(vaultd login --codex)")
        assert message["at"].endswith("Z")
        signed_in(person, login(sandbox, "codex", "", time.time()))
        mended = receiver.next()
        assert (mended["code"], mended["state"]) == ("sign-in-required", "mended")
        assert 'vaultd_faults{code="sign-in-required"}' not in daemon.asked("/metrics")[1]
    assert "warning fault" in daemon.says("code=sign-in-required")
    assert "info mended" in daemon.says("code=sign-in-required")
    assert "CANARY" not in "\n".join(daemon.log) + json.dumps([message, mended])


def test_a_receiver_that_fails_is_a_fault_and_gets_the_message_again(
    person: Person, receiver: Receiver, serves: Callable[..., Daemon], planted: Callable[[Path], Path]
) -> None:
    planted(person.config)
    receiver.answers = [500] * 40
    configured(person, alerts={"webhook-url": receiver.url})
    signed_in(person, dead(made_up()))
    daemon = serves(person)
    assert receiver.next()["answered"] == 500
    assert "it answered 500" in daemon.says("the receiver of alerts does not take them")
    rows = {row["code"] for row in person.types("doctor", "--json").json["checks"]}
    assert "webhook-failing" in rows
    assert daemon.asked("/healthz")[0] == 200
    assert "CANARY" not in "\n".join(daemon.log)


@dataclass
class Scene:
    """Alerts at work over findings that the test writes."""

    alerts: Alerts
    findings: list[Finding]
    sent: queue.Queue[dict[str, Any]]
    troubles: list[str | None]
    house: House


@pytest.fixture
async def scene(person: Person, planted: Callable[[Path], Path]) -> AsyncIterator[Callable[..., Scene]]:
    planted(person.config)
    configured(person, alerts={"webhook-url": "https://hooks.example/CANARY"})
    house = await build(person.env, None, for_daemon=False)

    def make(*failures: Exception | int) -> Scene:
        findings: list[Finding] = []
        sent: queue.Queue[dict[str, Any]] = queue.Queue()
        troubles: list[str | None] = []
        ahead = list(failures)

        async def send(effect: Send, *, proxy: str | None = None) -> Reply:
            assert proxy is None
            if ahead and isinstance(failure := ahead.pop(0), Exception):
                raise failure
            sent.put(json.loads(effect.body))
            return Reply(200)

        async def look() -> list[Finding]:
            return list(findings)

        return Scene(Alerts(house, look, send, troubles.append, QUICK), findings, sent, troubles, house)

    yield make
    await house.close()


async def test_a_fault_is_told_once_however_often_it_is_seen(scene: Callable[..., Scene]) -> None:
    here = scene()
    here.findings.append(found("disk-full", "3 KiB left", subject="/auth"))
    for _ in range(5):
        await here.alerts.look()
    assert len(here.alerts._waiting) == 1
    assert here.alerts.faults == {"disk-full": 1}
    here.findings.clear()
    await here.alerts.look()
    assert [message.state for message in here.alerts._waiting] == ["fault", "mended"]


async def test_what_wakes_nobody_is_counted_and_not_told(scene: Callable[..., Scene]) -> None:
    here = scene()
    here.findings.append(found("cooling", "rests", subject="codex-a"))
    await here.alerts.look()
    assert not here.alerts._waiting
    assert here.alerts.faults == {"cooling": 1}


async def test_a_thousand_logins_that_fail_are_four_messages(scene: Callable[..., Scene]) -> None:
    here = scene()
    here.findings += [found("renewal-failing", "503", subject=f"codex-{n}") for n in range(1000)]
    await here.alerts.look()
    told = [message.text.partition(": ")[2] for message in here.alerts._waiting]
    assert len(told) == 4
    assert told[-1] == "997 more of the kind renewal-failing (vaultd doctor)"


async def test_a_receiver_that_comes_back_gets_what_waited_in_order(scene: Callable[..., Scene]) -> None:
    import asyncio

    here = scene(TryLater("hooks.example cannot be reached"), TryLater("hooks.example did not answer in time"))
    here.findings.append(found("disk-full", "3 KiB left", subject="/auth"))
    at_work = asyncio.get_running_loop().create_task(here.alerts.forever())
    first = await asyncio.to_thread(here.sent.get, timeout=LONGEST)
    here.findings.clear()
    second = await asyncio.to_thread(here.sent.get, timeout=LONGEST)
    at_work.cancel()
    await asyncio.gather(at_work, return_exceptions=True)
    assert [first["state"], second["state"]] == ["fault", "mended"]
    assert here.troubles[:3] == [
        "the receiver of alerts does not take them: hooks.example cannot be reached",
        "the receiver of alerts does not take them: hooks.example did not answer in time",
        None,
    ]


async def test_no_word_of_the_address_is_shown_or_logged(
    scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture
) -> None:
    here = scene()
    with caplog.at_level(logging.DEBUG):
        here.findings.append(found("disk-full", "3 KiB left", subject="/auth"))
        await here.alerts.look()
    assert "CANARY" not in caplog.text
    assert masked(here.house.config)["alerts"] == {"webhook-url": "https://hooks.example/****"}


def test_a_receiver_that_is_no_address_is_refused(person: Person) -> None:
    configured(person, alerts={"webhook-url": "ftp://hooks.example/x"})
    done = person.types("config", "check")
    assert done.code == 78
    assert "alerts.webhook-url" in done.err


def test_what_fails_and_what_wakes_is_what_status_says_first(person: Person) -> None:
    signed_in(person, dead(made_up()))
    first = person.types("status").out.splitlines()[0]
    assert first.startswith(f"! {LOGIN}: sign-in required: refresh_token_reused, since ")
    assert first.endswith("(vaultd login --codex)")


def test_a_renewal_elsewhere_mends_what_was_told(person: Person) -> None:
    """The fault is looked at, not remembered: who else signs in ends it."""
    signed_in(person, dead(made_up()))
    signed_in(person, replace(made_up(), created_at=time.time()))

    async def lines(house: House) -> list[str]:
        from vaultd.verbs.status import needs_a_person

        return [line for line in needs_a_person(house) if LOGIN in line]

    assert inside(person, lines) == []
