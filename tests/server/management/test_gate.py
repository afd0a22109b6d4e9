"""Who may manage over the main port: the key wherever it stands, from where the configuration says, and how often."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import bcrypt
import pytest
from desk import HandClock
from manager import HASHED, KEY, ON, PROXIED, WRONG, ask, error, from_afar
from serving import Serve

from vaultd.server.management.bans import Bans, in_words
from vaultd.server.management.table import BASE


def _rewrite(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("path", [f"{BASE}/about", f"{BASE}/nowhere", "/management.html", "/panel/app.js"])
async def test_without_a_key_in_the_configuration_nothing_is_there(serve: Serve, path: str) -> None:
    here = await serve()
    for method in ("GET", "POST", "OPTIONS"):
        assert (await here.send(method, path, b"", key=KEY, Origin="http://panel.example")).status in {404, 405}
    assert (await here.get(path, key=KEY)).status == 404


@pytest.mark.parametrize("secret", [KEY, HASHED], ids=["plain", "bcrypt"])
async def test_the_key_may_stand_in_either_header(serve: Serve, secret: str) -> None:
    here = await serve(f"remote-management: {{secret-key: {secret}}}\n")
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"Authorization": KEY}, {"X_Management_Key": KEY}):
        assert (await ask(here, "GET", "/about", key=None, **headers)).status == 200
    for headers in ({"Authorization": f"Bearer {WRONG}"}, {"Authorization": WRONG}, {"X_Management_Key": WRONG}):
        assert error(await ask(here, "GET", "/about", key=None, **headers)) == (401, "invalid management key")
    for headers in ({}, {"Authorization": "Bearer "}, {"X_Management_Key": ""}):
        assert error(await ask(here, "GET", "/about", key=None, **headers)) == (401, "missing management key")


@pytest.mark.parametrize("presented", ["x" * 73, KEY + "x", KEY[:-1], "ü", "\udcff"], ids=ascii)
async def test_a_key_that_bcrypt_would_choke_on_is_wrong_and_no_fault(serve: Serve, presented: str) -> None:
    here = await serve(f"remote-management: {{secret-key: {HASHED}}}\n")
    head = f"GET {BASE}/about HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Management-Key: {presented}\r\n\r\n"
    assert (await here.say(head.encode(errors="surrogateescape"))).status == 401


async def test_a_client_key_manages_nothing(serve: Serve) -> None:
    here = await serve(ON)
    assert (await here.get(f"{BASE}/about")).status == 401


async def test_the_password_of_the_environment_is_a_second_key_and_opens_the_way_from_afar(serve: Serve) -> None:
    here = await serve("trusted-proxies: [127.0.0.1]\n", MANAGEMENT_PASSWORD=KEY)
    assert (await ask(here, "GET", "/about")).status == 200
    assert (await from_afar(here, "203.0.113.7", KEY)).status == 200
    assert (await from_afar(here, "203.0.113.7", WRONG)).status == 401


async def test_a_key_that_was_right_is_forgotten_with_a_reload(serve: Serve) -> None:
    here = await serve(f"remote-management: {{secret-key: {HASHED}}}\n")
    assert (await ask(here, "GET", "/about")).status == 200
    other = bcrypt.hashpw(b"CANARY-another", bcrypt.gensalt(4)).decode()
    _rewrite(Path(here.house.config_source), HASHED, f"'{other}'")
    await here.house.reload("the test edited it")
    assert (await ask(here, "GET", "/about")).status == 401
    assert (await ask(here, "GET", "/about", key="CANARY-another")).status == 200


async def test_which_version_this_is_is_told_to_whoever_has_the_key(serve: Serve) -> None:
    here = await serve(ON)
    named = {"x-cpa-version", "x-cpa-commit", "x-cpa-build-date"}
    assert not named & (await ask(here, "GET", "/about", key=None)).headers.keys()
    heard = await ask(here, "GET", "/about")
    assert named <= heard.headers.keys()
    assert (heard.headers["cache-control"], heard.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_five_wrong_keys_are_a_ban_of_half_an_hour(serve: Serve) -> None:
    clock = HandClock()
    here = await serve(PROXIED, clock=clock)
    for _ in range(5):
        assert error(await from_afar(here, "203.0.113.7", WRONG)) == (401, "invalid management key")
    banned = await from_afar(here, "203.0.113.7", KEY)
    assert banned.status == 403
    assert "30 minutes" in banned.json()["error"]
    assert banned.headers["retry-after"] == "1800"
    assert (await from_afar(here, "203.0.113.8", KEY)).status == 200
    clock.advance(1799)
    assert (await from_afar(here, "203.0.113.7", KEY)).status == 403
    clock.advance(1)
    assert (await from_afar(here, "203.0.113.7", KEY)).status == 200


async def test_the_right_key_wipes_the_slate(serve: Serve) -> None:
    here = await serve(PROXIED)
    for _ in range(3):
        for _ in range(4):
            assert (await from_afar(here, "203.0.113.7", WRONG)).status == 401
        assert (await from_afar(here, "203.0.113.7", KEY)).status == 200


def test_a_customers_whole_network_is_one_peer() -> None:
    bans = Bans()
    for host in range(5):
        bans.wrong(f"2001:db8:1:2::{host:x}", 0.0)
    assert bans.left("2001:db8:1:2:ffff::1", 0.0) == 1800.0
    assert bans.left("2001:db8:1:3::1", 0.0) == 0.0
    for _ in range(5):
        bans.wrong("::ffff:203.0.113.7", 0.0)
    assert bans.left("203.0.113.7", 0.0) == 1800.0


def test_a_wrong_key_of_an_hour_ago_is_forgotten() -> None:
    bans = Bans()
    for hour in range(20):
        assert not bans.wrong("203.0.113.7", hour * 3600.0)
    assert bans.left("203.0.113.7", 20 * 3600.0) == 0.0


def test_the_table_of_peers_has_an_end() -> None:
    bans = Bans()
    for number in range(10_000):
        bans.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(bans._peers) == 4096


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1800, "30 minutes"), (1799.2, "30 minutes"), (61, "1 minute and 1 second"), (0.01, "1 second")],
)
def test_what_is_left_of_a_ban_is_said_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


async def test_the_body_is_json_and_says_so(serve: Serve) -> None:
    here = await serve(ON)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        refused = await ask(here, "POST", "/client-keys", {"alias": "laptop"}, Content_Type=kind)
        assert refused.status == 415
    bare = b'{"alias": "laptop"}'
    assert (await here.send("POST", f"{BASE}/client-keys", bare, key=KEY)).status == 415
    packed = await ask(here, "POST", "/client-keys", {"alias": "laptop"}, Content_Encoding="gzip")
    assert packed.status == 415
    for body in (b"", b"{", b"[]", b'{"alias": 5}', b'{"alias": ""}', b"\xff", b"[" * 100_000):
        heard = await here.send("POST", f"{BASE}/client-keys", body, key=KEY, Content_Type="application/json")
        assert error(heard) == (400, "invalid body")
    assert [key.alias for key in here.house.clients.list() if key.source == "vault"] == []


async def test_a_body_is_read_no_further_than_its_route_needs(serve: Serve) -> None:
    here = await serve(ON)
    told = b"POST /v0/management/client-keys HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    told += f"X-Management-Key: {KEY}\r\nContent-Type: application/json\r\n".encode()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for rest in (b"Content-Length: 99999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 33):
        reader, writer = await asyncio.open_connection(here.host, here.port)
        writer.write(told + rest)  # and no end
        assert (await reader.readline()).split()[1] == b"413"
        writer.close()


async def test_what_is_not_there_and_what_is_not_meant_are_told_apart(serve: Serve) -> None:
    here = await serve(ON)
    assert error(await ask(here, "GET", "/nowhere")) == (404, "no such route")
    heard = await ask(here, "PATCH", "/about")
    assert (heard.status, heard.headers["allow"]) == (405, "GET")
    heard = await ask(here, "GET", "/client-keys/config-x?reveal=perhaps")
    assert heard.status == 400
    assert json.loads(heard.body)["message"] == "reveal is to be of type boolean"


async def test_a_number_is_an_integer_however_it_is_written(serve: Serve) -> None:
    here = await serve(ON)
    for written in ("3", "3.0", "30e-1"):
        body = f'{{"value": {written}}}'.encode()
        heard = await here.send("PUT", f"{BASE}/request-retry", body, key=KEY, Content_Type="application/json")
        assert heard.status == 200
        assert here.house.config.request_retry == 3
    heard = await here.send("PUT", f"{BASE}/request-retry", b'{"value": 3.5}', key=KEY, Content_Type="application/json")
    assert heard.status == 400
