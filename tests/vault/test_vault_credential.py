"""The sealed plaintext and the file's name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from logins import login

from vaultd.errors import Misconfigured
from vaultd.oauth.tokens import Account
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, DeadLogin, Settings, file_stem
from vaultd.vault.envelope import NAME

FULL = replace(
    login(),
    id="codex-a",
    generation=4,
    account=Account("p", "acc", "a@b.example", "pro", {"projects": ["x"], "n": 1}),
    settings=Settings(
        True, 3, 2, 4, "l", Secret("http://u:CANARY@p"), ("m",), ("x",), "https://b", {"X": "y"}, (("up", "alias"),)
    ),
    dead=DeadLogin("invalid_grant", 5.5),
)


@pytest.mark.parametrize("credential", [FULL, Credential("k", "claude-api-key", "key", key=Secret("CANARY-key"))])
def test_what_is_sealed_comes_back_whole(credential: Credential) -> None:
    plain = msgspec.json.decode(msgspec.json.encode(credential.to_plain()))
    assert Credential.from_plain(plain, id=credential.id, generation=credential.generation) == credential
    assert not {"id", "generation", "source"} & set(plain)


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"v": None}, {"tokens": {"access": 3}}, {"kind": "CANARY"}, {"provider": None}, {"settings": []}],
)
def test_another_version_or_shape_is_refused_without_its_contents(change: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured) as refusal:
        Credential.from_plain(FULL.to_plain() | change, id="codex-a", generation=1)
    assert "codex-a" in str(refusal.value)
    assert "CANARY-" not in str(refusal.value)


@pytest.mark.parametrize(
    ("email", "stem"),
    [
        ("a@b.example", "codex-a@b.example"),
        ("../../etc/passwd", "codex-..-..-etc-passwd"),
        ("ä b\n\0", "codex---b--"),
        ("", "codex"),
        ("x" * 300, "codex-" + "x" * 112),
    ],
)
def test_thr_17_a_name_made_of_anything_is_within_the_rule(email: str, stem: str) -> None:
    assert file_stem(login(email)) == stem
    for distinct in (False, True):
        assert NAME.fullmatch(f"{file_stem(login(email), distinct=distinct)}.json")


def test_sec_34_the_hash_in_a_name_is_over_the_identity() -> None:
    one, two = login(person="p", account="1"), login(person="p", account="2")
    assert file_stem(one, distinct=True) != file_stem(two, distinct=True)
    assert file_stem(one, distinct=True) == file_stem(replace(one, created_at=9.0), distinct=True)
