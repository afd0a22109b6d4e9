"""Every configuration key once: name, type, default, meaning. `docs/configuration.md` is generated from this file.

A key is spelled as in the file with `_` for `-`. Keys that CLIProxyAPI has are spelled and mean the same. No reading,
no defaults that depend on the machine (`config.places`), no legacy spellings (`config.legacy`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class _Section(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    def __repr__(self) -> str:
        """Sections hold keys and proxy passwords: they show nothing."""
        return f"<{type(self).__name__}>"


Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=0)]
#: `a.b.0`, with `\.` for a dot in a name: at least one step.
JsonPath = Annotated[str, Meta(pattern=r"[^.\\]")]
Seconds = Annotated[float, Meta(ge=0)]
Weight = Annotated[int, Meta(ge=0, le=1_000_000)]


class QuotaExceeded(_Section, frozen=True, kw_only=True):
    switch_project: Annotated[
        bool, Meta(description="On a Gemini 429, try the login's next project before the next credential.")
    ] = True
    switch_preview_model: Annotated[
        bool, Meta(description="Then try the model's preview ids, as its manifest lists them.")
    ] = True


class Vault(_Section, frozen=True, kw_only=True):
    key_file: Annotated[
        str, Meta(description="The root key. Empty: `root.key` beside the configuration, made at the first start.")
    ] = ""


class Thinking(_Section, frozen=True, kw_only=True):
    min: Annotated[Count | None, Meta(description="Smallest token budget.")] = None
    max: Annotated[Count | None, Meta(description="Largest token budget.")] = None
    zero_allowed: Annotated[bool | None, Meta(description="A budget of 0 turns reasoning off.")] = None
    dynamic_allowed: Annotated[bool | None, Meta(description="A budget of -1 lets the model decide.")] = None
    levels: Annotated[list[str] | None, Meta(description="Named levels, weakest first.")] = None


class ModelFacts(_Section, frozen=True, kw_only=True):
    id: Annotated[str, Meta(min_length=1, description="The model id as clients name it.")]
    provider: Annotated[str, Meta(description="Only at this provider. Empty: wherever the id is served.")] = ""
    thinking: Annotated[Thinking | None, Meta(description="Its reasoning range.")] = None
    context: Annotated[Count | None, Meta(description="Context window in tokens.")] = None
    max_output: Annotated[Count | None, Meta(description="Largest answer in tokens.")] = None


class Routing(_Section, frozen=True, kw_only=True):
    strategy: Annotated[
        Literal["round-robin", "fill-first"],
        Meta(description="`round-robin` takes turns; `fill-first` uses one credential until it cools."),
    ] = "round-robin"
    session_affinity: Annotated[
        bool,
        Meta(
            description="A conversation stays with its credential. Looked up only with a session id or at least one "
            "assistant turn in the request."
        ),
    ] = True


class Cooldown(_Section, frozen=True, kw_only=True):
    max_seconds: Annotated[Seconds, Meta(description="A vendor's hint to wait is capped here.")] = 86400
    probe_seconds: Annotated[
        Seconds, Meta(description="While all cool, a request probes the longest-waiting one at most once in this time.")
    ] = 60


class Streaming(_Section, frozen=True, kw_only=True):
    keepalive_seconds: Annotated[
        Seconds, Meta(description="An SSE comment when nothing was sent for so long; 0 turns it off.")
    ] = 15
    first_event_seconds: Annotated[
        Seconds, Meta(description="Without a first event for so long the vendor counts as failed.")
    ] = 180
    idle_seconds: Annotated[Seconds, Meta(description="Silent for so long within a stream, likewise.")] = 300


class Tls(_Section, frozen=True, kw_only=True):
    cert: Annotated[str, Meta(description="PEM certificate chain. With `key`: serve HTTPS.")] = ""
    key: Annotated[str, Meta(description="PEM private key.")] = ""


class GeminiCli(_Section, frozen=True, kw_only=True):
    allow_remote: Annotated[bool, Meta(description="`false` limits `/v1internal` to loopback.")] = True
    loopback_without_key: Annotated[
        bool, Meta(description="Admit a stock signed-in Gemini CLI from loopback without a client key.")
    ] = False


class RemoteManagement(_Section, frozen=True, kw_only=True):
    allow_remote: Annotated[bool, Meta(description="Management from other hosts than this one.")] = False
    secret_key: Annotated[
        str, Meta(description="The management key, plain or bcrypt. Empty: the routes do not exist (404).")
    ] = ""
    disable_control_panel: Annotated[bool, Meta(description="`/management.html` answers 404.")] = False
    allowed_origins: Annotated[list[str], Meta(description="Exact origins of a panel hosted elsewhere.")] = []


class Alerts(_Section, frozen=True, kw_only=True):
    webhook_url: Annotated[
        str,
        Meta(
            description="A POST of JSON here for each fault that needs a person, and when it is mended: `text` (which "
            "Slack and Mattermost show), `code`, `subject`, `says`, `action`, `state`, `at`, `host`. It names "
            "credentials by their ids, e-mail included, and holds no token. After a restart what still stands is told "
            "again. docs/doctor.md lists the codes. Empty: the log and the metrics alone."
        ),
    ] = ""


class Tracing(_Section, frozen=True, kw_only=True):
    otlp_url: Annotated[
        str,
        Meta(
            description="A collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` follows. "
            "It is sent spans of requests and renewals, without what was said in them; see docs/monitoring.md. Needs "
            "`pip install 'vaultd[otel]'`. Empty: no traces. OTEL_EXPORTER_* variables are not read."
        ),
    ] = ""
    headers: Annotated[dict[str, str], Meta(description="Sent to the collector, such as its key.")] = {}


class UsageBook(_Section, frozen=True, kw_only=True):
    detail_days: Annotated[
        float,
        Meta(
            ge=0,
            description="How long each single request is kept, without its content: as long as anybody looks for one "
            "of them. At most 500,000, the last. 0 keeps none.",
        ),
    ] = 30
    total_days: Annotated[
        float,
        Meta(
            ge=1,
            description="How long the sums of each hour are kept: a year and a month, to compare a month with that of "
            "last year. Hours and days are those of the daemon's time zone.",
        ),
    ] = 400
    prices_file: Annotated[
        str,
        Meta(
            description="What a million tokens cost, by model, in YAML: `currency: USD`, and below `models` lines like "
            '`"claude-sonnet-4-5*": {input: 3, output: 15, cached: 0.3, cache-write: 3.75, reasoning: 15}`. The first '
            "pattern that fits counts; `provider://` before it binds it to one provider. Costs are worked out when "
            "asked, so another price changes what the past is told to have cost. Empty: no costs."
        ),
    ] = ""


class Alias(_Section, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, description="The vendor's name of the model.")]
    alias: Annotated[str, Meta(description="The name clients use. Empty: the same.")] = ""


class KeyEntry(_Section, frozen=True, kw_only=True):
    api_key: Annotated[str, Meta(min_length=1, description="The vendor's API key.")]
    base_url: Annotated[
        str, Meta(description="Another address of the API; may be private and plain http. Empty: the vendor's own.")
    ] = ""
    proxy_url: Annotated[str, Meta(description="Wins over the global `proxy-url`.")] = ""
    headers: Annotated[dict[str, str], Meta(description="Sent to the vendor, never to a proxy.")] = {}
    models: Annotated[list[Alias], Meta(description="Where given, replaces this credential's default catalogue.")] = []
    priority: Annotated[int, Meta(description="Higher is tried first.")] = 0
    weight: Annotated[Weight, Meta(description="Its share of the turns among equals; 0 counts as 1.")] = 1
    max_parallel: Annotated[Count, Meta(description="Requests it may have under way at once; 0 is any number.")] = 0
    excluded_models: Annotated[
        list[str], Meta(description="Models it does not serve, as clients name them; `*` stands for any text.")
    ] = []


class CompatKey(_Section, frozen=True, kw_only=True):
    api_key: Annotated[str, Meta(description="The key; empty for an endpoint that asks none.")] = ""
    proxy_url: Annotated[str, Meta(description="Wins over the global `proxy-url`.")] = ""
    priority: Annotated[int, Meta(description="Higher is tried first.")] = 0
    weight: Annotated[Weight, Meta(description="Its share of the turns among equals; 0 counts as 1.")] = 1
    max_parallel: Annotated[Count, Meta(description="Requests it may have under way at once; 0 is any number.")] = 0


class Compat(_Section, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, description="The provider's id, in any case: `name://model` picks it.")]
    base_url: Annotated[
        str, Meta(min_length=1, description="`/chat/completions` follows; may be private and plain http.")
    ]
    headers: Annotated[dict[str, str], Meta(description="Sent to the vendor, never to a proxy.")] = {}
    api_key_entries: Annotated[list[CompatKey], Meta(description="Its keys; none is one keyless credential.")] = []
    models: Annotated[list[Alias], Meta(description="The models it serves.")] = []
    excluded_models: Annotated[
        list[str], Meta(description="Models it does not serve, as clients name them; `*` stands for any text.")
    ] = []


class PayloadModel(_Section, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, description="A model id; `*` stands for any text.")]
    protocol: Annotated[
        str, Meta(description="Only requests to vendors of this format: `openai`, `claude`, `gemini`, `codex`.")
    ] = ""


class PayloadRule(_Section, frozen=True, kw_only=True):
    models: Annotated[list[PayloadModel], Meta(description="Which requests.")]
    params: Annotated[dict[JsonPath, Any], Meta(description="JSON path → value.")] = {}


class Payload(_Section, frozen=True, kw_only=True):
    default: Annotated[list[PayloadRule], Meta(description="Set where missing; the first rule wins.")] = []
    override: Annotated[list[PayloadRule], Meta(description="Always set; the last rule wins.")] = []


class Config(_Section, frozen=True, kw_only=True):
    host: Annotated[
        str, Meta(description="Listen address; `0.0.0.0` listens everywhere, and is the default in the image.")
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Listen port.")] = 8317
    tls: Annotated[Tls, Meta(description="HTTPS.")] = Tls()
    auth_dir: Annotated[str, Meta(description="Where sealed credentials lie. Empty: `auth` in the state folder.")] = ""
    api_keys: Annotated[
        list[str],
        Meta(
            description="Client keys, taken as they are. Weak ones are reported, the example's placeholders refused. "
            "With none, the first `serve` makes one (`vaultd keys get default`); there is no open relay."
        ),
    ] = []
    allowed_hosts: Annotated[
        list[str],
        Meta(
            description="Host headers accepted without a client key. Empty: loopback names, the listen address, and on "
            "a wildcard listen any IP literal."
        ),
    ] = []
    trusted_proxies: Annotated[
        list[str],
        Meta(description="Addresses whose forwarding headers count; then the right-most untrusted hop is the peer."),
    ] = []
    proxy_url: Annotated[
        str,
        Meta(
            description="Way out for relay, sign-in and renewal: socks5, http or https, with user and password. A "
            "key's or credential's own wins; the proxy variables of the environment are not read."
        ),
    ] = ""
    vault: Annotated[Vault, Meta(description="Secrets at rest.")] = Vault()
    providers_dir: Annotated[
        str, Meta(description="Drop-in manifests. Empty: `providers` beside the configuration.")
    ] = ""
    providers: Annotated[
        dict[str, dict[str, Any]],
        Meta(
            description="Overlay of a provider's manifest, leaf by leaf; a list replaces. `<id>.api.first-system` puts "
            "a system block before the client's own, for an endpoint that refuses a request without. "
            "See docs/providers.md."
        ),
    ] = {}
    models: Annotated[list[ModelFacts], Meta(description="Facts added to or over the catalogue.")] = []
    gemini_api_key: Annotated[list[KeyEntry], Meta(description="Gemini API keys.")] = []
    claude_api_key: Annotated[list[KeyEntry], Meta(description="Claude API keys.")] = []
    codex_api_key: Annotated[
        list[KeyEntry], Meta(description="Keys for the Responses format; each needs a `base-url`.")
    ] = []
    openai_compatibility: Annotated[list[Compat], Meta(description="Vendors that speak OpenAI chat.")] = []
    force_gpt_5_codex: Annotated[bool, Meta(description="Requests for `gpt-5` go to `gpt-5-codex`.")] = False
    payload: Annotated[Payload, Meta(description="Parameters set in requests by rule.")] = Payload()
    routing: Annotated[Routing, Meta(description="Which credential serves.")] = Routing()
    request_retry: Annotated[
        Count,
        Meta(
            description="Further rounds over all candidates after one ended in 403, 408, 500, 502, 503, 504 or a "
            "network failure, before the first byte. Failover within a round is always on."
        ),
    ] = 0
    max_retry_credentials: Annotated[Count, Meta(description="Credentials tried in one round; 0 is all.")] = 0
    quota_exceeded: Annotated[QuotaExceeded, Meta(description="What a Gemini 429 tries first.")] = QuotaExceeded()
    cooldown: Annotated[Cooldown, Meta(description="How long a credential is set aside.")] = Cooldown()
    disable_cooling: Annotated[
        bool, Meta(description="No credential is ever set aside: each request meets the vendor's own answer.")
    ] = False
    streaming: Annotated[Streaming, Meta(description="Silence on a stream.")] = Streaming()
    gemini_cli: Annotated[GeminiCli, Meta(description="Who may use `/v1internal`.")] = GeminiCli()
    ws_auth: Annotated[bool, Meta(description="Client keys on `/v1/ws`. Accepted; they are always required.")] = False
    remote_management: Annotated[RemoteManagement, Meta(description="The management API.")] = RemoteManagement()
    alerts: Annotated[Alerts, Meta(description="Who is told of faults without asking.")] = Alerts()
    tracing: Annotated[Tracing, Meta(description="Who is told of each request, in OpenTelemetry's words.")] = Tracing()
    usage_statistics_enabled: Annotated[bool, Meta(description="`false` collects nothing.")] = True
    usage: Annotated[UsageBook, Meta(description="What was used, by request and by hour.")] = UsageBook()
    debug: Annotated[bool, Meta(description="More log lines; never a body or a secret.")] = False
    logging_to_file: Annotated[bool, Meta(description="Log to a file; otherwise to the journal or stderr.")] = False
    log_format: Annotated[
        Literal["text", "json"], Meta(description="One line each: `key=value`, or a JSON object with the same fields.")
    ] = "text"
    request_log: Annotated[
        bool,
        Meta(
            description="Keep what clients and vendors say to each other, prompts and answers, for a day: sealed, "
            "secrets left out. Read with `GET /v0/management/request-logs`."
        ),
    ] = False
