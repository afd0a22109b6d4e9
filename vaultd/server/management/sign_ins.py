"""A person signs in from a page: start, look, paste, choose, cancel. The callbacks on the main port are `callbacks`.

CLIProxyAPI's routes (`*-auth-url`, `get-auth-status`) and ours are two views of the same pending sign-ins. Programs
that know only theirs cannot answer a question, so there the defaults stand.
"""

from __future__ import annotations

import asyncio
import math
from functools import lru_cache
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
import segno

from vaultd.catalog.manifest import Provider
from vaultd.catalog.models import Catalog
from vaultd.errors import Misconfigured, TryLater, told
from vaultd.oauth.callback import NotOursError
from vaultd.pool import explain
from vaultd.server.management.route import Call, Done, Query, Refused, Route
from vaultd.work.pending_sign_ins import LONGEST_LABEL, NotPending, SignIn, UnknownState
from vaultd.work.race import race
from vaultd.work.sign_in import LONGEST_TIMEOUT, TIMEOUT, Way, Wish, ways

#: CLIProxyAPI's names for logins whose manifests are called otherwise here.
THEIR_NAMES: Final = {"anthropic": "claude", "gemini-cli": "gemini", "google": "gemini"}

#: Whole addresses of callbacks are below 8 kB (`oauth.callback.MAX_PASTE` is what one may have).
_LIMIT: Final = 64 * 1024
#: A program that waits asks twice a minute: below every idle timeout between it and us (proxies': 30 s and more).
_LONGEST_WAIT: Final = 25.0
_GROUP: Final = "sign-ins"


class Asked(msgspec.Struct):
    """What the person is to choose; without `options` any short text will do."""

    text: str
    options: list[str]
    default: str


class Matrix(msgspec.Struct):
    """A QR code: `size` rows of as many characters, 1 is dark. The quiet zone is the page's to draw."""

    size: int
    rows: list[str]


class Sign(msgspec.Struct):
    """A sign-in as a page sees it. `answered`: the redirect's answer is in; `failure`: the class of `error`."""

    state: str
    revision: int
    provider: str
    way: str
    status: str
    url: str
    user_code: str
    listening: int | None
    expires_at: str | None
    expires_in: int
    answered: bool
    notes: list[str]
    error: str
    failure: str
    credential: str
    account: str
    question: Asked | None
    qr: Matrix | None


class Signs(msgspec.Struct):
    data: list[Sign]


class AuthUrl(msgspec.Struct, omit_defaults=True):
    """What CLIProxyAPI answers; for a device flow with the code to enter."""

    status: str
    url: str
    state: str
    user_code: str = ""
    expires_in: int | None = None


class AuthStatus(msgspec.Struct, omit_defaults=True):
    """`wait`, `ok` or `error`."""

    status: str
    error: str = ""


class Start(msgspec.Struct):
    provider: str
    way: Way | None = None
    label: str = ""
    projects: list[str] = []
    timeout: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_TIMEOUT)] = TIMEOUT
    #: Whether somebody is there to answer questions; else their defaults stand.
    asks: bool = True


class Choice(msgspec.Struct):
    choice: str | list[str]


class Callback(msgspec.Struct):
    """Either `redirect_url` (or `code#state` in its place), or `code` (or `error`) and `state`."""

    redirect_url: str = ""
    code: str = ""
    state: str = ""
    error: str = ""
    provider: str = ""


def provider_named(catalog: Catalog, name: str) -> Provider | None:
    """Whose sign-in `name` is, ours or CLIProxyAPI's; None where nobody signs in there."""
    entry = catalog.providers.get(name) or catalog.providers.get(THEIR_NAMES.get(name, ""))
    return entry.provider if entry is not None and entry.provider.oauth is not None else None


async def auth_url(call: Call) -> AuthUrl:
    provider = _provider(call, call.path["name"])
    project = call.query.get("project_id", "").strip()
    sign_in = await _started(call, Wish(provider, ways(provider)[0], projects=_projects([project])), asks=False)
    await sign_in.shown()
    if sign_in.status == "error":
        raise Refused(502, sign_in.error, status="error", state=sign_in.state)
    device = bool(sign_in.user_code)
    return AuthUrl(
        "ok", sign_in.url, sign_in.state, sign_in.user_code, math.floor(sign_in.seconds_left) if device else None
    )


async def auth_status(call: Call) -> AuthStatus:
    """An unknown state is an error, never `ok`: a program would take it for a login that is there."""
    sign_in = call.house.sign_ins.get(call.query.get("state", ""))
    if sign_in is None:
        return AuthStatus("error", "unknown or expired state")
    return AuthStatus("wait" if sign_in.status == "asking" else sign_in.status, sign_in.error)


