"""Where things lie, as a table: contract of files and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaultd.config.model import Config, Vault
from vaultd.config.places import find
from vaultd.errors import Misconfigured

SYSTEM = Path("/run/vaultd/admin.sock")


def test_a_person_without_a_config() -> None:
    places = find({"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/1000"}, None, None)
    assert places.config_file is None
    assert places.config_dir == Path("/home/u/.config/vaultd")
    assert places.auth_dir == Path("/home/u/.local/state/vaultd/auth")
    assert places.key_file == Path("/home/u/.config/vaultd/root.key")
    assert places.providers_dir == Path("/home/u/.config/vaultd/providers")
    assert places.admin_sockets == (
        Path("/run/user/1000/vaultd/admin.sock"), Path("/home/u/.local/state/vaultd/admin.sock"), SYSTEM,
    )  # fmt: skip
    assert places.emergency == (
        Path("/home/u/.local/state/vaultd/emergency"), Path("/run/user/1000/vaultd/emergency"),
    )  # fmt: skip


def test_a_service_of_systemd() -> None:
    env = {
        "CONFIGURATION_DIRECTORY": "/etc/vaultd",
        "STATE_DIRECTORY": "/var/lib/vaultd:/x",
        "RUNTIME_DIRECTORY": "/run/v",
    }
    places = find({**env, "HOME": "/"}, None, None)
    assert (places.config_dir, places.auth_dir) == (Path("/etc/vaultd"), Path("/var/lib/vaultd/auth"))
    assert places.admin_sockets[0] == Path("/run/v/admin.sock")
    assert places.emergency == (Path("/var/lib/vaultd/emergency"), Path("/run/v/emergency"))


def test_the_option_wins_over_the_environment(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).touch()
    env = {"HOME": str(tmp_path), "VAULTD_CONFIG": str(tmp_path / "b.yaml")}
    assert find(env, str(tmp_path / "a.yaml"), None).config_file == tmp_path / "a.yaml"
    assert find(env, None, None).config_file == tmp_path / "b.yaml"
    assert SYSTEM not in find(env, str(tmp_path / "a.yaml"), None).admin_sockets


@pytest.mark.parametrize(("option", "env"), [("/nowhere/c.yaml", {}), (None, {"VAULTD_CONFIG": "/nowhere/c.yaml"})])
def test_a_named_file_that_is_not_there(option: str | None, env: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=r"/nowhere/c\.yaml: no such file, but (--config|VAULTD_CONFIG) names it"):
        find({"HOME": "/home/u", **env}, option, None)


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path: Path) -> None:
    """To root no folder is shut; a name that is too long is refused alike."""
    shut = tmp_path / ("x" * 300)
    for option, env in ((str(shut / "c.yaml"), {}), (None, {"CONFIGURATION_DIRECTORY": str(shut)})):
        with pytest.raises(Misconfigured, match=rf"{shut}/.*\.yaml: cannot be looked up: ") as refused:
            find({"HOME": str(tmp_path), **env}, option, None)
        assert refused.value.code == "config-unreadable"


def test_paths_in_the_file_start_at_its_folder_or_at_home(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.touch()
    config = Config(auth_dir="auths", providers_dir="~/p", vault=Vault(key_file="/k"))
    places = find({"HOME": "/home/u"}, str(file), config)
    assert (places.auth_dir, places.providers_dir, places.key_file) == (
        tmp_path / "auths",
        Path("/home/u/p"),
        Path("/k"),
    )
