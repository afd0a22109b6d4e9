"""Relays one request: tries the candidates until one answers, and passes its bytes on.

The first byte decides. Before it a 401 renews once, a failing vendor or credential is followed by the next; after it
the only legal failure is an error event in the client's own grammar. A comment is not a byte of the answer: it keeps
an impatient client, and failover goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Final, Protocol

import msgspec

from vaultd.errors import VaultdError
from vaultd.net.logs import Told
from vaultd.pool.state import OK
from vaultd.wire.formats import FORMATS, Face
from vaultd.wire.refusal import Refusal
from vaultd.work import attempt
from vaultd.work import plan as planning
from vaultd.work.ask import Ask
from vaultd.work.attempt import Attempts, Failed, Ready, Whole, is_stream, judged
from vaultd.work.deliver import Client, folded, streamed, whole
from vaultd.work.live import Live
from vaultd.work.plan import Candidate
from vaultd.work.pump import usage_of
from vaultd.work.request_log import RequestLog
from vaultd.work.session import session_of
from vaultd.work.silence import Silence, Waiting
from vaultd.work.story import CLIENT_GONE, Story, Vain
from vaultd.work.tasks import Tasks
from vaultd.work.telling import Telling
from vaultd.work.traces import Ended, Traces, model_of
from vaultd.work.translate import Translated, Understanding, estimated
from vaultd.work.usage.book import Book
from vaultd.work.verdict import last_word

_log = logging.getLogger("vaultd.relay")

#: Says which number of an answer was not the vendor's.
_ESTIMATED: Final = {"content-type": "application/json", "x-vaultd-estimated": "tokens"}
#: What streams get to end by themselves after SIGTERM.
GRACE: Final = 30.0
#: As much of a client's word for a model as a log line is for.
_NAME: Final = 80


class _Error(msgspec.Struct):
    message: str = ""


class _Failure(msgspec.Struct):
    error: _Error


_failure: Final = msgspec.json.Decoder(_Failure)


class House(attempt.House, Protocol):
    """What of the house the relay needs."""

    @property
    def draining(self) -> asyncio.Event: ...
    @property
    def live(self) -> Live: ...
    @property
    def request_log(self) -> RequestLog: ...
    @property
    def traces(self) -> Traces | None: ...
    @property
    def usage(self) -> Book: ...


class _Comments:
    """Comments for an impatient client; the first one opens the stream, for better or worse."""

    def __init__(self, client: Client, face: Face) -> None:
        self._client, self._face = client, face

    async def comment(self) -> None:
        if not self._client.opened:
            await self._client.open(200, {"content-type": "text/event-stream", "cache-control": "no-cache"})
        await self._client.write(self._face.KEEPALIVE)


class Relay:
    """The relay of one house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._attempts = Attempts(house)
        self._tasks = Tasks()
        self._under_way: set[Waiting] = set()
        #: Story → the model that the vendor says has answered; only while requests are traced.
        self._answered: dict[int, str] = {}
        self._drain: asyncio.Task[None] | None = None

    def serve(self, ask: Ask, client: Client, story: Story) -> Awaitable[Whole | None]:
        """The whole answer, or None where it went out through `client`. Raises Refusal while nothing has gone out."""
        log = self._house.request_log
        return log.kept(self._serve, ask, client, story) if log.on else self._serve(ask, client, story)

    async def _serve(self, ask: Ask, client: Client, story: Story) -> Whole | None:
        silence = self._listen(ask, client) if ask.action == "stream" else None
        waiting = self._heed_the_end(silence or Waiting())
        story.format, story.asked, story.stream = ask.format, ask.model[:_NAME], silence is not None
        self._house.live.begin(story)
        try:
            try:
                return await self._rounds(ask, client, story, silence)
            except asyncio.CancelledError:
                reason = waiting.cancelled_for()
                if not reason or (silence is None and client.opened):  # half of a whole answer takes no words
                    story.status = CLIENT_GONE
                    raise
                raise Refusal(503, "upstream", reason, retry_after=1) from None
        except Refusal as refusal:
            story.status, story.refused = refusal.status, refusal.kind
            if silence is not None and silence.comment is not None:
                await silence.comment
            if not client.opened:
                raise
            self._house.metrics.refused(refusal.kind)
            await client.end(FORMATS[ask.format].error_event(refusal))
            return None
        except ConnectionError:  # in the middle of a write
            story.status = CLIENT_GONE
            raise
        except VaultdError:  # as the server answers it
            story.status = 502
            raise
        finally:
            self._under_way.discard(waiting)
            self._over(ask, story, silence)

    def _over(self, ask: Ask, story: Story, silence: Silence | None) -> None:
        house = self._house
        if silence is not None:
            silence.stop()
            house.metrics.streamed(story, silence.gap)
        story.ended = time.monotonic()
        house.live.end(story)
        if ask.action != "count":
            house.usage.enter(story)
        if house.traces is not None:
            self._trace(house.traces, ask, story)
        _tell(story)

    def _trace(self, traces: Traces, ask: Ask, story: Story) -> None:
        """The client's own trace is gone on with; `work.headers` keeps it from the vendor."""
        asked = {vain.credential for vain in story.vain} | {story.credential}
        hosts = {id_: self._attempts.base_of(id_) for id_ in asked}
        traces.request(Ended(story, ask.headers.get("traceparent", ""), hosts, self._answered.pop(id(story), "")))

    @property
    def silences(self) -> list[float]:
        """Of each stream under way, for how many seconds its vendor has said nothing."""
        return [silence.seconds for silence in self._under_way if isinstance(silence, Silence)]

    async def close(self) -> None:
        """For a relay that ends before its house does."""
        await self._tasks.close()

    def _listen(self, ask: Ask, client: Client) -> Silence:
        silence = Silence(_Comments(client, FORMATS[ask.format]), self._house.config.streaming, self._tasks)
        if ask.format == "gemini" and "alt=sse" not in ask.query:
            silence.mute()  # a JSON array, and JSON has no comments
        return silence

    def _heed_the_end(self, waiting: Waiting) -> Waiting:
        self._under_way.add(waiting)
        if self._drain is None:
            self._drain = self._tasks.start("drain", self._end_all())
        return waiting

    async def _end_all(self) -> None:
        await self._house.draining.wait()
        await self._house.clock.sleep(GRACE)
        for waiting in self._under_way:
            waiting.break_off("vaultd is stopping: ask again in a moment", "stopping")

    async def _rounds(self, ask: Ask, client: Client, story: Story, silence: Silence | None) -> Whole | None:
        """Candidate by candidate, round by round, until one answers or the request itself is at fault."""
        counts = ask.action == "count"
        # Counting leaves nothing in a vendor's cache.
        session = None if counts else session_of(ask.format, ask.headers, ask.body)
        plan = planning.plan(self._house, ask.format, ask.model, session, counts=counts)
        understanding = Understanding(ask, self._house.seal)
        last: Failed | None = None
        while True:
            for candidate in plan.candidates:
                story.provider, story.credential = candidate.provider.id, candidate.credential.id
                story.model, story.tried = candidate.model.id, time.monotonic()
                with plan.hold(candidate):
                    result = await self._attempts.make(candidate, ask, understanding)
                    if result is None:
                        continue
                    if isinstance(result, Failed) and result.unable:
                        last = last or result
                        continue
                    story.attempts += 1
                    told = (
                        await self._deliver(result, ask, client, story, silence)
                        if isinstance(result, Ready)
                        else result
                    )
                    outcome = told.outcome if isinstance(told, Failed) else OK
                    plan.report(_as_asked(candidate, told), outcome)
                    self._house.metrics.attempt(candidate.provider.id, outcome.status)
                    if not isinstance(told, Failed):
                        return told
                    tried = (story.provider, story.credential, story.model)
                    story.vain.append(Vain(*tried, outcome.status, story.tried, time.monotonic()))
                    if not outcome.passes_on:
                        return _last_word(told.last_word, story, client)
                    if last is None or last.unable or last_word(outcome) >= last_word(last.outcome):
                        last = told
            if not plan.again():
                break
        if last is None:  # nobody that serves it counts tokens
            tokens, story.status = estimated(understanding.request()), 200
            return Whole(200, dict(_ESTIMATED), tokens)
        return _last_word(last.last_word, story, client)

    async def _deliver(
        self, ready: Ready, ask: Ask, client: Client, story: Story, silence: Silence | None
    ) -> Whole | Failed | None:
        """Failed only where a fold failed before the client heard anything."""
        face, answer, idle = FORMATS[ask.format], ready.answer, self._house.config.streaming.idle_seconds
        story.status, story.first = answer.status, time.monotonic()
        if self._house.traces is not None:
            self._answered[id(story)] = model_of(ready.first)
        try:
            if isinstance(ready.errand, Translated):
                return await self._tell(ready, ready.errand, ask, client, story, silence)
            if ready.complete:
                told, story.usage = whole(ready, face)
                return told
            if ask.action == "generate" and ask.format == "openai-responses" and is_stream(answer):
                body = await folded(ready, idle)
                story.usage = usage_of(face, body)
                return Whole(200, {"content-type": "application/json"}, body)
            if ask.action == "stream":
                ask.release()
                ready.errand.release()
                client.begun()
            broken = await streamed(ready, face, client, silence, idle, story)
            if broken is not None:
                story.status, story.broken = broken.status, (silence and silence.broke) or "vendor"
            return None
        except Refusal as refusal:
            if client.opened:
                raise
            return judged(ready, refusal, self._house)
        except (asyncio.CancelledError, ConnectionError):  # the vendor has answered, whoever hung up since
            self._house.metrics.attempt(story.provider, answer.status)
            raise
        finally:
            answer.close()

    async def _tell(
        self, ready: Ready, errand: Translated, ask: Ask, client: Client, story: Story, silence: Silence | None
    ) -> Whole | None:
        """The answer in another format than the vendor's. Raises Refusal where it failed before the client heard."""
        telling = Telling(ready, errand, self._house.config.streaming.idle_seconds)
        story.dropped = list(errand.lost)
        try:
            if ask.action == "count":
                return await telling.count()
            if silence is None:
                return await telling.whole()
            plain = errand.request.sse
            if silence.comment is not None:
                await silence.comment
            told = await telling.prepared()
            if not client.opened:
                await client.open(200, telling.headers("text/event-stream" if plain else "application/json"))
            silence.flowing(ready.answer)
            ask.release()
            errand.release()
            client.begun()
            broken = await telling.stream(told, client, silence)
            if broken is not None:
                story.status, story.broken = broken.status, silence.broke or "vendor"
            return None
        finally:
            story.usage = telling.usage
            story.dropped += telling.lost
            self._house.metrics.dropped(ask.format, story.dropped)


