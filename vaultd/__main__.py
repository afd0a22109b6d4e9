"""The one place that knows both the command line and the server: `vaultd`, and `python -m vaultd`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from vaultd.cli.main import run
from vaultd.net.process import harden

if TYPE_CHECKING:
    from vaultd.house import House


def _serve(house: House, host: str, port: int) -> Awaitable[None]:
    """Imported only when asked for: `vaultd --help` must not pay for an HTTP server."""
    from vaultd.server.run import serve  # noqa: PLC0415

    return serve(house, host, port)


def main() -> None:
    harden()
    sys.exit(run(sys.argv[1:], serve=_serve))


if __name__ == "__main__":
    main()
