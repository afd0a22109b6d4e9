"""What other programs leave behind on a machine: their credential files, written here by the shape each is known to
have.

Every login in them is one that the sandbox knows and whose access token is past its hour, so that it serves nobody
before it is renewed.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from shell import LONGEST, Daemon

from vaultd.sandbox import Sandbox
from vaultd.sandbox.records import Access, Family, jwt

KEY = "moving-CANARY-0123456789abcdef0123456789abcdef"
PASSPHRASE = "a CANARY passphrase with spaces"
#: Two hours ago: longer than any of these files' tokens lives here.
THEN = time.time() - 7200


@dataclass(frozen=True)
class Left:
    """One program's file. `words`: how the import is asked for. `ask`: path and body of a request for that login."""

    format: str
    vendor: str
    file: str
    write: Callable[[Access], Any]
    words: tuple[str, ...]
    ask: tuple[str, dict[str, Any]]
    #: What lies beside it.
    beside: dict[str, Callable[[Access], Any]]
    stdin: str = ""


def rfc3339(when: float) -> str:
    return dt.datetime.fromtimestamp(when, dt.UTC).isoformat().replace("+00:00", "Z")


def ms(when: float) -> int:
    return int(when * 1000)


def codex_tokens(access: Access) -> dict[str, str]:
    account = access.family.account
    said = {"chatgpt_account_id": account.account, "chatgpt_user_id": account.person, "chatgpt_plan_type": account.plan}
    claims = {"aud": ["app_EMoamEEZ73f0CkXaXp7hrann"], "exp": int(THEN), "email": account.email}
    return {
        "id_token": jwt(claims | {"https://api.openai.com/auth": said}),
        "access_token": jwt({"exp": int(THEN)}),
        "refresh_token": access.family.refresh,
    }


def codex(access: Access) -> dict[str, Any]:
    tokens = codex_tokens(access) | {"account_id": access.family.account.account}
    return {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": rfc3339(THEN - 3600)}


def codex_lb(access: Access) -> dict[str, Any]:
    account = {
        "accountId": "1",
        "chatgptAccountId": access.family.account.account,
        "email": access.family.account.email,
    }
    return {"filename": "auth.json", "account": account, "tokens": {}, "codexAuthJson": codex(access)}


def codex_lb_bundle(access: Access) -> dict[str, Any]:
    account = access.family.account
    login = {
        "email": account.email,
        "chatgpt_account_id": account.account,
        "chatgpt_user_id": account.person,
        "plan_type": "plus",
        "credentials": {"auth_mode": "chatgpt", **codex_tokens(access)},
    }
    salt, nonce = bytes(16), bytes(12)
    about = {
        "format": "codex-lb-account-bundle",
        "version": 1,
        "kdf": {"name": "scrypt", "salt": base64.b64encode(salt).decode(), "n": 32768, "r": 8, "p": 1},
        "cipher": {"name": "AES-256-GCM", "nonce": base64.b64encode(nonce).decode()},
    }
    key = hashlib.scrypt(PASSPHRASE.encode(), salt=salt, n=32768, r=8, p=1, dklen=32, maxmem=1 << 26)
    plain = json.dumps({"version": 1, "created_at": rfc3339(time.time()), "accounts": [login]}).encode()
    authenticated = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    return about | {"ciphertext": base64.b64encode(AESGCM(key).encrypt(nonce, plain, authenticated)).decode()}


def claude_code(access: Access) -> dict[str, Any]:
    login = {
        "accessToken": access.value,
        "refreshToken": access.family.refresh,
        "expiresAt": ms(THEN),
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }
    return {"claudeAiOauth": login, "mcpOAuth": {"a server": {"accessToken": "CANARY-mcp"}}}


def claude_companion(access: Access) -> dict[str, Any]:
    account = access.family.account
    ids = {"accountUuid": account.person, "organizationUuid": account.account, "emailAddress": account.email}
    return {"oauthAccount": ids, "projects": {"/home/ann": {"history": ["hello"] * 5}}}


def flat(access: Access) -> dict[str, Any]:
    return {
        "access_token": access.value,
        "refresh_token": access.family.refresh,
        "token_type": "Bearer",
        "expiry_date": ms(THEN),
    }


def gemini_cli(access: Access) -> dict[str, Any]:
    return flat(access) | {"scope": "https://www.googleapis.com/auth/cloud-platform openid"}


def gemini_companion(access: Access) -> dict[str, Any]:
    return {"active": access.family.account.email, "old": []}


def iflow(access: Access) -> dict[str, Any]:
    return flat(access) | {"scope": "read", "apiKey": "CANARY-iflow-key-of-then"}


def cliproxyapi(access: Access) -> dict[str, Any]:
    return {
        "type": "claude",
        "email": access.family.account.email,
        "access_token": access.value,
        "refresh_token": access.family.refresh,
        "expired": rfc3339(THEN),
        "last_refresh": rfc3339(THEN - 3600),
    }


RESPONSES = ("/v1/responses", {"model": "gpt-5", "input": "say hello"})
MESSAGES = (
    "/v1/messages",
    {"model": "claude-sonnet-4-5-20250929", "max_tokens": 99, "messages": [{"role": "user", "content": "say hello"}]},
)
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "say hello"}]}]}
GENERATE = ("/v1beta/models/gemini-2.5-pro:generateContent", CONTENTS)


def chat(model: str) -> tuple[str, dict[str, Any]]:
    return ("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "say hello"}]})


LEFT = [
    Left("cliproxyapi", "claude", ".cli-proxy-api/claude-ann.json", cliproxyapi, (), MESSAGES, {}),
    Left("codex", "codex", ".codex/auth.json", codex, (), RESPONSES, {}),
    Left(
        "claude-code",
        "claude",
        ".claude/.credentials.json",
        claude_code,
        (),
        MESSAGES,
        {"../.claude.json": claude_companion},
    ),
    Left(
        "gemini-cli",
        "gemini",
        ".gemini/oauth_creds.json",
        gemini_cli,
        (),
        GENERATE,
        {"google_accounts.json": gemini_companion},
    ),
    Left("qwen-code", "qwen", ".qwen/oauth_creds.json", flat, (), chat("qwen3-coder-flash"), {}),
    Left("iflow", "iflow", ".iflow/oauth_creds.json", iflow, (), chat("glm-4.6"), {}),
    Left(
        "codex-lb",
        "codex",
        "Downloads/accounts.json",
        codex_lb_bundle,
        ("PATH",),
        RESPONSES,
        {},
        stdin=f"{PASSPHRASE}\n",
    ),
]


def leaves(home: Path, left: Left, sandbox: Sandbox, planted: Callable[[Path], Path]) -> tuple[Path, Family]:
    """The program was used here once. Its file, and what the vendor knows of the login."""
    access = sandbox[left.vendor].login(f"{left.format}@example.com")
    file = home / left.file
    for name, write in {file.name: left.write, **left.beside}.items():
        path = file.parent / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(json.dumps(write(access)))
        path.chmod(0o600)
    if b"CANARY" in file.read_bytes():
        planted(file)
    return file, access.family


def asked(daemon: Daemon, path: str, body: dict[str, Any], key: str = KEY) -> tuple[int, str]:
    at = urlsplit(daemon.address)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=LONGEST)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    said = answer.status, answer.read().decode()
    connection.close()
    return said