async def start(call: Call) -> Sign:
    wanted: Start = call.body
    provider = _provider(call, wanted.provider)
    offered = ways(provider)
    way = wanted.way or offered[0]
    if way not in offered:
        raise Refused(400, f"{provider.id} offers no {way}; there is {' and '.join(offered)}")
    label = wanted.label.strip()
    if len(label) > LONGEST_LABEL or not label.isprintable():
        raise Refused(400, "the label is too long, or holds what cannot be printed")
    call.changed.append(provider.id)
    wish = Wish(provider, way, label, _projects(wanted.projects), wanted.timeout)
    sign_in = await _started(call, wish, asks=wanted.asks)
    if _seconds(call) != 0:
        await sign_in.shown()
    return await _shown(call, sign_in)


async def list_(call: Call) -> Signs:
    return Signs([await _shown(call, sign_in) for sign_in in call.house.sign_ins.all()])


async def show(call: Call) -> Sign:
    sign_in, since = _named(call), call.query.get("since")
    if since is not None and sign_in.waits:
        await race(sign_in.outgrows(int(since), _seconds(call)), _drains(call))
        # At once: another question might find nobody, or the next daemon.
        if call.house.draining.is_set() and sign_in.waits:
            raise TryLater("vaultd is stopping, and the sign-in with it", own=True)
    return await _shown(call, sign_in)


async def answer(call: Call) -> Sign:
    sign_in, choice = _named(call), call.body.choice
    call.changed.append(sign_in.provider)
    try:
        sign_in.chooses([choice] if isinstance(choice, str) else choice)
    except NotPending as refusal:
        raise Refused(409, str(refusal)) from None
    except Misconfigured as refusal:
        raise Refused(400, str(refusal)) from None
    return await _shown(call, sign_in)


async def cancel(call: Call) -> Done:
    sign_in = _named(call)
    call.changed.append(sign_in.provider)
    if (sign_in.answered or sign_in.naming) and _yes(call.query.get("unanswered", "")):
        raise Refused(409, "the answer is in, and the sign-in ends by itself")
    await call.house.sign_ins.cancel(sign_in)
    return Done()


async def no_paste(call: Call) -> Done:
    sign_in = _named(call)
    call.changed.append(sign_in.provider)
    sign_in.has_no_more_lines()
    return Done()


async def callback(call: Call) -> Done:
    """Pasted in a browser anywhere. No parameter is repeated, whatever is wrong with it."""
    given: Callback = call.body
    sign_ins, provider = call.house.sign_ins, ""
    if given.provider:
        provider = _provider(call, given.provider).id
    try:
        if given.redirect_url:
            sign_ins.pasted(given.redirect_url, provider, given.state)
        elif given.state and (given.code or given.error):
            told = {"error": given.error} if given.error else {"code": given.code}
            sign_ins.redirected(urlencode({**told, "state": given.state}), provider)
        else:
            raise Refused(400, "redirect_url is needed, or code and state")
    except UnknownState as refusal:
        raise Refused(404, str(refusal)) from None
    except NotPending as refusal:
        raise Refused(409, str(refusal)) from None
    except NotOursError as refusal:
        raise Refused(400, str(refusal)) from None
    return Done()


async def _started(call: Call, wish: Wish, *, asks: bool) -> SignIn:
    try:
        return await call.house.sign_ins.start(wish, call.caller.who, asks=asks)
    except TryLater as refusal:
        raise Refused(429, str(refusal)) from None


async def _drains(call: Call) -> None:
    await call.house.draining.wait()


def _seconds(call: Call) -> float:
    return min(max(float(call.query.get("wait", _LONGEST_WAIT)), 0.0), _LONGEST_WAIT)


def _yes(value: str) -> bool:
    return value.lower() in {"1", "true", "yes", "on"}


def _provider(call: Call, name: str) -> Provider:
    provider = provider_named(call.house.catalog, name)
    if provider is None:
        raise Refused(404, "item not found", message="nobody signs in to a provider of this name here")
    return provider


def _named(call: Call) -> SignIn:
    sign_in = call.house.sign_ins.get(call.path["state"])
    if sign_in is None:
        gone = "vaultd does not know this sign-in: it ended long ago, or vaultd has been started anew since"
        raise Refused(404, "item not found", message=gone)
    return sign_in


def _projects(given: list[str]) -> tuple[str, ...]:
    """A comma parts them too, as in CLIProxyAPI."""
    return tuple(dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip()))


