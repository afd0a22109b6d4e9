"""A route of the management API as data: from it come the router's entry, the checks, the audit log's words, the
OpenAPI page and the table in `docs/management-api.md`. Nothing is said twice.

A handler gets a `Call` whose body has been read, limited and decoded, and returns what its route's `answers` says (any
JSON-able value or msgspec struct), or a `Reply`, or a whole response for what is a stream. It refuses by `Refused`, or
lets a `VaultdError` fly, which `app` turns into a status.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import parse_mimetype
from aiohttp.http_exceptions import HttpProcessingError

from vaultd.house import House

Method = Literal["GET", "PUT", "POST", "PATCH", "DELETE"]

#: The largest `config.yaml` we read is 1 MiB (THR-35); twice that holds its JSON form (THR-13).
BODY_LIMIT: Final = 2 * 1024 * 1024
#: More files than anybody drags into a page at once. Each takes the loop half a millisecond, and a megabyte has room
#: for a hundred thousand that are empty (THR-18).
_PARTS: Final = 256


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `who` is for the audit log: an address from which the management key was shown, or the admin socket's
    peer."""

    who: str
    #: On this machine, with no forwarder between: may ask for secrets with `?reveal=1`.
    near: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form. Both names are the sender's words."""

    name: str
    filename: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and checked. `body` is what the route's `body` says, None where it has none."""

    house: House
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    request: web.Request
    #: For the audit log: the names of what was changed, where neither path nor query says it. Never a value.
    changed: list[str] = field(default_factory=list)

    async def parts(self) -> AsyncIterator[Part]:
        """A multipart body (RFC 7578), part by part; the whole of it has been read, and is `body` (`bytes`)."""
        kind = parse_mimetype(self.request.headers.get("Content-Type", ""))
        boundary = b"--" + kind.parameters.get("boundary", "").encode("utf-8", "replace")
        # What stands before the first part (RFC 2046 §5.1.1) nobody sends, and it would be read line by line.
        if not self.body.startswith((boundary, b"\r\n" + boundary)):
            raise Refused(400, "invalid body")
        if self.body.count(b"\n" + boundary) > _PARTS:
            raise Refused(400, "invalid body", message=f"a form has at most {_PARTS} parts: send more than one")
        loop = asyncio.get_running_loop()
        stream = StreamReader(BaseProtocol(loop), len(self.body) + 1, loop=loop)
        stream.feed_data(self.body)
        stream.feed_eof()
        try:
            reader = MultipartReader(self.request.headers, stream)
            while (part := await reader.next()) is not None:
                if not isinstance(part, BodyPartReader):
                    raise Refused(400, "invalid body")
                yield Part(part.name or "", part.filename or "", bytes(await part.read(decode=False)))
        except (ValueError, AssertionError, RuntimeError, HttpProcessingError):
            raise Refused(400, "invalid body") from None

    @property
    def reveal(self) -> bool:
        """Whether secrets may be answered in clear: asked for, and near enough."""
        return self.caller.near and self.query.get("reveal", "").lower() in {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not plain JSON with 200."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Answered as `{"error": message}`; `more` stands beside it."""

    def __init__(self, status: int, message: str, /, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.more = status, message, more
        self.headers: Mapping[str, str] = headers or {}


class Done(msgspec.Struct, omit_defaults=False):
    """What CLIProxyAPI answers to a change."""

    status: Literal["ok"] = "ok"


class Error(msgspec.Struct, omit_defaults=True):
    """Every refusal."""

    error: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """One parameter of the query, checked before the handler is called: it is there, of its type, one of `choices`."""

    name: str
    says: str
    type: Literal["string", "integer", "boolean", "number"] = "string"
    required: bool = False
    choices: tuple[str, ...] = ()


Handler = Callable[[Call], Awaitable[Any]]
#: aiohttp's `{name}` or `{name:pattern}`; a pattern may hold braces of its own.
VARIABLE: Final = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """`path` begins after `/v0/management`, in aiohttp's pattern language. `also`: further statuses, each with what it
    means here; 400, 401, 403, 413, 415 and 429 every route may answer."""

    method: Method
    path: str
    handle: Handler
    #: One sentence: what it does, for OpenAPI and the table.
    says: str
    group: str
    query: tuple[Query, ...] = ()
    #: The type of a JSON body; `bytes` for one the handler makes sense of itself (`Call.parts` for a form); None where
    #: there is none.
    body: Any = None
    takes: tuple[str, ...] = ("application/json",)
    #: Whether a request without a body will do.
    bare: bool = False
    answers: Any = Done
    #: Other kinds of answer than JSON as `answers` says; several are separated by commas.
    gives: str = "application/json"
    also: Mapping[int, str] = field(default_factory=dict)
    limit: int = BODY_LIMIT
    #: CLIProxyAPI has it too.
    theirs: bool = False
    #: Whether what it answers leaves the house: a credential's file, though sealed, or what somebody asked a model.
    hands_out: bool = False

    @property
    def plain_path(self) -> str:
        """`/a/{name}`, without the pattern."""
        return VARIABLE.sub(r"{\1}", self.path)

    def leaves_lines(self, *, reveal: bool) -> bool:
        """In the audit log: of every change, of what is handed out, and of secrets that are asked for in clear."""
        reveals = reveal and any(query.name == "reveal" for query in self.query)
        return self.method != "GET" or self.hands_out or reveals
