"""Copies of this tree as different people have them: other folder, other modes and times, and what they build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What the sdist is made of; nothing else of the tree has a part in a build.
SOURCES = [
    *tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]["include"],
    "pyproject.toml",
    "hatch_build.py",
    ".gitignore",
]
_LITTER = shutil.ignore_patterns("__pycache__", "*.pyc", ".hypothesis", ".pytest_cache", "node_modules")
#: The same author at the same time of the same files is the same commit, wherever it is made.
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "a"), ("EMAIL", "a@example.org"), ("DATE", "2026-01-02T03:04:05Z"))
}


def copy(source: Path, to: Path, *, mode: int, moment: int) -> Path:
    """The sources, each file with this mode and this moment of its last change."""
    for name in SOURCES:
        if (source / name).is_dir():
            shutil.copytree(source / name, to / name, ignore=_LITTER)
        elif (source / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, to / name)
    for path in to.rglob("*"):
        path.chmod(mode | (0o111 & mode >> 2) if path.is_dir() else mode)
        os.utime(path, (moment, moment))
    return to


def commit(tree: Path) -> str:
    """Makes it a checkout of one commit; its hash."""

    def git(*words: str) -> str:
        # Whatever this machine's own settings say of line ends, modes or hooks.
        env = {**os.environ, **_AUTHOR, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        said = ["git", "-C", tree, "-c", "core.fileMode=false", *words]
        return subprocess.run(said, check=True, capture_output=True, text=True, env=env).stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "all of it")
    return git("rev-parse", "HEAD")


def build(tree: Path, *targets: str, epoch: int, zone: str, mask: int) -> Path:
    """Its `dist` folder. No target: the sdist, and from that sdist the wheel, as `python -m build` does it."""
    words = ["hatchling", "build", *(word for target in targets for word in ("-t", target))]
    subprocess.run(
        [sys.executable, "-m", *(words if targets else ["build", "--no-isolation", "--outdir", "dist"])],
        cwd=tree,
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "TZ": zone, "PYTHONHASHSEED": str(mask)},
        umask=mask,
    )
    return tree / "dist"
