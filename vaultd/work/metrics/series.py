"""Every series of `/metrics`: its name, what it says, why its labels are few. docs/monitoring.md is written from here.

Names as Prometheus wants them: base units, `_total` on what only grows, no label whose values a client can make up.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

from vaultd.wire.refusal import Kind as Refused
from vaultd.work.renew import Outcome
from vaultd.work.story import Broken

Kind = Literal["counter", "gauge", "histogram"]
#: What kind of route was asked; the only name that a request without a format has.
Route = Literal["relay", "count", "socket", "codex", "code-assist", "models", "health", "metrics"]

#: From a refusal of our own (ms) to the longest reasoning answers (minutes).
DURATIONS: Final = (0.005, 0.025, 0.1, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
#: A first event comes after some 100 ms at best, and after `streaming.first-event-seconds` (180) the vendor has failed.
FIRST_BYTES: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 180)
#: `work.silence` looks after 1, 2, 4 … seconds of silence; `streaming.idle-seconds` (300) ends a stream.
GAPS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
#: A renewal is one or two requests, and the vendor has a minute.
RENEWALS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

#: Formats have some hundred members between them; what is above that is somebody's invention.
MOST_FIELDS: Final = 200


class Series(NamedTuple):
    """`name` as it is exposed; a histogram's without its three endings. `known`: of a counter whose last label has few
    values, all of them; they are there at 0 from the start, with each provider in use where that is a label too: to
    Prometheus a counter that appears with its first event has not risen."""

    name: str
    kind: Kind
    says: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    known: tuple[str, ...] = ()


#: Label → what it may be, and why that is bounded.
LABELS: Final[dict[str, str]] = {
    "code": "a code of `vaultd doctor` ([doctor.md](doctor.md)): a closed set",
    "credential": "the first 8 hex digits of the SHA-256 of a credential's id, never the e-mail in it: as many as "
    "there are credentials, and a series ends with its credential",
    "field": f"a member of a request or answer as its format names it; {MOST_FIELDS} at most, then `other`",
    "format": "`openai-chat`, `openai-responses`, `anthropic-messages`, `gemini`; empty where a route speaks none",
    "kind": "`input`, `output`, `cached`, `written`, `reasoning`",
    "method": "the method of a route of the management API",
    "outcome": "of renewals `renewed`, `failed`, `dead`; of reloads `taken`, `refused`; of sign-ins `started`, `ok`, "
    "`failed`",
    "provider": "a provider's id: as many as there are manifests and `openai-compatibility` entries",
    "reason": "of refusals the kinds of `vaultd/wire/refusal.py`; of cooldowns a code of `vaultd doctor`; of broken "
    "streams `silent`, `vendor`, `client`, `stopping`: closed sets",
    "route": "`relay`, `count` (of tokens), `socket` (opened), `codex`, `code-assist`, `models`, `health`, `metrics`",
    "state": "`available`, `cooling`, `sign-in required`, `disabled`, `no provider`",
    "status": "an HTTP status; 0 where no answer came, 499 where the client hung up",
    "version": "one at a time",
}

#: In the order of docs/monitoring.md.
EVERY: Final = (
    Series("vaultd_build_info", "gauge", "1, with the version.", ("version",)),
    Series("vaultd_faults", "gauge", "What is wrong now, by the codes of doctor.", ("code",)),
    Series(
        "vaultd_config_reloads_total",
        "counter",
        "Reloads of the configuration by outcome.",
        ("outcome",),
        known=("taken", "refused"),
    ),
    # Logins.
    Series("vaultd_credentials", "gauge", "Credentials by how they stand.", ("provider", "state")),
    Series(
        "vaultd_cooldowns", "gauge", "Credentials set aside for a model or for all, by why.", ("provider", "reason")
    ),
    Series(
        "vaultd_login_dead",
        "gauge",
        "1 where the vendor refused to renew this login for good: a person has to sign in, or disable it.",
        ("provider", "credential"),
    ),
    Series(
        "vaultd_token_expiry_seconds",
        "gauge",
        "Until this login's access token expires; below 0 it has.",
        ("provider", "credential"),
    ),
    Series(
        "vaultd_renewal_due_seconds",
        "gauge",
        "Until this login is to be renewed; below 0 it is overdue, and stays so while its renewal fails.",
        ("provider", "credential"),
    ),
    Series(
        "vaultd_last_renewal_timestamp_seconds",
        "gauge",
        "When this login was last renewed; absent where it never was.",
        ("provider", "credential"),
    ),
    Series(
        "vaultd_renewals_total",
        "counter",
        "Renewals by outcome.",
        ("provider", "outcome"),
        known=get_args(Outcome),
    ),
    Series("vaultd_renewal_duration_seconds", "histogram", "How long renewals took.", ("provider",), RENEWALS),
    Series(
        "vaultd_token_endpoint_failures",
        "gauge",
        "Renewals in a row that a vendor's token endpoint failed.",
        ("provider",),
    ),
    Series(
        "vaultd_token_endpoint_open",
        "gauge",
        "1 while a vendor's token endpoint is left alone because it fails.",
        ("provider",),
    ),
    Series("vaultd_sign_ins_total", "counter", "Sign-ins that the daemon ran, by outcome.", ("provider", "outcome")),
    Series("vaultd_clock_skew_seconds", "gauge", "The vendors' clocks less ours; NaN where none has told."),
    # Requests.
    Series(
        "vaultd_requests_total",
        "counter",
        "Requests answered; provider is empty where none was asked.",
        ("route", "format", "provider", "status"),
    ),
    Series(
        "vaultd_request_duration_seconds",
        "histogram",
        "Time to the end of an answer.",
        ("route", "format"),
        DURATIONS,
    ),
    Series("vaultd_active_requests", "gauge", "Requests in work now; the scrape that asks is one."),
    Series(
        "vaultd_refusals_total",
        "counter",
        "Requests that vaultd itself refused, by why.",
        ("reason",),
        known=get_args(Refused),
    ),
    Series(
        "vaultd_attempts_total", "counter", "Tries at a vendor, by its status (0: no answer).", ("provider", "status")
    ),
    Series("vaultd_websockets", "gauge", "Websockets open now."),
    Series("vaultd_management_requests_total", "counter", "Requests to the management API.", ("method", "status")),
    # Streams.
    Series(
        "vaultd_first_byte_seconds",
        "histogram",
        "Of a stream, from the client's request to the first output.",
        ("format",),
        FIRST_BYTES,
    ),
    Series(
        "vaultd_vendor_first_byte_seconds",
        "histogram",
        "Of a stream, from the try that served it to the vendor's first output.",
        ("provider",),
        FIRST_BYTES,
    ),
    Series(
        "vaultd_stream_gap_seconds",
        "histogram",
        "The longest silence of the vendor within a stream. Seen at powers of two: the sum is an estimate.",
        ("provider",),
        GAPS,
    ),
    Series(
        "vaultd_streams_broken_total",
        "counter",
        "Streams that did not end whole, by why.",
        ("provider", "reason"),
        known=tuple(filter(None, get_args(Broken))),
    ),
    Series("vaultd_active_streams", "gauge", "Streams under way now."),
    Series(
        "vaultd_stream_silence_seconds",
        "gauge",
        "For how long the most silent stream has heard nothing; else 0.",
    ),
    # What was used, what was lost.
    Series(
        "vaultd_tokens_total",
        "counter",
        "Tokens as the vendors count them; input holds cached and written, output holds reasoning.",
        ("provider", "kind"),
    ),
    Series("vaultd_usage_dropped_total", "counter", "Requests that usage could not count, for no disk took them."),
    Series(
        "vaultd_dropped_fields_total",
        "counter",
        "What translations could not carry, by the client's format.",
        ("format", "field"),
    ),
    Series("vaultd_traces_dropped_total", "counter", "Requests and renewals whose spans no collector took."),
    # The process.
    Series("vaultd_loop_lag_seconds", "gauge", "How late the event loop was at worst within the last minute."),
    Series("vaultd_keeper_up", "gauge", "1 while the process that renews runs; it starts with the first renewal."),
    Series("vaultd_keeper_resident_memory_bytes", "gauge", "Memory of the process that renews; 0 while there is none."),
)

#: What prometheus_client tells of the process itself, from /proc.
PROCESS: Final = (
    Series("process_cpu_seconds_total", "counter", "CPU time of the daemon."),
    Series("process_resident_memory_bytes", "gauge", "Memory of the daemon."),
    Series("process_virtual_memory_bytes", "gauge", "Address space of the daemon."),
    Series("process_open_fds", "gauge", "Open files and sockets of the daemon."),
    Series("process_max_fds", "gauge", "How many it may have open."),
    Series("process_start_time_seconds", "gauge", "When the daemon started."),
)
