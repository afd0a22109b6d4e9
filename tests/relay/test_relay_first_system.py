"""An endpoint that refuses a request without a system block of its own: what an operator meets, and the way out.

The sandbox's Claude is such an endpoint under a switch, and for logins alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from stand_in import Relayed, Serve

from vaultd.oauth.tokens import Account, Tokens
from vaultd.sandbox import Sandbox
from vaultd.sandbox.llm.anthropic import IDENTITY
from vaultd.secret import Secret
from vaultd.vault.credential import Credential

FAR = 4_000_000_000.0
HI = {"role": "user", "content": "Hi"}
MINE = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}


@pytest.fixture
async def demanding() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        sandbox.set("claude", identity_required=True)
        yield sandbox


async def signed_in(serve: Serve, sandbox: Sandbox, **api: str) -> Relayed:
    """A house with one login of that vendor, its manifest overlaid with `api`."""
    overlay = sandbox.overlay()
    overlay["claude"]["api"] = {name.replace("_", "-"): value for name, value in api.items()}
    relayed = await serve(f"providers: {json.dumps(overlay)}".replace("{", "{{").replace("}", "}}"))
    vendor = sandbox["claude"]
    code = vendor.authorize(
        account=vendor.person, redirect_uri="http://127.0.0.1/", challenge="", state="s", scope="", offline=True
    )
    access = vendor.redeem(code.value, redirect_uri="http://127.0.0.1/", verifier="", state="s").value
    login = Credential(
        id="claude-a@example.org",
        provider="claude",
        kind="oauth",
        tokens=Tokens(Secret(access), Secret("CANARY-refresh"), issued_at=1.0, expires_at=FAR),
        account=Account(person="p", email="a@example.org"),
    )
    await relayed.house.owner.settle(login)
    return relayed


async def asked(relayed: Relayed, system: Any, *messages: Any) -> tuple[int, Any]:
    body = {"model": "claude-sonnet-4-5-20250929", "max_tokens": 64, "system": system, "messages": messages or [HI]}
    status, told, _ = await relayed.ask("/v1/messages", json.dumps(body).encode())
    return status, json.loads(told)


async def test_without_the_option_nothing_is_put_before_it_and_the_error_names_the_option(
    serve: Serve, demanding: Sandbox
) -> None:
    relayed = await signed_in(serve, demanding)
    status, told = await asked(relayed, [MINE])
    assert status == 400
    assert told["error"]["message"].startswith("This credential is only authorized for use with"), "the vendor's words"
    assert "`providers.claude.api.first-system`" in told["error"]["message"]
    assert json.loads(demanding["claude"].hits[-1].body)["system"] == [MINE]


@pytest.mark.parametrize("system", ["Be brief.", [MINE]])
async def test_with_it_the_vendor_answers_and_the_clients_own_text_stays(
    serve: Serve, demanding: Sandbox, system: Any
) -> None:
    relayed = await signed_in(serve, demanding, first_system=IDENTITY)
    status, _ = await asked(relayed, system)
    assert status == 200
    own = system if isinstance(system, list) else [{"type": "text", "text": system}]
    assert json.loads(demanding["claude"].hits[-1].body)["system"] == [{"type": "text", "text": IDENTITY}, *own]


async def test_a_client_that_brings_the_block_passes_as_it_is(serve: Serve, demanding: Sandbox) -> None:
    relayed = await signed_in(serve, demanding, first_system=IDENTITY)
    own = [{"type": "text", "text": IDENTITY}, MINE]
    assert (await asked(relayed, own))[0] == 200
    assert json.loads(demanding["claude"].hits[-1].body)["system"] == own


async def test_any_other_refusal_does_not_name_it(serve: Serve, demanding: Sandbox) -> None:
    relayed = await signed_in(serve, demanding)
    status, told = await asked(relayed, IDENTITY, {"role": "assistant", "content": "Hi"})
    assert status == 400 and "first-system" not in json.dumps(told)
