"""Faults that only a daemon meets: of vendors, of what it renews, of its own configuration."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from desk import login
from homes import certificate, config_of, configured, inside, overlaid, signed_in
from ports import free_port
from shell import LONGEST, Daemon, Person
from vendors import vendors

from vaultd.sandbox import Sandbox
from vaultd.sandbox.switches import Denial
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings

Serves = Callable[..., Daemon]
CODEX, CLAUDE = "codex-codex@example.com", "claude-claude@example.com"


@pytest.fixture
def sandbox(person: Person, planted: Callable[[Path], Path]) -> Iterator[Sandbox]:
    planted(person.config)
    with vendors() as sandbox:
        overlaid(person, sandbox.overlay())
        yield sandbox


def signs_in(person: Person, sandbox: Sandbox, *names: str) -> None:
    for name in names:
        signed_in(person, login(sandbox, name, "", time.time()))


def found(person: Person) -> dict[str, dict[str, str]]:
    """Code → its row, but for the healthy ones."""
    done = person.types("doctor", "--json")
    rows = {row["code"]: row for row in done.json["checks"] if row["code"]}
    assert done.code == (1 if rows else 0)
    assert done.json["well"] is not bool(rows)
    return rows


def asks(daemon: Daemon, key: str, model: str) -> tuple[int, str]:
    """One request of a client's."""
    at = urlsplit(daemon.address)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=LONGEST)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_a_healthy_house_is_well(person: Person, sandbox: Sandbox, serves: Serves) -> None:
    signs_in(person, sandbox, "codex")
    serves(person)
    assert found(person) == {}
    assert person.types("status", "--json").json["needs_a_person"] == []


def test_a_renewal_that_fails_and_then_a_vendor_that_is_down(person: Person, sandbox: Sandbox, serves: Serves) -> None:
    signs_in(person, sandbox, "codex")
    serves(person)
    sandbox.fault("codex", at="token", do="status", status=503, times=0)
    assert person.types("credentials", "refresh", CODEX).code == 6
    row = found(person)["renewal-failing"]
    assert (row["subject"], row["action"]) == (CODEX, f"vaultd credentials refresh {CODEX}")
    for _ in range(2):
        person.types("credentials", "refresh", CODEX)
    down = found(person)["vendor-down"]
    assert down["subject"] == "codex"
    assert "the vendor answered 503" in down["says"]


@pytest.mark.parametrize(("deed", "status"), [("redirect", 308), ("answer", 404)])
def test_an_endpoint_that_moved_is_not_a_vendor_that_is_down(
    person: Person, sandbox: Sandbox, serves: Serves, deed: Any, status: int
) -> None:
    signs_in(person, sandbox, "claude")
    serves(person)
    sandbox.fault("claude", at="token", do=deed, status=status, body="<html>gone</html>", times=0)
    for _ in range(3):
        person.types("credentials", "refresh", CLAUDE)
    rows = found(person)
    assert rows["endpoint-moved"]["subject"] == "claude"
    assert rows["endpoint-moved"]["action"].startswith("set providers.claude.endpoints.token")
    assert "vendor-down" not in rows


def test_sec_51_a_clock_that_differs_from_the_vendors_is_told(person: Person, sandbox: Sandbox, serves: Serves) -> None:
    signs_in(person, sandbox, "codex")
    serves(person)
    sandbox.set("codex", date_skew_seconds=600)
    assert person.types("credentials", "refresh", CODEX).code == 0
    assert "behind the vendors' clocks" in found(person)["clock-skew"]["says"]
    (line,) = (line for line in serves_metrics(person).splitlines() if line.startswith("vaultd_clock_skew_seconds"))
    assert 540 < float(line.split()[1]) < 660


