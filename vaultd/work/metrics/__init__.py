"""What Prometheus reads. Own tallies per house, so that two houses in one process (tests) do not mix.

On a request's way only plain numbers in plain dicts are counted up: `prometheus_client`'s own counters take a lock and
a search each time (2 µs an observation, 0.3 so). Labels are from closed sets, never a client's word; an account's
e-mail is hashed (THR-31). What can be counted when asked (credentials, cooldowns, expiry) is counted then, in `render`.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from vaultd import __version__
from vaultd.pool.explain import Standing
from vaultd.vault.credential import Credential
from vaultd.work.circuit import Circuit
from vaultd.work.metrics.series import DURATIONS, EVERY, MOST_FIELDS, Route, Series
from vaultd.work.story import CLIENT_GONE, Story

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]
Counts = dict[Labels, float]


class Seen(msgspec.Struct, frozen=True):
    """What is looked at only when somebody asks. `standings` are made in `render`'s own thread. `faults`: code → how
    many; `skew`: None where no vendor told; `due`: credential → seconds; `silences`: of each stream under way;
    `keeper`: its memory in bytes, None where none runs."""

    standings: Callable[[], Sequence[Standing]] = tuple
    credentials: Mapping[str, Credential] = {}
    wall: float = 0.0
    faults: Mapping[str, int] = {}
    vendors: Mapping[str, Circuit] = {}
    skew: float | None = None
    due: Mapping[str, float] = {}
    silences: Sequence[float] = ()
    websockets: int = 0
    lag: float = 0.0
    keeper: int | None = None


class Bins:
    """One histogram's numbers for one set of labels. Made once, used for every observation."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Lane:
    """The requests of one kind of route in one format."""

    __slots__ = ("_metrics", "answered", "bins")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        #: (provider, status) → requests.
        self.answered: dict[tuple[str, int], int] = {}
        self.bins = Bins(DURATIONS)

    def ended(self, provider: str, status: int, seconds: float) -> None:
        """A request begun with `began` is answered; `provider` is "" where none was asked."""
        self._metrics.in_work -= 1
        key = (provider, status)
        self.answered[key] = self.answered.get(key, 0) + 1
        self.bins.observe(seconds)


class Metrics:
    """The series of one house."""

    def __init__(self) -> None:
        #: For what counts itself, beside what is tallied here.
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        #: Requests begun and not ended: the way down waits for them.
        self.in_work = 0
        self._lanes: dict[tuple[Route, str], Lane] = {}
        #: Series → labels → count. Those without labels are there from the start: a counter that is absent cannot rise.
        self._counts: dict[str, Counts] = {
            series.name: {} if series.labels else {(): 0.0} for series in EVERY if series.kind == "counter"
        }
        self._bins: dict[str, dict[Labels, Bins]] = {series.name: {} for series in EVERY if series.kind == "histogram"}
        self._bounds = {series.name: series.bounds for series in EVERY}
        #: (provider, status) → tries; texts are made of statuses when somebody asks.
        self._tried: dict[tuple[str, int], int] = {}
        self._fields: set[tuple[str, str]] = set()

    # On a request's way.

    def lane(self, route: Route, fmt: str) -> Lane:
        """Where requests of that kind are counted; the same one each time."""
        lane = self._lanes.get((route, fmt))
        if lane is None:
            lane = self._lanes[route, fmt] = Lane(self)
        return lane

    def began(self) -> None:
        self.in_work += 1

    def attempt(self, provider: str, status: int) -> None:
        """One try at a vendor."""
        key = (provider, status)
        self._tried[key] = self._tried.get(key, 0) + 1

    def streamed(self, story: Story, gap: float) -> None:
        """A stream is over. `gap`: the longest silence in it, as `work.silence` saw it."""
        if not story.first or story.first < story.tried:
            return  # nobody said anything, or not the last who was asked
        provider = (story.provider,)
        self._observe("vaultd_first_byte_seconds", (story.format,), story.first - story.began)
        self._observe("vaultd_vendor_first_byte_seconds", provider, story.first - story.tried)
        self._observe("vaultd_stream_gap_seconds", provider, gap)
        reason = story.broken or ("client" if story.status == CLIENT_GONE else "")
        if reason:
            self._count("vaultd_streams_broken_total", (story.provider, reason))

    def refused(self, reason: str) -> None:
        self._count("vaultd_refusals_total", (reason,))

    def dropped(self, fmt: str, fields: Iterable[str]) -> None:
        """What one translation lost. A field may be a client's word: above the limit they are all `other`."""
        for field in fields:
            key = (fmt, field)
            if key not in self._fields and len(self._fields) >= MOST_FIELDS:
                key = (fmt, "other")
            self._fields.add(key)
            self._count("vaultd_dropped_fields_total", key)

    # Beside it.

    def tokens(self, provider: str, kind: str, count: int) -> None:
        """Told twice a second by the thread that writes usage down, not for each request."""
        self._count("vaultd_tokens_total", (provider, kind), count)

    def usage_dropped(self, count: int) -> None:
        self._count("vaultd_usage_dropped_total", (), count)

    def untraced(self, count: int) -> None:
        self._count("vaultd_traces_dropped_total", (), count)

    def renewal(self, provider: str, outcome: str, seconds: float) -> None:
        self._count("vaultd_renewals_total", (provider, outcome))
        self._observe("vaultd_renewal_duration_seconds", (provider,), seconds)

    def reload(self, outcome: str) -> None:
        self._count("vaultd_config_reloads_total", (outcome,))

    def sign_in(self, provider: str, outcome: str) -> None:
        self._count("vaultd_sign_ins_total", (provider, outcome))

    def managed(self, method: str, status: int) -> None:
        self._count("vaultd_management_requests_total", (method, str(status)))

    def counted(self, name: str, *labels: str) -> float:
        """What one counter stands at."""
        return self._counts[name].get(labels, 0.0)

    def _count(self, name: str, labels: Labels, by: float = 1) -> None:
        counts = self._counts[name]
        counts[labels] = counts.get(labels, 0.0) + by

    def _observe(self, name: str, labels: Labels, value: float) -> None:
        bins = self._bins[name].get(labels)
        if bins is None:
            bins = self._bins[name][labels] = Bins(self._bounds[name])
        bins.observe(value)

    # When asked.

    def render(self, now: Seen) -> bytes:
        """The exposition text, with what is counted when asked. May be called in another thread than counts: a dict is
        copied before it is gone through, for a copy is one step and `list(items())` is not (it makes tuples, so garbage
        may be collected in it, and with that another thread take its turn)."""
        gauges = _gauges(now)
        gauges["vaultd_active_requests"][()] = self.in_work
        begun = _from_the_start({credential.provider for credential in now.credentials.values()})
        counts = {name: begun.get(name, {}) | known for name, known in self._counts.items()} | {
            "vaultd_requests_total": {
                (route, fmt, provider, str(status)): count
                for (route, fmt), lane in self._lanes.copy().items()
                for (provider, status), count in lane.answered.copy().items()
            },
            "vaultd_attempts_total": {
                (provider, str(status)): count for (provider, status), count in self._tried.copy().items()
            },
        }
        lanes: dict[Labels, Bins] = {key: lane.bins for key, lane in self._lanes.copy().items() if lane.answered}
        bins = self._bins | {"vaultd_request_duration_seconds": lanes}
        families = [_family(series, counts, gauges, bins) for series in EVERY]
        return generate_latest(_Once([*families, *self.registry.collect()]))


