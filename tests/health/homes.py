"""What stands in a home: how it is made, and what can be put into it beside the program."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ports import free_port
from shell import Person

from vaultd.house import House, build
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, DeadLogin, Settings
from vaultd.vault.recovery import add, pair

T = TypeVar("T")
DAY = 86400.0
KEY = "gemini-api-key-work"
LOGIN = "codex-ann@example.com"


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "PATH": os.environ["PATH"],
    }


async def made(home: Path) -> None:
    """A root key, a recovery key, two client keys, two sealed API keys."""
    house = await build(environment(home), None, for_daemon=False)
    await add(house.keyring, pair().public)
    for alias in ("laptop", "phone"):
        await house.clients.create(alias)
    for label in ("work", "home"):
        key = Credential("", "gemini-api-key", "key", key=Secret("CANARY-key"), settings=Settings(label=label))
        await house.owner.settle(key)
    await house.close()


def moved(person: Person) -> None:
    """Ports of its own: nothing else on this machine is to be in the way of a test, nor the other way round."""
    logins = ("codex", "claude", "gemini", "iflow")
    overlay = {name: {"oauth": {"redirect": {"port": free_port()}}} for name in logins}
    person.configures(json.dumps({"port": free_port(), "providers": overlay}))


def config_of(person: Person) -> dict[str, Any]:
    return dict(json.loads(person.config.read_text()))


def configured(person: Person, **more: Any) -> None:
    """With further keys; underscores are dashes."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    person.configures(json.dumps(config_of(person) | named))


def overlaid(person: Person, overlay: dict[str, Any]) -> None:
    """With further leaves of manifests."""
    config = config_of(person)
    for provider, leaves in overlay.items():
        for part, values in leaves.items():
            known = config["providers"].setdefault(provider, {}).setdefault(part, {})
            config["providers"][provider][part] = known | values if isinstance(values, dict) else values
    person.configures(json.dumps(config))


def inside(person: Person, work: Callable[[House], Coroutine[Any, Any, T]]) -> T:
    """Done to the home by the vault itself, in no time: what a sign-in or an earlier run left."""

    async def run() -> T:
        house = await build(person.env, None, for_daemon=False)
        try:
            return await work(house)
        finally:
            await house.close()

    return asyncio.run(run())


def login(*, ends_in: float = 30 * DAY, refresh: bool = True, provider: str = "codex") -> Credential:
    now = time.time()
    tokens = Tokens(
        access=Secret("CANARY-access"),
        refresh=Secret("CANARY-refresh") if refresh else None,
        issued_at=now - DAY,
        expires_at=now + ends_in,
    )
    account = Account(person="ann", email="ann@example.com")
    return Credential("", provider, "oauth", tokens=tokens, account=account, created_at=now - DAY)


def signed_in(person: Person, credential: Credential) -> None:
    inside(person, lambda house: house.owner.settle(credential))


def dead(credential: Credential) -> Credential:
    return replace(credential, dead=DeadLogin("refresh_token_reused", time.time() - 60))


@contextmanager
def mounted(*words: str, at: Path, undo: bool = True) -> Iterator[None]:
    """`mount WORDS AT`, or the test is skipped with what mount(8) said. A remount has nothing to undo."""
    done = subprocess.run(["mount", *words, str(at)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount {' '.join(words)}: {done.stderr.strip()}")
    try:
        yield
    finally:
        if undo:
            subprocess.run(["umount", "--lazy", str(at)], check=True)


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        yield holder.getsockname()[1]


def certificate(folder: Path, *, days: float) -> dict[str, str]:
    """A pair that ends in so many days, as `tls` names it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vaultd.test")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=90))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    cert_file, key_file = folder / "tls.pem", folder / "tls.key"
    cert_file.write_bytes(built.public_bytes(pem))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return {"cert": str(cert_file), "key": str(key_file)}
