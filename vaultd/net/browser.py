"""Opens the person's own browser: an argument list, never a shell, so that no character of a URL is a command (SEC-07).

No embedded view: a page in which a person types a password must be one they can inspect (RFC 8252 §8.12).
"""

from __future__ import annotations

import shutil
import subprocess
import sys

#: Debian's and freedesktop's ways to the preferred browser, best first.
_OPENERS = ("xdg-open", "x-www-browser", "sensible-browser") if sys.platform != "darwin" else ("open",)
#: xdg-open hands the address over and ends; one that still runs is a browser of its own.
_PATIENCE = 2.0


def open_browser(url: str) -> bool:
    """True where a browser took the address. Blocks for two seconds at most."""
    for opener in _OPENERS:
        path = shutil.which(opener)
        if path is None:
            continue
        process = subprocess.Popen(  # noqa: S603 - an argument list; the URL is https or loopback, built by us
            [path, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends the sign-in, not the person's browser
        )
        try:
            if process.wait(_PATIENCE) == 0:
                return True
        except subprocess.TimeoutExpired:
            process.returncode = 0  # left running on purpose: no warning at exit
            return True
    return False
