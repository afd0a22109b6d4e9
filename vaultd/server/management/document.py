"""Writes `docs/management-api.md` from the routes, so that none is described twice: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from vaultd.server.management.bans import BAN, BUDGET, WRONG
from vaultd.server.management.openapi import ALWAYS, WITH_BODY, document
from vaultd.server.management.route import Route
from vaultd.server.management.table import BASE, ROUTES

PAGE: Final = Path("docs/management-api.md")

#: A shape that takes more is in `openapi.json` alone: a table is read at a glance.
_LONGEST: Final = 160

_BAN_MINUTES: Final = int(BAN // 60)

_HEAD: Final = f"""\
# Management API

<!-- Generated from vaultd/server/management by `make docs`; edit there. -->

Everything the panel does, for programs. Routes marked *theirs* are CLIProxyAPI's, with its bodies, answers and error
texts, so that what was written for it works here. The daemon serves this same list as OpenAPI 3.1 under
`{BASE}/openapi.json`.

## Coming in

The API is off until there is a key: `remote-management.secret-key` in the configuration, or `MANAGEMENT_PASSWORD` in
the daemon's environment. Until then every route here, and the panel, answers 404. A key written plainly is replaced by
its bcrypt hash at the next start or reload; comments stay. bcrypt looks at 72 bytes, so no longer key is accepted.

```sh
curl -H 'Authorization: Bearer KEY' http://127.0.0.1:8317{BASE}/status
curl -H 'X-Management-Key: KEY' http://127.0.0.1:8317{BASE}/auth-files
curl -H 'X-Management-Key: KEY' -H 'Content-Type: application/json' -X PUT \\
  -d '{{"value": true}}' http://127.0.0.1:8317{BASE}/debug
curl --unix-socket "$XDG_RUNTIME_DIR/vaultd/admin.sock" http://localhost{BASE}/status
```

- **Where from.** From this machine with the key; from elsewhere only with `remote-management.allow-remote: true`, or
  with `MANAGEMENT_PASSWORD` set. *This machine* is a loopback peer without a forwarding header, however that header
  reads; behind a proxy listed in `trusted-proxies` the peer is the right-most hop that is none of them. No route
  changes `allow-remote` or `secret-key`.
- **The admin socket** has the same routes and asks no key: its file's mode has decided.
- **Wrong keys.** After {WRONG} wrong keys (missing ones do not count) a peer is refused for {_BAN_MINUTES} minutes with
  403 and `Retry-After`; of IPv6 a /64 is one peer. All peers together may try {BUDGET} unknown keys a minute (429).
  Neither concerns this machine, nor the admin socket.
- **Names and pages.** The `Host` must be a loopback name, the listen address, or in `allowed-hosts`; where that is
  empty and vaultd listens everywhere, any IP address will do. A request from a page of another origin is refused with
  403 unless `remote-management.allowed-origins` has exactly that origin; only then are there CORS headers, and never
  for credentials.
- **Behind a proxy.** Its address belongs in `trusted-proxies`, the name it is called by in `allowed-hosts`, and it has
  to send three headers; in nginx `proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`. A proxy on this machine that sends no forwarding header
  makes all who come through it callers from this machine.
- **Bodies** are JSON, declared as such, unless the table says otherwise; others get 415.
- **Secrets** are masked. `?reveal=1` shows them to this machine and to the admin socket, where a route knows it.
- **The panel** is `/management.html`, from the wheel; `remote-management.disable-control-panel` takes it away, and
  `MANAGEMENT_STATIC_PATH` (a folder, or the file) puts an operator's own `management.html` in its place, with a policy
  that lets it talk to this address alone.
- **Changes**, secrets shown, and credential files and kept requests that are downloaded stand in the
  [audit log](audit.md): who, route, status, and the names of things; no value. What cannot be written there is refused
  with 503.

## CLIProxyAPI's own panel

Put its `management.html` in a folder, name that in `MANAGEMENT_STATIC_PATH`, and `/management.html` is that page;
vaultd never fetches it. It may talk to this address alone, and load nothing from elsewhere. Everything it had in
November 2025 works: settings, keys, vendors, files, the five sign-ins, usage, logs and the editor. It sees keys as
masks and sends masks back, which changes nothing. What is different:

