"""Hot reload: looks again when the folders say so, and every minute in case they do not.

Knows neither what is looked at nor what a change means: `look` does both, and compares contents itself. Where file
events do not work, looking every few seconds takes their place, and the operator is told (THR-37).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaultd.errors import VaultdError
from vaultd.net.watch import Eye

_log = logging.getLogger("vaultd.watch")


@dataclass(frozen=True)
class Pace:
    """Seconds. Tests have smaller ones."""

    #: An editor's save is several events within some 10 ms; CLIProxyAPI waits as long.
    settle: float = 0.15
    #: Changes that never pause must not put off looking for ever.
    patience: float = 2.0
    #: The slow look behind working events: queues overflow, network folders stay silent.
    rescan: float = 60.0
    #: The only look where there are no events: what a person waits for without doubting the program.
    poll: float = 3.0


DEFAULT_PACE: Final = Pace()


async def follow(
    eye: Eye,
    *,
    proof: Path,
    folders: Callable[[], Iterable[Path]],
    look: Callable[[], Awaitable[None]],
    trouble: Callable[[str | None], None],
    pace: Pace = DEFAULT_PACE,
) -> None:
    """Never returns. `trouble` hears why events do not work, or None when they do; `proof` is a folder of ours."""
    while True:
        blind = eye.watch(folders())
        working = await eye.proves_itself(proof)
        if not working:
            blind.append(f"no file events arrive from {proof}; looking every {pace.poll:g} s instead")
        trouble("; ".join(blind) or None)
        await _look(look)
        await _until_stale(eye, folders, look, pace.rescan if working and not blind else pace.poll, pace)


async def _until_stale(
    eye: Eye,
    folders: Callable[[], Iterable[Path]],
    look: Callable[[], Awaitable[None]],
    interval: float,
    pace: Pace,
) -> None:
    """Looks on each hint and each `interval`, until the watch has to be set up and proved again."""
    known = frozenset(folders())
    rounds = max(1, int(600 / interval))
    for _ in range(rounds):
        if await eye.hint(interval):
            await _settled(eye, pace)
        await _look(look)
        if frozenset(folders()) != known:
            return


async def _settled(eye: Eye, pace: Pace) -> None:
    """Lets a burst of events end, within reason."""
    for _ in range(int(pace.patience / pace.settle)):
        if not await eye.hint(pace.settle):
            return


async def _look(look: Callable[[], Awaitable[None]]) -> None:
    """One failed look is reported and never the last one."""
    try:
        await look()
    except (VaultdError, OSError) as error:
        _log.warning("looking again failed", extra={"reason": str(error)})


def fingerprint(files: Iterable[Path]) -> str:
    """Changes when any of the files does; a missing one counts as such. For files of at most a few MiB."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(b"\0" + str(file).encode(errors="surrogateescape") + b"\0")
        try:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError:
            digest.update(b"missing")
    return digest.hexdigest()
