"""A daemon tells a real OTLP receiver of each request and renewal; where nobody wants that, it knows nothing of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from collector import Collector, Span
from shell import Daemon, Person
from vendors import vendors
from working import KEYED, Working, configuration, signed_in

from vaultd.config.model import Tracing
from vaultd.effects import Reply, Send
from vaultd.net.clock import SystemClock
from vaultd.work.metrics import hashed
from vaultd.work.story import Story
from vaultd.work.traces import Ended, Traces, model_of

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAID = [{"role": "user", "content": "CANARY-prompt: say hello"}]
CHAT = {"model": "big", "messages": SAID}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.ends()


@pytest.fixture(scope="module")
def traced(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory, planted: Callable[[Path], Path]
) -> Iterator[Working]:
    home = tmp_path_factory.mktemp("home")
    env = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("r", numbered=True)),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "PATH": os.environ["PATH"],
        # Not ours to read: spans go where the configuration says.
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=CANARY-environment",
    }
    Path(env["XDG_RUNTIME_DIR"]).chmod(0o700)
    person = Person(env)
    with ExitStack() as stack:
        sandbox = stack.enter_context(vendors())
        tracing = {"otlp-url": collector.url, "headers": {"Authorization": "Bearer CANARY-collector"}}
        person.configures(json.dumps(configuration(sandbox) | {"tracing": tracing}))
        planted(person.config)
        ids = asyncio.run(signed_in(env, sandbox))
        daemon = Daemon(person)
        stack.callback(daemon.ends)
        yield Working(daemon, sandbox, ids)


def family(spans: list[Span]) -> tuple[Span, list[Span]]:
    """The request's own span and its tries, which hold together and lie within it."""
    (root,) = (span for span in spans if span.kind == "server")
    tries = [span for span in spans if span is not root]
    for span in tries:
        assert (span.kind, span.trace, span.parent) == ("client", root.trace, root.id)
        assert root.began <= span.began + 1e-6
        assert span.ended <= root.ended + 1e-6
    return root, tries


def test_a_request_is_a_span_and_its_try_another(traced: Working, collector: Collector) -> None:
    before = time.time()
    assert traced.asks("POST", "/v1/chat/completions", CHAT, **KEYED)[0] == 200
    root, (tried,) = family(collector.told(2))
    assert before <= root.began <= root.ended <= time.time()
    assert (root.name, tried.name) == ("POST /v1/chat/completions", "chat big")
    assert root.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "big",
        "gen_ai.request.stream": False,
        "vaultd.format": "openai-chat",
        "vaultd.attempts": 1,
    }
    about = tried.attributes
    assert {name for name in about if name.startswith("gen_ai.usage.")} >= {
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    }
    assert about["gen_ai.response.model"] == "big"
    assert (about["gen_ai.provider.name"], about["vaultd.provider"]) == ("acme", "acme")
    assert (about["server.address"], about["server.port"]) == ("127.0.0.1", int(traced.sandbox.url.rpartition(":")[2]))
    assert not root.failed
    assert not tried.failed
    assert collector.resources[-1]["service.name"] == "vaultd"


def test_a_stream_has_its_time_to_the_first_chunk_and_a_login_its_vendors_known_name(
    traced: Working, collector: Collector
) -> None:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": SAID, "stream": True}
    assert traced.asks("POST", "/v1/messages", body, **KEYED)[0] == 200
    root, (tried,) = family(collector.told(2))
    assert root.attributes["gen_ai.request.stream"] is True
    assert tried.attributes["gen_ai.provider.name"] == "anthropic"
    assert tried.attributes["vaultd.credential"] == hashed(traced.ids["claude"])
    assert 0 < tried.attributes["gen_ai.response.time_to_first_chunk"] <= tried.ended - tried.began


def test_a_try_in_vain_is_a_span_that_failed(traced: Working, collector: Collector) -> None:
    traced.sandbox.fault("invented", at="llm", do="status", status=429)
    assert traced.asks("POST", "/v1/chat/completions", CHAT, **KEYED)[0] == 200
    root, (vain, served) = family(collector.told(3))
    assert root.attributes["vaultd.attempts"] == 2
    assert (vain.failed, vain.attributes["error.type"], vain.attributes["http.response.status_code"]) == (
        True,
        "429",
        429,
    )
    assert vain.attributes["vaultd.credential"] != served.attributes["vaultd.credential"]
    assert vain.ended <= served.began + 1e-6
    assert not served.failed
    assert not root.failed


def test_a_stream_that_is_cut_and_a_request_that_nobody_serves(traced: Working, collector: Collector) -> None:
    traced.sandbox.fault("invented", at="llm", do="cut-stream", after_events=2)
    traced.asks("POST", "/v1/chat/completions", CHAT | {"stream": True}, **KEYED)
    root, (tried,) = family(collector.told(2))
    assert (root.failed, root.attributes["error.type"], tried.attributes["error.type"]) == (True, "vendor", "vendor")
    assert traced.asks("POST", "/v1/chat/completions", {"model": "nobodys", "messages": SAID}, **KEYED)[0] == 404
    root, tries = family(collector.told(1))
    assert (root.attributes["vaultd.refused"], root.attributes["http.response.status_code"]) == ("no-such-model", 404)
    assert tries == []


