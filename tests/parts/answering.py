"""Waits for a program of somebody else's, which says nowhere that it is ready, to answer at its address."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request


def answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)  # the port is not open yet: nothing to wait on but the port itself
        else:
            return
    raise AssertionError(f"{url} did not answer in 30 s")
