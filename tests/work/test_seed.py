"""What a service begins with: the configuration that systemd hands in, written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vaultd.errors import Misconfigured
from vaultd.house import build

KEY = "sk-CANARY-seeded-0123456789abcdef0123456789abcdef"


@pytest.fixture
def handed_in(home: dict[str, str], tmp_path: Path, planted: Callable[[Path], Path]) -> Callable[[str], dict[str, str]]:
    """The environment of a service whose credential `vaultd-config` holds this text."""

    def hand(text: str) -> dict[str, str]:
        folder = tmp_path / "credentials"
        folder.mkdir(exist_ok=True)
        planted(folder / "vaultd-config").write_text(text)
        state = {"STATE_DIRECTORY": str(tmp_path / "state"), "CONFIGURATION_DIRECTORY": str(tmp_path / "state")}
        planted(tmp_path / "state" / "config.yaml")
        return {**home, **state, "CREDENTIALS_DIRECTORY": str(folder)}

    return hand


async def test_it_is_written_once_for_nobody_else_and_never_again(
    handed_in: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    text = f"# by hand\napi-keys: [{KEY}]\n"
    house = await build(handed_in(text), None, for_daemon=False)
    await house.close()
    written = tmp_path / "state" / "config.yaml"
    assert written.read_text() == text and written.stat().st_mode & 0o777 == 0o600
    assert house.config.api_keys == [KEY]

    written.write_text("port: 8400\n")
    house = await build(handed_in(text), None, for_daemon=False)
    await house.close()
    assert (house.config.port, written.read_text()) == (8400, "port: 8400\n")


@pytest.mark.parametrize("text", ["{}", "", "\n"])
async def test_where_there_is_none_nothing_is_written(
    handed_in: Callable[[str], dict[str, str]], tmp_path: Path, text: str
) -> None:
    house = await build(handed_in(text), None, for_daemon=False)
    await house.close()
    assert not (tmp_path / "state" / "config.yaml").exists()


async def test_one_that_is_no_configuration_is_refused_where_it_can_still_be_mended(
    handed_in: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=r"/etc/vaultd/config\.yaml.*prot"):
        await build(handed_in("prot: 8400\n"), None, for_daemon=False)
    assert not (tmp_path / "state" / "config.yaml").exists()


async def test_whoever_names_a_file_means_that_one(handed_in: Callable[[str], dict[str, str]], tmp_path: Path) -> None:
    named = tmp_path / "named.yaml"
    named.write_text("port: 8401\n")
    house = await build(handed_in("port: 8400\n"), str(named), for_daemon=False)
    await house.close()
    assert house.config.port == 8401
    assert not (tmp_path / "state" / "config.yaml").exists()
