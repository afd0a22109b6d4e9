"""What Prometheus reads: the ten series. Own registry per house, so that two houses in one process (tests) do not mix.

One cheap call per request: label children are looked up once and kept. Labels are from closed sets, never a client's
word; an account's e-mail is hashed (THR-31). What can be counted when asked (credentials, cooldowns, expiry) is counted
then, in `render`.
"""

from __future__ import annotations

import hashlib
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vaultd import __version__
from vaultd.pool.explain import Standing
from vaultd.vault.credential import Credential

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

#: From a refusal of our own (ms) to the longest reasoning answers (minutes).
_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


#: Formats have some hundred members between them; what is above that is somebody's invention.
_FIELDS: Final = 200


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
            "vaultd_cooldowns", "Credentials set aside for a model or for all.", ["provider"], registry=registry
        )
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
        self._dropped_known: set[tuple[str, str]] = set()
        build = Gauge("vaultd_build_info", "1, with the version.", ["version"], registry=registry)
        build.labels(__version__).set(1)
        self._request_children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._attempt_children: dict[tuple[str, int], Counter] = {}
        #: Requests begun and not ended: the way down waits for them.
        self.in_work = 0

    def began(self) -> None:
        self.in_work += 1

    def ended(self, fmt: str, provider: str, status: int, seconds: float) -> None:
        """A request begun with `began` is answered; `provider` is "" where none was asked."""
        self.in_work -= 1
        key = (fmt, provider, status)
        children = self._request_children.get(key)
        if children is None:
            children = (self._requests.labels(fmt, provider, str(status)), self._seconds.labels(fmt))
            self._request_children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def attempt(self, provider: str, status: int) -> None:
        """One try at a vendor."""
        key = (provider, status)
        child = self._attempt_children.get(key)
        if child is None:
            child = self._attempt_children[key] = self._attempts.labels(provider, str(status))
        child.inc()

    def dropped(self, fmt: str, fields: Iterable[str]) -> None:
        """What one translation lost. A field may be a client's word: above the limit they are all `other`."""
        for field in fields:
            key = (fmt, field)
            if key not in self._dropped_known and len(self._dropped_known) >= _FIELDS:
                key = (fmt, "other")
            self._dropped_known.add(key)
            self._dropped.labels(*key).inc()

    def renewal(self, provider: str, outcome: str) -> None:
        self._renewals.labels(provider, outcome).inc()

    def reload(self, outcome: str) -> None:
        self._reloads.labels(outcome).inc()

    def render(self, standings: Iterable[Standing], credentials: Mapping[str, Credential], wall: float) -> bytes:
        """The exposition text, with what is counted when asked."""
        rows = list(standings)
        self._active.set(self.in_work)
        for gauge in (self._credentials, self._cooling, self._expiry):
            gauge.clear()
        own = Tally((row.provider, row.state) for row in rows if not row.model)
        for (provider, state), count in own.items():
            self._credentials.labels(provider, state).set(count)
        for provider, count in Tally(row.provider for row in rows if row.state == "cooling").items():
            self._cooling.labels(provider).set(count)
        for credential in credentials.values():
            if credential.tokens is not None:
                left = credential.tokens.expires_at - wall
                self._expiry.labels(credential.provider, _hashed(credential.id)).set(left)
        return generate_latest(self.registry)


def _hashed(credential_id: str) -> str:
    """Tells credentials apart without the e-mail that is in the id."""
    return hashlib.sha256(credential_id.encode()).hexdigest()[:8]
