"""Spans as OTLP has them. The one place that knows OpenTelemetry, an extra that is imported only where tracing is on.

The SDK makes ids, takes up a client's `traceparent` and encodes; what is sent goes out as everything else does
(`net.client`). No OTEL_EXPORTER_* variable is read from the environment: where spans go, the configuration says.
"""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from vaultd import __version__
from vaultd.errors import Misconfigured

if TYPE_CHECKING:
    from opentelemetry.context import Context

Value = str | int | float | bool
#: What follows the collector's address (OTLP 1.0, OTLP/HTTP request).
PATH: Final = "/v1/traces"
CONTENT_TYPE: Final = "application/x-protobuf"
_NEEDED: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.common")


class Span(NamedTuple):
    """`began` and `ended` are unix seconds; `error`: of a closed set, "" where it went well."""

    name: str
    kind: Literal["server", "client", "internal"]
    began: float
    ended: float
    attributes: Mapping[str, Value]
    error: str = ""


class Tree(NamedTuple):
    """One span and those below it. `parent`: what a client's `traceparent` said (W3C Trace Context), or ""."""

    root: Span
    below: Sequence[Span] = ()
    parent: str = ""


def require() -> None:
    """Raises Misconfigured where the extra is not installed."""
    try:
        there = all(importlib.util.find_spec(name) for name in _NEEDED)
    except ModuleNotFoundError:
        there = False
    if not there:
        raise Misconfigured(
            "tracing.otlp-url is set and OpenTelemetry is not installed: pip install 'vaultd[otel]'",
            code="tracing-unavailable",
        )


class Encoder:
    """For any thread: one that was left alone with a batch at the end may still be at it when the last is encoded."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import DEFAULT_ON  # noqa: PLC0415

        gathered: list[ReadableSpan] = []

        class Gather(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                gathered.append(span)

        about = {"service.name": "vaultd", "service.version": __version__, "host.name": socket.gethostname()}
        # A client whose own trace is not sampled is not traced here either; whoever has none is.
        provider = TracerProvider(sampler=DEFAULT_ON, resource=Resource(about), shutdown_on_exit=False)
        provider.add_span_processor(Gather())
        self._tracer = provider.get_tracer("vaultd", __version__)
        self._gathered, self._encode = gathered, encode_spans
        self._alone = threading.Lock()

    def encode(self, trees: Sequence[Tree]) -> bytes:
        """The body of one request to a collector; b"" where none of them is sampled."""
        with self._alone:
            return self._encoded(trees)

    def _encoded(self, trees: Sequence[Tree]) -> bytes:
        from opentelemetry.context import Context  # noqa: PLC0415
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._gathered.clear()
        told = TraceContextTextMapPropagator()
        for tree in trees:
            around = told.extract({"traceparent": tree.parent}, Context()) if tree.parent else Context()
            root = self._begin(tree.root, around)
            inside = set_span_in_context(root, Context())
            for span in tree.below:
                self._begin(span, inside).end(_nanoseconds(span.ended))
            root.end(_nanoseconds(tree.root.ended))
        return self._encode(self._gathered).SerializeToString() if self._gathered else b""

    def _begin(self, span: Span, around: Context) -> Any:
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415

        kind = SpanKind[span.kind.upper()]
        attributes = {**span.attributes, **({"error.type": span.error} if span.error else {})}
        begun = self._tracer.start_span(span.name, around, kind, attributes, start_time=_nanoseconds(span.began))
        if span.error:
            begun.set_status(Status(StatusCode.ERROR))
        return begun


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
