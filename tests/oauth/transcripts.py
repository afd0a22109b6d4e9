"""A flow's test is its transcript: what it asks for, what it is told, in order. No loop, no clock, no socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.manifest import Provider
from vaultd.config.model import Config
from vaultd.effects import Effect, Flow, Reply, Send

NOW = 1_764_000_000.0
STATE = "s" * 43
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B

Told = Any | Exception | Callable[[Any], Any]


def play(flow: Flow[Any], *steps: tuple[type[Effect], Told]) -> Any:
    """Plays `(effect asked for, answer)` pairs; an exception is thrown in, a function is called with the effect."""
    effect = next(flow)
    for number, (expected, told) in enumerate(steps, 1):
        assert isinstance(effect, expected), f"step {number}: asked for {effect}, not {expected.__name__}"
        answer = told(effect) if callable(told) else told
        try:
            effect = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
        except StopIteration as done:
            assert number == len(steps), f"done after step {number} of {len(steps)}"
            return done.value
    raise AssertionError(f"the flow goes on: {effect}")


def stamp() -> float:
    return NOW


def shipped(name: str, **overlay: Any) -> Provider:
    """The shipped manifest, with an overlay as an operator would write it."""
    config = Config(providers={name: overlay} if overlay else {})
    return load(shipped_folder(), None, config, "config.yaml").provider(name)


def answered(body: Any, status: int = 200, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def tokens(**more: Any) -> dict[str, Any]:
    return {
        "access_token": "CANARY-access",
        "refresh_token": "CANARY-refresh",
        "token_type": "Bearer",
        "expires_in": 3600,
        **more,
    }


def jwt(claims: dict[str, Any], alg: str = "RS256", signature: str = "CANARYsignature") -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': alg})}.{part(claims)}.{signature}"


def query(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs), "a parameter is repeated"
    return dict(pairs)


def form(send: Send) -> dict[str, str]:
    assert send.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(send.body.decode(), keep_blank_values=True))
