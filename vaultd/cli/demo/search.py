"""What the demo shows of the disk: whether a word stands anywhere in a folder that a daemon is at work in."""

from __future__ import annotations

import os
from pathlib import Path


def search(folder: Path, word: bytes) -> tuple[list[Path], int]:
    """The files below `folder` that hold `word`, and how many were read.

    A file that is gone between listing and reading was a renewal's: a sealed file is written beside the old one and
    renamed over it, so what it held is read under its own name.
    """
    below = [Path(where) / name for where, _, names in os.walk(folder) for name in names]
    found, read = [], 0
    for path in [path for path in below if path.is_file()]:  # not the sockets
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        read += 1
        if word in content:
            found.append(path)
    return found, read
