"""The main port: strict HTTP, no word about itself, a way down; TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from serving import CLIENT_KEY, MODELS, Serve, parsed

from vaultd.errors import Misconfigured
from vaultd.server.run import listening

CHAT = "POST /v1/chat/completions HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "head",
    [
        "Host: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n",
        "Host: a\r\nContent-Length: +2\r\n",
        "Host: a\r\nContent-Length: 1_0\r\n",
        "Host: a\r\nContent-Length: -1\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, identity\r\n",
        "Host: a\r\nTransfer-Encoding: xchunked\r\n",
        "Host: a\r\nX-Space : 1\r\n",
        "Host: a\r\nX-Fold: 1\r\n 2\r\n",
        "Host: a\r\nX-Bare: 1\nX-Feed: 2\r\n",
        "Host: a\r\nX-Nul: \0\r\n",
        "Host: a\r\nHost: b\r\n",
        "X-No-Host: 1\r\n",
    ],
)
async def test_thr_10_a_request_that_two_parsers_could_read_differently_is_refused(serve: Serve, head: str) -> None:
    here = await serve(MODELS)
    heard = await here.say(f"{CHAT}{head}Authorization: Bearer {CLIENT_KEY}\r\n\r\n".encode() + b"{}")
    assert heard.status == 400


async def test_thr_27_a_malformed_header_does_not_reach_the_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    here = await serve(MODELS)
    await here.say(f"{CHAT}Host: a\r\nAuthorization : Bearer {CLIENT_KEY}\r\n\r\n".encode())
    assert "malformed request refused" in caplog.text
    assert "CANARY" not in caplog.text


async def test_no_answer_says_which_software_it_is(serve: Serve) -> None:
    here = await serve(MODELS)
    for path, key in (("/v1/models", CLIENT_KEY), ("/v1/models", None), ("/nowhere", None), ("/healthz", None)):
        heard = await here.get(path, key=key)
        assert "server" not in heard.headers
        assert b"aiohttp" not in heard.body


async def test_an_unknown_route_and_a_wrong_method_are_told_apart(serve: Serve) -> None:
    here = await serve(MODELS)
    assert (await here.send("HEAD", "/api/hello", b"", key=None)).status == 404
    unknown = await here.get("/v2/models")
    assert (unknown.status, unknown.json()["error"]["message"]) == (404, "no such route: GET '/v2/models'")
    wrong = await here.send("DELETE", "/v1/chat/completions", b"")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")


async def test_no_page_of_another_origin_is_invited(serve: Serve) -> None:
    here = await serve(MODELS)
    heard = await here.get("/v1/models", Origin="https://evil.example")
    assert not [name for name in heard.headers if name.startswith("access-control")]


# --- the way down -----------------------------------------------------------------------------------------------------


async def test_a_draining_house_takes_no_new_request_on_an_open_connection(serve: Serve) -> None:
    here = await serve(MODELS)
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    request = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CLIENT_KEY}\r\n"
    writer.write(f"{request}\r\n".encode())
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    here.house.draining.set()
    writer.write(f"{request}Connection: close\r\n\r\n".encode())
    rest = await reader.read()
    writer.close()
    assert b"HTTP/1.1 503" in rest
    assert b"Retry-After: 1" in rest


async def test_leaving_waits_for_nobody_when_nothing_is_in_work(serve: Serve) -> None:
    here = await serve(MODELS)
    async with asyncio.timeout(5), listening(here.house, "127.0.0.1", 0):
        pass
    assert here.house.draining.is_set()


async def test_a_port_that_is_held_by_another_program_is_named(serve: Serve) -> None:
    here = await serve(MODELS)
    with pytest.raises(Misconfigured, match=f"port {here.port} on 127.0.0.1 is taken"):
        async with listening(here.house, "127.0.0.1", here.port):
            pass


# --- TLS --------------------------------------------------------------------------------------------------------------


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed one for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, private


async def test_with_a_certificate_it_serves_https(serve: Serve, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    here = await serve(f"tls: {{cert: {cert}, key: {key}}}\n" + MODELS)
    trusting = ssl.create_default_context(cafile=str(cert))
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port, ssl=trusting, server_hostname="localhost")
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert parsed(await reader.read()).status == 200
    writer.close()


async def test_files_that_are_no_pair_are_named(serve: Serve, tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path)
    with pytest.raises(Misconfigured, match=r"cert\.pem"):
        await serve(f"tls: {{cert: {cert}, key: {cert}}}\n")


# --- signals ----------------------------------------------------------------------------------------------------------


async def until(words: str, log: asyncio.StreamReader) -> str:
    """The next line of a daemon's log that holds `words`."""
    async with asyncio.timeout(30):
        while line := (await log.readline()).decode():
            if words in line:
                return line
    raise AssertionError(f"the daemon ended without {words!r}")


async def test_sighup_reads_a_renewed_certificate_and_sigterm_ends_it(
    home: dict[str, str], planted: Callable[[Path], Path], tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path)
    config = planted(tmp_path / "config.yaml")
    config.write_text(f"api-keys: [{CLIENT_KEY}]\ntls: {{cert: {cert}, key: {key}}}\n")
    command = (sys.executable, "-m", "vaultd", "--config", str(config), "serve", "--port", "0")
    daemon = await asyncio.create_subprocess_exec(*command, env=home, stderr=asyncio.subprocess.PIPE)
    assert daemon.stderr is not None
    try:
        line = await until("listening", daemon.stderr)
        port = int(line.rsplit(":", 1)[1])
        certificate(tmp_path)
        daemon.send_signal(signal.SIGHUP)
        await until("certificate read again", daemon.stderr)
        trusting = ssl.create_default_context(cafile=str(cert))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
        writer.close()
        daemon.send_signal(signal.SIGTERM)
        await until("stopping", daemon.stderr)
        assert await daemon.wait() == 0
    finally:
        if daemon.returncode is None:
            daemon.kill()
            await daemon.wait()
