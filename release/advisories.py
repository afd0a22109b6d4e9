"""Asks whether a locked package has a known hole: then exit 1. A source that is not reached is said, and no failure.

pip-audit is content as well where its source knew none of the packages: here that is no answer.

    make advisories
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Each knows what the other does, an hour or two later.
SOURCES = ("pypi", "osv")
#: Some sixty packages in one question each; a network that swallows them is no source.
SECONDS = 30


def ask(source: str) -> list[dict[str, object]] | None:
    """What it said of each package it knows; None where it was not reached."""
    tool = str(Path(sys.executable).with_name("pip-audit"))
    # The lock names every package with its hashes, so nothing has to be resolved.
    words = [tool, "--vulnerability-service", source, "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
    locks = [word for lock in ("runtime.txt", "build.txt") for word in ("--requirement", str(ROOT / "locks" / lock))]
    try:
        done = subprocess.run(
            [*words, *locks, "--format", "json"], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        told = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return [one for one in told if "skip_reason" not in one] or None


def main() -> None:
    for source in SOURCES:
        known = ask(source)
        if known is None:
            print(f"{source}: not reached")
            continue
        holes = [(one, hole) for one in known for hole in one["vulns"]]  # type: ignore[attr-defined]
        for one, hole in holes:
            mended = ", ".join(hole["fix_versions"]) or "nothing yet"
            print(f"{one['name']} {one['version']}: {hole['id']}, mended in {mended}")
        print(f"{source}: {len(known)} packages asked about, {len(holes)} advisories")
        sys.exit(1 if holes else 0)
    print("no advisory source is reachable from here: nothing was checked")


if __name__ == "__main__":
    main()
