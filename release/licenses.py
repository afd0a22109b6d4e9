"""Writes docs/licenses.md: what the image holds beside vaultd, and under which licence. Its words: `make licenses`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_HEAD = """\
# Licences

What the image holds, and an installation with the extra `otel`, beside vaultd itself (MIT), Python and Debian: the
packages of `locks/runtime.txt` on Linux, with the licence that each declares. `make licenses` writes this page; a test
refuses a package that is missing here, and a licence that nobody has looked at.

| package | version | licence |
|---|---|---|
"""


def main() -> None:
    python = sys.argv[1]
    words = [Path(sys.executable).with_name("pip-licenses"), "--python", python, "--format", "json", "--from", "mixed"]
    rows = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    lines = sorted(f"| {row['Name']} | {row['Version']} | {row['License']} |" for row in rows)
    page = Path(__file__).parents[1] / "docs" / "licenses.md"
    page.write_text(_HEAD + "\n".join(sorted(lines, key=str.lower)) + "\n")


if __name__ == "__main__":
    main()
