"""Who comes in: client keys wherever they stand, loopback without forwarding, our own Host names."""

from __future__ import annotations

import pytest
from serving import CLIENT_KEY, MODELS, Serve

from vaultd.server.guard import host_allowed

WRONG = "sk-CANARY-wrong"


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "x-goog-api-key"])
async def test_a_client_key_may_stand_in_any_of_its_headers(serve: Serve, name: str) -> None:
    here = await serve(MODELS)
    value = f"Bearer {CLIENT_KEY}" if name == "Authorization" else CLIENT_KEY
    assert (await here.get("/v1/models", key=None, **{name: value})).status == 200
    assert (await here.get("/v1/models", key=None, **{name: value + "x"})).status == 401


async def test_a_client_key_may_stand_in_the_query(serve: Serve) -> None:
    here = await serve(MODELS)
    assert (await here.get(f"/v1/models?key={CLIENT_KEY}", key=None)).status == 200
    assert (await here.get(f"/v1/models?key={WRONG}", key=None)).status == 401


async def test_thr_02_two_keys_at_once_do_not_conflict(serve: Serve) -> None:
    here = await serve(MODELS)
    assert (await here.get("/v1/models", x_api_key=CLIENT_KEY)).status == 200
    assert (await here.get("/v1/models", x_api_key=WRONG)).status == 200
    assert (await here.get("/v1/models", key=WRONG, x_api_key=CLIENT_KEY)).status == 200
    assert (await here.get("/v1/models", key=WRONG, x_api_key=WRONG)).status == 401


async def test_an_issued_key_opens_until_it_is_disabled(serve: Serve) -> None:
    here = await serve(MODELS)
    key = await here.house.clients.create("laptop")
    assert (await here.get("/v1/models", key=key.value.reveal())).status == 200
    await here.house.clients.disable("laptop")
    assert (await here.get("/v1/models", key=key.value.reveal())).status == 401


async def test_there_is_no_open_relay(serve: Serve) -> None:
    here = await serve("api-keys: []\n" + MODELS)
    for path in ("/v1/chat/completions", "/v1/messages", "/v1beta/models/x:generateContent", "/v1internal:x"):
        for key in (None, "", "sk-anything"):
            assert (await here.send("POST", path, b"{}", key=key)).status == 401
    assert (await here.get("/v1/models", key=None)).status == 401


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/v1/chat/completions", ["error", "type"]),
        ("/v1/responses", ["error", "type"]),
        ("/v1/messages", ["error", "type"]),
        ("/v1beta/models/m:generateContent", ["error", "status"]),
        ("/v1internal:generateContent", ["error", "status"]),
    ],
)
async def test_a_refusal_is_in_the_clients_own_shape(serve: Serve, path: str, member: list[str]) -> None:
    here = await serve(MODELS)
    heard = await here.send("POST", path, b"{}", key=WRONG)
    value = heard.json()
    for name in member:
        value = value[name]
    assert heard.status == 401
    assert value in {"authentication_error", "UNAUTHENTICATED"}
    assert WRONG.encode() not in heard.body


async def test_a_key_of_no_known_alphabet_is_refused_not_a_fault(serve: Serve) -> None:
    here = await serve(MODELS)
    request = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"
    assert (await here.say(request)).status == 401


# --- health without a key ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_health_needs_no_key_on_loopback(serve: Serve, path: str) -> None:
    here = await serve(MODELS)
    assert (await here.get(path, key=None)).status == 200
    assert (await here.get(path)).status == 200
    assert (await here.get(path, key=WRONG)).status == 401


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-anything", "X-Real-IP"]
)
async def test_a_forwarded_request_is_not_from_loopback(serve: Serve, name: str) -> None:
    here = await serve(MODELS)
    assert (await here.get("/metrics", key=None, **{name: "127.0.0.1"})).status == 401
    assert (await here.get("/metrics", **{name: "127.0.0.1"})).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost:8317", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:1", 200),
        ("[::1]:8317", 200),
        ("localhost.", 200),
        ("evil.example", 403),
        ("evil.example:8317", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.1.5", 403),
        ("localhost:8317:1", 403),
        ("localhost:x", 403),
        ("[::1", 403),
        ("user@localhost", 403),
    ],
)
async def test_thr_21_only_our_own_names_are_answered_without_a_key(serve: Serve, host: str, status: int) -> None:
    here = await serve(MODELS)
    assert (await here.get("/healthz", key=None, host=host)).status == status
    assert (await here.get("/healthz", host=host)).status == 200


