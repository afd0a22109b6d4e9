"""A machine burns down: what its vaultd had comes back on another one, from a file that only the recovery key opens."""

from __future__ import annotations

import base64
import json
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey
from jwcrypto import jwe as jwcrypto_jwe
from jwcrypto import jwk as jwcrypto_jwk
from leaving import LEFT, asked, leaves
from shell import Daemon, Person
from test_canary import search

from vaultd.cli.files import write_new
from vaultd.config.places import find
from vaultd.errors import Misconfigured
from vaultd.net import local
from vaultd.sandbox import Sandbox
from vaultd.vault import backup as format_

NODE_OPENS = """
import {generalDecrypt, importJWK} from 'jose'
import {readFileSync} from 'node:fs'
const key = await importJWK(JSON.parse(readFileSync(process.argv[2])), 'ECDH-ES+A256KW')
for (const line of readFileSync(process.argv[3], 'utf8').trim().split('\\n')) {
  const {plaintext, protectedHeader} = await generalDecrypt(JSON.parse(line), key)
  console.log(protectedHeader.vaultd.member, plaintext.length)
}
"""


@pytest.fixture(scope="module")
def recovery(tmp_path_factory: pytest.TempPathFactory, person: Person) -> Path:
    """The private half, on another medium."""
    key = tmp_path_factory.mktemp("usb") / "recovery.jwk"
    assert person.types("keys", "create", "first").code == 0
    assert person.types("vault", "recovery", "add", "--out", str(key)).code == 0
    return key


@pytest.fixture(scope="module")
def backup(
    tmp_path_factory: pytest.TempPathFactory,
    person: Person,
    recovery: Path,
    daemon: Daemon,
    sandbox: Sandbox,
    planted: Callable[[Path], Path],
) -> Path:
    """Of a vault with two logins, an API key, a client key, a configuration and a drop-in manifest."""
    for left in LEFT[1:3]:
        leaves(Path(person.env["HOME"]), left, sandbox, planted)
        assert person.types("credentials", "import", "--from", left.format, "--yes").code == 0
        # It is past its hour: the daemon renews it sooner or later, and a backup of before that holds a spent login.
        assert person.types("credentials", "refresh", f"{left.vendor}-{left.format}@example.com").code == 0
    person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key")
    person.types("keys", "create", "laptop")
    (person.config_dir / "providers").mkdir()
    shipped = Path(__file__).parents[2] / "providers" / "qwen.yaml"
    (person.config_dir / "providers" / "mine.yaml").write_text(shipped.read_text().replace("id: qwen", "id: mine", 1))
    out = tmp_path_factory.mktemp("b") / "vaultd.backup"
    done = person.types("backup", "--out", str(out))
    assert done.code == 0, done.err
    assert "3 credentials, 2 client keys, config, providers/mine.yaml" in done.out
    return out


@pytest.fixture
def elsewhere(machines: Callable[[], Person]) -> Person:
    """A new machine, with nothing on it."""
    person = machines()
    person.config.unlink()
    return person


@pytest.fixture
def served(elsewhere: Person) -> Iterator[Callable[[], Daemon]]:
    started: list[Daemon] = []

    def serve() -> Daemon:
        started.append(Daemon(elsewhere))
        return started[-1]

    yield serve
    for daemon in started:
        daemon.ends()