def serves_metrics(person: Person) -> str:
    status = person.types("status", "--json").json
    at = urlsplit(status["daemon"]["address"])
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=LONGEST)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_each_way_in_which_a_vendor_refuses_has_its_code(person: Person, sandbox: Sandbox, serves: Serves) -> None:
    """Five keys at one vendor, each serving one model of its own."""
    base = sandbox.key_bases()["openai"]
    statuses = {"refused": 401, "empty": 402, "closed": 403, "limited": 429, "failing": 500}
    key = "CANARY-client-0123456789abcdefghijklmnop"
    entries = [
        {
            "name": name,
            "base-url": base,
            "api-key-entries": [{"api-key": f"sk-CANARY-{name}"}],
            "models": [{"name": "gpt-4o-mini", "alias": f"m-{name}"}],
        }
        for name in statuses
    ]
    configured(person, openai_compatibility=entries, api_keys=[key])
    daemon = serves(person)
    body = json.dumps({"error": {"type": "no", "message": "no"}})
    for name, status in statuses.items():
        how = {"at": "llm", "do": "status", "status": status, "key": f"sk-CANARY-{name}", "body": body}
        sandbox.fault("invented", **how, retry_after=600 if status >= 429 else None)
        asks(daemon, key, f"m-{name}")
    rows = [row for row in person.types("doctor", "--json").json["checks"] if row["code"] and row["state"] != "ok"]
    told = {row["subject"].rpartition("-")[0]: row for row in rows if row["check"] == "credentials"}
    assert {name: row["code"] for name, row in told.items()} == {
        "refused": "credential-refused",
        "empty": "no-credit",
        "closed": "forbidden",
        "limited": "cooling",
        "failing": "cooling",
    }
    assert all("until 20" in row["says"] for row in told.values())
    screen = person.types("status").out
    for name, row in told.items():
        (line,) = (line for line in screen.splitlines() if line.startswith(name))
        assert row["says"].rpartition("Z: ")[2] in line
        assert line.endswith(f"  {row['action']}")
    metrics = serves_metrics(person)
    assert 'vaultd_cooldowns{provider="empty",reason="no-credit"} 1.0' in metrics
    assert "CANARY" not in metrics


def test_a_logins_own_proxy_that_is_gone_is_named_with_the_command_that_changes_it(
    person: Person, sandbox: Sandbox, serves: Serves
) -> None:
    signs_in(person, sandbox, "codex")
    serves(person)
    proxy = f"socks5://127.0.0.1:{free_port()}"
    assert person.types("credentials", "set", CODEX, "--proxy", stdin=proxy).code == 0
    action = found(person)["proxy-unreachable"]["action"]
    assert action == f"start the proxy, or: vaultd credentials set {CODEX} --proxy"
    assert person.types(*action.partition("vaultd ")[2].split(), stdin="").code == 0
    assert found(person) == {}


def test_a_model_that_an_account_may_not_use_is_told_with_the_model(
    person: Person, sandbox: Sandbox, serves: Serves
) -> None:
    base, key = sandbox.key_bases()["claude-api-key"], "CANARY-client-0123456789abcdefghijklmnop"
    configured(person, api_keys=[key])
    sealed = Credential(
        "", "claude-api-key", "key", key=Secret("sk-CANARY-a"), settings=Settings(label="work", base_url=base)
    )
    signed_in(person, sealed)
    daemon = serves(person)
    sandbox["claude"].deny(Denial(why="model"))
    asks(daemon, key, "claude-opus-4-1-20250805")
    row = found(person)["model-not-allowed"]
    assert row["subject"] == "claude-api-key-work"
    assert row["action"] == "vaultd credentials set claude-api-key-work --exclude-model claude-opus-4-1-20250805"
    (line,) = (line for line in person.types("status").out.splitlines() if line.startswith("claude-api-key-work"))
    assert line.count("may not use") == 1
    assert line.endswith(f"  {row['action']}"), "the one screen says what to do as well"
    assert person.types(*row["action"].split()[1:]).code == 0
    status, told = asks(daemon, key, "claude-opus-4-1-20250805")
    assert "status=503" in daemon.says("refused=no-credential"), "the log says why nobody was asked"
    assert (status, "all cooling" in told, "cooling" in told) == (503, False, False), told


def test_a_bad_edit_and_one_that_needs_a_restart(person: Person, sandbox: Sandbox, serves: Serves) -> None:
    daemon = serves(person)
    good = config_of(person)
    configured(person, prot=1)
    daemon.says("the last good configuration is in use")
    assert found(person)["config-invalid"]["state"] == "fail"
    (person.config_dir / "providers").mkdir()
    person.configures(json.dumps(good))
    manifest = person.config_dir / "providers" / "acme.yaml"
    manifest.write_text("id: acme\napi: {formats: [openai-chatt]}\n")
    daemon.says("acme.yaml")
    assert set(found(person)) == {"manifest-invalid"}
    manifest.unlink()
    configured(person, port=free_port())
    daemon.says("port changed: restart vaultd")
    assert set(found(person)) == {"config-restart"}


def test_a_log_that_cannot_be_written_goes_to_stderr_and_is_told(person: Person, serves: Serves) -> None:
    configured(person, logging_to_file=True)
    (person.auth_dir.parent / "logs").write_text("in the way")
    daemon = serves(person)
    assert daemon.log
    assert set(found(person)) == {"log-unwritable"}


def test_a_daemon_that_hangs_is_not_an_absent_one(person: Person, serves: Serves) -> None:
    daemon = serves(person)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        rows = found(person)
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)
    assert "daemon-silent" in rows
    assert "daemon-absent" not in rows