def _as_asked(candidate: Candidate, told: Whole | Failed | None) -> Candidate:
    """With the credential whose token it was that was refused: a 401 that an older one earned sets nothing aside."""
    if not isinstance(told, Failed) or told.used is None:
        return candidate
    return msgspec.structs.replace(candidate, credential=told.used)


def _last_word(last: Whole | Refusal, story: Story, client: Client) -> Whole:
    """The vendor's own, as it is; raised where it is ours to put into the client's shape."""
    if isinstance(last, Refusal):
        raise last
    if client.opened:
        raise last.refusal or Refusal(last.status, "upstream", _words(last))
    story.status = last.status
    return last


def _words(whole: Whole) -> str:
    """What the vendor said was wrong: every format has it in the same place."""
    try:
        said = _failure.decode(whole.body).error.message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = ""
    return said or f"the vendor answered with status {whole.status}"


def _tell(story: Story) -> None:
    """One line a request."""
    if not _log.isEnabledFor(logging.INFO):
        return
    usage = story.usage
    _log.handle(
        Told(
            _log.name,
            "relayed",
            {  # in the order of FIELDS
                "credential": story.credential,
                "provider": story.provider,
                "model": story.model or story.asked,
                "format": story.format,
                "status": story.status,
                "attempt": story.attempts,
                "input_tokens": usage and usage.input,
                "output_tokens": usage and usage.output,
                "dropped": ",".join(story.dropped) or None,
                "refused": story.refused or None,
            },
        )
    )
