"""One try at one credential: where to, with which body, and what came back before the client has heard a byte.

A token that is refused is renewed, or the one taken that another process saved meanwhile, and a refused body is mended
once, all on the same credential; what comes after that is the next candidate's, which is `work.relay`'s to choose.
"""

from __future__ import annotations

import random
import secrets
from typing import Final, Protocol

import msgspec

from vaultd.catalog.hooks.req_first_system import explained
from vaultd.catalog.hooks.shape import CannotServe
from vaultd.catalog.manifest import FormatName, Provider
from vaultd.errors import Misconfigured, ProtocolError, SignInRequired, TryLater
from vaultd.net import upstream
from vaultd.net.client import Client as Network
from vaultd.net.upstream import BROKEN, Answer
from vaultd.pool.state import NETWORK, Outcome
from vaultd.secret import Secret
from vaultd.vault.compaction_seal import CompactionSeal
from vaultd.vault.credential import Credential
from vaultd.wire import fault
from vaultd.wire.failing import Opening, Verdict
from vaultd.wire.formats import COUNTING, Reading
from vaultd.wire.ir import Begin, Event, Fail, Open, Stamp
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import FRAME_LIMIT
from vaultd.work import plan as planning
from vaultd.work.address import Address, address_of, url_of
from vaultd.work.ask import Ask, Same
from vaultd.work.deadline import Deadline
from vaultd.work.headers import of_family, towards_client, towards_vendor
from vaultd.work.metrics import Metrics
from vaultd.work.plan import Candidate
from vaultd.work.quotas import Quotas
from vaultd.work.renew import Renewer
from vaultd.work.translate import Translated, Understanding
from vaultd.work.verdict import of_stream, verdict, wait

#: An answer up to this size is read whole before the client hears of it, so that a failure in its middle still finds
#: another candidate; a larger one (images, in base64) passes through.
_HELD: Final = 4 * 1024 * 1024
#: An error's text is for people; a page of HTML is worth no more.
_ERROR_LIMIT: Final = 64 * 1024
#: A whole answer may take as long as the official SDKs wait for one.
_WHOLE_SECONDS: Final = 600.0
#: Of one login, that one request may present: what is in memory, what another process had saved meanwhile and is as
#: old, and what is renewed then. How often that happens is the renewer's to bound (SEC-52).
TOKENS: Final = 3
#: Model names are the client's word, and some stand in the address: with more than this all are worked out anew.
_URLS: Final = 4096


class House(planning.House, Protocol):
    """What of the house a try needs."""

    @property
    def client(self) -> Network: ...
    @property
    def renewer(self) -> Renewer: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def seal(self) -> CompactionSeal: ...
    @property
    def quotas(self) -> Quotas: ...


class Whole(msgspec.Struct, frozen=True):
    """An answer to be sent at once."""

    status: int
    headers: dict[str, str]
    body: bytes
    #: What it says, where it is a stream that failed before it said anything else.
    refusal: Refusal | None = None


class Ready(msgspec.Struct):
    """A vendor that answers: its head is good and its first bytes are here, or all of them."""

    answer: Answer
    errand: Same | Translated
    provider: Provider
    first: bytes
    complete: bool
    #: A stream in another format: who reads it, and the events that `first` held.
    reading: Reading | None = None
    events: list[Event] = []


class Failed(msgspec.Struct):
    """A try in vain: what it means for the pool, and what the client hears if it was the last."""

    outcome: Outcome
    last_word: Whole | Refusal
    #: What the vendor said, as it came.
    body: bytes = b""
    #: True where the vendor was not even asked, because it cannot do this: another may.
    unable: bool = False
    #: Whose token was refused in the end, where one was: the candidate's own may have been renewed on the way.
    used: Credential | None = None


