"""The paths of an installation in its units: what may be executed, and what a unit would misread."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaultd.cli.service.units import Installation
from vaultd.errors import Misconfigured

_UNIT = (Path(__file__).parents[2] / "systemd" / "vaultd.service").read_text()


def _executable(one: Installation) -> list[str]:
    found = re.search(r"^ExecPaths=(.*)$", one.into(_UNIT), re.MULTILINE)
    assert found is not None
    return found[1].split()


def _at(prefix: str, base: str = "/usr", program: str = "") -> Installation:
    return Installation(
        Path(program or f"{prefix}/bin/vaultd"), Path(f"{prefix}/bin/python3"), Path(prefix), Path(base)
    )


def test_an_environment_and_the_interpreter_it_was_made_with_may_be_executed() -> None:
    pipx = _at("/opt/pipx/venvs/vaultd", base="/opt/uv/python/cpython-3.12")
    assert _executable(pipx)[:3] == [
        "/opt/pipx/venvs/vaultd",
        "/opt/uv/python/cpython-3.12",
        "/opt/pipx/venvs/vaultd/bin/python3",
    ]
    assert "ExecStart=/opt/pipx/venvs/vaultd/bin/vaultd serve\n" in pipx.into(_UNIT)


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local"])
def test_an_installation_among_the_systems_programs_lets_none_of_them_be_executed(prefix: str) -> None:
    shared = _at(prefix, base=prefix, program="/usr/local/bin/vaultd")
    assert _executable(shared)[:2] == ["/usr/local/bin/vaultd", f"{prefix}/bin/python3"]
    assert not {"/", "/usr", "/usr/local"} & set(_executable(shared))


@pytest.mark.parametrize("prefix", ["/opt/my vaultd", "/opt/100%n", "/opt/$HOME", '/opt/"v"', "/opt/v\\x20d"])
def test_a_path_that_a_unit_would_read_otherwise_is_refused(prefix: str) -> None:
    with pytest.raises(Misconfigured, match="has characters that a unit reads otherwise"):
        _at(prefix).into(_UNIT)


def test_only_a_home_is_one() -> None:
    assert _at("/home/x/vaultd").in_a_home() == Path("/home/x/vaultd/bin/vaultd")
    package = Path(__file__).resolve().parents[2]
    assert _at("/homes/vaultd").in_a_home() in {None, package}, "the package of this test may lie in one"