def test_thr_27_a_backup_says_nothing_to_whoever_has_no_key(backup: Path, person: Person, tmp_path: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    assert search(backup.parent) == set()
    another = tmp_path / "another.jwk"
    another.write_text(jwcrypto_jwk.JWK.generate(kty="EC", crv="P-256").export())
    refused = person.types("restore", str(backup), "--key", str(another))
    assert refused.code == 78
    assert "sealed for another key" in refused.err


def test_the_vault_comes_back_on_a_new_machine_and_its_logins_work_there(
    backup: Path,
    recovery: Path,
    elsewhere: Person,
    served: Callable[[], Daemon],
    sandbox: Sandbox,
    planted: Callable[[Path], Path],
) -> None:
    looked = elsewhere.types("restore", str(backup), "--key", "-", stdin=recovery.read_text())
    assert looked.code == 0, looked.err
    assert looked.out.count("would restore: ") == 7
    assert "one machine only" in looked.err
    assert not elsewhere.config.exists()
    assert list(elsewhere.auth_dir.glob("*.json")) == []

    done = elsewhere.types("restore", str(backup), "--key", str(recovery), "--yes")
    assert done.code == 0, done.err
    assert done.out == looked.out.replace("would restore: ", "restored: ")
    planted(elsewhere.config)
    assert elsewhere.config.stat().st_mode & 0o777 == 0o600

    daemon = served()
    for left in LEFT[1:3]:
        family = sandbox[left.vendor].families[-1]
        before = family.renewals
        assert elsewhere.types("credentials", "refresh", f"{left.vendor}-{left.format}@example.com").code == 0
        assert family.renewals == before + 1
        status, answer = asked(daemon, *left.ask)
        assert status == 200, answer
    keys = elsewhere.types("keys", "list", "--json").json["data"]
    assert [key["alias"] for key in keys if key["alias"] == "laptop"] == ["laptop"]
    assert search(Path(elsewhere.env["HOME"])) == {elsewhere.config}

    words = ("restore", str(backup), "--key", str(recovery), "--json")
    looked_again, again = elsewhere.types(*words).json["data"], elsewhere.types(*words, "--yes").json["data"]
    assert looked_again == again, "what was said is what was done"
    does = {row["name"].partition("-")[0]: row["does"] for row in again if row["name"].startswith("credential/")}
    assert does == {"credential/codex": "left", "credential/claude": "left", "credential/gemini": "here"}
    assert all("rolled back" in row["says"] for row in again if row["does"] == "left"), "renewed here: not taken back"


def test_on_the_machine_it_is_from_nothing_newer_is_undone(backup: Path, recovery: Path, person: Person) -> None:
    rows = person.types("restore", str(backup), "--key", str(recovery), "--yes", "--json").json["data"]
    assert {row["does"] for row in rows} == {"here"}
    for words in (("credentials", "remove", "gemini-api-key-work"), ("keys", "delete", "laptop")):
        assert person.types(*words).code == 0
    looked = person.types("restore", str(backup), "--key", str(recovery), "--json")
    back = {row["name"].partition("/")[0]: row["what"] for row in looked.json["data"] if row["does"] == "new"}
    assert back == {"credential": "gemini-api-key work", "client-key": "laptop"}
    assert "even if they were deleted after the backup: laptop; vaultd keys delete" in looked.err


def test_foreign_jose_tools_open_every_line(
    backup: Path, recovery: Path, tool: Callable[[str], str], tmp_path: Path
) -> None:
    key = jwcrypto_jwk.JWK.from_json(recovery.read_text())
    members = []
    for line in backup.read_text().splitlines():
        opened = jwcrypto_jwe.JWE()
        opened.deserialize(line, key)
        members.append(json.loads(opened.objects["protected"])["vaultd"]["member"])
    assert members[0] == "index"
    assert "credential/gemini-api-key-work" in members

    modules = Path(__file__).parents[2] / ".tools" / "node_modules"
    if not (modules / "jose").is_dir():
        pytest.skip("jose is not installed below .tools (make tools)")
    (tmp_path / "node_modules").symlink_to(modules)
    script = tmp_path / "opens.mjs"
    script.write_text(NODE_OPENS)
    words = [tool("node"), str(script), str(recovery), str(backup)]
    said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert said.returncode == 0, said.stderr
    assert [line.split()[0] for line in said.stdout.splitlines()] == members


@pytest.mark.parametrize("harm", ["cut", "swapped", "doubled", "flipped", "other", "empty", "words"])
def test_thr_38_a_backup_that_was_changed_is_not_put_back(
    harm: str, backup: Path, recovery: Path, person: Person, tmp_path: Path
) -> None:
    lines = backup.read_text().splitlines()
    if harm == "other":
        other = tmp_path / "other.backup"
        assert person.types("backup", "--out", str(other)).code == 0
        lines[-1] = other.read_text().splitlines()[-1]
    changed = {
        "cut": lines[:-1],
        "swapped": [lines[0], lines[2], lines[1], *lines[3:]],
        "doubled": [*lines, lines[-1]],
        "flipped": [*lines[:-1], lines[-1].replace('"tag":"', '"tag":"A', 1)],
        "other": lines,
        "empty": [],
        "words": ["{}", "CANARY"],
    }[harm]
    with pytest.raises(Misconfigured) as refused:
        format_.open_("\n".join(changed), json.loads(recovery.read_text()))
    assert "CANARY" not in str(refused.value)


def test_a_large_configuration_is_cut_and_put_together_again() -> None:
    private = json.loads(jwcrypto_jwk.JWK.generate(kty="EC", crv="P-256").export())
    public = {name: value for name, value in private.items() if name != "d"}
    keys = format_.recipients([public])
    data = base64.b64encode(bytes(150_000))
    lines = {"config": format_.seal(format_.Member("config", data), "0" * 16, keys)}
    head = format_.index(lines, "0" * 16, keys, made_at=1.0)
    opened = format_.open_("\n".join([*head, *lines["config"]]), private)
    assert len(lines["config"]) == 5
    assert opened.members[0].data == data


INDEXES = ["{}", "[]", "words", "[" * 30_000, '{"v": 1, "made_at": 1e300, "members": []}', '{"v": 2, "members": 5}']
INDEXES += [f'{{"v": 1, "made_at": 1, "members": {members}}}' for members in ("5", "[5]", '[{"name": "config"}]')]
INDEXES += ['{"v": 1, "made_at": 1, "members": [{"name": "providers/../x", "parts": []}]}']
INDEXES += ['{"v": 1, "made_at": 1, "members": [{"name": "config", "parts": []}, {"name": "config", "parts": []}]}']


@pytest.mark.parametrize("index", INDEXES, ids=range(len(INDEXES)))
def test_thr_38_a_backup_by_somebody_who_knows_the_public_key_is_refused_in_words(index: str) -> None:
    key = ECKey.generate_key("P-256", auto_kid=True)
    bound = {"v": 1, "backup": "0" * 16, "member": "index", "part": 0, "of": 1}
    head: Any = {"enc": "A256GCM", "typ": "vaultd-backup+jwe", "vaultd": bound}
    message = jwe.GeneralJSONEncryption(head, index.encode())
    message.add_recipient({"alg": "ECDH-ES+A256KW", "kid": key.kid}, key)
    algorithms = jwe.JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"], strict_check_header=False)
    sealed = json.dumps(jwe.encrypt_json(message, None, registry=algorithms))
    with pytest.raises(Misconfigured, match=r"index is damaged|in format 2|does not know, or one twice"):
        format_.open_(sealed, key.as_dict(private=True))


def test_what_cannot_be_read_of_a_backup_is_left_and_a_path_elsewhere_is_no_member(
    person: Person, daemon: Daemon
) -> None:
    socket = next(local.sockets(find(person.env, None, None).admin_sockets))
    issued = {"alias": "of-old", "value": "CANARY-client-key-of-old", "enabled": True, "created_at": 1.0}
    members = [
        {"name": "credential/of-tomorrow", "data": '{"generation": 1, "plain": {"v": 2}}'},
        {"name": "client-key/of-old", "data": json.dumps(issued)},
    ]
    rows = local.call(socket, "restore", {"members": members})["data"]
    assert [row["does"] for row in rows] == ["left", "new"]
    assert "use its writer" in rows[0]["says"]
    outside = person.config_dir.parent / "elsewhere.yaml"
    with pytest.raises(Misconfigured, match="no member"):
        local.call(socket, "restore", {"members": [{"name": "providers/../../elsewhere.yaml", "data": "{}"}]})
    assert not outside.exists()


def test_a_disk_that_is_full_leaves_no_half_file(tmp_path: Path) -> None:
    out = tmp_path / "vaultd.backup"
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(Misconfigured, match="cannot be written"):
            write_new(out, bytes(200))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert list(tmp_path.iterdir()) == []
