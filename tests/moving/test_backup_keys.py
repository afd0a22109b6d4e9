"""Recovery keys come and go while a daemon runs, and a backup of everything is cut into requests that are answered in
time."""

from __future__ import annotations

from pathlib import Path

from shell import Daemon, Person

from vaultd.cli.batches import batches


def test_thr_27_a_backup_is_sealed_for_the_recovery_keys_that_there_are_now(
    person: Person, daemon: Daemon, tmp_path: Path
) -> None:
    def sealed_for(name: str) -> list[str]:
        return list(person.types("backup", "--out", str(tmp_path / name), "--json").json["recipients"])

    assert person.types("keys", "create", "laptop").code == 0
    for name in ("one", "two"):
        assert person.types("vault", "recovery", "add", "--out", str(tmp_path / f"{name}.jwk")).code == 0
    kept, lost = person.types("vault", "recovery", "list").out.split()
    assert sealed_for("first") == [kept, lost]
    assert person.types("vault", "recovery", "remove", lost).code == 0
    assert sealed_for("second") == [kept], "the private half of the other may be in wrong hands"


def test_many_and_large_ones_are_cut_in_order() -> None:
    texts = ["a" * 100] * 401 + ["b" * 600_000, "c"]
    cut = list(batches(texts, len))
    assert [len(batch) for batch in cut] == [200, 200, 1, 1, 1]
    assert [text for batch in cut for text in batch] == texts
