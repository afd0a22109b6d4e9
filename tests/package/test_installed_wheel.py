"""The built wheel in a clean environment: a newcomer's `pip install`, then a vendor nobody has heard of."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tarfile
import zipfile
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest
from aiohttp import ClientSession

from vaultd.sandbox import Sandbox

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
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (wheel,) = built.glob("*.whl")
    # Nothing is compiled that will not be imported: most of what an installation costs.
    words = ["--python", venv / "bin/python", "install", "--quiet", "--no-compile", wheel]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, env=os.environ | {"PYTHONPATH": ""})
    return venv / "bin/vaultd"


def test_wheel_and_sdist_carry_the_manifests(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        assert {Path(n).name for n in archive.namelist() if n.startswith("vaultd/_providers/")} == SHIPPED
    with tarfile.open(sdist) as archive:
        assert {Path(n).name for n in archive.getnames() if "/providers/" in n} == SHIPPED


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
