"""A vaultd process as far as renewal goes, for tests that need several: asked and answering by lines.

argv: auth folder, sandbox URL, credential id. Each line `refused` on stdin says that a minute later a vendor
answers 401 to the token it holds; it renews and answers with the new token's fingerprint.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from functools import partial
from pathlib import Path

from desk import open_vault

from vaultd.catalog.load import load, shipped_folder
from vaultd.config.model import Config
from vaultd.net.client import Client
from vaultd.net.clock import SystemClock
from vaultd.sandbox.vendors import overlay
from vaultd.work.renew import Renewer
from vaultd.work.renewal import renew


class Hurried(SystemClock):
    """Every expiry a minute further, as after a suspend: no login is renewed more often."""

    expiries = 0

    def boot(self) -> float:
        return super().boot() + 60 * self.expiries


async def main(folder: Path, url: str, id: str) -> None:  # noqa: A002
    owner = await open_vault(folder)
    catalog = load(shipped_folder(), None, Config(providers=overlay(url)), "a test")
    client, clock = Client(), Hurried()
    renewer = Renewer(owner, lambda: catalog, partial(renew, owner, send=client.send, clock=clock), clock)
    credential = await renewer.fresh(id)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while await asyncio.to_thread(sys.stdin.readline):
        clock.expiries += 1
        credential = await renewer.fresh(id, rejected=credential.bearer)
        assert credential.bearer is not None
        sys.stdout.write(hashlib.sha256(credential.bearer.reveal().encode()).hexdigest() + "\n")
        sys.stdout.flush()
    await client.close()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
