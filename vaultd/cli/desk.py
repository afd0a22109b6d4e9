"""The terminal as a sign-in's desk: where the address goes, what is asked, how waiting looks.

stdout gets what a script needs (the address, the user code), stderr the rest. On a terminal the time left is counted
down in place; piped, nothing moves. No question is asked of nobody: without a terminal the defaults stand.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import ipaddress
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vaultd.catalog.manifest import Provider
from vaultd.cli import terminal
from vaultd.effects import AwaitRedirect, Choose, Show
from vaultd.net.browser import open_browser

#: One read of a terminal line is at most 4 kB (termios(3), canonical mode); a pipe's 64 kB.
_READ = 64 * 1024


@dataclass(frozen=True, slots=True)
class Manner:
    """How the person wants to be shown the address."""

    browser: bool = True
    qr: bool = False
    #: The vendor's page shows the code; there is no redirect to wait for.
    paste_page: bool = False


class TerminalDesk:
    """`vaultd.work.sign_in.Desk` on stdin, stdout and stderr."""

    def __init__(self, manner: Manner, env: Mapping[str, str]) -> None:
        self._manner = manner
        self._env = env
        self._lines = _Lines()
        self._at_terminal = sys.stdin.isatty()
        self._counting = sys.stderr.isatty()
        self._shown: int | None = None

    async def show(self, effect: Show, listening: int | None) -> None:
        self._end_counting()
        if effect.user_code:
            self._show_device(effect)
        else:
            await self._show_address(effect.url, listening)
        if self._manner.qr:
            for line in qr_code(effect.url):
                terminal.chat(line)

    @property
    def attended(self) -> bool:
        """Whether somebody is there to be asked."""
        return self._at_terminal

    async def line(self) -> str | None:
        """The next line of the input; None once there can be no more."""
        return await self._lines.next()

    async def pasted(self, awaited: AwaitRedirect) -> str | None:
        return await self.line()

    async def choose(self, effect: Choose) -> Sequence[str]:
        if not self._at_terminal:
            return [effect.default]
        self.note(effect.question)
        for number, option in enumerate(effect.options, 1):
            terminal.chat(f"  {number}  {option}" + ("  (default)" if option == effect.default else ""))
        while (line := await self._asked("number or name: ")) is not None:
            if not line:
                return [effect.default]
            if line in effect.options:
                return [line]
            if line.isascii() and line.isdigit() and 0 < int(line) <= len(effect.options):
                return [effect.options[int(line) - 1]]
            self.note(f"{line} is none of these")
        return [effect.default]

    async def ask_label(self, provider: Provider) -> str:
        return await self.ask(f"{provider.name or provider.id} gives no name; call this account")

    async def ask(self, question: str) -> str:
        """A short text; empty with nobody there."""
        return await self._asked(f"{question}: ") or "" if self._at_terminal else ""

    def note(self, line: str) -> None:
        self._end_counting()
        terminal.chat(line)

    def tick(self, seconds_left: float) -> None:
        left = int(seconds_left)
        if self._counting and left != self._shown:
            self._shown = left
            terminal.progress(f"waiting for the browser {left // 60}:{left % 60:02}")

    def close(self) -> None:
        self._end_counting()

    def _show_device(self, effect: Show) -> None:
        terminal.out(effect.url)
        terminal.out(effect.user_code)
        terminal.chat("open the address in any browser and enter the code; never enter a code that somebody sent you")

    async def _show_address(self, url: str, listening: int | None) -> None:
        if self._manner.browser and await asyncio.to_thread(open_browser, url, self._env):
            terminal.chat("the browser has been opened; should it show nothing, open this address:")
            terminal.chat(url)
            return
        terminal.out(url)
        if self._manner.paste_page:
            terminal.chat("open the address, then paste the code it shows here")
            return
        terminal.chat("open the address; if it ends on a page that cannot be reached, paste that page's address here")
        tunnel = ssh_line(self._env, listening)
        if tunnel:
            terminal.chat(f"or first, on your own machine: {tunnel}")

    async def _asked(self, question: str) -> str | None:
        self._end_counting()
        terminal.progress(question)
        line = await self._lines.next()
        return None if line is None else line.strip()

    def _end_counting(self) -> None:
        if self._shown is not None:
            self._shown = None
            terminal.progress("")


def ssh_line(env: Mapping[str, str], port: int | None) -> str:
    """The command that brings the callback port to the person's own machine; empty where nobody came by SSH.

    Address and port are those the person's client connected to (`SSH_CONNECTION`, ssh(1)): nobody else is asked.
    """
    parts = env.get("SSH_CONNECTION", "").split()
    if port is None or len(parts) != 4:
        return ""
    server, server_port = parts[2], parts[3]
    try:
        ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return ""
    if not (server_port.isascii() and server_port.isdigit()):
        return ""
    return f"ssh -L {port}:127.0.0.1:{port} {getpass.getuser()}@{server} -p {server_port}"


def qr_code(text: str) -> list[str]:
    """The lines of a QR code in half blocks, two rows of modules each; the light ones are drawn, on a dark terminal."""
    import segno  # noqa: PLC0415 - start-up time; few ask for it

    rows = [[not dark for dark in row] for row in segno.make(text, error="l", micro=False).matrix_iter(border=2)]
    if len(rows) % 2:
        rows.append([True] * len(rows[0]))
    blocks = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(blocks[pair] for pair in zip(top, bottom, strict=True)) for top, bottom in pairs]


class _Lines:
    """Lines of stdin as they come. Read in a thread of its own: not every stdin (a file) can be polled.

    The thread reads the descriptor, not `sys.stdin`, whose lock a reader left waiting would hold at exit.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._started = False
        self._ended = False

    async def next(self) -> str | None:
        if self._ended:
            return None
        if not self._started:
            self._started = True
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._read, args=(loop,), daemon=True, name="stdin").start()
        line = await self._queue.get()
        self._ended = line is None
        return line

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        pending = b""
        # RuntimeError: the loop has gone, and with it whoever waited.
        with contextlib.suppress(RuntimeError):
            while chunk := _chunk():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    loop.call_soon_threadsafe(self._queue.put_nowait, line.decode(errors="replace"))
                pending = pending[-_READ:]
            if pending:
                loop.call_soon_threadsafe(self._queue.put_nowait, pending.decode(errors="replace"))
            loop.call_soon_threadsafe(self._queue.put_nowait, None)


def _chunk() -> bytes:
    try:
        return os.read(0, _READ)
    except OSError:  # closed before we began
        return b""