class Attempts:
    """Tries for one house; what depends on a credential alone is worked out once per generation."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._addresses: dict[str, tuple[Credential, Provider, Address]] = {}
        self._urls: dict[tuple[str, ...], upstream.Url] = {}
        #: For ids, which only have to be new: the kernel's own numbers are a system call each.
        self._ids = random.Random(secrets.randbits(128))  # noqa: S311

    async def make(self, candidate: Candidate, ask: Ask, understanding: Understanding) -> Ready | Failed | None:
        """None where this vendor has no such call (counting tokens)."""
        if ask.action == "count" and candidate.format not in COUNTING:
            return None
        errand: Same | Translated | None = None
        rejected = refused = None
        tokens = 1
        while True:
            prepared = await self._prepared(candidate, ask, understanding, errand, rejected)
            if isinstance(prepared, Failed):
                return prepared
            credential, address, errand = prepared
            if refused is not None and credential.bearer == rejected:
                return refused  # it was not renewed, for that would not help
            url = self._url(address, candidate, errand)
            if url is None:
                return None
            result = await self._send(url, address, credential, errand, ask, candidate.provider)
            if isinstance(result, Ready):
                return result
            if ask.note is not None:
                ask.note.in_vain(result.last_word)
            status, result.used = result.outcome.status, credential
            if status == 401 and tokens < TOKENS and credential.kind == "oauth":
                rejected, refused, tokens = credential.bearer, result, tokens + 1
            elif not (status == 400 and result.body and errand.mend(result.body)):
                return result

    async def _prepared(
        self,
        candidate: Candidate,
        ask: Ask,
        understanding: Understanding,
        errand: Same | Translated | None,
        rejected: Secret | None,
    ) -> tuple[Credential, Address, Same | Translated] | Failed:
        """A credential that is fresh, where it is good for, and what it is to ask (`errand`, where that is done)."""
        credential = candidate.credential
        try:
            if credential.kind == "oauth":
                credential = await self._house.renewer.fresh(credential.id, rejected=rejected)
            address = self._address(candidate.provider, credential)
            return credential, address, errand or self._errand(ask, candidate, credential, address, understanding)
        except Refusal as refusal:
            return Failed(Outcome(refusal.status), refusal, unable=True)
        except SignInRequired as error:
            return Failed(Outcome(401), Refusal(503, "sign-in-required", str(error)))
        except (TryLater, ProtocolError, Misconfigured) as error:
            return Failed(NETWORK, Refusal(502, "upstream", str(error)))

    def _errand(
        self,
        ask: Ask,
        candidate: Candidate,
        credential: Credential,
        address: Address,
        understanding: Understanding,
    ) -> Same | Translated:
        """Raises Refusal where this vendor cannot be asked that, or the request is at fault."""
        config, seal = self._house.config, self._house.seal
        try:
            if candidate.format == ask.format and ask.plain:
                return Same(ask, candidate, credential, address.hooks, config, seal)
            stamp = Stamp(int(self._house.clock.now()), f"{self._ids.getrandbits(96):024x}")
            return Translated(ask, understanding.request(), candidate, credential, address.hooks, config, stamp, seal)
        except CannotServe as error:
            raise Refusal(400, "bad-request", str(error)) from None

    async def _send(
        self,
        url: upstream.Url,
        address: Address,
        credential: Credential,
        errand: Same | Translated,
        ask: Ask,
        provider: Provider,
    ) -> Ready | Failed:
        proxy = credential.settings.proxy_url
        told = ask.headers if isinstance(errand, Same) else of_family(ask.headers, errand.format)
        headers = towards_vendor(told, address.defaults, address.fixed, address.appended)
        streaming = self._house.config.streaming
        answer: Answer | None = None
        ready = False
        try:
            with Deadline(streaming.first_event_seconds if ask.action == "stream" else _WHOLE_SECONDS):
                session = self._house.client.session_for(proxy.reveal() if proxy else None)
                body = errand.body()
                noted = ask.note.tries_at(credential, str(url.with_query(None)), headers, body) if ask.note else None
                answer = await upstream.ask(session, url, headers, body)
                if noted is not None:
                    noted.listens(answer)
                self._house.quotas.note(credential.id, answer.headers)
                if not 200 <= answer.status < 300:
                    return await self._refused(answer, errand, provider)
                translated = isinstance(errand, Translated)
                if translated:
                    answer.inflate()
                if is_stream(answer) or (ask.action == "stream" and not translated):
                    first, complete = await answer.read(), False
                else:
                    first, complete = await answer.whole(FRAME_LIMIT if translated else _HELD)
            if not first:
                return Failed(NETWORK, Refusal(502, "upstream", f"{answer.host} answered with nothing"))
            begun = await self._begin(Ready(answer, errand, provider, first, complete), ask)
            ready = isinstance(begun, Ready)
            return begun
        except TimeoutError:
            return Failed(NETWORK, Refusal(504, "upstream", f"{url.raw_host} did not answer in time"))
        except BROKEN as error:
            return Failed(NETWORK, Refusal(502, "upstream", str(answer.broken(error) if answer else error)))
        except Misconfigured as error:
            return Failed(NETWORK, Refusal(502, "upstream", str(error)))
        finally:
            if answer is not None and not ready:
                answer.close()

    async def _begin(self, ready: Ready, ask: Ask) -> Ready | Failed:
        """Reads on until there is something to tell: until then a failure finds another candidate."""
        answer, house = ready.answer, self._house
        if not is_stream(answer):
            return ready
        if isinstance(ready.errand, Translated):
            return await _begun(ready, ready.errand, house)
        if ask.action == "stream" and "Content-Encoding" not in answer.headers:
            return await _opened(ready, ask.format, house)
        return ready

    async def _refused(self, answer: Answer, errand: Same | Translated, provider: Provider) -> Failed:
        """The vendor's own words pass where they are JSON; a proxy's page of HTML and a redirect do not."""
        body = await _reason(answer, isinstance(errand, Translated))
        if answer.status < 400:
            reason = Refusal(502, "upstream", f"{answer.host} answered with a redirect, which is not followed")
            return Failed(Outcome(502), reason)
        outcome = verdict(provider, answer.status, answer.headers, body, wall=self._house.clock.now())
        hint = wait(outcome, self._house.config.cooldown.max_seconds)
        body = explained(provider, answer.status, body) or body
        if isinstance(errand, Translated):
            if (refusal := fault.told(answer.status, body, hint)) is not None:
                return Failed(outcome, refusal, body)
        elif body.lstrip()[:1] in {b"{", b"["} or answer.headers.get("Content-Encoding", "identity") != "identity":
            return Failed(outcome, Whole(answer.status, towards_client(answer.headers.items(), hint), body), body)
        message = f"{answer.host} answered with status {answer.status} and no reason that can be passed on"
        return Failed(outcome, Refusal(answer.status, "upstream", message, hint))

    def base_of(self, credential_id: str) -> str:
        """Where that credential's requests go; "" where none went yet."""
        known = self._addresses.get(credential_id)
        return known[2].base if known is not None else ""

    def _address(self, provider: Provider, credential: Credential) -> Address:
        known = self._addresses.get(credential.id)
        if known is not None and known[0] is credential and known[1] is provider:
            return known[2]
        address = address_of(credential, self._house.catalog.entry(provider.id))
        self._urls.clear()  # a reload may have brought other paths
        self._addresses[credential.id] = (credential, provider, address)
        return address

    def _url(self, address: Address, candidate: Candidate, errand: Same | Translated) -> upstream.Url | None:
        name = candidate.model.upstream or candidate.model.id
        key = (address.base, candidate.provider.id, candidate.format, errand.action, name, errand.query)
        url = self._urls.get(key)
        if url is None:
            text = url_of(address, candidate.provider, candidate.format, errand.action, name, errand.query)
            if text is None:
                return None
            if len(self._urls) >= _URLS:
                self._urls.clear()
            url = self._urls[key] = upstream.address(text)
        return url


