"""The play in six acts: pretend vendor, daemon, five sign-ins, sealed files, renewal, five streamed answers.

Each act fails loudly: what did not happen is an error of the whole, and so is the end of the vendor or the daemon.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaultd.cli import terminal
from vaultd.cli.demo import loopback
from vaultd.cli.demo.board import Board
from vaultd.cli.demo.questions import ANSWER, FORMATS, VENDORS, Format, Vendor
from vaultd.cli.demo.search import search
from vaultd.cli.demo.stage import PATIENCE, Stage
from vaultd.errors import PortTaken, ProtocolError, TryLater

VENDOR, DAEMON = "the pretend vendor", "the daemon"
#: Seconds that the access token of a sign-in lives: short enough to see it end.
LIFETIME = 6
#: What renewal gives lives long enough to leave a person's own experiments in peace.
CALM_LIFETIME = 900
#: A sign-in's.
FIRST = 1
#: Between two pieces of a streamed answer, so that one sees it come.
GAP = 0.03
CANARY = b"CANARY"


async def play(*, port: int, once: bool) -> None:
    """Raises what went wrong; PortTaken where another program has the port."""
    _refuse_taken(port)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with Stage() as stage:
        try:
            async with asyncio.TaskGroup() as group:
                await _acts(stage, group, port, once=once)
        except ExceptionGroup as failed:
            raise _first(failed) from None


async def _acts(stage: Stage, group: asyncio.TaskGroup, port: int, *, once: bool) -> None:
    began = time.monotonic()
    vendor = await _vendor(stage, port)
    guards = [group.create_task(stage.outlast(VENDOR))]
    address = await _daemon(stage, port)
    guards.append(group.create_task(stage.outlast(DAEMON)))
    key = await stage.ask("keys", "keys", "get", "default")
    signed_in = await _sign_ins(stage, vendor)
    _sealed(stage, signed_in)
    await _renewals(stage, signed_in)
    await asyncio.to_thread(loopback.order, vendor, set={"gap_seconds": GAP})
    await _answers(address, key)
    await _translations(address, key)
    await asyncio.to_thread(loopback.order, vendor, set={"gap_seconds": 0})
    _say(f"Done in {time.monotonic() - began:.0f} s: five vendors signed in, sealed, renewed and answering.")
    if not once:
        _invite(stage, address, key)
        await asyncio.Event().wait()  # until Ctrl-C, or until a guard raises
    for guard in guards:
        guard.cancel()


async def _vendor(stage: Stage, port: int) -> str:
    _say("1. A pretend vendor")
    process = await stage.start(VENDOR, "vaultd.sandbox", "--lifetime", str(LIFETIME))
    ready: dict[str, Any] = json.loads(await stage.line(VENDOR, process))
    stage.configure({"port": port, "providers": ready["overlay"]})
    _tell(f"{ready['url']} is Codex, Claude, Gemini, Qwen and iFlow at once; its first tokens live {LIFETIME} s")
    return str(ready["url"])


async def _daemon(stage: Stage, port: int) -> str:
    _say("2. The daemon")
    _tell("$ vaultd serve")
    process = await stage.start(DAEMON, "vaultd", "serve")
    address = f"http://127.0.0.1:{port}"
    with _patience(f"{DAEMON} does not answer at {address}") as patient:
        while not await asyncio.to_thread(loopback.answers, f"{address}/healthz"):
            if process.returncode is not None:
                raise stage.failed(DAEMON, process)
            await patient()
    _tell(f"{address}, in {stage.folder}")
    return address


async def _sign_ins(stage: Stage, vendor: str) -> dict[str, Path]:
    """Credential id → its sealed file."""
    _say("3. Sign in, as one does on a server: open the printed address in any browser")
    signed_in = {}
    for provider in ("codex", "claude", "gemini", "qwen", "iflow"):
        id_ = await _sign_in(stage, provider)
        signed_in[id_] = stage.credentials / f"{id_}.json"
        # None is renewed twice in a minute: the next token has to last.
        await asyncio.to_thread(loopback.order, vendor, vendor=provider, set={"access_seconds": CALM_LIFETIME})
    return signed_in


async def _sign_in(stage: Stage, provider: str) -> str:
    name = f"login-{provider}"
    _tell(f"$ vaultd login --{provider} --no-browser")
    process = await stage.run(name, "vaultd", "login", f"--{provider}", "--no-browser")
    landing = await asyncio.to_thread(loopback.browse, await stage.line(name, process))
    if not landing.reached:
        # Another program has the callback port: what a person does then is to paste the address.
        assert process.stdin is not None
        process.stdin.write(f"{landing.url}\n".encode())
        await process.stdin.drain()
    while not (line := await stage.line(name, process)).startswith("signed in: "):
        continue  # the user code of a device sign-in; the page had it in its address
    _tell(f"  {line}")
    return line.rpartition(" -> ")[2]


def _sealed(stage: Stage, signed_in: dict[str, Path]) -> None:
    _say("4. Sealed on disk")
    files = [(path.name, path.stat(), path.read_bytes()) for path in signed_in.values()]
    rows = [(name, f"{facts.st_mode & 0o777:04o}", str(facts.st_size), _head(data)) for name, facts, data in files]
    terminal.table(("file", "mode", "bytes", "begins"), rows)
    planted = stage.folder / "planted"
    planted.write_bytes(CANARY)
    found, read = search(stage.folder, CANARY)
    planted.unlink()
    if found != [planted]:
        raise ProtocolError(f"tokens in clear: {', '.join(str(path.relative_to(stage.folder)) for path in found)}")
    _tell(f"every token of the pretend vendor holds the word {CANARY.decode()}; in {read - 1} files: none")


async def _renewals(stage: Stage, signed_in: dict[str, Path]) -> None:
    _say("5. Renewed ahead of expiry; the generation is in the sealed file's header")
    waiting = dict(signed_in)
    with Board(list(signed_in)) as rows, _patience("not renewed", 2 * LIFETIME + PATIENCE) as patient:
        while waiting:
            for id_, path in list(waiting.items()):
                now = _generation(path)
                if now > FIRST:
                    rows.done(id_, f"generation {FIRST} → {now}")
                    del waiting[id_]
                else:
                    rows.show(id_, f"generation {now}")
            if waiting:
                await patient()


async def _answers(address: str, key: str) -> None:
    _say("6. One streamed question for each, in its own format")
    with Board([vendor.provider for vendor in VENDORS]) as rows:
        async with asyncio.TaskGroup() as group:
            for vendor in VENDORS:
                group.create_task(asyncio.to_thread(_ask, address, key, vendor, rows))


def _ask(address: str, key: str, vendor: Vendor, rows: Board) -> None:
    spoken = vendor.speaks.name
    for text in _told(address, key, vendor, vendor.speaks):
        rows.show(vendor.provider, f"{spoken}: {text}")
    rows.done(vendor.provider, f"{spoken}: {ANSWER}")


async def _translations(address: str, key: str) -> None:
    _say("7. The same question from clients of every other format, translated")
    with Board([vendor.provider for vendor in VENDORS]) as rows:
        async with asyncio.TaskGroup() as group:
            for vendor in VENDORS:
                group.create_task(asyncio.to_thread(_ask_in_all, address, key, vendor, rows))


def _ask_in_all(address: str, key: str, vendor: Vendor, rows: Board) -> None:
    others = [spoken for spoken in FORMATS if spoken is not vendor.speaks]
    heard: list[str] = []
    for spoken in others:
        for _ in _told(address, key, vendor, spoken):
            rows.show(vendor.provider, ", ".join([*heard, f"{spoken.name}…"]))
        heard.append(spoken.name)
    rows.done(vendor.provider, "answered clients of " + ", ".join(heard))


def _told(address: str, key: str, vendor: Vendor, spoken: Format) -> Iterator[str]:
    """What has been answered so far, event by event. Raises ProtocolError where the whole is not what was to come."""
    path, body = spoken.asked(vendor.asked_for)
    text = ""
    for event in loopback.post(f"{address}{path}", body, spoken.headers(key)):
        text += spoken.text(event)
        yield text
    if text.strip() != ANSWER:
        raise ProtocolError(f"{vendor.provider} answered {text!r} in {spoken.name}, and {ANSWER!r} was to come")


def _invite(stage: Stage, address: str, key: str) -> None:
    terminal.out("")
    _tell(f"address     {address}")
    _tell(f"client key  {key}")
    terminal.out("")
    _tell(f"Claude Code  ANTHROPIC_BASE_URL={address} ANTHROPIC_AUTH_TOKEN={key} claude")
    _tell(
        f"Codex        VAULTD_KEY={key} codex -c model_provider=vaultd -c 'model_providers.vaultd="
        f'{{name="vaultd", base_url="{address}/v1", wire_api="responses", env_key="VAULTD_KEY"}}\''
    )
    _tell(f'OpenAI SDK   OpenAI(base_url="{address}/v1", api_key="{key}")')
    _tell(f"curl         curl {address}/v1/models -H 'Authorization: Bearer {key}'")
    _tell(f"look around  vaultd status --config {stage.config}")
    terminal.out("")
    _tell("Ctrl-C ends it all and removes the folder.")


def _first(failed: ExceptionGroup[Exception]) -> Exception:
    error: Exception = failed
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the daemon does: a port just left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(
                f"port {port} cannot be had ({error.strerror}): end what listens there, or choose another with --port"
            ) from None


def _generation(sealed: Path) -> int:
    protected = json.loads(sealed.read_bytes())["protected"]
    header = json.loads(urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
    return int(header["vaultd"]["gen"])


def _head(data: bytes) -> str:
    return data[:40].decode(errors="replace") + "…"


@contextmanager
def _patience(complaint: str, seconds: float = PATIENCE) -> Iterator[Any]:
    """Gives the pause of a loop that looks again and again; it raises TryLater once the time is up."""
    until = time.monotonic() + seconds

    async def pause() -> None:
        if time.monotonic() > until:
            raise TryLater(f"{complaint} within {seconds:.0f} s")
        await asyncio.sleep(0.1)

    yield pause


def _say(title: str) -> None:
    terminal.out("")
    terminal.out(title)


def _tell(line: str) -> None:
    terminal.out(f"  {line}")
