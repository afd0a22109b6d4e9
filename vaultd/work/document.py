"""Writes `docs/honest-relay.md` from the manifests, the hooks' own rows and the header lists, so that nothing is
changed in silence: `make docs`. A test runs the hooks and holds what they do against their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from vaultd.catalog.hooks.req_first_system import ROWS as FIRST_SYSTEM_ROWS
from vaultd.catalog.hooks.requests import hooks_of
from vaultd.catalog.hooks.shape import Row
from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.manifest import Api, Provider
from vaultd.config.model import Alias, Compat, Config
from vaultd.work import compacting, headers

PAGE: Final = Path("docs/honest-relay.md")
#: Stands for every entry of `openai-compatibility`: they differ in name and address alone.
COMPAT: Final = "openai-compatibility"


class Added(NamedTuple):
    """What translating a request into `format` puts there that the client did not say."""

    format: str
    member: str
    what: str
    why: str


#: Only where another format than the client's is written. A test writes a request that asks for nothing, in each.
TRANSLATION_ROWS: Final[tuple[Added, ...]] = (
    Added("openai-chat", "stream_options", "`include_usage: true`, in streams", "tokens are stated on request"),
    Added("openai-responses", "store", "`false`", "the other formats' vendors keep no answers either"),
    Added(
        "openai-responses",
        "include",
        "`reasoning.encrypted_content`",
        "reasoning that is not stored has no other way back",
    ),
    Added(
        "openai-responses",
        "reasoning",
        "`effort: medium, summary: auto`, of a model known to think, where the client says nothing",
        "what Codex itself asks for; without it clients of other formats see no thinking",
    ),
    Added("anthropic-messages", "max_tokens", "32000 or the model's limit, where the client has none", "required"),
)  # fmt: skip

#: What becomes of a message on Codex's websocket, beside what any request goes through.
SOCKET_ROWS: Final[tuple[Row, ...]] = (
    Row("type", "dropped", "", "a POST has none"),
    Row("generate", "dropped", "", "`false` warms the connection up: that is answered here, and nobody is asked"),
    Row("stream_id", "dropped", "", "it comes back in every event of the answer"),
    Row("previous_response_id", "dropped", "", "only this connection knows what it names"),
    Row("input", "changed", "what was said before goes ahead, where the request goes on from it", "likewise"),
    Row("stream", "set", "`true`", "each event becomes a message"),
    Row("client_metadata", "changed", "`ws_request_header_*` become headers", "here Codex cannot set them otherwise"),
)
#: The same of headers; `tests/relay/test_responses_socket.py` tells it.
_SOCKET_HEADERS: Final = (
    ("`openai-beta`", "`responses_websockets=…` is taken off it", "the vendor is asked with a POST"),
    ("`x-codex-turn-state`", "the vendor's is kept, and sent along from then on", "a socket stays where it is"),
)

_ALWAYS: Final = (
    ("`model` (Gemini: in the path) becomes the vendor's own name of it", "aliases, suffixes, `provider://model`"),
    (
        "the format's member for the reasoning that the model's name asks for",
        "a name such as `gpt-5-high` asks for it",
    ),
    ("`payload.default` and `payload.override` of the configuration", "the operator's word"),
    ("the request body is sent uncompressed, with a length", "zstd, gzip and deflate are inflated here, and counted"),
    ("of the query only `alt` (Gemini) and `beta` (Anthropic) pass", "a client key may stand there"),
    (
        "a `compaction` item that vaultd made itself becomes a message of the user's, its summary",
        "no vendor can read the item",
    ),
    (
        "reasoning and searches that a vendor of another format made, or its signature of a call, are left out",
        "the client had them from a translated answer, and the vendor refuses a conversation that holds them",
    ),
    ("`: keep-alive` comments in a stream that is silent", "`streaming.keepalive-seconds`; clients ignore comments"),
    ("a stream's first bytes are held until they say something", "until then another credential may still be asked"),
    ("an error event at the end of a stream that was cut", "so that a cut never looks like an end"),
    ("a page of HTML, or a redirect, becomes an error in the client's own shape", "a vendor's JSON passes as it is"),
)  # fmt: skip
#: For every vendor.
_SET: Final = (
    ("`content-type: application/json`, `accept-encoding: identity`, `content-length`, `host`", "always"),
    (f"`user-agent: {headers.USER_AGENT.partition('/')[0]}/<version>`", "unless the client has its own"),
    ("`headers` of a key or of an `openai-compatibility` entry", "the operator's word; wins over all but framing"),
)
#: To a vendor's own refusal.
_ADDED: Final = (
    (
        "`retry-after`, in seconds, at most `cooldown.max-seconds`",
        "the vendor says elsewhere when to come back: Codex's `resets_in_seconds`, Google's RetryInfo, a reset",
        "clients look in this one header",
    ),
)
_AUTH: Final = {
    "bearer": "authorization: Bearer",
    "x-api-key": "x-api-key",
    "x-goog-api-key": "x-goog-api-key",
}
_DOES: Final = {
    "set": "set: ",
    "changed": "changed: ",
    "dropped": "dropped ",
    "refused": "refused ",
    "wrapped": "",
    "mended": "after a refusal: ",
    "answer": "",
}

_HEAD: Final = """\
# What vaultd changes on the way, and nothing else

