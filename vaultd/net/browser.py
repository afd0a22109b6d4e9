"""Opens the person's own browser: an argument list, never a shell, so that no character of a URL is a command (SEC-07).

No embedded view: a page in which a person types a password must be one they can inspect (RFC 8252 §8.12).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

#: Debian's and freedesktop's ways to the preferred browser, best first.
_OPENERS = ("xdg-open", "x-www-browser", "sensible-browser")
#: What says that there is a screen, or (BROWSER, as an editor's remote terminal has it) another way to one. Without any
#: an installed Chromium takes seconds to find that out on a busy machine and looks opened until then (2026-11-22).
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
#: xdg-open hands the address over and ends; one that still runs is a browser of its own.
_PATIENCE = 2.0


def open_browser(url: str, env: Mapping[str, str]) -> bool:
    """True where a browser took the address; with no screen in `env` none is asked. Blocks for two seconds at most."""
    if not any(env.get(name) for name in _SCREENS):
        return False
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
