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


#: Looked at: they ask for the notice to be kept, and MPL (certifi's list of authorities) for changes to that file to be
#: shown. No copyleft that would reach us.
KNOWN_LICENCES = re.compile(
    r"MIT(-0| License)?|Apache(-2\.0| Software License)|BSD(-[23]-Clause| License)|3-Clause BSD License"
    r"|PSF-2\.0|Python Software Foundation License|Mozilla Public License 2\.0 \(MPL 2\.0\)"
)


def test_every_locked_package_is_in_the_list_of_licences_and_each_licence_is_one_we_know() -> None:
    page = (ROOT / "docs" / "licenses.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and " | " in line][1:]
    listed = {canonicalize_name(name): version for name, version, _ in rows}
    pinned = {name: str(next(iter(pin.specifier)).version) for name, (pin, _) in entries("runtime.txt").items()}
    assert listed == pinned, "make licenses"
    for name, _, licence in rows:
        for part in re.split(r" AND | OR |; ", licence):
            assert KNOWN_LICENCES.fullmatch(part), f"{name}: {part} has not been looked at"
