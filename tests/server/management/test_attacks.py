"""What strangers and pages try on the management API, each by the name of its row in the table of threats."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import re
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from desk import HandClock
from manager import HASHED, KEY, ON, PROXIED, WRONG, ask, error, from_afar
from serving import Serve, Serving

from vaultd.net import local
from vaultd.net.logs import Line
from vaultd.server import admin, panel_files
from vaultd.server.management.bans import BUDGET
from vaultd.server.management.table import BASE, ROUTES

EVIL: Final = "http://evil.example"
PANEL: Final = "https://panel.example"
HOSTED: Final = f"remote-management: {{secret-key: {KEY}, allowed-origins: [{PANEL}]}}\n"


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", None]
)
async def test_thr_20_a_form_of_another_site_changes_nothing(serve: Serve, kind: str | None) -> None:
    """Even where the key came along, as no browser would send it with a form."""
    here = await serve(ON)
    headers = {"Content_Type": kind} if kind else {}
    sent = b'{"alias": "mine"}'
    unseen = await here.send("POST", f"{BASE}/client-keys", sent, key=KEY, **headers)
    assert unseen.status == 415
    said = await here.send("POST", f"{BASE}/client-keys", sent, key=KEY, Origin=EVIL, **headers)
    assert error(said) == (403, "origin not allowed")
    assert [key.source for key in here.house.clients.list()] == ["config"]


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        (EVIL, "cross-site"),
        (EVIL, None),
        ("null", "cross-site"),
        ("http://localhost:3000", "same-site"),
        ("https://127.0.0.1:{port}", None),
        ("http://127.0.0.1:{port}.evil.example", None),
        (PANEL + ".evil.example", "cross-site"),
        (PANEL.upper(), "cross-site"),
        ("http://panel.example", "cross-site"),
        (None, "cross-site"),
        (None, "same-site"),
    ],
)
async def test_thr_20_a_page_of_elsewhere_is_refused_with_the_key_too(
    serve: Serve, origin: str | None, site: str | None
) -> None:
    here = await serve(HOSTED)
    headers = {} if origin is None else {"Origin": origin.format(port=here.port)}
    if site is not None:
        headers["Sec_Fetch_Site"] = site
    heard = await ask(here, "POST", "/client-keys", {"alias": "mine"}, **headers)
    assert error(heard) == (403, "origin not allowed")
    assert not [name for name in heard.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("http://127.0.0.1:{port}", "same-origin"),
        (PANEL, "cross-site"),
        (None, "none"),
        (None, "same-origin"),
        (None, None),
    ],
)
async def test_thr_20_our_own_page_and_a_named_one_are_not(serve: Serve, origin: str | None, site: str | None) -> None:
    here = await serve(HOSTED)
    headers = {} if origin is None else {"Origin": origin.format(port=here.port)}
    if site is not None:
        headers["Sec_Fetch_Site"] = site
    assert (await ask(here, "POST", "/client-keys", {"alias": "mine"}, **headers)).status == 200


async def test_thr_20_behind_a_proxy_that_ends_tls_our_page_is_known_or_told_what_to_set(serve: Serve) -> None:
    names = "allowed-hosts: [vault.example]\n"
    here = await serve(names + PROXIED)
    came = {"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Proto": "https"}
    for host, port in (("vault.example", ""), ("vault.example:443", ""), ("vault.example:8443", ":8443")):
        page = came | {"Origin": f"https://vault.example{port}"}
        assert (await here.get(f"{BASE}/about", key=KEY, host=host, **page)).status == 200
        unlike = await here.get(f"{BASE}/about", key=KEY, host=host, **page | {"X_Forwarded_Proto": "http"})
        assert error(unlike) == (403, "origin not allowed")
        for words in ("X-Forwarded-Proto", "`trusted-proxies`", f"'{page['Origin']}'", "'http://vault.example"):
            assert words in unlike.json()["message"]
    heard = await here.get(f"{BASE}/about", key=KEY, host="other.example:8317")
    assert "'other.example:8317'" in heard.json()["message"]
    assert "`allowed-hosts`" in heard.json()["message"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:{port}", "192.0.2.1", ""])
async def test_thr_21_a_name_that_was_rebound_to_us_is_refused_with_the_key_too(serve: Serve, host: str) -> None:
    here = await serve(ON)
    for path in (f"{BASE}/about", f"{BASE}/nowhere", "/management.html"):
        wanted = f"GET {path} HTTP/1.1\r\nHost: {host.format(port=here.port)}\r\nConnection: close\r\n"
        heard = await here.say(f"{wanted}X-Management-Key: {KEY}\r\n\r\n".encode())
        assert error(heard) == (403, "host not allowed")


async def test_thr_21_an_absolute_target_counts_as_the_host(serve: Serve) -> None:
    here = await serve(ON)
    for target, host in (("http://evil.example", "127.0.0.1"), ("http://127.0.0.1", "evil.example")):
        wanted = f"GET {target}{BASE}/about HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        heard = await here.say(f"{wanted}X-Management-Key: {KEY}\r\n\r\n".encode())
        assert error(heard) == (403, "host not allowed")


async def test_thr_22_nobody_may_read_across_origins_but_whom_the_configuration_names(serve: Serve) -> None:
    """A snapshot: what a browser is told, to whom."""
    here = await serve(HOSTED)

    async def said(method: str, origin: str, path: str) -> dict[str, str]:
        heard = await ask(here, method, path, key=None, Origin=origin, Access_Control_Request_Method="PUT")
        cors = {name: value for name, value in heard.headers.items() if name.startswith("access-control")}
        return {"status": str(heard.status), **cors}

    granted = {
        "status": "204",
        "access-control-allow-origin": PANEL,
        "access-control-allow-methods": "GET, PUT, POST, PATCH, DELETE",
        "access-control-allow-headers": "authorization, cache-control, content-type, expires, if-match, "
        "if-none-match, pragma, x-management-key",
        "access-control-expose-headers": "content-disposition, etag, retry-after, "
        "x-cpa-version, x-cpa-commit, x-cpa-build-date",
        "access-control-max-age": "600",
    }
    for path in ("/about", "/nowhere"):
        assert await said("OPTIONS", PANEL, path) == granted
        for origin in (EVIL, "null", "*", PANEL + "/", f"http://127.0.0.1:{here.port}"):
            assert await said("OPTIONS", origin, path) == {"status": "403"}
    assert (await said("GET", EVIL, "/about")) == {"status": "403"}
    assert (await said("GET", PANEL, "/about"))["access-control-allow-origin"] == PANEL


async def test_thr_22_relay_routes_grant_no_origin_anything(serve: Serve) -> None:
    here = await serve(HOSTED)
    heard = await here.get("/v1/models", Origin=PANEL)
    assert heard.status == 200
    assert not [name for name in heard.headers if name.startswith("access-control")]


# --- guesses ----------------------------------------------------------------------------------------------------------


async def _each(here: Serving, count: int, key: str | None, address: str | None = None) -> list[int]:
    """The statuses of so many requests on one connection."""
    headers = {} if key is None else {"X-Management-Key": key}
    if address is not None:
        headers["X-Forwarded-For"] = address
    url, heard = f"http://127.0.0.1:{here.port}{BASE}/about", []
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            async with session.get(url, headers=headers) as answer:
                heard.append(answer.status)
    return heard


async def test_thr_23_a_thousand_guesses_a_thousand_without_a_key_then_the_right_one(serve: Serve) -> None:
    here = await serve(PROXIED)
    afar = await _each(here, 1000, WRONG, "203.0.113.7")
    assert afar == [401] * 5 + [403] * 995
    assert await _each(here, 1000, None, "203.0.113.8") == [401] * 1000
    assert await _each(here, 1, KEY, "203.0.113.8") == [200]
    assert await _each(here, 1, KEY, "203.0.113.7") == [403]
    assert await _each(here, 1, KEY) == [200]


async def test_thr_23_no_guess_locks_out_who_sits_at_the_machine(serve: Serve) -> None:
    here = await serve(PROXIED)
    assert await _each(here, 100, WRONG) == [401] * 100
    assert await _each(here, 1, KEY) == [200]
    # Nor does somebody without a name behind a proxy that is not trusted, whose peer address is this machine's.
    assert set(await _each(here, 10, WRONG, "127.0.0.1")) == {401, 403}
    assert await _each(here, 1, KEY) == [200]


async def test_thr_23_guesses_from_everywhere_have_one_budget(serve: Serve) -> None:
    clock = HandClock()
    here = await serve(PROXIED, clock=clock)
    assert (await from_afar(here, "198.51.100.1", KEY)).status == 200
    botnet = [(await from_afar(here, f"203.0.113.{host}", WRONG)).status for host in range(BUDGET + 20)]
    assert botnet == [401] * (BUDGET - 1) + [429] * 21
    assert (await from_afar(here, "198.51.100.2", KEY)).status == 200, "a key that is known is not a guess"
    refused = await from_afar(here, "203.0.113.99", WRONG)
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert (await ask(here, "GET", "/about", key=WRONG)).status == 401
    clock.advance(60)
    assert (await from_afar(here, "203.0.113.99", WRONG)).status == 401


# --- where from -------------------------------------------------------------------------------------------------------

#: Everything an attacker writes to seem near.
_DISGUISES: Final = [
    {"X_Forwarded_For": "127.0.0.1"},
    {"X_Forwarded_For": "::1"},
    {"X_Real_IP": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"X_Forwarded_For": "127.0.0.1, 203.0.113.7"},
    {"X_Forwarded_For": "203.0.113.7", "X_Real_IP": "127.0.0.1"},
]


@pytest.mark.parametrize("disguise", _DISGUISES, ids=str)
@pytest.mark.parametrize("proxies", ["", "trusted-proxies: [127.0.0.1]\n"], ids=["untrusted", "trusted"])
async def test_thr_24_no_header_makes_a_caller_near(serve: Serve, disguise: dict[str, str], proxies: str) -> None:
    here = await serve(proxies + ON)
    assert error(await ask(here, "GET", "/about", **disguise)) == (403, "remote management disabled")
    assert (await ask(here, "GET", "/about")).json()["near"] is True


async def test_thr_24_a_ban_sticks_to_the_peer_whatever_he_says_of_himself(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    here = await serve(PROXIED)
    for spoofed in range(5):
        assert (await from_afar(here, f"10.0.0.{spoofed}, 203.0.113.7", WRONG)).status == 401
    assert (await from_afar(here, "127.0.0.1, 203.0.113.7", KEY)).status == 403
    assert (await from_afar(here, "10.0.0.1", KEY)).status == 200
    lines = [Line().format(record) for record in caplog.records if record.name == "vaultd.audit"]
    assert lines
    assert all(line.partition(" who=")[2].startswith("203.0.113.7") for line in lines)


async def test_thr_25_from_afar_there_is_nothing_to_see_unless_that_is_said(serve: Serve) -> None:
    here = await serve(f"trusted-proxies: [127.0.0.1]\nremote-management: {{secret-key: {HASHED}}}\n")
    paths = [f"{BASE}/nowhere", "/management.html", "/panel/app.js", *(f"{BASE}{route.path}" for route in ROUTES)]
    for path in paths:
        for key in (None, WRONG, KEY):
            heard = await here.get(re.sub(r"\{[^}]*\}", "x", path), key=key, X_Forwarded_For="203.0.113.7")
            assert error(heard) == (403, "remote management disabled")


# --- the panel --------------------------------------------------------------------------------------------------------


async def test_thr_26_the_panel_is_all_here_and_may_ask_nobody_else(serve: Serve) -> None:
    """Offline: what a page names it finds under our own address, and its policy forbids the rest."""
    here = await serve(ON)
    page = await here.get("/management.html", key=None)
    assert page.status == 200
    assert page.headers["content-security-policy"] == panel_files.POLICY
    assert "unsafe" not in panel_files.POLICY
    named = re.findall(r"""(?:src|href)="([^"#]+)\"""", page.body.decode())
    assert named
    for address in named:
        assert address.startswith(("/panel/", "panel/")), address
        assert (await here.get("/" + address.lstrip("/"), key=None)).status == 200


