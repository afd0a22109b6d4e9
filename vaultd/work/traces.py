"""Tells a collector of traces what became of requests and renewals, once they are over, in the GenAI conventions' way.

A request's way ends with an entry in a list; spans are made of it in another thread, and sent by a task of its own. A
collector that is down costs places in that list and, when they run out, a count. No prompt, key or e-mail stands in a
span: it is made of the `Story`, which holds none, and a credential is named by its hash (THR-31).

Names: OpenTelemetry's semantic conventions for generative AI (in development, as of 2026) and for HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from vaultd.config.load import is_near
from vaultd.config.model import Tracing
from vaultd.effects import Send
from vaultd.errors import VaultdError
from vaultd.net.clock import Clock
from vaultd.net.otlp import CONTENT_TYPE, PATH, Encoder, Span, Tree, Value
from vaultd.work.drive import Sender
from vaultd.work.metrics import hashed
from vaultd.work.renew import Told
from vaultd.work.story import CLIENT_GONE, Story

_log = logging.getLogger("vaultd.traces")

#: What waits for a collector: a minute of a busy house, some 2 MB. Older news than that helps nobody.
MOST_WAITING: Final = 2000
#: In one request: some 500 kB, and a tenth of a second in its thread.
_AT_ONCE: Final = 200
#: From the first entry that waits to its request: what else ends meanwhile goes along.
_GATHER_SECONDS: Final = 1.0
#: Pauses after a collector failed.
_FIRST_PAUSE: Final = 1.0
_LAST_PAUSE: Final = 60.0
#: For what waits when the daemon ends.
_END_SECONDS: Final = 2.0
#: The answers after which OTLP/HTTP asks for another try.
_LATER: Final = frozenset({429, 502, 503, 504})
#: The names that the conventions know; other vendors are called by their ids here.
_PROVIDERS: Final[Mapping[str, str]] = {
    "codex": "openai",
    "codex-api-key": "openai",
    "claude": "anthropic",
    "claude-api-key": "anthropic",
    "gemini": "gcp.gen_ai",
    "gemini-api-key": "gcp.gemini",
    "xai": "x_ai",
}
_OPERATIONS: Final[Mapping[str, str]] = {
    "POST /v1/completions": "text_completion",
    "POST /v1/messages/count_tokens": "count_tokens",
}
#: The model as the vendor's answer names it. Within strings a quote is escaped, so this is a member's name; a value
#: that is no id of a model is left alone.
_MODEL: Final = re.compile(rb'"(?:model|modelVersion)"\s*:\s*"([A-Za-z0-9][A-Za-z0-9._:/@-]{0,79})"')
#: Streams name it in their first event, whole answers mostly at their beginning.
_LOOKED_AT: Final = 64 * 1024


class Ended(NamedTuple):
    """A request that is over. `hosts`: credential → the base of its vendor's address."""

    story: Story
    parent: str
    hosts: Mapping[str, str]
    answered: str


