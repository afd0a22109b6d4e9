"""What a backup cannot take along, and what of one cannot be put back: said, and nothing else is held up by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from shell import Person


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
