"""A block of a page, typed into a shell as it stands."""

from __future__ import annotations

import subprocess

from shell import LONGEST, Person


def types_in(person: Person, block: str) -> str:
    """What it prints. A line that fails fails the test."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=person.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout
