"""A collector of traces on loopback: takes OTLP over HTTP and remembers what it was told."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from shell import LONGEST


@dataclass(frozen=True)
class Span:
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    began: float
    ended: float
    attributes: Mapping[str, Any]
    failed: bool


class Collector:
    """`status` is what it answers with; only what it took counts as told."""

    def __init__(self) -> None:
        self.status = 200
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.resources: list[dict[str, Any]] = []
        #: A login is renewed whenever it needs it, so these come in between.
        self._requests: queue.Queue[Span] = queue.Queue()
        self._renewals: queue.Queue[Span] = queue.Queue()
        self.refused = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.takes(self.path, dict(self.headers.items()), body)
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_words: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def takes(self, path: str, headers: dict[str, str], body: bytes) -> None:
        if self.status != 200:
            self.refused.set()
            return
        assert path == "/v1/traces"
        self.raw.append(body)
        self.headers.append({name.lower(): value for name, value in headers.items()})
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({one.key: _value(one.value) for one in resource.resource.attributes})
            for scope in resource.scope_spans:
                for span in scope.spans:
                    read = _read(span)
                    (self._renewals if read.kind == "internal" else self._requests).put(read)

    def told(self, count: int) -> list[Span]:
        """So many more spans of requests, once they are here, the first to begin first."""
        return sorted((self._requests.get(timeout=LONGEST) for _ in range(count)), key=lambda span: span.began)

    def renewed(self, outcome: str) -> Span:
        """The next renewal that ended so."""
        while True:
            span = self._renewals.get(timeout=LONGEST)
            if span.attributes["vaultd.outcome"] == outcome:
                return span

    def ends(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(LONGEST)


def _read(span: Sent) -> Span:
    return Span(
        span.name,
        Sent.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano / 1e9,
        span.end_time_unix_nano / 1e9,
        {one.key: _value(one.value) for one in span.attributes},
        span.status.code == 2,
    )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
