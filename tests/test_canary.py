"""No secret anywhere: after the whole suite, every file that vaultd wrote is searched for the word in every test token.

THR-27, SEC-41. The search covers pytest's temporary tree (state folders, logs, sockets' folders, captured output) and
the command lines of the daemons still running. It first has to find a word planted for it, so that a search that
cannot find anything fails. Runs last, and waits for all others (see `parts/lanes.py`).
"""

from __future__ import annotations

import base64
import functools
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lanes import everything_is_written

#: The other process may have a test before it that is given 400 s.
pytestmark = pytest.mark.timeout(500)

WORD = b"CANARY"
#: What stands where a planted file was sealed under its own name.
SEALED = b'{"protected":'


def inside_base64(offset: int) -> bytes:
    """The letters that stand for the word alone when it begins `offset` bytes into a group of three."""
    coded = base64.b64encode(b"\0" * offset + WORD + b"\0" * 3)
    return coded[-(-offset * 8 // 6) : (offset + len(WORD)) * 8 // 6]


#: In clear, in hex, and at the three places it can have inside base64 (7 letters or more: no false alarm to fear).
FORMS = [WORD, WORD.hex().encode(), WORD.hex().upper().encode(), *(inside_base64(n) for n in range(3))]


def holds_canary(data: bytes) -> bool:
    return any(form in data for form in FORMS)


@functools.cache
def files_below(folder: Path) -> list[Path]:
    """All regular files that hold anything, but those of an installed environment, which pip wrote, and of a copy of
    this repository, which a test builds. A daemon that still runs may take one away meanwhile."""
    found = []
    for where, folders, names in os.walk(folder):
        if "pyvenv.cfg" in names or "pyproject.toml" in names:
            folders.clear()
            continue
        found += [Path(where) / name for name in names]
    return [path for path in found if _holds_anything(path)]


def _holds_anything(path: Path) -> bool:
    try:
        about = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(about.st_mode) and about.st_blocks > 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def search(folder: Path) -> set[Path]:
    """Several files at a time: there are tens of thousands, and most have left the kernel's memory."""
    files = files_below(folder)
    with ThreadPoolExecutor(8) as readers:
        hits = readers.map(lambda path: holds_canary(_read(path)), files)
        return {path for path, hit in zip(files, hits, strict=True) if hit}


@pytest.fixture(scope="module", autouse=True)
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return everything_is_written(tmp_path_factory.getbasetemp())


def test_thr_27_no_canary_in_anything_the_suite_wrote(base: Path) -> None:
    bait = base / "bait.txt"
    bait.write_bytes(b"a log line with token=at-CANARY-123\n")
    coded = base / "bait64.txt"
    coded.write_bytes(base64.b64encode(b"Basic x:CANARY-123"))
    notes = [*base.glob("planted.txt"), *base.glob("*/planted.txt")]  # of each process
    planted = {Path(line) for note in notes for line in note.read_text().splitlines()}

    found = search(base)

    assert {bait, coded} <= found, "the search finds nothing at all"
    imported = {p for p in planted if p.is_file() and p.read_bytes().startswith(SEALED)}
    leaked = found - (planted - imported) - {bait, coded}
    assert not leaked, f"{len(leaked)} files hold a secret: {sorted(map(str, leaked))[:20]}"


def test_thr_33_no_canary_in_any_command_line() -> None:
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    assert not [line for line in lines if b"vaultd" in line and holds_canary(line) and b"bash" not in line]


def test_no_core_file_was_left(base: Path) -> None:
    assert not [p for p in files_below(base) if p.name == "core" or p.name.startswith("core.")]
