"""THR-40: what the image installs is pinned by version and hash, and the pins are those of today's pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: Lock → what it has to hold.
WANTED = {
    "runtime.txt": [*PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"]["otel"]],
    "build.txt": PYPROJECT["build-system"]["requires"],
}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries(lock: str) -> dict[str, tuple[Requirement, int]]:
    """Package → its pin, and by how many hashes it is known."""
    lines = (ROOT / "locks" / lock).read_text().replace("\\\n", " ").splitlines()
    found = {}
    for line in lines:
        if not line or line.lstrip().startswith("#"):
            continue
        pin, _, _ = line.partition(" --hash=")
        requirement = Requirement(pin)
        found[canonicalize_name(requirement.name)] = (requirement, len(HASH.findall(line)))
    return found


@pytest.mark.parametrize("lock", WANTED)
def test_thr_40_every_package_is_pinned_to_one_version_and_its_hashes(lock: str) -> None:
    pinned = entries(lock)
    assert pinned
    for name, (requirement, hashes) in pinned.items():
        (version,) = requirement.specifier
        assert version.operator == "==" and "*" not in version.version, f"{name} is not one version"
        assert hashes, f"{name} has no hash"
        assert requirement.url is None, f"{name} comes from an address of its own"


@pytest.mark.parametrize("lock", WANTED)
def test_what_pyproject_asks_for_is_in_the_lock_and_within_its_range(lock: str) -> None:
    pinned = entries(lock)
    for wanted in map(Requirement, WANTED[lock]):
        requirement, _ = pinned[canonicalize_name(wanted.name)]
        (version,) = requirement.specifier
        assert wanted.specifier.contains(version.version), f"{requirement} is not {wanted}: make lock"


def test_no_lock_names_where_packages_are_fetched() -> None:
    """Whoever builds has an index of his own; the hashes make it no matter which."""
    for lock in WANTED:
        assert "://" not in (ROOT / "locks" / lock).read_text()
