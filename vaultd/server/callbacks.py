"""The browser comes back on the main port: `/codex/callback` and its like, which finish the pending sign-in of their
`state`. For a daemon whose callback port a browser cannot reach, and for programs that rewrite the address as they did
for CLIProxyAPI.

No key is asked for: who knows a `state` that waits was sent here by the vendor. It counts once, for its own vendor, and
no other request changes anything. No parameter is ever echoed, and nothing is logged: the query holds a code.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from vaultd.errors import VaultdError
from vaultd.house import House
from vaultd.net.loopback import HEADERS, page
from vaultd.server.guard import allowed_host
from vaultd.server.management.sign_ins import provider_named
from vaultd.wire.refusal import Refusal

_DONE: Final = "The answer has arrived. Go back to where you started the sign-in; this page can be closed."
_UNKNOWN: Final = "No sign-in waits for this answer. Start it again; this page can be closed."
_VENDOR: Final = "{vendor:[a-z0-9][a-z0-9-]{0,63}}"
#: Errors a vendor may name (RFC 6749 §4.1.2.1; OpenID Connect Core §3.1.2.6): words of ours, so they can be shown.
_NAMED: Final = frozenset(
    {
        "invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope",
        "server_error", "temporarily_unavailable", "interaction_required", "login_required",
        "account_selection_required", "consent_required",
    }
)  # fmt: skip


def mount(app: web.Application, house: House) -> None:
    app.router.add_route("GET", f"/{_VENDOR}/callback", _Callbacks(house).come_back)
    app.router.add_route("GET", f"/{_VENDOR}/callback/done", _Callbacks(house).done)


class _Callbacks:
    def __init__(self, house: House) -> None:
        self._house = house

    async def come_back(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        provider = provider_named(self._house.catalog, request.match_info["vendor"])
        assert provider is not None
        try:
            answer = self._house.sign_ins.redirected(request.rel_url.raw_query_string, provider.id)
        except VaultdError:
            return page(400, _UNKNOWN)
        if "error" in answer:
            named = f" ({answer['error']})" if answer["error"] in _NAMED else ""
            return page(200, f"The sign-in was refused{named}. The reason stands where you started it.")
        # 303: code and state leave the browser's bar and history (RFC 9700 §4.12).
        return web.Response(
            status=303, headers={**HEADERS, "Location": f"/{request.match_info['vendor']}/callback/done"}
        )

    async def done(self, request: web.Request) -> web.StreamResponse:
        return self._refusal(request) or page(200, _DONE)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """THR-21 as everywhere without a key; a browser that looks ahead must not use up the one shot."""
        try:
            allowed_host(self._house, request)
        except Refusal:
            return page(403, "This is not an address of this daemon (allowed-hosts).")
        if provider_named(self._house.catalog, request.match_info["vendor"]) is None:
            return page(404, "There is nothing here.")
        if any("prefetch" in request.headers.get(name, "").lower() for name in ("Sec-Purpose", "Purpose", "X-Moz")):
            return page(503, "Not for looking ahead.")
        if self._house.draining.is_set():
            return page(503, "vaultd is stopping. Start the sign-in again in a moment.")
        return None
