"""The routes hang in both servers: refusals in one shape, the body as its route says, an audit line for each change."""

from __future__ import annotations

from serving import Serve

KEY = "CANARY-management-key"
ON = f"remote-management: {{secret-key: {KEY}}}\n"
BASE = "/v0/management"


async def test_without_a_management_key_nothing_is_there(serve: Serve) -> None:
    here = await serve()
    assert (await here.get(f"{BASE}/config", key=KEY)).status == 404


async def test_the_key_is_asked_for_before_anything_is_told(serve: Serve) -> None:
    here = await serve(ON)
    missing = await here.get(f"{BASE}/nowhere", key=None)
    assert (missing.status, missing.json()) == (401, {"error": "missing management key"})
    wrong = await here.get(f"{BASE}/nowhere", key="CANARY-wrong")
    assert (wrong.status, wrong.json()) == (401, {"error": "invalid management key"})
    assert (await here.get(f"{BASE}/nowhere", key=KEY)).json() == {"error": "no such route"}
