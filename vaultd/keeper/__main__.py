"""`python -m vaultd.keeper FD`: started by `keeper.near` alone, with one end of a socket pair."""

from __future__ import annotations

import sys

from vaultd.net.process import harden, name_process


def main() -> None:
    harden()
    name_process("vaultd-keeper")
    from vaultd.keeper.far import keep  # noqa: PLC0415 - nothing is made before the process is shut

    keep(int(sys.argv[1]))


if __name__ == "__main__":
    main()
