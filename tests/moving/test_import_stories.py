"""Somebody used another program until today: its login is looked at, taken over, renewed, used, and found nowhere in
clear."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from jwcrypto import jwe, jwk
from leaving import LEFT, Left, asked, leaves
from shell import Daemon, Person
from test_canary import search

from vaultd.cli.originals import set_aside
from vaultd.errors import Misconfigured
from vaultd.sandbox import Sandbox


def everything(folder: Path) -> dict[str, bytes]:
    """But for the pool's memory, which a daemon writes when it likes."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "pool.json"}


@pytest.mark.parametrize("left", LEFT, ids=lambda left: left.format)
def test_sec_53_a_login_is_looked_at_taken_over_renewed_and_used(
    left: Left, person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path]
) -> None:
    home = Path(person.env["HOME"])
    file, family = leaves(home, left, sandbox, planted)
    words = ("credentials", "import", *((str(file),) if left.words else ("--from", left.format)))
    before = everything(person.auth_dir) | everything(file.parent)

    looked = person.types(*words, stdin=left.stdin)

    assert looked.code == 0, looked.err
    assert looked.out.startswith(f"would import: {left.vendor} ")
    assert "take-over: " in looked.err
    assert "is renewed at its first use" in looked.err
    assert "nothing was changed" in looked.err
    assert everything(person.auth_dir) | everything(file.parent) == before
    assert family.renewals == 0

    done = person.types(*words, "--yes", stdin=left.stdin)

    assert done.code == 0, done.err
    id_ = done.out.splitlines()[0].partition(" -> ")[2]
    assert looked.out.splitlines()[0].partition(" -> ")[2] == id_, "what was said is what was done"
    assert everything(file.parent) == {path: was for path, was in before.items() if path.startswith(str(file.parent))}
    status, answer = asked(daemon, *left.ask)
    assert status == 200, answer
    assert family.renewals == 1
    again = person.types(*words, stdin=left.stdin)
    assert again.out.startswith(f"nothing to do: {left.vendor} ")
    # Google does not rotate: the file holds the very login that is here.
    assert ("the same login" if left.vendor == "gemini" else "is older than the login here") in again.out

    assert search(home) <= {file, person.config, home / ".claude" / ".credentials.json"} | {
        home / other.file for other in LEFT
    }
    assert person.types("credentials", "remove", id_).code == 0


def test_sec_53_doctor_sees_a_second_refresher_and_its_action_takes_the_login_out_of_that_file(
    person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path]
) -> None:
    left = next(one for one in LEFT if one.format == "claude-code")
    file, _ = leaves(Path(person.env["HOME"]), left, sandbox, planted)
    assert person.types("credentials", "import", "--from", "claude-code", "--yes").code == 0
    id_ = "claude-claude-code@example.com"
    assert person.types("credentials", "refresh", id_).code == 0
    row = next(row for row in person.types("doctor", "--json").json["checks"] if row["code"] == "second-refresher")
    assert str(file) in row["says"]
    assert id_ in row["says"]
    assert "CANARY" not in json.dumps(row)

    action = row["action"].removeprefix("vaultd ").split()
    assert f"would be taken out of {file}" in person.types(*action[:-1]).err
    assert b"claudeAiOauth" in file.read_bytes()
    done = person.types(*action, "--json")

    assert done.json["removed"] == [str(file)]
    assert json.loads(file.read_text()) == {"mcpOAuth": {"a server": {"accessToken": "CANARY-mcp"}}}
    assert file.stat().st_mode & 0o777 == 0o600
    assert "second-refresher" not in {row["code"] for row in person.types("doctor", "--json").json["checks"]}
    assert person.types("credentials", "remove", id_).code == 0