async def test_thr_26_a_page_of_the_operators_own_gets_a_policy_of_its_own(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "management.html").write_text("<script>1</script>")
    here = await serve(ON, MANAGEMENT_STATIC_PATH=str(tmp_path))
    page = await here.get("/management.html", key=None)
    assert (page.status, page.body) == (200, b"<script>1</script>")
    assert page.headers["content-security-policy"] == panel_files.POLICY_OF_OTHERS
    assert "connect-src 'self'" in panel_files.POLICY_OF_OTHERS
    (tmp_path / "management.html").unlink()
    assert (await here.get("/management.html", key=None)).status == 404


async def test_thr_26_the_panel_can_be_left_out(serve: Serve) -> None:
    here = await serve(f"remote-management: {{secret-key: {KEY}, disable-control-panel: true}}\n")
    for path in ("/management.html", "/panel/app.js"):
        assert (await here.get(path, key=None)).status == 404
    assert (await ask(here, "GET", "/about")).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "../panel_files.py", "..%2Fpanel_files.py", "%2e%2e/app.py", "..%5Capp.py", "/etc/passwd", "//etc/passwd",
        "app.js%00.html", "vendor/../../app.py", "vendor", "vendor/README.md", ".", "%ff", "x" * 300,
    ],
)  # fmt: skip
async def test_thr_17_no_name_leads_out_of_the_panels_folder(serve: Serve, name: str) -> None:
    here = await serve(ON)
    heard = await here.get(f"/panel/{name}", key=None)
    assert heard.status in {400, 404}
    assert b"import" not in heard.body


