"""The one place that knows both the command line and the server: `vaultd`, and `python -m vaultd`."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING

if sys.platform != "linux":
    # Before what is only there is imported: one line and no traceback. docs/releasing.md lists what it is.
    sys.exit(f"vaultd: needs Linux, and this is {sys.platform}: run it in a container or a virtual machine")

from vaultd.cli.main import run
from vaultd.net.process import harden

if TYPE_CHECKING:
    from vaultd.house import House


async def _serve(house: House, host: str, port: int) -> None:
    """Imported only when asked for: `vaultd --help` must not pay for an HTTP server."""
    from vaultd.net import supervisor  # noqa: PLC0415
    from vaultd.server import admin, run  # noqa: PLC0415

    given, manager = supervisor.inherited(os.environ), supervisor.Manager.found(os.environ)
    # What was made at start lives as long as the process: no collection need look at it again.
    gc.collect()
    gc.freeze()
    with closing(manager):
        async with admin.listening(house, given.admin):
            await run.serve(house, host, port, given.relay, manager)


def main() -> None:
    harden()
    sys.exit(run(sys.argv[1:], serve=_serve))


if __name__ == "__main__":
    main()
