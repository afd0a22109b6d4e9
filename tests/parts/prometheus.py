"""A real Prometheus that scrapes what a test tells it to."""

from __future__ import annotations

import http.client
import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ports import free_port
from shell import LONGEST


class Prometheus:
    """Asked by its own API. Ends with `ends`."""

    def __init__(self, program: str, config: Path) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={config.parent / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        while "Server is ready to receive web requests" not in self._lines.get(timeout=LONGEST):
            pass

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.put(line)

    def asks(self, path: str) -> Any:
        """What the API answers; a question it cannot read is an AssertionError with its words."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST)
        connection.request("GET", f"/api/v1/{path}")
        told = json.loads(connection.getresponse().read())
        connection.close()
        assert told["status"] == "success", told.get("error")
        return told["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        return list(self.asks(f"query?query={quote(expr)}")["result"])

    def until(self, expr: str, fits: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Asks again until the answer fits: scrapes come by themselves, and nothing else tells of one."""
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            if fits(self.query(expr)):
                return
            time.sleep(0.05)  # asked without a pause it takes the time from whom it scrapes
        raise AssertionError(f"{expr} never fitted: {self.query(expr)}")

    def ends(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(LONGEST)
        assert self._process.stderr is not None
        self._process.stderr.close()
