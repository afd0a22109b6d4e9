"""What lies beside `/responses` at a vendor of Codex's kind: passed to it unread, with a credential of the pool.

Of `/responses/compact` the model is read, for that says who is asked; of all else not even that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Final

import msgspec

from vaultd.catalog.manifest import Provider
from vaultd.errors import Misconfigured, ProtocolError, SignInRequired, TryLater
from vaultd.net import upstream
from vaultd.net.upstream import BROKEN, Answer
from vaultd.pool.state import FAILOVER, NETWORK, OK, Outcome
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.wire import fault
from vaultd.wire.members import Members
from vaultd.wire.refusal import Refusal
from vaultd.work import compacting
from vaultd.work import plan as planning
from vaultd.work.address import address_of
from vaultd.work.attempt import TOKENS, House
from vaultd.work.deadline import Deadline
from vaultd.work.headers import towards_vendor
from vaultd.work.routing import usable_now, way_in
from vaultd.work.session import session_of
from vaultd.work.verdict import verdict, wait

_log = logging.getLogger("vaultd.relay")

#: As long as the official SDKs wait for a whole answer.
_HEAD_SECONDS: Final = 600.0
_ERROR_LIMIT: Final = 64 * 1024
#: The hook that says of a vendor that its backend is Codex's.
_CODEX: Final = "codex-body"


class Errand(msgspec.Struct, frozen=True):
    """One request: `path` begins with a slash and stands below the vendor's base, `query` is fit to be sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Passed(msgspec.Struct, frozen=True):
    """A vendor's answer, its head read. Whoever gets it closes it."""

    answer: Answer
    provider: str
    #: In how many seconds to come back, where a refusal says so.
    wait: float | None = None
    #: What ends with the answer.
    held: ExitStack = msgspec.field(default_factory=ExitStack)

    def close(self) -> None:
        self.answer.close()
        self.held.close()


async def compact(house: House, body: Members, headers: Mapping[str, str]) -> Passed | None:
    """`POST /responses/compact` at whoever serves the model in its own format; None where nobody does. Raises
    Refusal."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "bad-request", "`model` is missing: name one of GET /v1/models")
    plan = planning.plan(house, "openai-responses", model, session_of("openai-responses", headers, body))
    edits: dict[str, bytes | None] = (
        {"input": compacting.readable(items, house.seal)} if (items := body.raw("input")) else {}
    )
    last: Refusal | Passed | None = None
    for candidate in plan.candidates:
        if "openai-responses" not in candidate.provider.api.formats:
            continue
        _let_go(last)
        edits["model"] = msgspec.json.encode(candidate.model.upstream or candidate.model.id)
        errand = Errand("POST", "/responses/compact", "", headers, body.splice(edits))
        with ExitStack() as held:
            held.enter_context(plan.hold(candidate))
            last = await _asked(house, candidate.provider, candidate.credential, errand)
            if isinstance(last, Passed):
                last = msgspec.structs.replace(last, held=held.pop_all())
        outcome = await _outcome(house, candidate.provider, last)
        last = _timed(house, last, outcome)
        plan.report(candidate, outcome)
        if not outcome.passes_on:
            break
    return None if last is None else await _told(last)


async def _outcome(house: House, provider: Provider, last: Refusal | Passed) -> Outcome:
    """Of a good answer the head is enough, and no more of it is read. `last` is closed where the client hangs up."""
    if isinstance(last, Refusal):
        return NETWORK
    answer = last.answer
    if answer.status < 400:
        return OK if answer.status < 300 else Outcome(502)
    try:
        with Deadline(_HEAD_SECONDS):
            body = await answer.peek(_ERROR_LIMIT)
    except (*BROKEN, TimeoutError):
        body = b""
    except BaseException:
        last.close()
        raise
    return verdict(provider, answer.status, answer.headers, body, wall=house.clock.now())


def _timed(house: House, last: Refusal | Passed, outcome: Outcome) -> Refusal | Passed:
    after = wait(outcome, house.config.cooldown.max_seconds)
    return msgspec.structs.replace(last, wait=after) if isinstance(last, Passed) else last


async def pass_on(house: House, errand: Errand) -> Passed:
    """Anything else, to the first credential of Codex's kind that takes it. Raises Refusal."""
    last: Refusal | Passed | None = None
    for provider, credential in _of_codex(house):
        _let_go(last)
        last = await _asked(house, provider, credential, errand)
        last = _timed(house, last, await _outcome(house, provider, last))
        if isinstance(last, Passed) and last.answer.status not in FAILOVER:
            break
    if last is None:
        vendors = [entry.provider for entry in house.catalog.providers.values() if _CODEX in entry.provider.api.hooks]
        ways = " or ".join(f"`{way_in(provider)}`" for provider in vendors)
        raise Refusal(503, "no-credential", f"no credential for Codex's own backend: {ways}")
    return await _told(last)


