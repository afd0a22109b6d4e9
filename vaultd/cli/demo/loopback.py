"""The demo's HTTP: what a person's browser and an LLM client would do, to loopback addresses only.

Plain `http.client`: it reads no proxy from the environment and follows no redirect by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urljoin, urlsplit

from vaultd.errors import ProtocolError, TryLater

#: Everything asked is on this machine; a vendor's slowest answer in the demo takes two seconds.
SECONDS = 15.0
#: What browsers allow (20 in most); a sign-in has three.
HOPS = 10
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a browser came to rest. `reached` is False where nobody, or a stranger, listens there."""

    url: str
    reached: bool


def browse(url: str) -> Landing:
    """Opens an address as a browser does: redirects are followed."""
    for _ in range(HOPS):
        try:
            with _asked("GET", url) as response:
                response.read()
                if not 300 <= response.status < 400:
                    return Landing(url, reached=response.status < 400)
                url = urljoin(url, response.headers["Location"])
        except TryLater:
            return Landing(url, reached=False)
    raise ProtocolError("the pretend vendor redirects in circles")


def post(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The events of a streamed answer, as they come. Raises ProtocolError for any answer but 200."""
    with _asked("POST", url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}) as response:
        if response.status != 200:
            raise ProtocolError(f"{urlsplit(url).path} answered {response.status}: {_words(response)}")
        for line in response:
            data = line.decode().removeprefix("data:").strip() if line.startswith(b"data:") else ""
            if data and data != "[DONE]":
                yield json.loads(data)


def order(sandbox: str, **wish: Any) -> None:
    """Tells the pretend vendor how to behave."""
    with _asked("POST", f"{sandbox}/_control", json.dumps(wish).encode()) as response:
        if response.status != 200:
            raise ProtocolError(f"the pretend vendor refused an order: {_words(response)}")


def answers(url: str) -> bool:
    """True where a GET is answered 200."""
    try:
        with _asked("GET", url) as response:
            return response.status == 200
    except TryLater:
        return False


@contextmanager
def _asked(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[HTTPResponse]:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise ProtocolError(f"the demo asks nobody outside this machine, and was sent to {parts.netloc}")
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=SECONDS)
    try:
        connection.request(
            method, parts._replace(scheme="", netloc="", fragment="").geturl(), body, dict(headers or {})
        )
        yield connection.getresponse()
    except (OSError, HTTPException) as error:
        raise TryLater(f"{parts.netloc} gave no answer ({type(error).__name__})") from None
    finally:
        connection.close()


def _words(response: HTTPResponse) -> str:
    return response.read(400).decode(errors="replace")