async def test_a_file_is_sent_packed_and_only_once(serve: Serve) -> None:
    here = await serve(ON)
    plain = await here.get("/management.html", key=None)
    packed = await here.get("/management.html", key=None, Accept_Encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body)
    again = await here.get("/management.html", key=None, If_None_Match=plain.headers["etag"])
    assert (again.status, again.body) == (304, b"")


# --- the log, the socket ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trick", ["a%0Afaked=1", "a%1B%5B2Jb", "a%E2%80%AEb", "a%0D%0Ab", "a%20faked=1"])
async def test_thr_29_a_name_in_the_audit_line_stays_in_its_line(
    serve: Serve, caplog: pytest.LogCaptureFixture, trick: str
) -> None:
    here = await serve(ON)
    caplog.set_level("INFO", "vaultd.audit")
    assert (await ask(here, "DELETE", f"/client-keys/{trick}")).status == 404
    (record,) = [record for record in caplog.records if record.name == "vaultd.audit"]
    line = Line().format(record)
    assert line.isprintable()
    assert f'route="DELETE {BASE}/client-keys/{{id}}"' in line
    unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', "", line)
    assert "faked=1" not in unquoted.replace("what=a\\nfaked=1", "")


async def test_a_change_is_told_with_its_names_and_without_a_value(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    here = await serve(ON)
    caplog.set_level("INFO")
    made = (await ask(here, "POST", "/client-keys", {"alias": "laptop"})).json()
    await ask(here, "GET", f"/client-keys/{made['id']}?reveal=1")
    await ask(here, "GET", "/about", key=WRONG)
    lines = [Line().format(record) for record in caplog.records if record.name == "vaultd.audit"]
    assert [line.partition(" ")[2].partition(" line=")[0] for line in lines] == [
        f'info changed status=200 who=127.0.0.1 route="POST {BASE}/client-keys" what={made["id"]}',
        f'info changed status=200 who=127.0.0.1 route="GET {BASE}/client-keys/{{id}}" what={made["id"]}',
        "warning management key refused status=401 who=127.0.0.1",
    ]
    assert not [line for line in lines if made["key"] in line or "CANARY" in line]


class _Heard(logging.Handler):
    """The audit lines, as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(Line().format(record).partition(" ")[2])


async def test_thr_39_who_hangs_up_in_the_middle_of_a_change_is_told_of_all_the_same(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    here = await serve(ON)
    caplog.set_level("INFO", "vaultd.audit")
    heard = _Heard()
    logging.getLogger("vaultd.audit").addHandler(heard)
    folder = os.open(here.house.places.config_dir, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # another process edits the file, and takes its time
    body = b'{"value": true}'
    _, writer = await asyncio.open_connection(here.host, here.port)
    head = f"PUT {BASE}/debug HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Management-Key: {KEY}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()
    os.close(folder)
    line = await heard.lines.get()
    logging.getLogger("vaultd.audit").removeHandler(heard)
    ends = ("not changed status=cancelled", "perhaps changed status=499", "changed status=200")
    assert line.startswith(tuple(f"info {end} who=127.0.0.1" for end in ends))
    assert f'route="PUT {BASE}/debug"' in line


async def test_thr_29_a_name_on_the_disk_that_is_no_text_silences_nothing(serve: Serve) -> None:
    """One such file beside the credentials, or a manifest, and the answers come as ever."""
    here = await serve(ON)
    (here.house.owner.folder / os.fsdecode(b"caf\xff.json")).write_text("{}")
    here.house.places.providers_dir.mkdir(parents=True)
    (here.house.places.providers_dir / os.fsdecode(b"caf\xff.yaml")).write_text("{}")
    await here.house.look()
    await here.house.reload("a file changed")
    async with admin.listening(here.house) as path:
        for verb in ("status", "doctor", "credentials.list"):
            told = json.dumps(await asyncio.to_thread(local.call, path, verb, {}))
            assert "caf" in told, verb
    for route in ("/status", "/doctor", "/auth-files"):
        assert (await ask(here, "GET", route)).status == 200, route


async def test_thr_44_the_admin_socket_asks_no_key_and_knows_no_ban(serve: Serve) -> None:
    """Who gets to it is the file's mode's word; nothing that a page could send reaches it."""
    here = await serve(PROXIED)
    async with admin.listening(here.house) as path:
        session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)))
        async with session, session.get(f"http://localhost{BASE}/about") as answer:
            assert answer.status == 200
            assert (await answer.json())["near"] is True
        assert path.stat().st_mode & 0o777 == 0o600


async def test_requests_at_once_wait_for_one_guess_at_a_time(serve: Serve) -> None:
    """A burst that came in before the first of it was judged gets no more tries than any other."""
    here = await serve(PROXIED)
    heard = await asyncio.gather(*(_each(here, 1, WRONG, "203.0.113.7") for _ in range(40)))
    assert sum(status == 401 for (status,) in heard) <= BUDGET
    assert await _each(here, 1, KEY, "203.0.113.7") == [403]