async def test_thr_21_an_absolute_target_counts_as_the_host(serve: Serve) -> None:
    here = await serve(MODELS)
    for target, host in (("http://evil.example/healthz", "localhost"), ("http://localhost/healthz", "evil.example")):
        request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        assert (await here.say(request.encode())).status == 403
    request = b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert (await here.say(request)).status == 200


@pytest.mark.parametrize(
    ("host", "listen", "allowed", "answer"),
    [
        ("vault.lan", "127.0.0.1", ["vault.lan"], True),
        ("vault.lan:9", "127.0.0.1", ["vault.lan:8317"], True),
        ("other.lan", "127.0.0.1", ["vault.lan"], False),
        ("localhost", "127.0.0.1", ["vault.lan"], True),
        ("192.168.1.5", "192.168.1.5", [], True),
        ("192.168.1.6", "192.168.1.5", [], False),
        ("192.168.1.6", "0.0.0.0", [], True),
        ("[fe80::1]:8317", "::", [], True),
        ("vault.lan", "0.0.0.0", [], False),
        ("192.168.1.6", "0.0.0.0", ["vault.lan"], False),
        ("", "0.0.0.0", [], False),
    ],
)
def test_thr_21_which_hosts_are_ours(host: str, listen: str, allowed: list[str], answer: bool) -> None:
    assert host_allowed(host, listen=listen, allowed=allowed) is answer


# --- /v1internal ------------------------------------------------------------------------------------------------------


async def test_v1internal_asks_everyone_for_a_key(serve: Serve) -> None:
    here = await serve(MODELS)
    assert (await here.send("POST", "/v1internal:generateContent", b"{}", key=None)).status == 401


async def test_v1internal_can_be_limited_to_loopback(serve: Serve) -> None:
    here = await serve("gemini-cli: {allow-remote: false}\n" + MODELS)
    far = await here.send("POST", "/v1internal:generateContent", b"{}", X_Forwarded_For="203.0.113.9")
    assert far.status == 403
    assert (await here.send("POST", "/v1internal:generateContent", b"{}")).status not in {401, 403}


async def test_v1internal_can_admit_a_stock_gemini_cli_from_loopback(serve: Serve) -> None:
    here = await serve("gemini-cli: {loopback-without-key: true}\n" + MODELS)
    google = "ya29.CANARY"
    path = "/v1internal:generateContent"
    assert (await here.send("POST", path, b"{}", key=google)).status not in {401, 403}
    assert (await here.send("POST", path, b"{}", key=google, host="evil.example")).status == 403
    assert (await here.send("POST", path, b"{}", key=google, X_Forwarded_For="127.0.0.1")).status == 401


async def test_thr_24_the_log_names_the_peer_and_believes_only_trusted_forwarders(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="vaultd.server")
    here = await serve(MODELS)
    await here.get("/v1/models", key=WRONG, X_Forwarded_For="203.0.113.9")
    await here.house.close()
    trusting = await serve("trusted-proxies: [127.0.0.1, 10.0.0.1, 'FD00:0::2']\n" + MODELS)
    await trusting.get("/v1/models", key=WRONG, X_Forwarded_For="8.8.8.8, 203.0.113.9, 10.0.0.1")
    await trusting.get("/v1/models", key=WRONG, X_Forwarded_For="203.0.113.9, not-an-address")
    for same in ("fd00::2", "FD00::0002"):  # as a socket spells it, and as a proxy may
        await trusting.get("/v1/models", key=WRONG, X_Forwarded_For=f"2001:DB8::0:7, {same}")
    peers = [record.peer for record in caplog.records if record.getMessage() == "client key refused"]
    assert peers == ["127.0.0.1", "203.0.113.9", "127.0.0.1", "2001:db8::7", "2001:db8::7"]
    assert WRONG not in caplog.text