class _Once(CollectorRegistry):
    """What `generate_latest` wants to be given."""

    def __init__(self, families: Sequence[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def _family(
    series: Series,
    counts: Mapping[str, Counts],
    gauges: Mapping[str, Counts],
    bins: Mapping[str, dict[Labels, Bins]],
) -> Metric:
    if series.kind == "histogram":
        histogram = HistogramMetricFamily(series.name, series.says, labels=series.labels)
        for labels, one in bins[series.name].copy().items():
            bounds = [*map(str, map(float, series.bounds)), "+Inf"]
            histogram.add_metric(labels, list(zip(bounds, accumulate(one.counts), strict=True)), one.sum)
        return histogram
    known = counts if series.kind == "counter" else gauges
    kind = CounterMetricFamily if series.kind == "counter" else GaugeMetricFamily
    family = kind(series.name, series.says, labels=series.labels)
    for labels, value in known[series.name].copy().items():
        family.add_metric(labels, value)
    return family


def _from_the_start(providers: Iterable[str]) -> dict[str, Counts]:
    each: list[Labels] = [(provider,) for provider in providers]
    return {
        series.name: {
            (*labels, value): 0.0
            for labels in (each if "provider" in series.labels else [()])
            for value in series.known
        }
        for series in EVERY
        if series.known
    }


def _gauges(now: Seen) -> dict[str, Counts]:
    found: dict[str, Counts] = {series.name: {} for series in EVERY if series.kind == "gauge"}
    found["vaultd_build_info"][__version__,] = 1
    found["vaultd_faults"] = {(code,): count for code, count in now.faults.items()}
    for row in now.standings():
        if not row.model:
            _add(found["vaultd_credentials"], row.provider, row.state)
        if row.state == "cooling":
            _add(found["vaultd_cooldowns"], row.provider, row.code)
    for provider, circuit in now.vendors.items():
        found["vaultd_token_endpoint_failures"][provider,] = circuit.failures
        found["vaultd_token_endpoint_open"][provider,] = bool(circuit.opened)
    for credential in now.credentials.values():
        if credential.tokens is None:
            continue
        key = (credential.provider, hashed(credential.id))
        found["vaultd_login_dead"][key] = credential.dead is not None and not credential.settings.disabled
        found["vaultd_token_expiry_seconds"][key] = credential.tokens.expires_at - now.wall
        if credential.renewed_at > credential.created_at:
            found["vaultd_last_renewal_timestamp_seconds"][key] = credential.renewed_at
        if credential.id in now.due:
            found["vaultd_renewal_due_seconds"][key] = now.due[credential.id]
    plain = {
        "vaultd_clock_skew_seconds": math.nan if now.skew is None else now.skew,
        "vaultd_websockets": now.websockets,
        "vaultd_active_streams": len(now.silences),
        "vaultd_stream_silence_seconds": max(now.silences, default=0.0),
        "vaultd_loop_lag_seconds": now.lag,
        "vaultd_keeper_up": now.keeper is not None,
        "vaultd_keeper_resident_memory_bytes": now.keeper or 0,
    }
    return found | {name: {(): value} for name, value in plain.items()}


def _add(counts: Counts, *labels: str) -> None:
    counts[labels] = counts.get(labels, 0.0) + 1


def hashed(credential_id: str) -> str:
    """Tells credentials apart without the e-mail that is in the id."""
    return hashlib.sha256(credential_id.encode()).hexdigest()[:8]