def test_thr_19_a_login_is_handed_on_sealed_to_a_key_and_told_in_the_audit_log(
    person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path], tmp_path: Path
) -> None:
    for left in LEFT[1:3]:
        leaves(Path(person.env["HOME"]), left, sandbox, planted)
        assert person.types("credentials", "import", "--from", left.format, "--yes").code == 0
    ids = [f"{left.vendor}-{left.format}@example.com" for left in LEFT[1:3]]
    for id_ in ids:  # past its hour: the daemon would renew it at some moment of what follows
        assert person.types("credentials", "refresh", id_).code == 0
    theirs = jwk.JWK.generate(kty="EC", crv="P-256")
    private, public, out = tmp_path / "private.jwk", tmp_path / "public.jwk", tmp_path / "logins.jwe"
    private.write_text(theirs.export_private())
    public.write_text(theirs.export_public())

    refused = person.types("credentials", "export", *ids, "--to", str(private), "--out", str(out))
    assert (refused.code, out.exists()) == (78, False)
    assert f"{private} is a private key" in refused.err, "it is not even sent"
    done = person.types("credentials", "export", *ids, "--to", str(public), "--out", str(out))

    assert done.code == 0, done.err
    assert out.stat().st_mode & 0o777 == 0o600
    assert search(tmp_path) == set()
    for line, id_, left in zip(out.read_text().splitlines(), ids, LEFT[1:3], strict=True):
        opened = jwe.JWE()
        opened.deserialize(line, theirs)
        file = json.loads(opened.payload)
        assert (file["type"], file["email"]) == (left.vendor, f"{left.format}@example.com")
        assert file["refresh_token"] == sandbox[left.vendor].families[-1].refresh
        assert f"exported: {id_} as {id_}.json" in done.out
    audit = (Path(person.env["XDG_STATE_HOME"]) / "vaultd" / "audit.log").read_text()
    assert all(id_ in line for line in audit.splitlines()[-1:] for id_ in ids), audit.splitlines()[-2:]
    again = person.types("credentials", "export", *ids, "--to", str(public), "--out", str(out))
    assert again.code == 78, "no file is ever written over"
    for id_ in ids:
        assert person.types("credentials", "remove", id_).code == 0


def test_cliproxyapis_configuration_gives_its_keys_and_leads_to_its_logins(
    person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path], tmp_path: Path
) -> None:
    left = LEFT[0]
    file, _ = leaves(Path(person.env["HOME"]), left, sandbox, planted)
    key = "theirs-CANARY-89abcdef0123456789abcdef01234567"
    config = planted(tmp_path / "config.yaml")
    config.write_text(f"api-keys: [{key}]\nauth-dir: ~/.cli-proxy-api\ngemini-api-key: [{{api-key: CANARY-AIza}}]\n")
    before = config.read_bytes()
    looked = person.types("credentials", "import", str(config), "--json").json
    assert [row["does"] for row in looked["logins"] + looked["client_keys"]] == ["new"] * 3
    done = person.types("credentials", "import", str(config), "--yes", "--remove")
    assert done.code == 0, done.err
    assert "starts vaultd as it is: put it at" in done.err
    assert (config.read_bytes(), file.exists()) == (before, False)
    path, body = left.ask
    status, answer = asked(daemon, path, body, key=key)
    assert status == 200, answer
    again = person.types("credentials", "import", str(config), "--json").json
    assert [row["does"] for row in again["logins"] + again["client_keys"]] == ["here", "here"]


def test_a_folder_larger_than_one_request_is_taken_over_whole(
    person: Person, daemon: Daemon, planted: Callable[[Path], Path], tmp_path: Path
) -> None:
    ids = []
    for n in range(80):
        file = planted(tmp_path / f"qwen-{n}.json")
        token = "CANARY" + "a" * 7000
        ids.append(f"qwen-person-{n}")
        body = {"type": "qwen", "email": f"person-{n}", "access_token": token, "refresh_token": f"{token}{n}"}
        file.write_text(json.dumps(body | {"expired": "2099-01-01T00:00:00Z"}))
    (tmp_path / "notes.json").write_text('{"what": "else"}')
    done = person.types("credentials", "import", str(tmp_path), "--yes", "--remove", "--json")
    assert done.code == 78, "one file is none"
    answer = json.loads(done.out)
    assert [row["id"] for row in answer["logins"]] == [id_ for _, id_ in sorted(zip(_names(80), ids, strict=True))]
    assert [file.name for file in tmp_path.iterdir()] == ["notes.json"]


