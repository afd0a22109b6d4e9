"""Sealed files that must open for ever, and ones that never may. A change of format adds to them and edits none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from joserfc.jwk import OctKey

from vaultd.vault.envelope import TOKEN, Refused, open_, rewrap

VECTORS = Path(__file__).parents[1] / "vectors"
KEYS = json.loads((VECTORS / "keys.json").read_text())
KEK = OctKey.import_key(KEYS["kek"])
RING = {KEYS[name]["kid"]: OctKey.import_key(KEYS[name]) for name in ("kek", "old_kek")}
NAME = "codex-a@b.example.json"


def vectors(kind: str) -> list[Path]:
    return sorted((VECTORS / kind).glob("*.jwe.json"))


@pytest.mark.parametrize("file", vectors("must-open"), ids=lambda file: file.name)
def test_p3_a_file_of_format_1_opens_for_ever(file: Path) -> None:
    opened = open_(file.read_bytes(), typ=TOKEN, name=NAME, provider="codex", ring=RING)
    assert opened.plain in (b'{"v":1,"access":"CANARY-vector"}', b"")
    assert open_(rewrap(file.read_bytes(), ring=RING, kek=KEK), typ=TOKEN, name=NAME, ring=RING) == opened


@pytest.mark.parametrize("file", vectors("must-not-open"), ids=lambda file: file.name)
def test_p2_a_forged_or_damaged_file_never_opens(file: Path) -> None:
    with pytest.raises(Refused):
        open_(file.read_bytes(), typ=TOKEN, name=NAME, provider="codex", ring=RING)


def test_there_are_vectors() -> None:
    assert len(vectors("must-open")) >= 8
    assert len(vectors("must-not-open")) >= 30
