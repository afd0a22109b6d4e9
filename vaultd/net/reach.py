"""Whether anything listens at an address of the operator's (a proxy): a connection that is opened and closed.

For `doctor`: nothing is sent, so that nothing can be told by it but that somebody is there.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final

from vaultd.net.egress import refused

#: A proxy is on this machine or a network nearby; a person waits for the answer.
_SECONDS: Final = 3.0


async def reason_not_reached(host: str, port: int) -> str:
    """Why nothing answers there, "" where something does."""
    if refused(host):
        return "link-local addresses are never dialled"
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {_SECONDS:.0f} s"
    except socket.gaierror:
        return "its name cannot be resolved"
    except OSError as error:
        return os.strerror(error.errno) if error.errno else "no connection"
    writer.transport.abort()
    return ""
