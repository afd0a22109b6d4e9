"""vaultd: one local address for every LLM subscription, with the tokens sealed. Which version and commit this is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__version__ = "0.1.0"

_HERE: Final = Path(__file__).parent
#: Written by the build (`hatch_build.py`) into wheel and sdist; never there in a checkout.
_BAKED: Final = _HERE / "_commit"


def commit() -> str:
    """The full hash this was made from, with `-dirty` where files were changed since; "" where nobody knows.

    Only who prints it pays: in a checkout it asks git, a process of its own.
    """
    if _BAKED.is_file():
        return _BAKED.read_text().strip()
    # Only our own checkout: an environment that lies within somebody else's has their commit above it.
    if not (_HERE.parent / ".git").exists():
        return ""
    import subprocess  # noqa: PLC0415 - 10 ms that no other command need pay

    # No optional locks: asking for a version must not be in the way of who commits.
    words = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"]
    try:
        done = subprocess.run(words, cwd=_HERE.parent, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):  # no git, a checkout of another user, a disk that hangs
        return ""
    return done.stdout.strip()


def version_line() -> str:
    """`vaultd 0.1.0 (abcdef1)`."""
    digest, _, dirty = commit().partition("-")
    return f"vaultd {__version__}" + (f" ({digest[:7]}{'-' if dirty else ''}{dirty})" if digest else "")
