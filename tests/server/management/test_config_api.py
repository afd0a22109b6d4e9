"""The configuration over HTTP: shown masked, changed with its comments kept, refused where it would be none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from manager import KEY, ask, error
from serving import CLIENT_KEY, Heard, Serve, Serving

from vaultd.config import keys
from vaultd.server.management.table import BASE

FILE = f"""\
# My vaultd.
api-keys: [{CLIENT_KEY}]
remote-management: # who may manage
  secret-key: {KEY} # a long one
  allow-remote: false
proxy-url: socks5://ann:CANARY-password@127.0.0.1:1080 # by the office
claude-api-key:
  - api-key: sk-ant-CANARY-one-0123456789 # Ann's
    headers: {{X-Key: CANARY-header-0123456789}}
#  - api-key: sk-ant-CANARY-two-0123456789
# before: sk-ant-CANARY-one-0123456789
alerts: {{webhook-url: 'https://hooks.example/CANARY-path'}}
routing:
  strategy: fill-first # one until it cools
quota-exceeded: {{switch-project: false}}
"""


@pytest.fixture
async def here(serve: Serve) -> Serving:
    return await serve(FILE)


def file(here: Serving) -> Path:
    return here.house.places.config_dir / "config.yaml"


async def replaces(here: Serving, text: str | bytes, **headers: str) -> Heard:
    headers.setdefault("Content_Type", "application/yaml")
    body = text.encode() if isinstance(text, str) else text
    return await here.send("PUT", f"{BASE}/config.yaml", body, key=KEY, **headers)


async def shown(here: Serving) -> str:
    return (await ask(here, "GET", "/config.yaml")).body.decode()


# --- the text ---------------------------------------------------------------------------------------------------------


async def test_the_file_is_shown_as_it_is_but_for_every_key_in_it_and_may_be_sent_back(here: Serving) -> None:
    told = await ask(here, "GET", "/config.yaml")
    text = told.body.decode()
    assert told.headers["content-type"].startswith("application/yaml")
    assert told.headers["cache-control"] == "no-store"
    assert "CANARY" not in text
    assert "  strategy: fill-first # one until it cools\n" in text
    assert text.count("#") == FILE.count("#")
    assert (await ask(here, "GET", "/config.yaml?reveal=1")).body.decode() == FILE
    edited = text.replace("# My", "# Our").replace("fill-first", "round-robin")
    put = await replaces(here, edited, If_Match=told.headers["etag"])
    assert (put.status, put.json()) == (200, {"ok": True, "changed": ["config"]})
    assert file(here).read_text() == FILE.replace("# My", "# Our").replace("fill-first", "round-robin")
    assert here.house.config.routing.strategy == "round-robin"


async def test_a_text_made_for_another_file_is_refused(here: Serving) -> None:
    told = await ask(here, "GET", "/config.yaml")
    file(here).write_text(FILE + "debug: true\n")
    assert (await replaces(here, told.body, If_Match=told.headers["etag"])).status == 412
    body = {"edits": [{"path": "debug", "value": False}], "etag": told.headers["etag"].strip('"')}
    assert (await ask(here, "PATCH", "/config", body)).status == 412
    assert file(here).read_text() == FILE + "debug: true\n"
    assert (await replaces(here, told.body)).status == 200


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        (b"a: [", 400, "invalid_yaml"),
        (b"\xff\xfe\xff", 400, "invalid_yaml"),
        (b"- a\n", 422, "invalid_config"),
        (b"a: &x 1\nb: *x\n", 400, "invalid_yaml"),
        (b"a: 1\na: 2\n", 400, "invalid_yaml"),
        (b"[" * 100_000, 400, "invalid_yaml"),
        (b"#" * (1024 * 1024 + 1), 400, "invalid_yaml"),
        (b"prot: 1\n", 422, "invalid_config"),
        (b"port: 70000\n", 422, "invalid_config"),
        (b"providers: {claude: {endpoints: {token: 'http://evil.example'}}}\n", 422, "invalid_config"),
    ],
)
async def test_thr_35_what_is_no_configuration_changes_nothing(
    here: Serving, text: bytes, status: int, says: str
) -> None:
    before = here.house.config
    own = f"\nremote-management: {{secret-key: {KEY}}}\n".encode()
    with_key = text + own if status == 422 and text[:1] != b"-" else text
    assert error(await replaces(here, with_key)) == (status, says)
    assert (file(here).read_text(), here.house.config) == (FILE, before)


async def test_a_mask_that_stands_for_nothing_is_never_stored(here: Serving) -> None:
    text = await shown(here)
    for wrong in (
        text + "codex-api-key: [{api-key: sk-x****none, base-url: https://x}]\n",
        text.replace("127.0.0.1:1080", "elsewhere.example:1080"),
        text.replace("hooks.example", "evil.example"),
    ):
        assert (await replaces(here, wrong)).status == 400
    file(here).write_text("port: [")
    mended = await replaces(here, f"api-keys: [sk-C****cdef]\nremote-management: {{secret-key: {KEY}}}\n")
    assert error(mended) == (422, "invalid_config")
    assert file(here).read_text() == "port: ["
    file(here).write_text(FILE)


async def test_a_file_broken_by_hand_is_not_shown_and_can_be_replaced(here: Serving) -> None:
    file(here).write_text("api-keys: [sk-CANARY-new\n")
    told = await ask(here, "GET", "/config.yaml")
    assert told.status == 422
    assert b"CANARY" not in told.body
    assert (await ask(here, "PUT", "/debug", {"value": True})).status == 422
    assert (await ask(here, "GET", "/config/keys")).status == 200
    assert (await replaces(here, FILE)).status == 200
    assert file(here).read_text() == FILE


async def test_without_a_file_there_is_none_to_show_and_the_first_edit_makes_it(serve: Serve) -> None:
    here = await serve("", MANAGEMENT_PASSWORD=KEY)
    file(here).unlink()
    here.house.places = type(here.house.places)(  # as it starts where there never was one
        **{n: getattr(here.house.places, n) for n in here.house.places.__slots__} | {"config_file": None}
    )
    assert error(await ask(here, "GET", "/config.yaml")) == (404, "file not found")
    assert (await ask(here, "PUT", "/debug", {"value": True})).status == 200
    assert file(here).read_text() == "debug: true\n"
    assert file(here).stat().st_mode & 0o777 == 0o600
    file(here).unlink()


async def test_an_edit_that_fits_no_configuration_names_its_place(here: Serving) -> None:
    deep: list[Any] = []
    for _ in range(900):  # deeper than Python goes, and not than its JSON reader does
        deep = [deep]
    for edits in ([{"path": "providers", "value": {"claude": {"x": deep}}}], [{"path": "debug", "value": deep}]):
        assert error(await ask(here, "PATCH", "/config", {"edits": edits})) == (400, "invalid body")
    brackets = {"edits": [{"path": "api-keys", "value": ['"' + "[{" * 100, CLIENT_KEY]}]}
    assert (await ask(here, "POST", "/config/check", brackets)).json()["ok"]
    many = {"edits": [{"path": "request-retry", "value": index} for index in range(101)]}
    assert error(await ask(here, "PATCH", "/config", many)) == (400, "invalid body")
    told = error(await ask(here, "PATCH", "/config", {"edits": [{"path": "claude-api-key[7].priority", "value": 1}]}))
    assert told == (422, "claude-api-key[7]: there is no such entry")


# --- what no route changes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("remote-management.allow-remote", True),
        ("remote-management.secret-key", "CANARY-mine"),
        ("remote-management", {"secret-key": KEY, "allow-remote": True}),
        ("remote-management", None),
        ("remote-management.secret-key", ""),
        # They would not count, until somebody takes out the present spelling beside them.
        ("allow-remote-management", True),
        ("remote-management-key", "CANARY-mine"),
    ],
)
async def test_thr_25_who_may_come_in_is_changed_by_no_edit(here: Serving, path: str, value: object) -> None:
    change: dict[str, Any] = {"path": path, "value": value} if value is not None else {"path": path, "remove": True}
    told = await ask(here, "PATCH", "/config", {"edits": [{"path": "debug", "value": True}, change]})
    assert (told.status, told.json()["path"].rpartition(".")[0]) == (403, "remote-management")
    assert file(here).read_text() == FILE


@pytest.mark.parametrize(
    "text",
    [
        f"remote-management: {{secret-key: {KEY}, allow-remote: true}}\n",
        f"remote-management: {{secret-key: {KEY}}}\nallow-remote-management: yes\n",
        f"allow-remote-management: true\nremote-management-key: {KEY}\n",
        "remote-management: {secret-key: CANARY-mine}\n",
        "remote-management-key: CANARY-mine\n",
        "debug: true\n",
        "null\n",
        "\n",
    ],
)
async def test_thr_25_nor_by_another_text_in_whatever_spelling(here: Serving, text: str) -> None:
    assert (await replaces(here, text)).status in {403, 422}
    assert file(here).read_text() == FILE


async def test_thr_25_older_spellings_that_say_the_same_are_no_change(serve: Serve) -> None:
    here = await serve(f"remote-management-key: {KEY}\nallow-remote-management: false\nws_auth: false\n")
    assert (await ask(here, "PUT", "/ws-auth", {"value": True})).status == 200
    assert "ws-auth: true\n" in file(here).read_text()
    assert "ws_auth" not in file(here).read_text()
    edits = [{"path": "remote-management.disable-control-panel", "value": True}]
    assert (await ask(here, "PATCH", "/config", {"edits": edits})).status == 200
    management = here.house.config.remote_management
    assert (management.secret_key, management.disable_control_panel) == (KEY, True)
    for path in ("remote-management-key", "allow-remote-management"):
        for change in ({"remove": True}, {"value": "true"}):
            told = await ask(here, "PATCH", "/config", {"edits": [{"path": path, **change}]})
            assert told.status in {200, 403}
    assert (here.house.config.remote_management.secret_key, management.allow_remote) == (KEY, False)


# --- as JSON, key by key ----------------------------------------------------------------------------------------------


async def test_the_whole_as_json_has_what_theirs_has_and_no_secret(here: Serving) -> None:
    told = (await ask(here, "GET", "/config")).json()
    assert {"debug", "proxy-url", "api-keys", "request-retry", "quota-exceeded", "openai-compatibility"} <= set(told)
    assert not {"port", "auth-dir", "remote-management"} & set(told)
    assert "CANARY" not in json.dumps(told)
    assert (await ask(here, "GET", "/config?reveal=1")).json()["api-keys"] == [CLIENT_KEY]


async def test_every_key_has_its_meaning_and_none_tells_the_management_key(here: Serving) -> None:
    for more in ("", "?reveal=1"):
        told = (await ask(here, "GET", f"/config/keys{more}")).json()
        rows = {row["path"]: row for row in told["keys"]}
        assert KEY not in json.dumps(told)
    assert (told["file"], told["writable"]) == (str(file(here)), True)
    assert list(rows) == [key.path for key in keys.every()]
    assert all(row["says"] for row in rows.values())
    assert rows["routing.strategy"] | {"says": ""} == {
        "path": "routing.strategy", "type": "string", "choices": ["round-robin", "fill-first"], "says": "",
        "default": "round-robin", "value": "fill-first", "set": True, "restart": False, "secret": False,
        "locked": False,
    }  # fmt: skip
    assert {path for path, row in rows.items() if row["locked"]} == set(keys.LOCKED)
    assert rows["host"]["restart"]
    assert rows["proxy-url"]["secret"]
    assert (rows["debug"]["set"], rows["debug"]["value"]) == (False, False)
    assert (rows["allowed-hosts"]["of"], rows["models"]["of"]) == ("string", "object")


async def test_edits_are_all_made_or_none_and_say_what_changed(here: Serving) -> None:
    edits = [
        {"path": "routing.strategy", "value": "round-robin"},
        {"path": "cooldown.max-seconds", "value": 60},
        {"path": "quota-exceeded.switch-project", "remove": True},
        {"path": "claude-api-key[0].headers", "value": {"X-Key": "CANA****6789", "X-No": "no"}},
        {"path": "port", "value": 9000},
    ]
    etag = (await ask(here, "GET", "/config/keys")).json()["etag"]
    would = (await ask(here, "POST", "/config/check", {"edits": edits})).json()
    assert file(here).read_text() == FILE
    told = (await ask(here, "PATCH", "/config", {"edits": edits, "etag": etag})).json()
    assert would == {"ok": True, "errors": [], "warnings": told["warnings"], "diff": told["diff"]}
    assert set(told["changed"]) == {
        "routing.strategy", "cooldown.max-seconds", "quota-exceeded.switch-project", "claude-api-key", "port",
    }  # fmt: skip
    assert {"-  strategy: fill-first # one until it cools", "+  strategy: round-robin # one until it cools"} <= set(
        told["diff"].splitlines()
    )
    assert "CANARY" not in told["diff"]
    assert any("next start" in line for line in told["warnings"])
    assert told["etag"] == (await ask(here, "GET", "/config.yaml")).headers["etag"].strip('"')
    assert here.house.config.claude_api_key[0].headers == {"X-Key": "CANARY-header-0123456789", "X-No": "no"}
    bad = [{"path": "debug", "value": True}, {"path": "routing.strategie", "value": "x"}]
    told = await ask(here, "PATCH", "/config", {"edits": bad})
    assert (told.status, told.json()["path"]) == (422, "routing.strategie")
    would = (await ask(here, "POST", "/config/check", {"edits": bad})).json()
    assert (would["ok"], would["errors"][0]["path"]) == (False, "routing.strategie")
    assert not here.house.config.debug


async def test_a_whole_text_is_checked_without_being_written(here: Serving) -> None:
    text = await shown(here)
    told = (await ask(here, "POST", "/config/check", {"yaml": text + "debug: true\n"})).json()
    assert (told["ok"], told["diff"].splitlines()[-1]) == (True, "+debug: true")
    for bad in ("a: [", "port: x\n", text.replace("allow-remote: false", "allow-remote: true")):
        told = (await ask(here, "POST", "/config/check", {"yaml": bad})).json()
        assert not told["ok"]
        assert told["errors"][0]["message"]
    for neither in ({}, {"yaml": "", "edits": []}):
        assert (await ask(here, "POST", "/config/check", neither)).status == 400
    assert file(here).read_text() == FILE


# --- the switches -----------------------------------------------------------------------------------------------------

SWITCHES: list[tuple[str, str, Any]] = [
    ("debug", "debug", True),
    ("logging-to-file", "logging-to-file", True),
    ("usage-statistics-enabled", "usage-statistics-enabled", False),
    ("request-log", "request-log", True),
    ("ws-auth", "ws-auth", True),
    ("quota-exceeded/switch-project", "switch-project", True),
    ("quota-exceeded/switch-preview-model", "switch-preview-model", False),
    ("force-gpt-5-codex", "gpt-5-codex", True),
    ("request-retry", "request-retry", 3),
    ("routing/strategy", "strategy", "round-robin"),
]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_each_switch_is_read_set_and_in_the_file(here: Serving, method: str) -> None:
    for path, name, value in SWITCHES:
        before = (await ask(here, "GET", f"/{path}")).json()
        assert list(before) == [name]
        assert before[name] != value
        told = await ask(here, method, f"/{path}", {"value": value})
        assert (told.status, told.json()) == (200, {"status": "ok"})
        assert (await ask(here, "GET", f"/{path}")).json() == {name: value}
        for wrong in ({"value": None}, {"value": [value]}, {}, {"val": value}, [], value):
            assert error(await ask(here, method, f"/{path}", wrong)) == (400, "invalid body")
    text = file(here).read_text()
    assert [line for line in FILE.splitlines() if "#" in line and "strategy" not in line] == [
        line for line in text.splitlines() if "#" in line and "strategy" not in line
    ]
    assert yaml.safe_load(text)["quota-exceeded"] == {"switch-project": True, "switch-preview-model": False}


async def test_the_proxy_is_shown_without_its_password_set_and_removed(here: Serving) -> None:
    masked = (await ask(here, "GET", "/proxy-url")).json()["proxy-url"]
    assert masked == "socks5://****@127.0.0.1:1080"
    assert (await ask(here, "PUT", "/proxy-url", {"value": masked})).status == 200
    assert file(here).read_text() == FILE
    assert (await ask(here, "PUT", "/proxy-url", {"value": "ftp://x"})).status == 422
    assert (await ask(here, "PUT", "/proxy-url", {"value": "http://127.0.0.1:8\n"})).status == 200
    assert here.house.config.proxy_url == "http://127.0.0.1:8"
    assert (await ask(here, "DELETE", "/proxy-url")).status == 200
    assert "proxy-url" not in file(here).read_text()
    assert (await ask(here, "DELETE", "/proxy-url")).status == 200