def _names(count: int) -> list[str]:
    return [f"qwen-{n}.json" for n in range(count)]


def test_a_link_to_a_file_elsewhere_is_followed_and_nothing_is_left_behind_it(
    person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path]
) -> None:
    file, _ = leaves(Path(person.env["HOME"]), LEFT[1], sandbox, planted)
    real = Path(person.env["HOME"]) / "dotfiles" / "auth.json"
    real.parent.mkdir()
    file.rename(real)
    file.symlink_to(real)
    done = person.types("credentials", "import", "--from", "codex", "--yes", "--remove", "--json")
    assert (done.json["removed"], real.exists()) == ([str(file)], False)
    file.unlink()
    assert person.types("credentials", "remove", "codex-codex@example.com").code == 0


def test_an_import_that_was_killed_halfway_is_taken_up_by_the_next(
    person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path]
) -> None:
    left = next(one for one in LEFT if one.format == "claude-code")
    file, _ = leaves(Path(person.env["HOME"]), left, sandbox, planted)
    aside = planted(file.rename(file.with_name(f"{file.name}.1a2b3c4d.importing")))
    words = ("credentials", "import", "--from", "claude-code")
    assert str(aside) in person.types(*words).out
    done = person.types(*words, "--yes", "--remove", "--json")
    assert (done.json["removed"], aside.exists()) == ([str(aside)], False)
    assert json.loads(file.read_text()) == {"mcpOAuth": {"a server": {"accessToken": "CANARY-mcp"}}}
    assert person.types("credentials", "remove", "claude-claude-code@example.com").code == 0


def test_thr_18_what_cannot_be_read_stops_neither_the_others_nor_doctor(
    person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path]
) -> None:
    file, _ = leaves(Path(person.env["HOME"]), LEFT[0], sandbox, planted)
    for name, text in (("a.json", "a" * 70_000), ("b.yaml", "a: ["), ("c.yaml", f"auth-dir: {file.parent}\n")):
        (file.parent / name).write_text(text)
    person.types("credentials", "remove", "claude-cliproxyapi@example.com")
    codex = Path(person.env["HOME"]) / ".codex" / "auth.json"
    codex.parent.mkdir(exist_ok=True)
    codex.unlink(missing_ok=True)
    os.mkfifo(codex)
    done = person.types("credentials", "import", str(file.parent), "--yes", "--remove", "--json")
    assert done.code == 78
    answer = json.loads(done.out)
    assert [Path(row["name"]).name for row in answer["refused"]] == ["a.json", "b.yaml"]
    assert ([row["does"] for row in answer["logins"]], answer["removed"]) == (["new"], [str(file)])
    assert person.types("doctor", "--json").code in {0, 1}, "it does not wait for a pipe"
    codex.unlink()
    assert person.types("credentials", "remove", "claude-cliproxyapi@example.com").code == 0


def test_a_file_that_its_program_changes_meanwhile_is_never_let_go(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    file.write_text('{"renewed": "since"}')
    with pytest.raises(Misconfigured, match="was changed while it was read"), set_aside({file: "{}"}, ""):
        pass
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("auth.json", '{"renewed": "since"}')]
    with set_aside({file: file.read_text()}, "") as let_go:
        file.write_text("written anew")
        let_go.add(file)
    assert {one.read_text() for one in tmp_path.iterdir()} == {"written anew"}, "only what was read is let go"
    with set_aside({file: "written anew"}, ""):
        file.write_text("and again")
    assert {one.read_text() for one in tmp_path.iterdir()} == {"written anew", "and again"}, "nothing is written over"
