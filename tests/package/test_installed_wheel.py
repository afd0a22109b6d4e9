"""The built wheel in a clean environment: a newcomer's `pip install`, then a vendor nobody has heard of."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = {path.name for path in (ROOT / "providers").glob("*.yaml")}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT], check=True, capture_output=True
    )
    return out


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `vaultd` command of a clean environment that holds nothing but the wheel and what it asks for."""
    venv = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    (wheel,) = built.glob("*.whl")
    subprocess.run([venv / "bin/pip", "install", "--quiet", wheel], check=True, env=os.environ | {"PYTHONPATH": ""})
    return venv / "bin/vaultd"


def test_wheel_and_sdist_carry_the_manifests(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        assert {Path(n).name for n in archive.namelist() if n.startswith("vaultd/_providers/")} == SHIPPED
    with tarfile.open(sdist) as archive:
        assert {Path(n).name for n in archive.getnames() if "/providers/" in n} == SHIPPED
