"""Who answers at an admin socket, where many knock at once."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from vaultd.net import local


def test_thr_44_a_daemon_with_a_full_backlog_is_silent_and_not_gone() -> None:
    """One that were taken for gone would be said to be stopped, or another vault be opened in its place."""
    with tempfile.TemporaryDirectory(prefix="vaultd-") as folder:
        path = Path(folder, "admin.sock")
        with socket.socket(socket.AF_UNIX) as daemon, socket.socket(socket.AF_UNIX) as first:
            daemon.bind(str(path))
            daemon.listen(0)
            first.connect(str(path))
            assert local.knock(path) == "silent"
        assert local.knock(path) == "nobody"
