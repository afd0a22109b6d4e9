"""A network of one's own, as a container without a published port has: `unshare --net python namespace.py PORT SOCKET
COMMAND…` runs a command in it. The only way out leads from its loopback's PORT to the unix socket SOCKET; nothing
leads in."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys

#: ioctl numbers and flags of netdevice(7).
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()


async def joined(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter], other: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Both ways, until both have ended."""
    await asyncio.gather(pipe(one[0], other[1]), pipe(other[0], one[1]), return_exceptions=True)


def _raise_loopback() -> None:
    with socket.socket() as any_:
        flags = struct.unpack("16sH", fcntl.ioctl(any_, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))[:18])[1]
        fcntl.ioctl(any_, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


async def _run(port: int, way_out: str, command: list[str]) -> int:
    async def leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await joined((reader, writer), await asyncio.open_unix_connection(way_out))

    server = await asyncio.start_server(leaves, "127.0.0.1", port)
    process = await asyncio.create_subprocess_exec(*command)
    asyncio.get_running_loop().add_signal_handler(15, process.terminate)
    code = await process.wait()
    server.close()
    return code


if __name__ == "__main__":
    _raise_loopback()
    sys.exit(asyncio.run(_run(int(sys.argv[1]), sys.argv[2], sys.argv[3:])))
