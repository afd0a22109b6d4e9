"""A sign-in in the daemon that runs, with its person at this terminal: a thin client of the routes a page uses.

    POST /sign-ins ─▶ GET /sign-ins/{state}?since=… again and again, each answered by the next change
                      ├─ lines of stdin ─▶ POST /oauth-callback      stdin's end ─▶ DELETE …/paste
                      └─ what is asked  ─▶ POST …/answer             Ctrl-C      ─▶ DELETE …?unanswered

The daemon listens, talks to the vendor and judges; here is what only the person's side can know: the browser, the
terminal, where SSH came from.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from vaultd.cli import terminal
from vaultd.cli.sign_in_place import Order, SignedIn, Vendor
from vaultd.effects import Choose, Show
from vaultd.errors import Misconfigured, TryLater, VaultdError, revived
from vaultd.net import local
from vaultd.work.race import race

if TYPE_CHECKING:
    from vaultd.cli.desk import TerminalDesk

_LOST = "start the sign-in again"


class Beside:
    """`Place` in the daemon whose admin socket this is."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    @cached_property
    def vendors(self) -> list[Vendor]:
        rows = asyncio.run(local.manage(self._socket, "GET", "/providers"))["data"]
        return [
            Vendor(row["id"], row["name"], tuple(row["ways"]), row["sunset"], row["sunset_note"])
            for row in rows
            if row["ways"]
        ]

    async def sign_in(self, order: Order, desk: TerminalDesk) -> SignedIn:
        wanted = {
            "provider": order.provider,
            "way": order.way,
            "label": order.label,
            "projects": list(order.projects),
            "timeout": order.timeout,
            "asks": desk.attended,
        }
        # Answered at once, for whoever gives up while the vendor is asked must know what to cancel.
        begun = await local.manage(self._socket, "POST", "/sign-ins?wait=0", wanted)
        return await _SignIn(self._socket, begun, desk).ends()


class _SignIn:
    """One of them, as far as it has been told."""

    def __init__(self, socket: Path, begun: Mapping[str, Any], desk: TerminalDesk) -> None:
        self._socket = socket
        self._told = begun
        self._desk = desk
        self._path = f"/sign-ins/{quote(begun['state'], safe='')}"
        self._notes = 0
        self._shown = False

    async def ends(self) -> SignedIn:
        try:
            while self._told["status"] in {"wait", "asking"}:
                await self._show()
                await race(self._next_stage(), self._person(), self._ticks())
        finally:
            if self._told["status"] in {"wait", "asking"}:
                await self._give_up()
        self._tell_notes()
        told = self._told
        if told["status"] == "error":
            raise revived({"class": told["failure"], "message": told["error"]})
        return SignedIn(told["provider"], told["account"], told["credential"])

    async def _next_stage(self) -> None:
        """Until something else is to be done here than now."""
        stage = _stage(self._told)
        while _stage(self._told) == stage:
            self._tell_notes()
            try:
                self._told = await self._ask("GET", f"?since={self._told['revision']}")
            except TryLater as error:
                raise TryLater(f"{error}; {_LOST}", own=True) from error

    async def _person(self) -> NoReturn:
        """What the person may do now."""
        told = self._told
        if told["status"] == "asking":
            await self._answers(told["question"])
        elif told["url"] and told["way"] != "device" and not told["answered"]:
            await self._pastes()
        await asyncio.Event().wait()
        raise AssertionError("an event nobody sets")

    async def _pastes(self) -> None:
        """A line that is not ours changes nothing; the end of the input ends the paste and nothing else."""
        while (line := await self._desk.line()) is not None:
            if not line.strip():
                continue
            pasted = {"redirect_url": line, "state": self._told["state"]}
            try:
                await local.manage(self._socket, "POST", "/oauth-callback", pasted)
            except Misconfigured as refusal:
                self._desk.note(str(refusal))
            else:
                return
        await self._ask("DELETE", "/paste")

    async def _answers(self, question: Mapping[str, Any]) -> None:
        while True:
            if question["options"]:
                choose = Choose(question["text"], question["options"], question["default"])
                choice = list(await self._desk.choose(choose))
            else:
                choice = [await self._desk.ask(question["text"])]
            try:
                await self._ask("POST", "/answer", {"choice": choice})
            except Misconfigured as refusal:
                self._desk.note(str(refusal))
            else:
                return

    async def _ticks(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        end = loop.time() + float(self._told["expires_in"])
        while True:
            if self._told["status"] == "wait":
                self._desk.tick(max(0.0, end - loop.time()))
            await asyncio.sleep(1.0)

    async def _show(self) -> None:
        if self._told["url"] and not self._shown:
            self._shown = True
            await self._desk.show(Show(self._told["url"], self._told["user_code"]), self._told["listening"])

    def _tell_notes(self) -> None:
        for line in self._told["notes"][self._notes :]:
            self._desk.note(line)
        self._notes = len(self._told["notes"])

    async def _give_up(self) -> None:
        """The person has gone, or we cannot go on: the port is freed. An answer that is in ends by itself."""
        try:
            await self._ask("DELETE", "?unanswered=1")
        except Misconfigured:
            with contextlib.suppress(OSError):  # a terminal that was closed
                terminal.chat("the answer has arrived, and the daemon ends this sign-in by itself: vaultd status")
        except VaultdError:
            pass  # the daemon has gone, and the port with it

    async def _ask(self, method: str, rest: str, body: Mapping[str, Any] | None = None) -> Any:
        return await local.manage(self._socket, method, self._path + rest, body)


def _stage(told: Mapping[str, Any]) -> tuple[Any, ...]:
    return told["status"], bool(told["url"]), told["answered"], told["question"]
