"""The codes are a promise: each is documented, reachable and has one next action; and what only a process can show."""

from __future__ import annotations

import ast
import os
import shutil
from pathlib import Path

import pytest
from disks import a_full_disk
from homes import KEY, inside, mounted
from shell import Person

from vaultd.house import House
from vaultd.work.health.codes import CHECKS, FAULTS
from vaultd.work.health.document import PAGE, page
from vaultd.work.health.examine import examine
from vaultd.work.health.machine import filesystem_of

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_codes_say() -> None:
    assert (ROOT / PAGE).read_text() == page(), "run `make docs`"


def test_a_code_is_a_kebab_word_of_a_known_check_with_one_action() -> None:
    assert len(FAULTS) >= 30
    for code, fault in FAULTS.items():
        assert code == code.lower().strip("-")
        assert code.replace("-", "").isalpha()
        assert fault.check in CHECKS
        assert fault.action
        assert ";" not in fault.action
        assert fault.means.endswith(".")


def _literals(tree: ast.AST) -> set[str]:
    """What is given as `code=` to an error, and to `found`."""
    codes: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        values = [keyword.value for keyword in node.keywords if keyword.arg == "code"] if "isconf" in name else []
        values += node.args[:1] if name == "found" else []
        codes |= {value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)}
    return codes


def test_every_code_that_is_raised_or_found_is_in_the_table() -> None:
    used: set[str] = set()
    for file in (ROOT / "vaultd").rglob("*.py"):
        used |= _literals(ast.parse(file.read_text()))
    assert len(used) > 40
    assert used - FAULTS.keys() == set()


async def _found(house: House) -> dict[str, str]:
    return {finding.code: finding.subject for finding in await examine(house)}


def test_a_process_that_can_be_dumped_is_told(person: Person) -> None:
    assert "process-open" in inside(person, _found)


def test_sec_45_a_token_that_could_not_be_saved_is_told(person: Person) -> None:
    async def full(house: House) -> dict[str, str]:
        credential = house.owner.get(KEY)
        assert credential is not None
        with a_full_disk():
            async with house.owner.leased(KEY) as lease:
                await lease.put(credential)
            return await _found(house)

    assert inside(person, full)["unsaved"] == KEY


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_sec_45_a_token_in_the_emergency_copy_is_told_so(person: Person) -> None:
    saved = person.auth_dir.with_name("saved")
    shutil.copytree(person.auth_dir, saved)

    async def full(house: House) -> dict[str, str]:
        credential = house.owner.get(KEY)
        assert credential is not None
        filler = (person.auth_dir / "filler").open("wb", buffering=0)
        with filler, pytest.raises(OSError, match="No space"):
            while True:
                filler.write(bytes(4096))
        async with house.owner.leased(KEY) as lease:
            await lease.put(credential)
        return await _found(house)

    with mounted("-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", at=person.auth_dir):
        shutil.copytree(saved, person.auth_dir, dirs_exist_ok=True)
        told = inside(person, full)
    assert told["emergency-copy"] == KEY
    assert "disk-full" in told
    assert "unsaved" not in told


def test_a_folder_on_a_network_is_known_by_its_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\nserver:/x /srv/my\\040home nfs4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n")
    assert filesystem_of(Path("/srv/my home/auth"), mounts) == "nfs4"
    assert filesystem_of(Path("/srv/auth"), mounts) == "ext4"
