"""What is noted of one request while it is relayed, for the request log. Only made while that is on.

It listens at both ends: at the bytes that a vendor sends, and at those that go to the client. Of each side so much is
kept and no more, whatever its length; nothing is read that would not be read without it, and nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.wire.members import Members
from vaultd.wire.refusal import Refusal

#: Of each body: a long conversation with its tools' descriptions. What is cut is the repeated history's end.
KEPT: Final = 256 * 1024
#: Kept on top until it is written, so that a secret at the cut is whole when it is looked for.
_SEAM: Final = 8 * 1024
#: Tries that are told in full; of a request that went through more of them the rest is told by number alone.
TRIES: Final = 8


class Answer(Protocol):
    """A vendor's answer (`net.upstream.Answer`), as far as listening goes."""

    read: Callable[[], Awaitable[bytes]]

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Client(Protocol):
    """Who asked (`work.deliver.Client`)."""

    @property
    def opened(self) -> bool: ...
    @property
    def write(self) -> Callable[[bytes], Awaitable[None]]: ...
    async def open(self, status: int, headers: Mapping[str, str]) -> None: ...
    async def end(self, last: bytes = b"") -> None: ...
    def begun(self) -> None: ...
    def abort(self) -> None: ...


class Body:
    """The beginning of what passed, and how much it was."""

    __slots__ = ("_pieces", "size")

    def __init__(self, data: bytes = b"") -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        self.add(data)

    def add(self, data: bytes) -> None:
        room = KEPT + _SEAM - self.size
        if data and room > 0:
            self._pieces.append(data[:room])
        self.size += len(data)

    @property
    def kept(self) -> bytes:
        return b"".join(self._pieces)


class Try:
    """One request to a vendor. `status` stays 0 where no answer came; `trouble` says why it was in vain."""

    __slots__ = ("asked", "credential", "headers", "heard", "heard_headers", "provider", "status", "trouble", "url")

    def __init__(self, credential: Credential, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.provider, self.credential, self.url = credential.provider, credential.id, url
        self.headers, self.asked = dict(headers), Body(body)
        self.status, self.heard_headers, self.heard, self.trouble = 0, dict[str, str](), Body(), ""

    def listens(self, answer: Answer) -> None:
        self.status, self.heard_headers = answer.status, dict(answer.headers)
        read = answer.read

        async def overheard() -> bytes:
            data = await read()
            self.heard.add(data)
            return data

        answer.read = overheard


class Note:
    """One request and what became of it."""

    __slots__ = ("asked", "headers", "missed", "said", "said_headers", "secrets", "status", "tries", "trouble")

    def __init__(self, headers: Mapping[str, str], body: Members) -> None:
        self.headers, self.asked = dict(headers), Body(body.body)
        self.tries: list[Try] = []
        self.missed = 0
        self.status, self.said_headers, self.said = 0, dict[str, str](), Body()
        #: Why the client got what it got, in our words.
        self.trouble = ""
        #: What was presented to vendors: by the end of the request a token may have been renewed, and be known no more.
        self.secrets: list[Secret] = []

    def tries_at(self, credential: Credential, url: str, headers: Mapping[str, str], body: bytes) -> Try:
        """`url` without its query: a key may stand there."""
        made = Try(credential, url, headers, body)
        held = credential.bearer if credential.kind == "oauth" else credential.key
        if held is not None:
            self.secrets.append(held)
        if len(self.tries) < TRIES:
            self.tries.append(made)
        else:
            self.missed += 1
        return made

    def in_vain(self, why: object) -> None:
        """The last try was; `why` is a refusal where the vendor's own answer does not say it."""
        if isinstance(why, Refusal) and self.tries and not self.missed:
            self.tries[-1].trouble = why.message

    def told(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.said_headers = status, dict(headers)
        self.said.add(body)

    def refused(self, refusal: Refusal) -> None:
        """The server gives it the client's shape."""
        self.status, self.trouble = refusal.status, refusal.message

    @property
    def size(self) -> int:
        """Bytes that are held, nearly."""
        bodies = [self.asked, self.said, *(body for one in self.tries for body in (one.asked, one.heard))]
        return sum(min(body.size, KEPT + _SEAM) for body in bodies)


class Overheard:
    """A client whose answer is noted on its way."""

    __slots__ = ("_client", "_note")

    def __init__(self, client: Client, note: Note) -> None:
        self._client, self._note = client, note

    @property
    def opened(self) -> bool:
        return self._client.opened

    async def open(self, status: int, headers: Mapping[str, str]) -> None:
        self._note.told(status, headers, b"")
        await self._client.open(status, headers)

    @property
    def write(self) -> Callable[[bytes], Awaitable[None]]:
        return self._write

    async def _write(self, data: bytes) -> None:
        self._note.said.add(data)
        await self._client.write(data)

    async def end(self, last: bytes = b"") -> None:
        self._note.said.add(last)
        await self._client.end(last)

    def begun(self) -> None:
        self._client.begun()

    def abort(self) -> None:
        self._note.trouble = "the connection was cut: the vendor broke off an answer that cannot say so"
        self._client.abort()
