"""A daemon at work, and the same commands through its socket."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import Daemon, Person

Serves = Callable[..., Daemon]


def admin_socket(person: Person) -> Path:
    return Path(person.env["XDG_RUNTIME_DIR"], "vaultd", "admin.sock")


def test_thr_03_the_first_serve_makes_a_key_and_a_journal_does_not_hold_it(person: Person, serves: Serves) -> None:
    daemon = serves(person)
    key = person.types("keys", "get", "default").out.strip()
    assert any("vaultd keys get default" in line for line in daemon.log)
    assert daemon.asked("/v1/models")[0] == 401
    assert daemon.asked("/v1/models", key)[0] == 200
    code, out = daemon.stops()
    assert (code, out) == (0, "")
    assert key not in "\n".join(daemon.log)


def test_a_key_made_and_switched_off_while_it_runs_counts_at_once(person: Person, serves: Serves) -> None:
    daemon = serves(person)
    key = person.types("keys", "create", "laptop").out.strip()
    assert daemon.asked("/v1/models", key)[0] == 200
    person.types("keys", "disable", "laptop")
    assert daemon.asked("/v1/models", key)[0] == 401
    person.types("keys", "enable", "laptop")
    assert daemon.asked("/v1/models", key)[0] == 200
    person.types("keys", "delete", "laptop")
    assert daemon.asked("/v1/models", key)[0] == 401


def test_a_credential_added_is_served_and_one_switched_off_is_not(person: Person, serves: Serves) -> None:
    daemon = serves(person)
    key = person.types("keys", "get", "default").out.strip()
    assert daemon.asked("/v1/models", key)[1]["data"] == []
    person.types("credentials", "add", "claude-api-key", "--label", "work", stdin="CANARY-key")
    assert daemon.asked("/v1/models", key)[1]["data"] != []
    assert daemon.asked("/readyz")[0] == 200
    person.types("credentials", "disable", "claude-api-key-work")
    assert daemon.asked("/v1/models", key)[1]["data"] == []
    status, ready = daemon.asked("/readyz")
    assert status == 503
    assert "vaultd credentials enable claude-api-key-work" in ready["reasons"][0]


def test_status_and_doctor_are_answered_by_the_daemon(person: Person, serves: Serves) -> None:
    daemon = serves(person)
    status = person.types("status", "--json").json
    assert status["daemon"]["pid"] == daemon.process.pid
    assert status["daemon"]["address"] == daemon.address
    assert f"running at {daemon.address}" in person.types("status").out
    checks = {row["check"]: row["state"] for row in person.types("doctor", "--json").json["checks"]}
    assert checks["daemon"] == "ok"
    assert checks["process"] == "ok"


def test_a_refusal_through_the_socket_has_the_same_words_and_code(person: Person, serves: Serves) -> None:
    person.types("keys", "create", "phone")
    alone = person.types("credentials", "show", "nobody")
    serves(person)
    asked = person.types("credentials", "show", "nobody")
    assert (asked.code, asked.err) == (alone.code, alone.err) == (78, alone.err)


def test_a_bad_edit_keeps_the_last_good_configuration_and_says_why(
    person: Person, serves: Serves, planted: Callable[[Path], Path]
) -> None:
    planted(person.config)
    person.configures("api-keys: [CANARY-first-key-0123456789abcdef]\n")
    daemon = serves(person)
    assert daemon.asked("/v1/models", "CANARY-first-key-0123456789abcdef")[0] == 200

    person.configures("api-keys: [CANARY-first-key-0123456789abcdef\nprot: 1\n")
    daemon.says("the last good configuration is in use")
    assert daemon.asked("/v1/models", "CANARY-first-key-0123456789abcdef")[0] == 200
    assert person.types("status", "--json").json["needs_a_person"][0].startswith("the last good configuration")

    person.configures("api-keys: [CANARY-second-key-0123456789abcdef]\n")
    daemon.says("configuration reloaded")
    assert daemon.asked("/v1/models", "CANARY-first-key-0123456789abcdef")[0] == 401
    assert daemon.asked("/v1/models", "CANARY-second-key-0123456789abcdef")[0] == 200
    assert person.types("status", "--json").json["needs_a_person"] == []


def test_an_editor_that_removes_first_does_not_leave_defaults_behind(person: Person, serves: Serves) -> None:
    person.configures("api-keys: [CANARY-first-key-0123456789abcdef]\n")
    daemon = serves(person)
    person.config.unlink()
    daemon.says("is gone")
    assert daemon.asked("/v1/models", "CANARY-first-key-0123456789abcdef")[0] == 200
    person.config.write_text("")
    daemon.says("is empty")
    assert daemon.asked("/v1/models", "CANARY-first-key-0123456789abcdef")[0] == 200


def test_a_manifest_dropped_into_a_new_folder_is_taken_up(person: Person, serves: Serves) -> None:
    daemon = serves(person)
    folder = person.config_dir / "providers"
    folder.mkdir()
    manifest = folder / "acme.yaml"
    manifest.write_text("id: acme\napi: {formats: [openai-chatt]}\n")
    daemon.says("the last good configuration is in use")
    manifest.write_text(
        "id: acme\nkeys: true\nendpoints: {api: https://api.acme.example/v1}\napi: {formats: [openai-chat]}\n"
    )
    daemon.says("configuration reloaded")
    assert person.types("credentials", "add", "acme", stdin="CANARY-key").out == "added: acme acme-1\n"


def test_a_changed_port_says_that_it_needs_a_restart(person: Person, serves: Serves) -> None:
    person.configures("port: 8317\n")
    daemon = serves(person)
    person.configures("port: 8318\n")
    daemon.says("port changed: restart vaultd for it to count")


def test_thr_38_a_plaintext_file_is_reported_imported_and_then_served(
    person: Person, serves: Serves, planted: Callable[[Path], Path]
) -> None:
    daemon = serves(person)
    dropped = planted(person.auth_dir / "claude-ann@example.com.json")
    token = {"type": "claude", "access_token": "CANARY-a", "refresh_token": "CANARY-r", "email": "ann@example.com"}
    dropped.write_text(json.dumps(token | {"expired": "2099-01-01T00:00:00Z"}))
    dropped.chmod(0o600)
    daemon.says("credential file refused")
    assert f"vaultd credentials import {dropped} --yes --remove" in person.types("status").out
    assert person.types("credentials", "import", str(dropped), "--yes", "--remove").code == 0
    listed = person.types("credentials", "list", "--json").json
    assert (listed["data"][0]["state"], listed["refused"]) == ("available", [])
    daemon.stops()
    assert "CANARY" not in "\n".join(daemon.log)


def test_thr_44_the_socket_is_for_one_user(person: Person, serves: Serves) -> None:
    serves(person)
    path = admin_socket(person)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_thr_44_another_user_is_refused_even_where_the_mode_lets_them_in(person: Person, serves: Serves) -> None:
    daemon = serves(person)
    path = admin_socket(person)
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o755)
    path.chmod(0o666)
    answer_end, child_end = socket.socketpair()
    child = os.fork()
    if child == 0:  # another user: connects by a descriptor made here, for the folders above are not theirs
        folder = os.open(path.parent, os.O_PATH)
        os.setuid(12345)
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(f"/proc/self/fd/{folder}/admin.sock")
        peer.sendall(b"POST /verb/keys.list HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        child_end.sendall(peer.recv(4096))
        os._exit(0)
    os.waitpid(child, 0)
    child_end.close()
    answer = answer_end.recv(4096).decode()
    answer_end.close()
    assert answer.startswith("HTTP/1.1 403")
    assert "uid 12345" in daemon.says("refused a peer of another user")


def test_a_second_daemon_takes_a_socket_of_its_own(person: Person, serves: Serves) -> None:
    first = serves(person)
    second = serves(person)
    names = sorted(path.name for path in admin_socket(person).parent.glob("*.sock"))
    assert names == [f"admin-{second.process.pid}.sock", "admin.sock"]
    first.stops()
    assert person.types("status", "--json").json["daemon"]["pid"] == second.process.pid


def test_a_socket_left_by_a_killed_daemon_is_replaced(person: Person, serves: Serves) -> None:
    serves(person).ends()
    assert admin_socket(person).exists()
    assert person.types("status", "--json").json["daemon"] is None
    daemon = serves(person)
    assert person.types("status", "--json").json["daemon"]["pid"] == daemon.process.pid


def test_a_config_named_means_the_daemon_of_its_folder_alone(person: Person, serves: Serves, tmp_path: Path) -> None:
    serves(person)
    other = tmp_path / "other.yaml"
    other.write_text(f"auth-dir: {tmp_path / 'other'}\n")
    assert person.types("keys", "create", "phone", "--config", str(other)).code == 0
    assert person.types("status", "--config", str(other), "--json").json["daemon"] is None
    person.configures("debug: false\n")
    assert person.types("status", "--config", str(person.config), "--json").json["daemon"] is not None


def test_a_wrong_configuration_does_not_start(person: Person) -> None:
    person.configures("prot: 8317\n")
    done = person.types("serve")
    assert done.code == 78
    assert done.err.count("\n") == 1
    assert "prot" in done.err
    assert "port" in done.err


def test_thr_32_no_core_file_is_left(person: Person, serves: Serves) -> None:
    daemon = serves(person)
    limits = Path(f"/proc/{daemon.process.pid}/limits").read_text()
    line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]
