"""Our files in other people's hands, and theirs in ours: no file is bound to this program (P3)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey
from jwcrypto import jwe as foreign_jwe
from jwcrypto import jwk as foreign_jwk

from vaultd.vault.envelope import TOKEN, open_, rewrap, seal

KEK = OctKey.generate_key(256, auto_kid=True)
NEXT = OctKey.generate_key(256, auto_kid=True)
RECOVERY = ECKey.generate_key("P-256", auto_kid=True)
NAME = "codex-a@b.example.json"
PLAIN = '{"v":1,"access":"CANARY-foreign"}'
HEADER = {
    "enc": "A256GCM",
    "typ": "vaultd-token+jwe",
    "vaultd": {"v": 1, "name": NAME, "provider": "codex", "gen": 3},
}
SCRIPT = Path(__file__).with_name("foreign.mjs")
TOOLS = Path(os.environ.get("VAULTD_TOOLS", Path(__file__).parents[2] / ".tools"))

OURS = seal(PLAIN.encode(), typ=TOKEN, name=NAME, provider="codex", generation=3, keks=[KEK], recovery=[RECOVERY])
FILES = [OURS, rewrap(OURS, ring={str(KEK.kid): KEK}, kek=NEXT, recovery=[RECOVERY])]


def read_here(data: str) -> str:
    opened = open_(data.encode(), typ=TOKEN, name=NAME, provider="codex", ring={str(KEK.kid): KEK})
    assert opened.generation == 3
    return opened.plain.decode()


@pytest.mark.parametrize("data", FILES, ids=["sealed", "rewrapped"])
def test_p3_jwcrypto_opens_ours_with_the_recovery_key(data: bytes) -> None:
    token = foreign_jwe.JWE(algs=["A256KW", "ECDH-ES+A256KW", "A256GCM"])
    token.deserialize(data.decode(), foreign_jwk.JWK(**RECOVERY.as_dict(private=True)))
    assert token.payload.decode() == PLAIN


def test_p3_jwcrypto_opens_ours_with_the_daemons_key() -> None:
    token = foreign_jwe.JWE(algs=["A256KW", "ECDH-ES+A256KW", "A256GCM"])
    token.deserialize(OURS.decode(), foreign_jwk.JWK(**KEK.as_dict(private=True)))
    assert token.payload.decode() == PLAIN


def test_p3_ours_opens_what_jwcrypto_sealed() -> None:
    token = foreign_jwe.JWE(PLAIN, json.dumps(HEADER, separators=(",", ":")))
    for key, alg in ((KEK, "A256KW"), (RECOVERY, "ECDH-ES+A256KW")):
        public = foreign_jwk.JWK(**key.as_dict(private=key is KEK))
        token.add_recipient(public, json.dumps({"alg": alg, "kid": key.kid}))
    assert read_here(token.serialize()) == PLAIN


@pytest.fixture
def node_jose(tool: Callable[[str], str]) -> Callable[..., str]:
    node = tool("node")
    if not (TOOLS / "node_modules" / "jose").is_dir():
        why = f"npm jose is not installed in {TOOLS} (npm install --prefix {TOOLS} jose)"
        if os.environ.get("VAULTD_REQUIRE_TOOLS") == "1":
            pytest.fail(why)
        pytest.skip(why)

    def run(**request: Any) -> str:
        command = [node, str(SCRIPT), str(TOOLS)]
        return subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=True).stdout

    return run


@pytest.mark.parametrize("data", FILES, ids=["sealed", "rewrapped"])
def test_p3_npm_jose_opens_ours_with_the_recovery_key(data: bytes, node_jose: Callable[..., str]) -> None:
    assert node_jose(what="open", file=json.loads(data), key=RECOVERY.as_dict(private=True)) == PLAIN


def test_p3_ours_opens_what_npm_jose_sealed(node_jose: Callable[..., str]) -> None:
    sealed = node_jose(
        what="seal",
        plain=PLAIN,
        protectedHeader=HEADER,
        kek=KEK.as_dict(private=True),
        key=RECOVERY.as_dict(private=False),
    )
    assert read_here(sealed) == PLAIN