- Pages of before December 2025 take their icons and plots from other sites, so there are none: build them in.
- The list of models on its system page, and *test* and *fetch models* of a vendor, use a key as the page knows it, a
  mask; they fail. Here `GET {BASE}/models` and `POST {BASE}/try` do that.
- A download is the sealed file. A service account for Vertex is refused.
- Of later versions there are `PATCH /auth-files/status` and `/fields`, `GET /auth-files/models`, several names in
  `DELETE /auth-files`, `oauth-callback`, `usage/export` and `usage/import`. There are not, and answer 404:
  `latest-version`, `request-error-logs`, `request-log-by-id`, `oauth-excluded-models` and `oauth-model-alias`,
  `model-definitions`, `vertex-api-key`, `ampcode`, `api-call` (it would send a login anywhere), and sign-ins by cookie.
- EasyCLI, from afar, is a page of its own origin: list `tauri://localhost` (on Windows `http://tauri.localhost`) in
  `remote-management.allowed-origins`. ProxyPal, Quotio and scripts are none and need nothing.
- A key's `excluded-models`, `priority` and `weight` stay where a saved list does not name them, for older programs do
  not know them; `excluded-models: ["*"]` alone, the later panels' *off*, goes.

A refusal is `{{"error": "…"}}`, often with a `message`. Beside what a row lists, any route may answer:

"""


def page() -> str:
    return "\n".join([_HEAD + "\n".join(_common()), "", *_tables()]) + "\n"


def _common() -> Iterator[str]:
    yield "| status | |"
    yield "|---|---|"
    for status, means in sorted((ALWAYS | WITH_BODY).items()):
        yield f"| {status} | {means} |"


def _tables() -> Iterator[str]:
    schemas = document()["components"]["schemas"]
    paths = document()["paths"]
    for group in dict.fromkeys(route.group for route in ROUTES):
        yield f"## {group[0].upper()}{group[1:]}"
        yield ""
        yield "| route | | in | out | also |"
        yield "|---|---|---|---|---|"
        for route in ROUTES:
            if route.group == group:
                yield _row(route, paths[route.plain_path][route.method.lower()], schemas)
        yield ""


def _row(route: Route, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    whose = "theirs" if route.theirs else "ours"
    also = "; ".join(f"{status}: {means.rstrip('.')}" for status, means in sorted(route.also.items()))
    cells = [f"`{route.method} {route.plain_path}`<br>{route.says}", whose]
    cells += [_in(route, operation, schemas), _out(route, operation, schemas), also]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _in(route: Route, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    said = [f"`?{query.name}=`" + ("" if query.required else " (optional)") for query in route.query]
    if route.body is bytes:
        said += [", ".join(route.takes)]
    elif route.body is not None:
        schema = next(iter(operation["requestBody"]["content"].values()))["schema"]
        said += [f"`{_short(schema, schemas)}`"]
    return "<br>".join(said) or "–"


def _out(route: Route, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "application/json" not in route.gives or "," in route.gives:
        return route.gives
    return f"`{_short(operation['responses']['200']['content']['application/json']['schema'], schemas)}`"


def _short(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """The shape at a glance: as deep as there is room for."""
    for depth in (4, 3, 2, 1):
        if len(shape := _shape(schema, schemas, depth)) <= _LONGEST:
            return shape
    return "{…}"


def _shape(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> str:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(_shape(one, schemas, depth) for one in schema[union]))
    match schema.get("type"):
        case "object" if "properties" in schema:
            if depth == 0:
                return "{…}"
            members = schema["properties"].items()
            return "{" + ", ".join(_member(name, one, schemas, depth - 1) for name, one in members) + "}"
        case "object":
            return "{…}"
        case "array":
            return f"[{_shape(schema.get('items', {}), schemas, depth)}]"
    if "enum" in schema:
        return " or ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in schema["enum"])
    return str(schema.get("type", "any"))


def _member(name: str, schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> str:
    said = _shape(schema, schemas, depth)
    return name if said in {"string", "integer", "number", "boolean", "any", "null"} else f"{name}: {said}"


if __name__ == "__main__":
    PAGE.write_text(page())
