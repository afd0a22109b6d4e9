"""One request as the relay sees it, and the body each candidate gets: the client's own bytes but for what is named in
docs/honest-relay.md; in another format what `work.translate` makes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vaultd.catalog.hooks import req_gemini_envelope, req_rules
from vaultd.catalog.hooks.shape import Action, Asked, Change, RequestHook
from vaultd.catalog.manifest import FormatName
from vaultd.config.model import Config
from vaultd.vault.compaction_seal import MARK, CompactionSeal
from vaultd.vault.credential import Credential
from vaultd.wire import foreign, thinking
from vaultd.wire.draft import Draft
from vaultd.wire.formats import ClientFormat
from vaultd.wire.ir import Request
from vaultd.wire.members import Members
from vaultd.work import compacting, suffix
from vaultd.work.plan import Candidate
from vaultd.work.request_note import Note
from vaultd.work.routing import listed
from vaultd.work.target import target_of

#: What a summary of our own begins with: nobody else can read it.
OWN: Final = MARK.encode()
#: What is left of a body that nobody needs any more.
EMPTY: Final = Members(b"{}")


class Ask(msgspec.Struct, frozen=True):
    """What a client asked for."""

    format: FormatName
    action: Action
    #: The name the client gave the model; it may hold a provider (`provider://model`).
    model: str
    body: Members
    headers: Mapping[str, str]
    #: Of the client's query only what the format knows (`alt`, `beta`).
    query: str = ""
    #: What the client put around its request (Code Assist), or None.
    envelope: Members | None = None
    #: The grammars of the body and of the answer, where they are not `format`'s: Completions, and a Responses body on
    #: the chat route. Such a request is never passed on as it is.
    reads: ClientFormat | None = None
    writes: ClientFormat | None = None
    #: What is noted of it, while the request log is on.
    note: Note | None = None

    @property
    def plain(self) -> bool:
        return self.reads is None and self.writes is None

    def release(self) -> None:
        """Lets go of the body, and of what was around it: the answer has begun, and nobody else is asked."""
        self.body.release()
        if self.envelope is not None:
            self.envelope.release()


class Same:
    """The client's own bytes, for a vendor that speaks its format."""

    __slots__ = ("_asked", "_draft", "_hooks", "action", "changes", "query")

    def __init__(
        self,
        ask: Ask,
        candidate: Candidate,
        credential: Credential,
        hooks: Sequence[RequestHook],
        config: Config,
        seal: CompactionSeal,
    ) -> None:
        """Raises Refusal 400 where the request cannot be asked of anybody."""
        model = candidate.model
        name = model.upstream or model.id
        self.action, self.query = ask.action, ask.query
        self._hooks = hooks
        self._asked = Asked(
            action=ask.action,
            model=name,
            project=candidate.project,
            accounting=config.usage_statistics_enabled,
            usage_asked=_usage_asked(ask),
            envelope=ask.envelope,
            format=ask.format,
            budgets=_budgets(candidate) if ask.format == "gemini" else None,
        )
        self._draft = Draft(ask.body)
        if "input" in ask.body and OWN in ask.body.body and (items := ask.body.raw("input")) is not None:
            self._draft.set_raw("input", compacting.readable(items, seal))
        sealed = foreign.member_of(ask.format)
        if (said := self._draft.raw(sealed)) is not None and (own := foreign.without(ask.format, said)) is not said:
            self._draft.set_raw(sealed, own)
        if ask.format != "gemini":
            self._draft.set("model", name)
        if candidate.asked is not None:
            wanted = Request(format=ask.format, model=name, reasoning=candidate.asked)
            fitted = thinking.fit(wanted, target_of(model))
            suffix.ask(self._draft, ask.format, fitted, levels=bool(model.thinking and model.thinking.levels))
        if config.payload.default or config.payload.override:
            req_rules.apply_payload(self._draft, ask.format, (name, model.id), config.payload)
        for hook in hooks:
            if hook.edit is not None:
                hook.edit(self._draft, self._asked)
        #: How the answer is changed on the way back.
        self.changes = self._changes(ask)

    def body(self) -> bytes:
        body = self._draft.body()
        for hook in self._hooks:
            if hook.wrap is not None:
                body = hook.wrap(body, self._asked)
        return body

    def mend(self, error: bytes) -> bool:
        """After a 400: True where the body was changed so that one more try may do."""
        return any(hook.mend(self._draft, error) for hook in self._hooks if hook.mend is not None)

    def release(self) -> None:
        """The answer has begun, and nothing is asked again."""
        self._draft = Draft(EMPTY)

    def _changes(self, ask: Ask) -> list[Change]:
        changes: list[Change] = []
        wrapped = ask.envelope is not None and ask.action != "count"
        for hook in self._hooks:
            if hook.answer is not None and (change := hook.answer(self._asked)) is not None:
                changes.append(change)
            wrapped = wrapped and hook.wrap is None
        if wrapped:
            changes.append(Change(req_gemini_envelope.wrapped))
        return changes


def _budgets(candidate: Candidate) -> tuple[int, int] | None:
    """A pattern's range is a guess about models to come: only a listed model's is known."""
    model = candidate.member.model  # whose preview ids are not listed themselves
    limits = model.thinking
    if limits is None or not limits.max or listed(candidate.provider, model.upstream or model.id) is None:
        return None
    return limits.min, limits.max


def _usage_asked(ask: Ask) -> bool:
    if ask.action != "stream" or "stream_options" not in ask.body:
        return False
    options = ask.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
