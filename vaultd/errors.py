"""Errors by what the caller does next.

    VaultdError
    ├── Misconfigured       the operator edits a file; exit 78
    ├── SignInRequired      a person acts: signs in (again), or said no; exit 3
    ├── TimedOut            nobody answered in time; start again; exit 4
    ├── PortTaken           another program holds the callback port; exit 5
    ├── TryLater            the vendor or the network failed; wait, then repeat; exit 6
    ├── UpstreamRefused     the vendor said no to this request; pass it on; exit 6
    └── ProtocolError       the peer broke its own rules; nothing to repeat; exit 6

No message holds a secret: whoever raises names the thing and the next action, never a token, a key or a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class VaultdError(Exception):
    """Base of all expected failures. `str(error)` is one line fit for a terminal, a log and an HTTP body.

    `skew`: the peer's clock less ours in seconds, where it told the time although it failed: a clock that is wrong may
    be why nothing works.
    """

    skew: float | None = None


class Misconfigured(VaultdError):
    """A file, key or option is wrong. The message names file, key and the nearest right one.

    `code`: what `doctor` calls the fault (`work.health.codes`); messages are for people and change. Most are about the
    configuration's text, so that is what they are called unless they say.
    """

    def __init__(self, message: str, *, code: str = "config-invalid") -> None:
        super().__init__(message)
        self.code = code


class SignInRequired(VaultdError):
    """Only a person can go on: the login is dead, or was refused (`access_denied`, an expired device code)."""


class TimedOut(VaultdError):
    """The person or the provider did not answer within the deadline of the flow."""


class PortTaken(VaultdError):
    """The callback port is held by another program and no other way in is left."""


class TryLater(VaultdError):
    """A passing failure.

    `after` is the number of seconds the peer asked for (Retry-After), None where it said nothing.
    `outcome_unknown` is True where the request had left and no answer came back: a code or a single-use refresh
    token may have been spent (RFC 9700 §4.14.2), so a code exchange must not be repeated.
    `own` is True where the fault is this machine's (a full disk, a lock, a process that is gone): it says nothing of
    the vendor, and another vendor would not have done better.
    """

    def __init__(
        self, message: str, *, after: float | None = None, outcome_unknown: bool = False, own: bool = False
    ) -> None:
        super().__init__(message)
        self.after = after
        self.outcome_unknown = outcome_unknown
        self.own = own


class UpstreamRefused(VaultdError):
    """The vendor answered with an error. `code` is the RFC 6749 §5.2 `error` value or a vendor's own, never a body."""

    def __init__(self, message: str, *, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ProtocolError(VaultdError):
    """The peer's answer breaks the protocol: wrong state, malformed JSON, a token with a line break."""


def told(error: VaultdError) -> dict[str, Any]:
    """The error as it crosses to another process: class, message, and what else the class holds."""
    # A class made elsewhere (the vault has some below Misconfigured) is known there by the one above it.
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == __name__)
    held = {name: getattr(error, name) for name in vars(_made(kind, ""))}
    return {"class": kind.__name__, "message": str(error), **held, "skew": error.skew}


def revived(told: Mapping[str, Any]) -> VaultdError:
    """What `told` told. A class that this version does not know is the base of all."""
    kind = globals().get(str(told.get("class")))
    known = isinstance(kind, type) and issubclass(kind, VaultdError)
    error = _made(kind if known else VaultdError, str(told.get("message", "refused without a word")))
    for name in (*vars(error), "skew"):
        if name in told:
            setattr(error, name, told[name])
    return error


def _made(kind: Any, message: str) -> VaultdError:
    error: VaultdError = kind(message, status=0) if kind is UpstreamRefused else kind(message)
    return error
