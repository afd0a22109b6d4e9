"""The driver's end of `template`: start a process in a lane, talk to it, kill what runs there."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from template import PACKET

#: Longer than anything here takes on a busy machine; a hang is a failure, not a wait.
LONGEST = 60.0

_HERE = Path(__file__).parent
_PATHS = (_HERE, _HERE.parent / "work")


class Line:
    """Packets to and from one process, as JSON objects. `hear` answers None at its end."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(end.fileno(), self._read)

    def say(self, **words: Any) -> None:
        self._end.send(json.dumps(words).encode())

    def hand(self, words: dict[str, Any], fds: list[int]) -> None:
        socket.send_fds(self._end, [json.dumps(words).encode()], fds)

    async def hear(self) -> dict[str, Any] | None:
        return await asyncio.wait_for(self._heard.get(), LONGEST)

    async def all(self) -> list[dict[str, Any]]:
        """What was said and not heard yet, up to the end. For a process that is dead."""
        said = []
        while (words := await self.hear()) is not None:
            said.append(words)
        return said

    def so_far(self) -> list[dict[str, Any]]:
        """What has arrived and was not heard yet."""
        self._read()
        said = []
        while not self._heard.empty() and (words := self._heard.get_nowait()) is not None:
            said.append(words)
        return said

    def close(self) -> None:
        if self._end.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._end.fileno())
            self._end.close()

    def _read(self) -> None:
        while True:
            try:
                packet = self._end.recv(PACKET)
            except BlockingIOError:
                return
            except ConnectionResetError:
                packet = b""
            if not packet:
                self.close()
                self._heard.put_nowait(None)
                return
            self._heard.put_nowait(json.loads(packet))


class Processes:
    """`async with Processes() as processes`: nothing it started outlives the block."""

    async def __aenter__(self) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = os.pathsep.join([*map(str, _PATHS), os.environ.get("PYTHONPATH", "")])
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220  - once, before anything waits
                [sys.executable, str(_HERE / "template.py"), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # an interrupt at the terminal is the driver's alone
                env={**os.environ, "PYTHONPATH": path},
            )
        self._line = Line(ours)
        self._turn = asyncio.Lock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()
        await asyncio.to_thread(self._process.wait, LONGEST)

    async def start(self, lane: str, kind: str, **args: Any) -> tuple[Line, int]:
        """A process of `lane`, and its pid."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            order = {"do": "start", "lane": lane, "kind": kind, "args": args}
            answer = await self._ask(order, [theirs.fileno()])
        return Line(ours), int(answer["pid"])

    async def kill(self, lane: str, *kinds: str) -> int:
        """`kill -9`; they are gone when this returns. How many there were."""
        return int((await self._ask({"do": "kill", "lane": lane, "kinds": kinds}))["killed"])

    async def left(self, lane: str) -> list[str]:
        """The kinds of those that still run there."""
        return list((await self._ask({"do": "left", "lane": lane}))["left"])

    async def _ask(self, order: dict[str, Any], fds: list[int] | None = None) -> dict[str, Any]:
        async with self._turn:
            self._line.hand(order, fds or [])
            answer = await self._line.hear()
        assert answer is not None, "the template ended"
        return answer