async def _reason(answer: Answer, inflate: bool) -> bytes:
    """What a refusal says, as far as it comes: its status holds where its words do not."""
    try:
        if inflate:
            answer.inflate()
        body, _ = await answer.whole(_ERROR_LIMIT)
    except BROKEN:
        return b""
    return body


def judged(ready: Ready, refusal: Refusal, house: House, last_word: Whole | None = None) -> Failed:
    """A try that failed inside a 200, before the client heard anything of it."""
    outcome = of_stream(ready.provider, refusal, ready.answer.headers, wall=house.clock.now())
    refusal.retry_after = wait(outcome, house.config.cooldown.max_seconds)
    return Failed(outcome, last_word or refusal)


async def _opened(ready: Ready, fmt: FormatName, house: House) -> Ready | Failed:
    """A stream of which something is worth passing on; one that fails before that is a try in vain."""
    answer, opening, pieces = ready.answer, Opening(fmt), [ready.first]
    found: Verdict = opening.feed(ready.first)
    while found == "hold":
        chunk = await _next(answer, house)
        found = opening.feed(chunk) if chunk else opening.end()
        pieces.append(chunk)
    if isinstance(found, Refusal):
        # If nobody else can answer, the client hears it in the vendor's own bytes.
        rest, _ = await answer.whole(_ERROR_LIMIT)
        said = Whole(answer.status, towards_client(answer.headers.items()), b"".join([*pieces, rest]), found)
        return judged(ready, found, house, said)
    return msgspec.structs.replace(ready, first=b"".join(pieces))


async def _begun(ready: Ready, errand: Translated, house: House) -> Ready | Failed:
    """Likewise, for a stream that is read."""
    answer, reading = ready.answer, errand.reader()
    events, chunk = reading.feed(ready.first), ready.first
    while chunk and all(type(event) is Begin for event in events):
        chunk = await _next(answer, house)
        events += reading.feed(chunk) if chunk else reading.end()
    failure = events[-1] if events else None
    if isinstance(failure, Fail) and not any(type(event) is Open for event in events):
        return judged(ready, failure.refusal, house)
    return msgspec.structs.replace(ready, reading=reading, events=events)


async def _next(answer: Answer, house: House) -> bytes:
    """The vendor has begun: from now on it may be silent for so long."""
    with Deadline(house.config.streaming.idle_seconds):
        return await answer.read()


def is_stream(answer: Answer) -> bool:
    return answer.headers.get("Content-Type", "")[:17].lower() == "text/event-stream"