def test_the_clients_trace_goes_on_here_and_stays_here(traced: Working, collector: Collector) -> None:
    parent = f"00-{TRACE}-{CALLER}-01"
    body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": SAID}
    heard = traced.asks("POST", "/v1/messages", body, traceparent=parent, tracestate="a=b", baggage="c=d", **KEYED)
    assert heard[0] == 200
    root, _ = family(collector.told(2))
    assert (root.trace, root.parent) == (TRACE, CALLER)
    sent = {name.lower() for name, _ in traced.sandbox["claude"].hits[-1].headers}
    assert not sent & {"traceparent", "tracestate", "baggage"}
    # One that its client does not sample is not told of; the next one, without any, is the next that is.
    traced.asks("POST", "/v1/chat/completions", CHAT, traceparent=f"00-{TRACE}-{CALLER}-00", **KEYED)
    traced.asks("POST", "/v1/messages/count_tokens", {"model": "claude-sonnet-4-5", "messages": SAID}, **KEYED)
    root, _ = family(collector.told(2))
    assert (root.parent, root.attributes["gen_ai.operation.name"]) == ("", "count_tokens")


def test_renewals_are_spans(traced: Working, collector: Collector) -> None:
    assert traced.manages("POST", f"/credentials/{traced.ids['codex']}/refresh")[0] == 200
    renewed = collector.renewed("renewed")
    assert (renewed.name, renewed.kind, renewed.parent, renewed.failed) == ("renew codex", "internal", "", False)
    assert renewed.attributes["vaultd.credential"] == hashed(traced.ids["codex"])
    traced.manages("POST", f"/credentials/{traced.ids['dead']}/refresh")
    dead = collector.renewed("dead")
    assert (dead.failed, dead.attributes["error.type"]) == (True, "dead")
    assert dead.attributes["vaultd.credential"] == hashed(traced.ids["dead"])


def test_a_collector_that_is_down_costs_nothing_and_hears_it_later(traced: Working, collector: Collector) -> None:
    collector.status = 503
    assert traced.asks("POST", "/v1/chat/completions", CHAT, **KEYED)[0] == 200
    assert collector.refused.wait(30)
    traced.daemon.says("the collector of traces does not take them")
    collector.status = 200
    family(collector.told(2))
    traced.daemon.says("the collector of traces takes them again")
    collector.status = 400
    collector.refused.clear()
    assert traced.asks("POST", "/v1/chat/completions", CHAT, **KEYED)[0] == 200
    assert collector.refused.wait(30)
    traced.daemon.says("the collector of traces does not take them")
    assert "vaultd_traces_dropped_total 1.0" in traced.daemon.asked("/metrics")[1]
    collector.status = 200


async def test_what_is_not_sampled_is_not_sent_and_says_nothing_of_the_collector(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[int] = []

    async def send(effect: Send, *, proxy: str | None = None) -> Reply:
        del effect, proxy
        heard.append(len(caplog.messages))
        return Reply(400 if len(heard) == 1 else 200, {}, b"")

    traces = Traces(Tracing(otlp_url="http://127.0.0.1:4318"), send, SystemClock(), lambda _count: None)
    caplog.set_level("INFO", "vaultd.traces")
    for parent in ("", f"00-{TRACE}-{CALLER}-00", ""):
        traces.request(Ended(Story(endpoint="POST /v1/messages", status=200, ended=1.0), parent, {}, ""))
        await traces.close()
    assert heard == [0, 1]
    assert [words.rpartition("them")[2] for words in caplog.messages] == ["", " again"]


def test_thr_31_no_span_holds_a_prompt_a_key_or_an_address(traced: Working, collector: Collector) -> None:
    traced.asks("POST", "/v1/chat/completions", CHAT | {"user": "ann@example.com"}, **KEYED)
    collector.told(2)
    raw = b"".join(collector.raw)
    assert len(collector.raw) > 5
    for secret in (b"CANARY", b"example.com", b"hello"):
        assert secret not in raw
    assert {headers["authorization"] for headers in collector.headers} == {"Bearer CANARY-collector"}
    assert {headers["content-type"] for headers in collector.headers} == {"application/x-protobuf"}
    shown = json.dumps(traced.manages("GET", "/config")[1]["tracing"])
    assert "CANARY" not in shown
    assert collector.url in shown
    assert not any("CANARY" in line for line in traced.daemon.log)


def test_what_is_not_asked_for_is_not_imported(home: dict[str, str]) -> None:
    """A whole daemon's house, built and started, without a word of OpenTelemetry."""
    code = (
        "import asyncio, os, sys\n"
        "import vaultd.server.run\n"
        "from vaultd.house import build\n"
        "async def main():\n"
        "    house = await build(os.environ, None, for_daemon=True)\n"
        "    await house.start()\n"
        "    await house.close()\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("answer", "model"),
    [
        (b'{"id": "x", "model": "gpt-5-2025", "choices": []}', "gpt-5-2025"),
        (b'data: {"type":"message_start","message":{"model":"claude-x"}}\n\n', "claude-x"),
        (b'{"candidates": [], "modelVersion" : "gemini-2.5-pro-002"}', "gemini-2.5-pro-002"),
        (b'{"content": "she said \\"model\\": \\"secret\\""}', ""),
        (b'{"model": "two words, said by somebody"}', ""),
        (b"\x1f\x8b\x08", ""),
    ],
)
def test_the_model_that_answered(answer: bytes, model: str) -> None:
    assert model_of(answer) == model
