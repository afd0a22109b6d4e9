"""What Prometheus reads. Own registry per house, so that two houses in one process (tests) do not mix.

One cheap call per request: it is tallied, and becomes series when somebody asks. Labels are from closed sets, never a
client's word; an account's e-mail is hashed (THR-31). What can be counted when asked (credentials, cooldowns, expiry)
is counted then, in `render`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vaultd import __version__
from vaultd.pool.explain import Standing
from vaultd.vault.credential import Credential
from vaultd.work.circuit import Circuit

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

#: From a refusal of our own (ms) to the longest reasoning answers (minutes).
_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


#: Formats have some hundred members between them; what is above that is somebody's invention.
_FIELDS: Final = 200


class Seen(msgspec.Struct, frozen=True):
    """What is looked at only when somebody asks. `faults`: code → how many; `skew`: None where no vendor told."""

    standings: Sequence[Standing] = ()
    credentials: Mapping[str, Credential] = {}
    wall: float = 0.0
    faults: Mapping[str, int] = {}
    vendors: Mapping[str, Circuit] = {}
    skew: float | None = None


class Metrics:
    """The series of one house."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        registry = self.registry
        self._requests = Counter(
            "vaultd_requests", "Requests answered.", ["format", "provider", "status"], registry=registry
        )
        self._seconds = Histogram(
            "vaultd_request_seconds", "Time to the end of an answer.", ["format"], buckets=_BUCKETS, registry=registry
        )
        self._active = Gauge("vaultd_active_requests", "Requests in work now.", registry=registry)
        self._attempts = Counter(
            "vaultd_attempts",
            "Tries at a vendor, by its status (0: no answer).",
            ["provider", "status"],
            registry=registry,
        )
        self._renewals = Counter("vaultd_renewals", "Renewals by outcome.", ["provider", "outcome"], registry=registry)
        self._reloads = Counter("vaultd_config_reloads", "Config reloads by outcome.", ["outcome"], registry=registry)
        self._credentials = Gauge(
            "vaultd_credentials", "Credentials by how they stand.", ["provider", "state"], registry=registry
        )
        self._cooling = Gauge(
            "vaultd_cooldowns",
            "Credentials set aside for a model or for all, by why.",
            ["provider", "reason"],
            registry=registry,
        )
        self._faults = Gauge("vaultd_faults", "What is wrong now, by doctor's codes.", ["code"], registry=registry)
        self._failures = Gauge(
            "vaultd_token_endpoint_failures",
            "Renewals in a row that a vendor's token endpoint failed.",
            ["provider"],
            registry=registry,
        )
        self._open = Gauge(
            "vaultd_token_endpoint_open",
            "1 while a vendor's token endpoint is left alone because it fails.",
            ["provider"],
            registry=registry,
        )
        self._skew = Gauge("vaultd_clock_skew_seconds", "The vendors' clocks less ours.", registry=registry)
        self._expiry = Gauge(
            "vaultd_token_expiry_seconds",
            "Until the access token expires.",
            ["provider", "credential"],
            registry=registry,
        )
        self._dropped = Counter(
            "vaultd_dropped_fields",
            "What translations could not carry, by the client's format.",
            ["format", "field"],
            registry=registry,
        )
        self._tokens = Counter(
            "vaultd_tokens",
            "Tokens as the vendors count them; input holds cached and written, output holds reasoning.",
            ["provider", "kind"],
            registry=registry,
        )
        self._usage_dropped = Counter(
            "vaultd_usage_dropped", "Requests that usage could not count, for no disk took them.", registry=registry
        )
        self._dropped_known: set[tuple[str, str]] = set()
        Gauge("vaultd_build_info", "1, with the version.", ["version"], registry=registry).labels(__version__).set(1)
        #: Counted here, where it costs a tenth, and handed over when somebody asks.
        self._answered: Tally[tuple[str, str, int]] = Tally()
        self._tried: Tally[tuple[str, int]] = Tally()
        self._timed: dict[str, Histogram] = {}
        #: Requests begun and not ended: the way down waits for them.
        self.in_work = 0

    def began(self) -> None:
        self.in_work += 1

    def ended(self, fmt: str, provider: str, status: int, seconds: float) -> None:
        """A request begun with `began` is answered; `provider` is "" where none was asked."""
        self.in_work -= 1
        self._answered[fmt, provider, status] += 1
        timed = self._timed.get(fmt)
        if timed is None:
            timed = self._timed[fmt] = self._seconds.labels(fmt)
        timed.observe(seconds)

    def attempt(self, provider: str, status: int) -> None:
        """One try at a vendor."""
        self._tried[provider, status] += 1

    def dropped(self, fmt: str, fields: Iterable[str]) -> None:
        """What one translation lost. A field may be a client's word: above the limit they are all `other`."""
        for field in fields:
            key = (fmt, field)
            if key not in self._dropped_known and len(self._dropped_known) >= _FIELDS:
                key = (fmt, "other")
            self._dropped_known.add(key)
            self._dropped.labels(*key).inc()

    def tokens(self, provider: str, kind: str, count: int) -> None:
        """Told twice a second by the thread that writes usage down, not for each request."""
        self._tokens.labels(provider, kind).inc(count)

    def usage_dropped(self, count: int) -> None:
        self._usage_dropped.inc(count)

    def renewal(self, provider: str, outcome: str) -> None:
        self._renewals.labels(provider, outcome).inc()

    def reload(self, outcome: str) -> None:
        self._reloads.labels(outcome).inc()

    def _hand_over(self) -> None:
        for (fmt, provider, status), count in self._answered.items():
            self._requests.labels(fmt, provider, str(status)).inc(count)
        for (provider, status), count in self._tried.items():
            self._attempts.labels(provider, str(status)).inc(count)
        self._answered.clear()
        self._tried.clear()

    def render(self, now: Seen) -> bytes:
        """The exposition text, with what is counted when asked."""
        rows = now.standings
        self._hand_over()
        self._active.set(self.in_work)
        for gauge in (self._credentials, self._cooling, self._expiry, self._faults, self._failures, self._open):
            gauge.clear()
        own = Tally((row.provider, row.state) for row in rows if not row.model)
        for (provider, state), count in own.items():
            self._credentials.labels(provider, state).set(count)
        for (provider, reason), count in Tally((r.provider, r.code) for r in rows if r.state == "cooling").items():
            self._cooling.labels(provider, reason).set(count)
        for code, count in now.faults.items():
            self._faults.labels(code).set(count)
        for provider, circuit in now.vendors.items():
            self._failures.labels(provider).set(circuit.failures)
            self._open.labels(provider).set(bool(circuit.opened))
        self._skew.set(math.nan if now.skew is None else now.skew)
        for credential in now.credentials.values():
            if credential.tokens is not None:
                left = credential.tokens.expires_at - now.wall
                self._expiry.labels(credential.provider, _hashed(credential.id)).set(left)
        return generate_latest(self.registry)


def _hashed(credential_id: str) -> str:
    """Tells credentials apart without the e-mail that is in the id."""
    return hashlib.sha256(credential_id.encode()).hexdigest()[:8]
