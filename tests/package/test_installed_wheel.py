"""What a release is: the same bytes for all who build it, installed as a tool, and a vendor nobody has heard of."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import checkouts
import pytest
from aiohttp import ClientSession

from vaultd import __version__
from vaultd.sandbox import Sandbox

#: `-P`: from `PYTHONPATH`, and not from where the tests are run.
MODULE = ("-P", "-m", "vaultd", "--version")

SHIPPED = {path.name for path in (checkouts.ROOT / "providers").glob("*.yaml")}
#: The moment of a commit: any, but the same for all who build it.
EPOCH = 1_767_323_045


@dataclass
class Built:
    tree: Path
    commit: str
    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def built(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of a checkout, and the wheel that was built from that sdist."""
    tool("git")
    tree = checkouts.copy(checkouts.ROOT, tmp_path_factory.mktemp("one") / "vaultd", mode=0o644, moment=1_700_000_000)
    commit = checkouts.commit(tree)
    dist = checkouts.build(tree, epoch=EPOCH, zone="UTC", mask=0o022)
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return Built(tree, commit, wheel, sdist)


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `vaultd` command after `uv tool install` by a person who has nothing else."""
    home = tmp_path_factory.mktemp("clean")
    words = ["tool", "install", "--quiet", "--no-config", "--python", sys.executable, built.wheel]
    places = {"UV_TOOL_DIR": f"{home}/tools", "UV_TOOL_BIN_DIR": f"{home}/bin", "HOME": str(home)}
    cache = os.environ.get("UV_CACHE_DIR", f"{Path.home()}/.cache/uv")
    subprocess.run(
        [Path(sys.executable).with_name("uv"), *words],
        check=True,
        env={**os.environ, **places, "PYTHONPATH": "", "UV_CACHE_DIR": cache},
    )
    return home / "bin" / "vaultd"


def test_wheel_and_sdist_carry_the_manifests(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        assert {Path(n).name for n in archive.namelist() if n.startswith("vaultd/_providers/")} == SHIPPED
        assert [n for n in archive.namelist() if n.endswith("/data/share/man/man1/vaultd.1")], "no manual page"
    with tarfile.open(built.sdist) as archive:
        assert {Path(n).name for n in archive.getnames() if "/providers/" in n} == SHIPPED


def test_the_sdist_holds_every_file_of_the_repository(built: Built) -> None:
    """Whoever has only the sdist can build, test and package all of it."""
    listed = subprocess.run(["git", "ls-files"], cwd=checkouts.ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout here: what belongs to the repository is not known")
    with tarfile.open(built.sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in listed.stdout.split("\n") if name and (checkouts.ROOT / name).exists()} - inside == set()


def test_thr_40_a_build_is_the_same_bytes_whoever_makes_it_and_wherever(built: Built, tmp_path: Path) -> None:
    """Other folder, modes, times, umask and time zone; and the wheel straight from the tree is that from the sdist."""
    tree = checkouts.copy(built.tree, tmp_path / "somewhere" / "else entirely", mode=0o600, moment=1_600_000_001)
    assert checkouts.commit(tree) == built.commit
    dist = checkouts.build(tree, "sdist", "wheel", epoch=EPOCH, zone="Asia/Kathmandu", mask=0o077)
    for mine in (built.sdist, built.wheel):
        assert (dist / mine.name).read_bytes() == mine.read_bytes(), f"{mine.name} is not the same"


def test_the_version_stands_in_two_places_that_agree(built: Built) -> None:
    assert built.wheel.name.split("-")[1] == __version__, "pyproject.toml has one, vaultd/__init__.py the other"


async def test_the_version_names_the_commit_it_was_built_from(
    installed: Path, built: Built, home: dict[str, str], tmp_path: Path
) -> None:
    line = f"vaultd {__version__} ({built.commit[:7]}"
    assert await run(installed, home, "--version") == f"{line})\n"

    in_the_checkout = home | {"PYTHONPATH": str(built.tree)}
    assert await run(Path(sys.executable), in_the_checkout, *MODULE) == f"{line})\n"
    changed = checkouts.copy(built.tree, tmp_path / "changed", mode=0o644, moment=1_700_000_000)
    assert checkouts.commit(changed) == built.commit
    (changed / "README.md").write_text("changed since")
    assert await run(Path(sys.executable), home | {"PYTHONPATH": str(changed)}, *MODULE) == f"{line}-dirty)\n"

    # As an environment within somebody's checkout has it: that commit is not ours.
    nowhere = shutil.copytree(built.tree / "vaultd", changed / "environment" / "vaultd")
    said = await run(Path(sys.executable), home | {"PYTHONPATH": str(nowhere.parent)}, *MODULE)
    assert said == f"vaultd {__version__}\n", "not known, and nothing made up"


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_where_it_does_not_run_it_says_so_in_one_line(platform: str) -> None:
    script = f"import runpy, sys; sys.platform = {platform!r}; runpy.run_module('vaultd', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"vaultd: needs Linux, and this is {platform}: ")
    assert done.stderr.count("\n") == 1


MANIFEST = """\
id: invented
name: A vendor nobody has heard of
oauth:
  flow: code
  client-id: invented-client
  scopes: [openid, email, models]
  redirect: {{host: 127.0.0.1, port: 17171, path: /callback}}
  account:
    source: userinfo
    person: [sub]
    email: [email]
