"""The API's own description: every route is in it, it can be read, and the page for people is what the routes say."""

from __future__ import annotations

import json
from pathlib import Path

from serving import Serve

from vaultd.server.management.document import PAGE, page
from vaultd.server.management.openapi import document
from vaultd.server.management.table import BASE, ROUTES

KEY = "CANARY-management-key"


def test_the_page_of_the_management_api_is_current() -> None:
    assert Path(PAGE).read_text() == page(), "run `make docs`"


def test_no_two_routes_are_one() -> None:
    named = [(route.method, route.plain_path) for route in ROUTES]
    assert len(named) == len(set(named))


def test_every_reference_within_the_description_leads_somewhere() -> None:
    text = json.dumps(document())
    for schema in document()["components"]["schemas"]:
        text = text.replace(f'"#/components/schemas/{schema}"', "")
    assert "#/components" not in text


def test_each_route_says_what_it_does_in_one_sentence() -> None:
    for route in ROUTES:
        assert route.says.endswith("."), route.path
        assert route.says[0].isupper() or route.says[0] == "`", route.path


async def test_the_daemon_serves_its_own_description(serve: Serve) -> None:
    here = await serve(f"remote-management: {{secret-key: {KEY}}}\n")
    heard = await here.get(f"{BASE}/openapi.json", key=KEY)
    assert heard.json() == document()
    assert heard.json()["openapi"] == "3.1.0"
    assert (await here.get(f"{BASE}/openapi.json", key=None)).status == 401