<!-- Generated from providers/, vaultd/catalog/hooks and vaultd/work/headers.py by `make docs`; edit there. -->

Same format in and out means the same bytes. This page lists every header and every body member that vaultd adds,
changes or drops, vendor by vendor. It is generated from the manifests and from what each hook says of itself, and a
test runs the hooks and compares. vaultd never puts a text of its own into a conversation, never names another program,
and never rewrites the model's name in an answer.
"""
_KEPT: Final = """\
What `Connection` names does not pass. Where a request is translated, `anthropic-` passes to vendors of Anthropic's
format alone, `openai-` and `x-codex-` to those of OpenAI's, and `x-stainless-`, `originator`, `version` and `accept` to
none: they speak of a body that is not sent.
"""
_OPTION: Final = """\
Some endpoints refuse a request that does not begin with a system block of their choice. vaultd adds none. Where an
operator has one to put there, one line does it, per vendor:

```yaml
providers:
  claude:
    api:
      first-system: the text of the block
```

The block goes before the client's own system text, of which nothing is taken away, and only once: not where the
client's own begins with it. The error such a refusal gives keeps the vendor's words and names this option.
"""
_TRANSLATION: Final = """\
A client of one format at a vendor of another: what it says is written in the vendor's words, and what these have no
words for is named in the answer's `x-vaultd-dropped`. Added is only this, an empty schema to a tool that declares none,
and for Gemini `skip_thought_signature_validator` to a call that has no signature of Gemini's:
"""
_SOCKET: Final = """\
What comes as a message is relayed as a POST of its own, and the events of its answer go back as messages. On the way:
"""
_COMPACTION: Final = """\
Codex has a conversation compacted by an item at the end of its input. A vendor of its own does that itself; any other
is asked for a summary, at the end of that one request: its tools stay declared and none may be called, and what shapes
an answer (a limit, a form, stop sequences, several choices, tools that the vendor runs) is left out of it. The answer
goes to the client as an item that only vaultd reads, sealed by the keyring of its auth-dir; whoever serves the next
request is told the summary as a message of the user's. An item that does not open, because it was changed or another
keyring sealed it, is refused with 400.

`/v1/responses/compact` passes unread to vendors of this format, but for `model` and such items. Of any other vendor the
same summary is asked, and the answer is made of it here: the user's own messages (an `id` and a `status` added, a text
in its long form), then the item.

This is the one text of vaultd's own that a vendor ever reads:
"""
_TAIL: Final = """\
## Gemini CLI

