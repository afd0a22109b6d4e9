"""What can be said of the image without an engine. `make image-dry` performs its steps and runs its command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkouts
import dockerfile
import pytest
import yaml

from vaultd.work import relay

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
BUILDER, IMAGE = dockerfile.stages(TEXT, {"COMMIT": "0" * 40})
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICE = COMPOSE["services"]["vaultd"]


def test_hadolint_finds_nothing() -> None:
    judged = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_thr_40_the_base_is_an_argument_and_no_digest_is_invented() -> None:
    assert BUILDER.base == IMAGE.base == "python:3.11-slim-bookworm"
    assert not re.search(r"sha256:[0-9a-f]", TEXT)


def test_thr_40_every_installation_is_by_hash_or_of_our_own_wheel_without_an_index() -> None:
    installs = re.findall(
        r"pip\b[^&]*? install [^&]*", " && ".join(rest for word, rest in BUILDER.steps if word == "RUN")
    )
    assert len(installs) == 3
    for words in installs:
        assert "--no-deps" in words
        assert ("--require-hashes" in words and "--only-binary=:all:" in words) or "--no-index" in words
    assert "pip install" not in " ".join(rest for _, rest in IMAGE.steps)


def test_what_the_wheel_is_made_of_reaches_the_build_and_nothing_else_does() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    sources = [*wheel["packages"], *wheel.get("force-include", {}), *wheel.get("shared-data", {}), "locks"]
    arriving = {str(path) for path in dockerfile.context(ROOT)}
    for source in sources:
        path = ROOT / source
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        missing = {str(one.relative_to(ROOT)) for one in files if "__pycache__" not in one.parts} - arriving
        assert not missing, f"{source}: .dockerignore keeps from the build {missing}"
    tops = {name.partition("/")[0] for name in arriving}
    assert not tops & {".git", "tests", "secrets", "config", ".venv", "dist"}


def test_the_daemon_runs_under_an_init_as_nobody_of_the_host_and_hears_sigterm() -> None:
    assert IMAGE.once["USER"] == "10001:10001"
    assert IMAGE.once["STOPSIGNAL"] == "SIGTERM"
    assert [*IMAGE.command("ENTRYPOINT"), *IMAGE.command("CMD")] == [
        *("/usr/bin/tini", "--", "/opt/vaultd/bin/vaultd"),
        "serve",
    ]
    assert IMAGE.env["VAULTD_IN_CONTAINER"] == "1"
    assert IMAGE.labels["org.opencontainers.image.revision"] == "0" * 40


def test_thr_40_no_registry_is_asked_for_an_image_of_our_name() -> None:
    """Compose pulls what is missing, also where it could build it, unless it is told not to."""
    assert SERVICE["pull_policy"] == "never"
    assert SERVICE["build"]["context"] == "."


def test_p4_the_root_key_is_a_file_and_never_a_variable_or_an_argument() -> None:
    assert "ROOT_KEY" not in TEXT
    assert "environment" not in SERVICE
    assert IMAGE.env["CREDENTIALS_DIRECTORY"] == "/run/secrets"
    assert SERVICE["secrets"] == ["vaultd-root"]
    assert set(COMPOSE["secrets"]["vaultd-root"]) == {"file"}


def test_an_image_of_a_changed_checkout_says_so(tool: Callable[[str], str], tmp_path: Path) -> None:
    tool("git")
    tree = checkouts.copy(ROOT, tmp_path / "tree", mode=0o644, moment=1_700_000_000)
    commit = checkouts.commit(tree)
    (tmp_path / "docker").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "docker").chmod(0o755)

    def given() -> list[str]:
        words, env = [tool("make"), "-s", "image"], {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(words, cwd=tree, env=env, check=True, capture_output=True, text=True).stdout.splitlines()

    assert f"COMMIT={commit}" in given()
    (tree / "README.md").write_text("changed since")
    assert f"COMMIT={commit}-dirty" in given()


def test_compose_takes_away_what_the_daemon_does_not_need() -> None:
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert SERVICE["ulimits"]["core"] == 0
    assert SERVICE["user"] == IMAGE.once["USER"]
    assert "privileged" not in SERVICE
    assert all(port.startswith("127.0.0.1:") for port in SERVICE["ports"]), "for this machine alone"
    for mount in SERVICE["tmpfs"]:
        assert {"noexec", "nosuid", "nodev"} <= set(mount.partition(":")[2].split(","))


def test_compose_mounts_every_folder_that_the_image_writes_to_and_no_single_file() -> None:
    volumes = {target: source for source, _, target in (entry.partition(":") for entry in SERVICE["volumes"])}
    temporary = {entry.partition(":")[0] for entry in SERVICE["tmpfs"]}
    assert IMAGE.env["STATE_DIRECTORY"] in volumes
    assert IMAGE.env["RUNTIME_DIRECTORY"] in temporary
    assert volumes[IMAGE.env["CONFIGURATION_DIRECTORY"]] == "./config", "a file mounted alone could not be replaced"


def test_an_engine_waits_longer_than_the_way_down_takes_and_asks_the_same_question_as_the_image() -> None:
    from vaultd import house
    from vaultd.server import admin, run

    keeper = 5.0  # what `house._END_SECONDS` leaves it
    longest = relay.GRACE + run._LAST_WORDS + house._END_SECONDS + keeper + admin._LAST_WORDS
    assert float(SERVICE["stop_grace_period"].removesuffix("s")) > longest
    assert SERVICE["healthcheck"]["test"] == ["CMD", *IMAGE.health]


@pytest.mark.parametrize("text", ["ADD https://example.org /x", "ONBUILD RUN true", 'SHELL ["/bin/bash"]'])
def test_an_instruction_that_nobody_performs_here_is_refused(text: str) -> None:
    with pytest.raises(AssertionError):
        dockerfile.stages(f"FROM x\n{text}\n")
