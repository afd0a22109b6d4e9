"""What became of one request, told once it is over: to the log, the metrics, usage, and whoever watches live.

Made by the server, filled in by the relay, read by everybody else. No body, no header and no key: ids alone.
"""

from __future__ import annotations

import time
from typing import Final, Literal, NamedTuple

import msgspec

from vaultd.wire.usage import Usage

#: nginx's status for a client that hung up before its answer ended; no client ever sees it.
CLIENT_GONE: Final = 499


#: Why a stream did not end whole: its vendor fell silent, or failed in it; the client hung up; vaultd stopped.
Broken = Literal["", "silent", "vendor", "client", "stopping"]


class Vain(NamedTuple):
    """A try that failed: whose, for which of the vendor's models, and the vendor's status (0: no answer). `began` and
    `ended` are `time.monotonic()`."""

    provider: str
    credential: str
    model: str
    status: int
    began: float = 0.0
    ended: float = 0.0


class Story(msgspec.Struct):
    """`began`, `first` and `ended` are `time.monotonic()`; `at` is when it began in unix seconds."""

    #: The id of the client key; "" where none was needed.
    client: str = ""
    #: Method and route as `/v0/management/usage` names them: `POST /v1/messages`. Never the path as it was sent.
    endpoint: str = ""
    format: str = ""
    #: The model as the client named it.
    asked: str = ""
    stream: bool = False
    provider: str = ""
    credential: str = ""
    #: The id that was asked of the vendor.
    model: str = ""
    status: int = 0
    attempts: int = 0
    #: Why it was not served, of a closed set of words; "" where it was, or the vendor says why.
    refused: str = ""
    usage: Usage | None = None
    #: What a translation lost, of the request and of the answer.
    dropped: list[str] = []
    #: The tries that failed, in order; the last of them too, where none went well.
    vain: list[Vain] = []
    at: float = msgspec.field(default_factory=time.time)
    began: float = msgspec.field(default_factory=time.monotonic)
    #: When the last try began, the one that served or the last that failed; 0 where nobody was asked.
    tried: float = 0.0
    #: When the vendor's first output was here; 0 where none came.
    first: float = 0.0
    broken: Broken = ""
    #: 0 while it is under way.
    ended: float = 0.0