A client of `/v1internal` served by a vendor without the envelope has it taken off the request and put around the
answer. What the CLI asks besides (its tier, its project, its quota, its settings) is answered by vaultd itself; nothing
of it goes to the vendor, nor does the token that came with it.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, "## Always\n", _table(("what", "why"), _ALWAYS)]
    parts += ["## Headers of the client that pass\n", _listed(headers.REQUEST, headers.REQUEST_PREFIXES)]
    parts += [_KEPT]
    parts += ["## Headers that vaultd sets\n", _table(("header", "when"), _SET)]
    parts += ["## Headers of the vendor that come back\n", _listed(headers.ANSWER, headers.ANSWER_PREFIXES)]
    parts += ["Added to them:\n", _table(("header", "when", "why"), _ADDED)]
    parts += ["## By vendor\n", *_vendors()]
    parts += ["## For an endpoint that wants a system block of its own\n", _OPTION]
    rows = [(f"`{fmt}`", f"`{row.member}`", row.what, row.why) for fmt, row in FIRST_SYSTEM_ROWS.items()]
    parts += [_table(("format", "member", "what", "why"), rows)]
    cells = [(f"`{row.format}`", f"`{row.member}`", row.what, row.why) for row in TRANSLATION_ROWS]
    parts += ["## What translation adds\n", _TRANSLATION, _table(("vendor's format", "member", "what", "why"), cells)]
    parts += ["## Codex's websocket\n", _SOCKET, _table(("where", "name", "what becomes of it", "why"), _socket())]
    quoted = "".join(f"> {line}\n" for line in compacting.QUESTION.splitlines())
    parts += ["## Compaction\n", _COMPACTION, quoted]
    return "\n".join([*parts, _TAIL])


def providers() -> dict[str, Provider]:
    """Every vendor that is shipped, and one that stands for those of the configuration."""
    compat = Compat(name=COMPAT, base_url="https://acme.example/v1", models=[Alias(name="m")])
    found = load(shipped_folder(), None, Config(openai_compatibility=[compat]), "").providers
    return {name: found[name].provider for name in sorted(found)}


def header_rows(api: Api) -> Iterator[tuple[str, str]]:
    """Headers and queries that a vendor's manifest adds, and when: `(name: value, when)`."""
    if api.auth in _AUTH:
        elsewhere = f"; at another base-url `{_AUTH[api.auth_elsewhere]}`" if api.auth_elsewhere else ""
        yield _AUTH[api.auth], f"the credential{elsewhere}"
    for name, value in api.headers.items():
        yield f"{name}: {value}", "unless the client has its own"
    for name, value in api.append_headers.items():
        yield f"{name}: {value}", "appended where it is missing"
    for name in api.fact_headers:
        yield name, "of the account that signed in"
    for query in api.query.values():
        yield f"?{query}", "added to the address"


def body_rows(api: Api) -> list[Row]:
    """What a vendor's hooks say of themselves."""
    return [row for hook in hooks_of(api) for row in hook.rows]


def _vendors() -> Iterator[str]:
    """A section for each; those that are treated alike share one."""
    alike: dict[str, list[str]] = {}
    for name, provider in providers().items():
        alike.setdefault(_vendor(provider.api), []).append(name)
    for table, names in alike.items():
        yield f"### {', '.join(f'`{name}`' for name in names)}\n"
        yield table


def _socket() -> Iterator[Sequence[str]]:
    for row in SOCKET_ROWS:
        yield "body", f"`{row.member}`", f"{_DOES[row.does]}{row.what}".strip(), row.why
    for name, what, why in _SOCKET_HEADERS:
        yield "header", name, what, why


def _vendor(api: Api) -> str:
    rows = [("header" if name[0] != "?" else "address", f"`{name}`", when, "") for name, when in header_rows(api)]
    for (does, what, why), alike in groupby(body_rows(api), key=lambda row: row[1:]):
        names = ", ".join(f"`{row.member}`" for row in alike)
        rows.append(("answer" if does == "answer" else "body", names, f"{_DOES[does]}{what}".strip(), why))
    return _table(("where", "name", "what becomes of it", "why"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _listed(names: Iterable[str], prefixes: Iterable[str]) -> str:
    all_that = ", ".join(f"`{prefix}`" for prefix in prefixes)
    return f"{', '.join(f'`{name}`' for name in sorted(names))}, and all that begin with {all_that}.\n"


if __name__ == "__main__":
    PAGE.write_text(page())
