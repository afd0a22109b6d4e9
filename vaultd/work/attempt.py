"""One try at one credential: where to, with which body, and what came back before the client has heard a byte.

A 401 renews once and a refused body is mended once, both on the same credential; what comes after that is the next
candidate's, which is `work.relay`'s to choose.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final, Protocol

import msgspec

from vaultd.catalog.hooks.shape import CannotServe
from vaultd.catalog.manifest import Provider
from vaultd.errors import Misconfigured, ProtocolError, SignInRequired, TryLater
from vaultd.net import upstream
from vaultd.net.client import Client as Network
from vaultd.net.upstream import BROKEN, Answer
from vaultd.pool.state import NETWORK, Outcome
from vaultd.vault.credential import Credential
from vaultd.wire.refusal import Refusal
from vaultd.work import plan as planning
from vaultd.work.address import Address, address_of, url_of
from vaultd.work.ask import Ask, Errand
from vaultd.work.deadline import Deadline
from vaultd.work.headers import towards_client, towards_vendor
from vaultd.work.metrics import Metrics
from vaultd.work.plan import Candidate
from vaultd.work.renew import Renewer

#: An answer up to this size is read whole before the client hears of it, so that a failure in its middle still finds
#: another candidate; a larger one (images, in base64) passes through.
_HELD: Final = 4 * 1024 * 1024
#: An error's text is for people; a page of HTML is worth no more.
_ERROR_LIMIT: Final = 64 * 1024
#: A whole answer may take as long as the official SDKs wait for one.
_WHOLE_SECONDS: Final = 600.0
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


class Whole(msgspec.Struct, frozen=True):
    """An answer to be sent at once."""

    status: int
    headers: dict[str, str]
    body: bytes


class Ready(msgspec.Struct):
    """A vendor that answers: its head is good and its first bytes are here, or all of them."""

    answer: Answer
    errand: Errand
    first: bytes
    complete: bool


class Failed(msgspec.Struct):
    """A try in vain: what it means for the pool, and what the client hears if it was the last."""

    outcome: Outcome
    last_word: Whole | Refusal


class Attempts:
    """Tries for one house; what depends on a credential alone is worked out once per generation."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._addresses: dict[str, tuple[Credential, Provider, Address]] = {}
        self._urls: dict[tuple[str, ...], upstream.Url] = {}

    async def make(self, candidate: Candidate, ask: Ask) -> Ready | Failed | None:
        """None where this vendor has no such call (counting tokens)."""
        credential, errand = candidate.credential, None
        rejected = None
        while True:
            try:
                if credential.kind == "oauth":
                    credential = await self._house.renewer.fresh(credential.id, rejected=rejected)
                address = self._address(candidate.provider, credential)
                errand = errand or Errand(ask, candidate, credential, address.hooks, self._house.config)
                url = self._url(address, candidate, ask)
            except CannotServe as error:
                return Failed(Outcome(400), Refusal(400, "bad-request", str(error)))
            except SignInRequired as error:
                return Failed(Outcome(401), Refusal(503, "sign-in-required", str(error)))
            except (TryLater, ProtocolError, Misconfigured) as error:
                return Failed(NETWORK, Refusal(502, "upstream", str(error)))
            if url is None:
                return None
            result = await self._send(url, address, credential, ask, errand)
            if isinstance(result, Ready):
                return result
            status = result.outcome.status
            if status == 401 and rejected is None and credential.kind == "oauth":
                rejected = credential.bearer
            elif not (status == 400 and isinstance(result.last_word, Whole) and errand.mend(result.last_word.body)):
                return result

    async def _send(
        self, url: upstream.Url, address: Address, credential: Credential, ask: Ask, errand: Errand
    ) -> Ready | Failed:
        proxy = credential.settings.proxy_url
        headers = towards_vendor(ask.headers, address.defaults, address.fixed, address.appended)
        streaming = self._house.config.streaming
        answer: Answer | None = None
        ready = False
        try:
            with Deadline(streaming.first_event_seconds if ask.action == "stream" else _WHOLE_SECONDS):
                session = self._house.client.session_for(proxy.reveal() if proxy else None)
                answer = await upstream.ask(session, url, headers, errand.body())
                if not 200 <= answer.status < 300:
                    return await self._refused(answer)
                if ask.action == "stream" or is_stream(answer):
                    first, complete = await answer.read(), False
                else:
                    first, complete = await answer.whole(_HELD)
            ready = bool(first)
            if ready:
                return Ready(answer, errand, first, complete)
            return Failed(NETWORK, Refusal(502, "upstream", f"{answer.host} answered with nothing"))
        except TimeoutError:
            return Failed(NETWORK, Refusal(504, "upstream", f"{url.raw_host} did not answer in time"))
        except BROKEN as error:
            return Failed(NETWORK, Refusal(502, "upstream", str(answer.broken(error) if answer else error)))
        except (ProtocolError, Misconfigured) as error:
            return Failed(NETWORK, Refusal(502, "upstream", str(error)))
        finally:
            if answer is not None and not ready:
                answer.close()

    async def _refused(self, answer: Answer) -> Failed:
        """The vendor's own words pass where they are JSON; a proxy's page of HTML and a redirect do not."""
        body, _ = await answer.whole(_ERROR_LIMIT)
        hint = self._retry_after(answer.headers.get("Retry-After", ""))
        if answer.status < 400:
            reason = Refusal(502, "upstream", f"{answer.host} answered with a redirect, which is not followed")
            return Failed(Outcome(502), reason)
        outcome = Outcome(answer.status, hint)
        if body.lstrip()[:1] in {b"{", b"["} or answer.headers.get("Content-Encoding", "identity") != "identity":
            return Failed(outcome, Whole(answer.status, towards_client(answer.headers.items()), body))
        message = f"{answer.host} answered with status {answer.status} and no reason that can be passed on"
        return Failed(outcome, Refusal(answer.status, "upstream", message, hint))

    def _retry_after(self, value: str) -> float | None:
        """RFC 9110 §10.2.3: seconds or a date."""
        if value.isascii() and value.isdecimal() and len(value) < 10:  # 31 years; the config caps what is left
            return float(value)
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - self._house.clock.now()) if value else None
        except ValueError:
            return None

    def _address(self, provider: Provider, credential: Credential) -> Address:
        known = self._addresses.get(credential.id)
        if known is not None and known[0] is credential and known[1] is provider:
            return known[2]
        address = address_of(credential, self._house.catalog.entry(provider.id))
        self._urls.clear()  # a reload may have brought other paths
        self._addresses[credential.id] = (credential, provider, address)
        return address

    def _url(self, address: Address, candidate: Candidate, ask: Ask) -> upstream.Url | None:
        name = candidate.model.upstream or candidate.model.id
        key = (address.base, candidate.provider.id, ask.format, ask.action, name, ask.query)
        url = self._urls.get(key)
        if url is None:
            text = url_of(address, candidate.provider, ask.format, ask.action, name, ask.query)
            if text is None:
                return None
            if len(self._urls) >= _URLS:
                self._urls.clear()
            url = self._urls[key] = upstream.address(text)
        return url


def is_stream(answer: Answer) -> bool:
    return answer.headers.get("Content-Type", "").startswith("text/event-stream")
