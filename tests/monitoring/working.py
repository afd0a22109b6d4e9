"""A daemon that has done a bit of everything, for those who read its numbers."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from desk import login
from shell import LONGEST, Daemon

from vaultd.house import build
from vaultd.sandbox import Sandbox

CLIENT_KEY = "sk-CANARY-client-0123456789abcdef"
MANAGEMENT_KEY = "CANARY-management-key"
LOGINS = ("codex", "claude")
KEYED = {"authorization": f"Bearer {CLIENT_KEY}", "content-type": "application/json"}


def configuration(sandbox: Sandbox) -> dict[str, Any]:
    base = sandbox.key_bases()["openai"]
    keys = [{"api-key": "sk-CANARY-one"}, {"api-key": "sk-CANARY-two"}]
    vendor = {"name": "acme", "base-url": base, "api-key-entries": keys, "models": [{"name": "big"}, {"name": "small"}]}
    return {
        "api-keys": [CLIENT_KEY],
        "providers": sandbox.overlay(),
        "remote-management": {"secret-key": MANAGEMENT_KEY},
        "openai-compatibility": [vendor],
    }


async def signed_in(env: dict[str, str], sandbox: Sandbox) -> dict[str, str]:
    """Provider → the id of a login that is sealed in the home; `dead` is one whose vendor has forgotten it."""
    house = await build(env, None, for_daemon=False)
    try:
        now = house.clock.now()
        ids = {name: (await house.owner.settle(login(sandbox, name, "", now))).id for name in LOGINS}
        ids["dead"] = (await house.owner.settle(login(sandbox, "codex", "dead@example.com", now))).id
    finally:
        await house.close()
    sandbox["codex"].sign_out("dead@example.com")
    return ids


@dataclass
class Working:
    """Its clients and its manager."""

    daemon: Daemon
    sandbox: Sandbox
    ids: dict[str, str]

    def asks(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        at = urlsplit(self.daemon.address)
        connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=LONGEST)
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        try:
            return response.status, response.read()
        finally:
            connection.close()

    def manages(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {MANAGEMENT_KEY}", "content-type": "application/json"}
        status, answer = self.asks(method, f"/v0/management{path}", body, **headers)
        return status, json.loads(answer)

    def works(self) -> None:
        """Answers in every format, streamed and whole, with loss; a try in vain, a cut stream, a wrong key; renewals,
        one of them of a login that is dead; a sign-in; a reload."""
        assert self.manages("DELETE", "/cooldowns")[0] == 200
        said = [{"role": "user", "content": "say hello"}]
        chat = {"model": "big", "messages": said}
        messages = {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": said}
        for stream in (False, True):
            assert self.asks("POST", "/v1/chat/completions", chat | {"stream": stream}, **KEYED)[0] == 200
            assert self.asks("POST", "/v1/messages", messages | {"stream": stream}, **KEYED)[0] == 200
            responses = {"model": "gpt-5", "input": said, "stream": stream}
            assert self.asks("POST", "/v1/responses", responses, **KEYED)[0] == 200
        lossy = {"model": "claude-sonnet-4-5", "messages": said, "logit_bias": {"1": 1}}
        assert self.asks("POST", "/v1/chat/completions", lossy, **KEYED)[0] == 200
        self.sandbox.fault("invented", at="llm", do="cut-stream", after_events=2)
        assert b"error" in self.asks("POST", "/v1/chat/completions", chat | {"stream": True}, **KEYED)[1]
        self.sandbox.fault("invented", at="llm", do="status", status=402, key="sk-CANARY-two", times=0)
        for _ in range(2):
            assert self.asks("POST", "/v1/chat/completions", chat | {"model": "small"}, **KEYED)[0] == 200
        self.sandbox.fault("claude", at="llm", do="status", status=400)
        self.sandbox.fault("codex", at="llm", do="status", status=500)
        assert self.asks("POST", "/v1/messages", messages, **KEYED)[0] == 400
        assert self.asks("POST", "/v1/responses", {"model": "gpt-5", "input": said}, **KEYED)[0] == 500
        assert self.asks("POST", "/v1/chat/completions", chat, authorization="Bearer wrong")[0] == 401
        assert self.asks("GET", "/v1/models", **KEYED)[0] == 200
        assert self.asks("GET", "/healthz")[0] == 200
        assert self.manages("POST", f"/credentials/{self.ids['codex']}/refresh")[0] == 200
        self.manages("POST", f"/credentials/{self.ids['dead']}/refresh")
        self.sandbox.fault("claude", at="token", do="status", status=503)
        self.manages("POST", f"/credentials/{self.ids['claude']}/refresh")
        self.sandbox.set("qwen", device="deny", device_interval=0.05)
        sign_in = self.manages("GET", "/qwen-auth-url")[1]["state"]
        while self.manages("GET", f"/get-auth-status?state={sign_in}")[1]["status"] == "wait":
            pass
        assert self.manages("PUT", "/request-retry", {"value": 1})[0] == 200
        assert self.manages("PUT", "/request-retry", {"value": 0})[0] == 200
