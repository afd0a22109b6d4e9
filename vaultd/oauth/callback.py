"""The authorization response: judged the same whether it came by loopback callback or by paste (SEC-17…SEC-19, SEC-26).

Not built on authlib's parser, which takes the last of repeated parameters, lets an error past an unchecked state and
does not look at `iss`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from vaultd.errors import ProtocolError

Parameters = Sequence[tuple[str, str]]

#: The response's own parameters; a vendor may add others (`scope`, `session_state`), which nobody reads.
_SINGLE = ("state", "code", "error", "iss")
#: A pasted line is an authorization response: codes are under 2 kB, and a URL's practical limit is 8 kB.
MAX_PASTE = 16 * 1024
_PAIR = re.compile(r"[\x21-\x7e]+")


class NotOursError(ProtocolError):
    """The response belongs to no pending sign-in: it changes nothing, and the wait goes on."""


def judge(params: Parameters, state: str, issuer: str = "", *, issuer_required: bool = False) -> Mapping[str, str]:
    """The response's parameters, each once, with `code` or `error`. Raises NotOursError, without quoting any of them.

    `state` is compared first and in constant time: who does not know it can neither end nor finish a sign-in, not
    even with an `error` (RFC 9700 §4.7).
    """
    states = [value for name, value in params if name == "state"]
    if len(states) != 1 or not hmac.compare_digest(states[0].encode(), state.encode()):
        raise NotOursError("this answer belongs to another sign-in (its state does not match)")
    names = [name for name, _ in params]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise NotOursError(f"the answer repeats {name!r} (RFC 6749 §3.1)")
    answer = dict(params)
    named = "iss" in answer or issuer_required
    if issuer and named and answer.get("iss") != issuer:  # RFC 9207 §2.4: byte for byte, on error answers too
        raise NotOursError("the answer comes from another issuer than the one that was asked")
    if "error" in answer:
        return answer
    if not answer.get("code"):
        raise NotOursError("the answer holds neither a code nor an error")
    return answer


def parse_pasted(text: str, redirect_uri: str) -> Parameters:
    """The parameters in a pasted line: the whole redirect URL, or the vendor's `code#state`. Judged like a callback."""
    line = text.strip().strip("\"'<>").strip()
    if not line or len(line) > MAX_PASTE or not _PAIR.fullmatch(line):
        raise NotOursError("paste the whole address of the page you were sent to, on one line")
    if "://" in line:
        return _from_url(line, redirect_uri)
    code, hash_, state = line.partition("#")
    if code and hash_ and state and "=" not in code:
        return [("code", code), ("state", state)]
    raise NotOursError("that is neither the whole redirect address nor a code#state")


def _from_url(line: str, redirect_uri: str) -> Parameters:
    expected = urlsplit(redirect_uri)
    try:
        pasted = urlsplit(line)
        _ = pasted.port
    except ValueError:
        raise NotOursError("that address cannot be read") from None
    # The host is not compared: a person behind a tunnel may see 127.0.0.1 where the vendor was told localhost.
    if pasted.path != expected.path:
        raise NotOursError(f"that is not the address that ends the sign-in: its path should be {expected.path}")
    return parse_qsl(pasted.query, keep_blank_values=True)