def test_a_certificate_that_cannot_be_read_again_is_told(person: Person, serves: Serves) -> None:
    pair = certificate(person.config_dir, days=90)
    configured(person, tls=pair)
    serves(person)
    assert found(person) == {}
    Path(pair["cert"]).write_text("no certificate")
    assert set(found(person)) == {"certificate-unreadable"}


def test_a_login_that_the_vendor_ended_is_told_alike_everywhere(
    person: Person, sandbox: Sandbox, serves: Serves
) -> None:
    """One fault, five tellers: which credential, why, since when, what to do."""
    key = "CANARY-client-0123456789abcdefghijklmnop"
    configured(person, api_keys=[key])
    signs_in(person, sandbox, "codex")
    inside(person, _only_logins)
    daemon = serves(person)
    sandbox["codex"].sign_out("")
    assert person.types("credentials", "refresh", CODEX).code == 3

    (told,) = [row for row in person.types("doctor", "--json").json["checks"] if row["code"] == "sign-in-required"]
    sentence, action = told["says"], "vaultd login --codex"
    assert told["action"] == action
    assert sentence.startswith(f"{CODEX}: sign-in required: ")
    assert f"{sentence} ({action})" in daemon.asked("/readyz")[1]["reasons"]
    status = person.types("status", "--json").json
    assert f"{sentence} ({action})" in status["needs_a_person"]
    shown = person.types("credentials", "show", CODEX, "--json").json
    assert (shown["state"], shown["action"]) == ("sign-in required", action)
    assert shown["reason"] in sentence
    code, refusal = asks(daemon, key, "gpt-5")
    assert code == 503
    assert f"{sentence} ({action})" in json.loads(refusal)["error"]["message"]


async def _only_logins(house: Any) -> None:
    for credential in list(house.owner.snapshot().values()):
        if credential.kind == "key":
            async with house.owner.leased(credential.id) as lease:
                await lease.remove()


def test_a_limit_with_a_reset_is_told_alike_everywhere(person: Person, sandbox: Sandbox, serves: Serves) -> None:
    key = "CANARY-client-0123456789abcdefghijklmnop"
    configured(person, api_keys=[key])
    signs_in(person, sandbox, "codex")
    inside(person, _only_logins)
    daemon = serves(person)
    sandbox.fault("codex", at="llm", do="status", status=429, retry_after=7200)
    assert asks(daemon, key, "gpt-5")[0] == 429

    (told,) = [row for row in person.types("doctor", "--json").json["checks"] if row["code"] == "cooling"]
    until = told["says"].partition(" until ")[2][:20]
    assert told["subject"] == CODEX
    assert "rate limited (429)" in told["says"]
    assert f"{told['says']} ({told['action']})" in daemon.asked("/readyz")[1]["reasons"]
    for command in (("status", "--json"), ("credentials", "show", CODEX, "--json")):
        answer = person.types(*command).json
        row = answer["credentials"][0] if "credentials" in answer else answer
        (cooling,) = row["cooling"]
        assert (cooling["until"], cooling["action"]) == (until, told["action"])
        assert cooling["reason"] in told["says"]
    sandbox.fault("codex", at="llm", do="status", status=429, retry_after=7200)
    _probe, (code, refusal) = asks(daemon, key, "gpt-5"), asks(daemon, key, "gpt-5")
    assert code == 429
    message = json.loads(refusal)["error"]["message"]
    assert CODEX in message
    assert "rate limited (429)" in message
    assert "until 20" in message


def test_a_root_key_that_is_gone_is_told_while_the_daemon_still_has_it(person: Person, serves: Serves) -> None:
    """Its end would be the end of every login."""
    serves(person)
    key = person.config_dir / "root.key"
    words = key.read_bytes()
    key.unlink()
    row = found(person)["key-missing"]
    assert (row["state"], str(key) in row["says"]) == ("fail", True)
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    key.chmod(0o600)
    assert set(found(person)) == {"key-wrong"}
    key.write_bytes(words)
    assert found(person) == {}
    assert person.types("vault", "rekey").code == 0
    assert found(person) == {}, "another key, and the keyring is sealed by it"


def test_what_a_command_did_to_the_recovery_keys_a_daemon_sees(person: Person, serves: Serves, tmp_path: Path) -> None:
    serves(person)
    (kid,) = person.types("vault", "recovery", "list").out.split()
    assert person.types("vault", "recovery", "remove", kid).code == 0
    row = found(person)["recovery-missing"]
    kept = tmp_path / "elsewhere.jwk"
    assert person.types(*row["action"].split()[1:], "--out", str(kept)).code == 0
    assert found(person) == {}
