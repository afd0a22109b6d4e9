"""Requests that were kept, at rest: sealed, bound to their names, gone after a day."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from vaultd.vault import keyring
from vaultd.vault.envelope import Refused
from vaultd.vault.keyring import Keyring
from vaultd.vault.request_files import BYTES, FILES, RequestFiles

NOW = 1_790_000_000.0


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return keyring.unlock(tmp_path / "auth", {}, None, tmp_path / "root.key")


@pytest.fixture
def files(tmp_path: Path, ring: Keyring) -> RequestFiles:
    return RequestFiles(tmp_path / "requests", ring)


def name(at: float, number: int = 0) -> str:
    return f"{int(at * 1000):013}-{number:06x}"


def long_text() -> str:
    """More than several sealed pieces, and nothing that packs well."""
    return random.Random(7).randbytes(300_000).hex() + "CANARY-prompt"


def test_thr_30_what_is_kept_is_sealed_and_its_owners_alone(files: RequestFiles) -> None:
    files.put(name(NOW), b'{"a":1}', long_text())
    (file,) = files.folder.iterdir()
    assert b"CANARY" not in file.read_bytes() and file.stat().st_mode & 0o777 == 0o600
    assert files.folder.stat().st_mode & 0o777 == 0o700
    assert (files.facts(name(NOW)), files.text(name(NOW))) == (b'{"a":1}', long_text())


def test_nothing_is_made_until_something_is_kept(files: RequestFiles) -> None:
    files.sweep(NOW)
    assert files.kept() == [] and not files.folder.exists()


def test_a_file_that_was_renamed_cut_or_put_together_anew_is_refused(files: RequestFiles) -> None:
    files.put(name(NOW), b"{}", long_text())
    data = (files.folder / f"{name(NOW)}.json").read_bytes()
    lines = data.split(b"\n")
    assert len(lines) > 4
    swapped = b"\n".join([lines[0], lines[2], lines[1], *lines[3:]])
    fewer = b"\n".join(lines[:-1])
    for spoilt, number in ((data, 1), (swapped, 0), (fewer, 0), (data[:-100], 0), (b"", 0)):
        (files.folder / f"{name(NOW, number)}.json").write_bytes(spoilt)
        with pytest.raises(Refused):
            files.text(name(NOW, number))
    (files.folder / f"{name(NOW)}.json").write_bytes(b"\n".join([lines[1], lines[0], *lines[2:]]))
    with pytest.raises(Refused, match="order"):
        files.facts(name(NOW))


@pytest.mark.parametrize("odd", ["../../etc/passwd", "x", "", "1790000000000-00000g", "1790000000000-000000.json"])
def test_only_names_of_ours_are_looked_for(files: RequestFiles, odd: str) -> None:
    for look in (files.facts, files.text, files.remove):
        with pytest.raises(Refused):
            look(odd)


def test_thr_30_a_day_is_the_longest_it_is_kept_whatever_the_clock_did(files: RequestFiles) -> None:
    for at in (NOW - 86401, NOW - 86399, NOW, NOW + 86401):
        files.put(name(at), b"{}", "x")
    (files.folder / ".left.json.tmp").write_bytes(b"half")
    files.sweep(NOW)
    assert [kept.at for kept in files.kept()] == [NOW, NOW - 86399]
    assert len(list(files.folder.iterdir())) == 2


def test_of_too_many_or_too_much_the_oldest_go(files: RequestFiles) -> None:
    files.put(name(NOW), b"{}", "x")
    first = files.folder / f"{name(NOW)}.json"
    for number in range(1, FILES + 20):
        os.link(first, files.folder / f"{name(NOW + number)}.json")
    files.sweep(NOW)
    assert [kept.at for kept in files.kept()] == [NOW + number for number in range(FILES + 19, 19, -1)]
    with (files.folder / f"{name(NOW + FILES)}.json").open("r+b") as grown:
        grown.truncate(BYTES)
    files.sweep(NOW)  # a link is as large as its file
    assert [kept.at for kept in files.kept()] == [NOW + FILES + 19]
