"""One request to a vendor, answered by bytes as they come: the relay's way out.

The rules of `net.client` hold: no redirect is followed, errors are turned into a sentence that names the host alone
(aiohttp's hold headers, THR-28). Bodies are not inflated: what is compressed passes as it is, so a bomb is the client's
to refuse (THR-16). No decision about what to do next in here.
"""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import aiohttp
from yarl import URL

from vaultd.errors import ProtocolError, TryLater, VaultdError
from vaultd.net.client import PROXY_FAILED, as_ours, checked_host
from vaultd.net.inflate import inflated

#: What `Answer.read` may raise: the vendor or the network broke off, or what came is not what it says.
BROKEN: Final = (aiohttp.ClientError, OSError, TryLater, ProtocolError)
#: Larger bodies go out in pieces: aiohttp warns of whole ones above 1 MiB, for they block the loop.
_WHOLE: Final = 1024 * 1024


class Answer:
    """A vendor's answer with its body unread. `read()` gives what has come in, b"" at the end, or raises `BROKEN`."""

    __slots__ = ("_content", "_response", "headers", "host", "read", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.host = response.url.raw_host or ""
        #: The reader's own method, not a wrapper: it is called once per event of a stream.
        self.read: Callable[[], Awaitable[bytes]] = response.content.readany

    def inflate(self) -> None:
        """From here on `read` gives plain bytes. Raises ProtocolError for a coding that is not spoken here."""
        coding = self.headers.get("Content-Encoding", "")
        if coding and coding.lower() != "identity":
            self.read = inflated(self.read, coding, self.host)

    @property
    def ended(self) -> bool:
        """True where nothing is left to read."""
        return self._content.at_eof()

    async def whole(self, limit: int) -> tuple[bytes, bool]:
        """The body up to `limit` bytes or a little more, and whether that is all of it."""
        body = await self.read()
        if self._content.at_eof():
            return body, True
        pieces, size = [body], len(body)
        while size <= limit:
            piece = await self.read()
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces), False

    async def peek(self, limit: int) -> bytes:
        """As much of the body as `whole` would give; `read` begins with it all the same."""
        body, _ = await self.whole(limit)
        seen, read = [body], self.read

        async def again() -> bytes:
            return seen.pop() if seen else await read()

        self.read = again
        return body

    def break_off(self, reason: VaultdError) -> None:
        """A pending or the next `read` raises `reason`."""
        self._content.set_exception(reason)

    def close(self) -> None:
        """Lets go of the connection; an answer not read to its end is broken off, which tells the vendor to stop."""
        self._response.close()

    def broken(self, error: Exception) -> VaultdError:
        """What `read` raised, in our words."""
        return error if isinstance(error, VaultdError) else as_ours(error, self.host)


Url = URL


def address(url: str) -> Url:
    """Parsed once and kept: `url` is sent as it is written here, with nothing quoted again.

    Raises ProtocolError for a link-local host: behind a proxy no socket of ours would see it (THR-07).
    """
    checked_host(url)
    return URL(url, encoded=True)


async def ask(
    session: aiohttp.ClientSession, url: Url, headers: Mapping[str, str], body: bytes, method: str = "POST"
) -> Answer:
    """Raises TryLater where no answer came, ProtocolError where it is not HTTP.

    A warm connection that the vendor closed just now fails before it answers anything: asked once more on another.
    """
    for last in (False, True):
        # A payload is given, for aiohttp need not search then for what suits bytes.
        data = io.BytesIO(body) if len(body) > _WHOLE else aiohttp.BytesPayload(body) if body else None
        try:
            return Answer(await session.request(method, url, data=data, headers=headers, allow_redirects=False))
        except aiohttp.ServerDisconnectedError as error:
            if last:
                raise as_ours(error, url.raw_host or "") from None
        except (aiohttp.ClientError, *PROXY_FAILED, OSError) as error:
            # `from None`: the cause's repr holds the request's headers, and a traceback would print it.
            raise as_ours(error, url.raw_host or "") from None
    raise AssertionError("unreachable")