class Traces:
    """The traces of one house. `dropped` hears how many went untold."""

    def __init__(self, config: Tracing, send: Sender, clock: Clock, dropped: Callable[[int], None]) -> None:
        self._url = config.otlp_url.rstrip("/") + PATH
        self._headers = {
            **{name.lower(): value for name, value in config.headers.items()},
            "content-type": CONTENT_TYPE,
        }
        self._send, self._clock, self._dropped = send, clock, dropped
        self._encoder = Encoder()
        self._waiting: deque[Ended | tuple[Told, float]] = deque()
        self._some = asyncio.Event()
        self._failing = False

    def request(self, ended: Ended) -> None:
        self._enter(ended)

    def renewal(self, told: Told) -> None:
        self._enter((told, self._clock.now()))

    def _enter(self, one: Ended | tuple[Told, float]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._dropped(1)
            return
        self._waiting.append(one)
        self._some.set()

    async def forever(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            await self._some.wait()
            self._some.clear()
            await self._clock.sleep(_GATHER_SECONDS)
            while self._waiting:
                if await self._told():
                    pause = _FIRST_PAUSE
                else:
                    await self._clock.sleep(pause)
                    pause = min(pause * 2, _LAST_PAUSE)

    async def close(self) -> None:
        """What still waits, where the collector takes it at once."""
        try:
            async with asyncio.timeout(_END_SECONDS):
                while self._waiting and await self._told():
                    pass
        except TimeoutError:
            pass
        self._dropped(len(self._waiting))

    async def _told(self) -> bool:
        """One request's worth, sent or given up. False where it is to be tried again later."""
        batch = list(islice(self._waiting, _AT_ONCE))
        body = await asyncio.to_thread(lambda: self._encoder.encode([_tree(one) for one in batch]))
        reason, later = "", False
        if body:  # else none is sampled, and the collector was not asked
            try:
                # As for alerts: a proxy is the way out, and would look for what is near us elsewhere.
                proxy = "" if is_near(self._url) else None
                reply = await self._send(Send("POST", self._url, self._headers, body), proxy=proxy)
            except VaultdError as error:
                reason, later = str(error), True
            else:
                reason = "" if 200 <= reply.status < 300 else f"it answered {reply.status}"
                later = reply.status in _LATER
            self._note(reason)
        if later:
            return False
        for _ in batch:
            self._waiting.popleft()
        if reason:
            self._dropped(len(batch))
        return True

    def _note(self, reason: str) -> None:
        if bool(reason) != self._failing:
            self._failing = bool(reason)
            if reason:
                _log.warning("the collector of traces does not take them", extra={"reason": reason})
            else:
                _log.info("the collector of traces takes them again")


def model_of(answer: bytes) -> str:
    """Which model a vendor says has answered; "" where it does not."""
    found = _MODEL.search(answer, 0, _LOOKED_AT)
    return found[1].decode() if found else ""


def _tree(one: Ended | tuple[Told, float]) -> Tree:
    return _of_request(one) if isinstance(one, Ended) else _of_renewal(*one)


def _of_renewal(told: Told, at: float) -> Tree:
    about = {"vaultd.provider": told.provider, "vaultd.credential": hashed(told.credential)}
    error = "" if told.outcome == "renewed" else told.outcome
    attributes = about | {"vaultd.outcome": told.outcome}
    return Tree(Span(f"renew {told.provider}", "internal", at - told.seconds, at, attributes, error))


def _of_request(ended: Ended) -> Tree:
    story = ended.story
    method, _, route = story.endpoint.partition(" ")
    attributes: dict[str, Value] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": story.status,
        "gen_ai.operation.name": _operation(story),
        "gen_ai.request.model": story.asked,
        "gen_ai.request.stream": story.stream,
        "vaultd.format": story.format,
        "vaultd.attempts": story.attempts,
    }
    if story.refused:
        attributes["vaultd.refused"] = story.refused
    error = story.broken or (str(story.status) if story.status >= 500 else "")
    root = Span(story.endpoint, "server", story.at, _wall(story, story.ended), attributes, error)
    return Tree(root, _tries(ended), ended.parent)


def _tries(ended: Ended) -> list[Span]:
    story, spans = ended.story, []
    for vain in story.vain:
        about = _about(ended, vain.provider, vain.credential, vain.model)
        about["http.response.status_code"] = vain.status
        error = str(vain.status) if vain.status else "no-answer"
        spans.append(_client(story, vain.model, vain.began, vain.ended, about, error))
    if story.vain and story.vain[-1].began == story.tried:
        return spans
    if not story.tried or (story.first < story.tried and story.status != CLIENT_GONE):
        return spans  # nobody was asked, or not the last who could have been
    about = _about(ended, story.provider, story.credential, story.model)
    about["http.response.status_code"] = story.status
    if ended.answered:
        about["gen_ai.response.model"] = ended.answered
    if story.stream and story.first >= story.tried:
        about["gen_ai.response.time_to_first_chunk"] = story.first - story.tried
    if usage := story.usage:
        about["gen_ai.usage.input_tokens"], about["gen_ai.usage.output_tokens"] = usage.input, usage.output
        more = {
            "gen_ai.usage.cache_read.input_tokens": usage.cached,
            "gen_ai.usage.cache_creation.input_tokens": usage.written,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
        }
        about |= {name: count for name, count in more.items() if count}
    error = story.broken or ("client" if story.status == CLIENT_GONE else "")
    spans.append(_client(story, story.model, story.tried, story.ended, about, error))
    return spans


def _client(story: Story, model: str, began: float, ended: float, attributes: Mapping[str, Value], error: str) -> Span:
    name = f"{_operation(story)} {model}"
    return Span(name, "client", _wall(story, began), _wall(story, ended), attributes, error)


def _about(ended: Ended, provider: str, credential: str, model: str) -> dict[str, Value]:
    about: dict[str, Value] = {
        "gen_ai.operation.name": _operation(ended.story),
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": model,
        "vaultd.provider": provider,
        "vaultd.credential": hashed(credential),
    }
    at = urlsplit(ended.hosts.get(credential, ""))
    if at.hostname:
        about["server.address"] = at.hostname
        about["server.port"] = at.port or (443 if at.scheme == "https" else 80)
    return about


def _operation(story: Story) -> str:
    return _OPERATIONS.get(story.endpoint) or ("generate_content" if story.format == "gemini" else "chat")


def _wall(story: Story, moment: float) -> float:
    """Unix seconds of a moment on the monotonic clock."""
    return story.at + (moment - story.began)
