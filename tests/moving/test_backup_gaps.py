"""What a backup cannot take along, and what of one cannot be put back: said, and nothing else is held up by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from shell import Person

from vaultd.vault import backup as format_


@pytest.fixture(scope="module")
def recovery(tmp_path_factory: pytest.TempPathFactory) -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


def kept(key: ECKey, folder: Path, *, private: bool) -> str:
    file = folder / f"{'private' if private else 'public'}.jwk"
    file.write_text(json.dumps(key.as_dict(private=private)))
    file.chmod(0o600)
    return str(file)


def test_what_cannot_be_used_is_named_as_not_in_the_backup(
    machines: Callable[[], Person], recovery: ECKey, tmp_path: Path
) -> None:
    person, to = machines(), kept(recovery, tmp_path, private=False)
    for label in ("good", "old", "torn"):
        person.types("credentials", "add", "gemini-api-key", "--label", label, stdin=f"CANARY-key-{label}")
    old, torn = (person.auth_dir / f"gemini-api-key-{label}.json" for label in ("old", "torn"))
    before = old.read_bytes()
    assert person.types("credentials", "disable", "gemini-api-key-old").code == 0
    old.write_bytes(before)
    torn.write_bytes(torn.read_bytes()[:100])
    keys = person.auth_dir / ".vault" / "clients"
    assert person.types("keys", "create", "laptop").code == 0
    (issued,) = keys.glob("*.json")
    issued.write_text("{}")

    done = person.types("backup", "--to", to, "--out", str(tmp_path / "a.backup"), "--json")
    assert done.code == 0, done.err
    assert (done.json["credentials"], done.json["client_keys"]) == (1, 0)
    rows = {row["file"]: row for row in done.json["left_out"]}
    assert set(rows) == {old.name, torn.name, issued.name}
    assert "rolled back" in rows[old.name]["reason"]
    for file, row in rows.items():
        assert row["action"]
        assert f"not in the backup: {file}: {row['reason']}; next: {row['action']}" in done.err


def sealed(key: ECKey, folder: Path, texts: dict[str, str]) -> str:
    """A backup of these members, by somebody who knows the public key."""
    keys = format_.recipients([key.as_dict(private=False)])
    lines = {name: format_.seal(format_.Member(name, text.encode()), "0" * 16, keys) for name, text in texts.items()}
    head = format_.index(lines, "0" * 16, keys, made_at=1.0)
    file = folder / "vaultd.backup"
    file.write_text("".join(f"{line}\n" for line in (*head, *(one for parts in lines.values() for one in parts))))
    return str(file)


MINE = (Path(__file__).parents[2] / "providers" / "qwen.yaml").read_text().replace("id: qwen", "id: mine", 1)
#: It speaks of a provider that only a manifest beside it makes.
CONFIG = "debug: true\nusage: {prices-file: prices.yaml}\nproviders: {mine: {name: Mine}}\n"
PRICES = "models: {}\n"


#: Broken; another's id; no manifest by its name; prices that are none. And a configuration that speaks of a provider
#: that nobody makes.
MANIFESTS = {"providers/bad.yaml": "{: [CANARY", "providers/lies.yaml": MINE, "providers/plain.txt": "CANARY"}
MANIFESTS |= {"prices": "models: {gpt-5: {input: CANARY}}"}
ODD = {"config": "providers: {nobody: {name: x}}"}


@pytest.mark.parametrize("wrong", [MANIFESTS, ODD], ids=["manifests", "config"])
def test_thr_38_what_a_reload_would_refuse_is_left_and_the_rest_comes_back(
    wrong: dict[str, str], machines: Callable[[], Person], recovery: ECKey, tmp_path: Path
) -> None:
    person = machines()
    person.config.unlink()
    members = {"config": CONFIG, "prices": PRICES, "providers/mine.yaml": MINE} | wrong
    words = ("restore", sealed(recovery, tmp_path, members), "--key", kept(recovery, tmp_path, private=True), "--json")
    looked = person.types(*words).json["data"]
    done = person.types(*words, "--yes").json["data"]
    assert looked == done, "what was said is what is done"
    # Without its configuration nobody knows where the prices belong.
    left = {*wrong, "prices"} if "config" in wrong else {*wrong}
    assert {row["name"] for row in done if row["does"] == "left" and row["says"]} == left
    assert {row["name"] for row in done if row["does"] == "new"} == members.keys() - left
    assert "CANARY" not in json.dumps(done)
    assert not any((person.config_dir / name).exists() for name in (*wrong, *(["prices.yaml"] * ("prices" in left))))
    listed = person.types("providers", "list")
    assert listed.code == 0, listed.err
    assert "mine" in listed.out