def _of_codex(house: House) -> Iterator[tuple[Provider, Credential]]:
    """By priority. Not a key for OpenAI's own API: below its base lie an organisation's files and jobs, and a client of
    ours was given models."""
    found: list[tuple[Provider, Credential]] = []
    for credential in house.pool.roster(house).values():
        entry = house.catalog.providers.get(credential.provider)
        if entry is None or _CODEX not in entry.provider.api.hooks or not usable_now(credential, house.catalog):
            continue
        if credential.kind == "oauth" or credential.settings.base_url not in {"", entry.provider.endpoints["api"]}:
            found.append((entry.provider, credential))
    return iter(sorted(found, key=lambda pair: -pair[1].settings.priority))


async def _asked(house: House, provider: Provider, credential: Credential, errand: Errand) -> Refusal | Passed:
    """One credential's answer. A token that is refused is looked past as `attempt` does."""
    last: Refusal | Passed | None = None
    rejected: Secret | None = None
    with ExitStack() as held:
        for _ in range(TOKENS):
            fresh = await _fresh(house, credential, rejected)
            if isinstance(fresh, Refusal):
                return fresh
            if last is not None and fresh.bearer == rejected:
                break  # it was not renewed, for that would not help
            held.close()
            credential = fresh
            last = await _answered(house, provider, credential, errand)
            if isinstance(last, Refusal):
                return last
            held.callback(last.close)
            if last.answer.status != 401 or credential.kind != "oauth":
                break
            rejected = credential.bearer
        held.pop_all()
    assert isinstance(last, Passed)
    words = {"provider": provider.id, "credential": credential.id, "path": errand.path, "status": last.answer.status}
    _log.info("passed", extra=words)
    return last


async def _fresh(house: House, credential: Credential, rejected: Secret | None) -> Credential | Refusal:
    if credential.kind != "oauth":
        return credential
    try:
        return await house.renewer.fresh(credential.id, rejected=rejected)
    except SignInRequired as error:
        return Refusal(503, "sign-in-required", str(error))
    except (TryLater, ProtocolError, Misconfigured) as error:
        return Refusal(502, "upstream", str(error))


async def _answered(house: House, provider: Provider, credential: Credential, errand: Errand) -> Refusal | Passed:
    """One try, counted where the vendor was asked."""
    asked = False
    try:
        address = address_of(credential, house.catalog.entry(provider.id))
        headers = towards_vendor(errand.headers, address.defaults, address.fixed, address.appended)
        kind = errand.headers.get("Content-Type", "")
        if errand.body and kind.isascii():
            headers["content-type"] = kind or headers["content-type"]
        url = upstream.address(f"{address.base}{errand.path}{'?' if errand.query else ''}{errand.query}")
        proxy = credential.settings.proxy_url
        with Deadline(_HEAD_SECONDS):
            session = house.client.session_for(proxy.reveal() if proxy else None)
            asked = True
            answer = await upstream.ask(session, url, headers, errand.body, errand.method)
    except (TimeoutError, TryLater, ProtocolError, Misconfigured) as error:
        if asked:
            house.metrics.attempt(provider.id, NETWORK.status)
        if isinstance(error, TimeoutError):
            return Refusal(504, "upstream", f"{provider.id} did not answer in time")
        return Refusal(502, "upstream", str(error))
    house.metrics.attempt(provider.id, answer.status)
    house.quotas.note(credential.id, answer.headers)
    return Passed(answer, provider.id)


async def _told(last: Refusal | Passed) -> Passed:
    if isinstance(last, Refusal):
        raise last
    answer = last.answer
    try:
        if 300 <= answer.status < 400:
            raise Refusal(502, "upstream", f"{answer.host} answered with a redirect, which is not followed")
        if answer.status >= 400 and not answer.headers.get("Content-Type", "").startswith("application/json"):
            raise await _reason(answer, last.wait)
    except BaseException:
        last.close()
        raise
    return last


async def _reason(answer: Answer, after: float | None) -> Refusal:
    """A proxy's page of HTML is nobody's answer."""
    try:
        with Deadline(_HEAD_SECONDS):
            body, _ = await answer.whole(_ERROR_LIMIT)
    except (*BROKEN, TimeoutError):
        body = b""
    message = f"{answer.host} answered with status {answer.status} and no reason that can be passed on"
    return fault.told(answer.status, body, after) or Refusal(answer.status, "upstream", message, after)


def _let_go(last: Refusal | Passed | None) -> None:
    if isinstance(last, Passed):
        last.close()