async def _shown(call: Call, sign_in: SignIn) -> Sign:
    qr = await _qr(sign_in)
    left, question = sign_in.seconds_left if sign_in.waits else 0.0, sign_in.question
    return Sign(
        state=sign_in.state,
        revision=sign_in.revision,
        provider=sign_in.provider,
        way=sign_in.way,
        status=sign_in.status,
        url=sign_in.url,
        user_code=sign_in.user_code,
        listening=sign_in.listening if sign_in.waits else None,
        expires_at=explain.at(call.house.clock.now() + left) if sign_in.waits else None,
        expires_in=math.floor(left),
        answered=sign_in.answered,
        notes=list(sign_in.notes),
        error=sign_in.error,
        failure=told(sign_in.failure)["class"] if sign_in.failure is not None else "",
        credential=sign_in.credential,
        account=sign_in.account,
        question=Asked(question.text, list(question.options), question.default) if question is not None else None,
        qr=qr,
    )


async def _qr(sign_in: SignIn) -> Matrix | None:
    """For a phone. An address that ends on a port of this machine is of no use there."""
    if not sign_in.url or sign_in.way == "browser":
        return None
    return await asyncio.to_thread(_matrix, sign_in.url)


# A tenth of a second for a long address, and a page asks every second; as many as may wait, and some.
@lru_cache(maxsize=16)
def _matrix(url: str) -> Matrix | None:
    try:
        code = segno.make(url, error="l", micro=False)
    except segno.DataOverflowError:
        return None
    rows = ["".join("1" if dark else "0" for dark in row) for row in code.matrix]
    return Matrix(len(rows), rows)


_TOO_MANY: Final = {429: "as many sign-ins as may wait do so already"}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/{name:[a-z0-9][a-z0-9-]*}-auth-url",
        auth_url,
        "Starts a sign-in (anthropic, codex, gemini-cli, iflow, qwen, or any manifest's id) and says where to go.",
        _GROUP,
        query=(
            Query("is_webui", "Without meaning here: the callback port is always listened on.", "boolean"),
            Query("project_id", "Gemini: the project to use, several with commas, or ALL."),
        ),
        answers=AuthUrl,
        also={404: "no such provider", 502: "the vendor cannot be reached, or refuses", **_TOO_MANY},
        theirs=True,
    ),
    Route(
        "GET",
        "/get-auth-status",
        auth_status,
        "How a sign-in stands; an unknown or expired state is an error.",
        _GROUP,
        query=(Query("state", "The state that the address came with."),),
        answers=AuthStatus,
        theirs=True,
    ),
    Route(
        "POST",
        "/sign-ins",
        start,
        "Starts a sign-in by one of the vendor's ways, and answers once there is something to show.",
        _GROUP,
        query=(Query("wait", "0: answer at once.", "number"),),
        body=Start,
        answers=Sign,
        also={404: "no such provider", **_TOO_MANY},
        limit=_LIMIT,
    ),
    Route("GET", "/sign-ins", list_, "The sign-ins under way, and those that ended lately.", _GROUP, answers=Signs),
    Route(
        "GET",
        "/sign-ins/{state}",
        show,
        "One sign-in: where to go, what is asked, how it ended.",
        _GROUP,
        query=(
            Query("since", "Answer once its revision is another than this.", "integer"),
            Query("wait", f"For so many seconds at most; {_LONGEST_WAIT:.0f} where nothing is said.", "number"),
        ),
        answers=Sign,
        also={404: "unknown or expired state"},
    ),
    Route(
        "POST",
        "/sign-ins/{state}/answer",
        answer,
        "Answers what a sign-in asks: a project, or a name for the account.",
        _GROUP,
        body=Choice,
        answers=Sign,
        also={404: "unknown or expired state", 409: "nothing is asked"},
        limit=_LIMIT,
    ),
    Route(
        "DELETE",
        "/sign-ins/{state}",
        cancel,
        "Cancels a sign-in and frees its port.",
        _GROUP,
        query=(Query("unanswered", "Only where no answer is in yet.", "boolean"),),
        also={404: "unknown or expired state", 409: "the answer is in"},
    ),
    Route(
        "DELETE",
        "/sign-ins/{state}/paste",
        no_paste,
        "Says that nobody can paste: a sign-in that waits for nothing else ends.",
        _GROUP,
        also={404: "unknown or expired state"},
    ),
    Route(
        "POST",
        "/oauth-callback",
        callback,
        "Takes the address that the browser ended on, or the code, for a callback that cannot arrive by itself.",
        _GROUP,
        body=Callback,
        also={
            400: "it is neither a redirect nor a code with its state",
            404: "unknown or expired state, or provider",
            409: "the sign-in waits for no answer any more",
        },
        limit=_LIMIT,
    ),
)