endpoints:
  authorize: {url}/invented/authorize
  token: {url}/invented/token
  userinfo: {url}/invented/userinfo
  api: {url}/invented/v1
api:
  formats: [openai-chat]
models:
  - id: invented-1
"""


async def run(vaultd: Path, home: dict[str, str], *words: str) -> str:
    """The output of a command that has to succeed."""
    process = await asyncio.create_subprocess_exec(vaultd, *words, env=home, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, f"{words} ended with {process.returncode}: {err.decode()}"
    return out.decode()


async def sign_in(vaultd: Path, home: dict[str, str], browser: ClientSession) -> str:
    """Signs in by opening the printed URL; returns the credential's id."""
    process = await asyncio.create_subprocess_exec(
        vaultd, "login", "--invented", "--no-browser", env=home, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with browser.get(url) as page:
        assert page.status == 200
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().strip().rpartition(" -> ")[2]


@pytest.mark.timeout(400)  # the packages come from afar
async def test_a_vendor_nobody_has_heard_of_needs_one_file_and_no_code(installed: Path, home: dict[str, str]) -> None:
    """Signed in, renewed and relayed by an installed vaultd that never saw the manifest before."""
    async with Sandbox() as sandbox, ClientSession() as browser:
        drop_in = Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "providers" / "invented.yaml"
        drop_in.parent.mkdir(parents=True)
        drop_in.write_text(MANIFEST.format(url=sandbox.url))

        credential = await sign_in(installed, home, browser)
        assert credential == f"invented-{sandbox['invented'].person.email}"
        before = sandbox["invented"].families[0].renewals
        await run(installed, home, "credentials", "refresh", credential)
        assert sandbox["invented"].families[0].renewals == before + 1

        served = await asyncio.create_subprocess_exec(
            installed, "serve", "--port", "0", env=home, stdout=DEVNULL, stderr=PIPE
        )
        try:
            assert served.stderr is not None
            base = ""
            while not base:
                line = (await served.stderr.readline()).decode()
                assert line, "the daemon ended before it listened"
                base = line.partition("listening address=")[2].strip()
            key = (await run(installed, home, "keys", "get", "default")).strip()
            async with browser.post(
                f"{base}/v1/chat/completions",
                headers={"Authorization": f"Bearer {key}"},
                json={"model": "invented-1", "messages": [{"role": "user", "content": "say heron"}]},
            ) as answer:
                assert answer.status == 200, await answer.text()
                assert "heron" in (await answer.json())["choices"][0]["message"]["content"]
        finally:
            served.terminate()
            await served.wait()
