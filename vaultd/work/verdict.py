"""What an answer means for the pool, decided in this one place: from its status, headers and body, and from what the
vendor's manifest lists (`api.refusals`). Pure; what is done about it is `pool.state`'s and `work.plan`'s.

A status that says the request is at fault (400, 404, 413, 422) is believed, and cools nobody: a context that is too
long or a policy is the same with every credential. Only what a manifest lists is the credential's own: vendors say 400
to a bad key and 404 to an account that may not use a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from vaultd.catalog.manifest import CredentialRefusal, Provider
from vaultd.pool.state import Outcome
from vaultd.wire import fault, hints
from vaultd.wire.refusal import Refusal

#: What each counts as, and what people are told beside `explain`'s own words for it.
_MEANS: Final[Mapping[str, Outcome]] = {
    "bad-key": Outcome(401, why="the vendor does not know the key or has closed the account"),
    "no-credit": Outcome(402),
    "model-not-allowed": Outcome(404, own=True),
}


def verdict(provider: Provider, status: int, headers: Mapping[str, str], body: bytes, *, wall: float) -> Outcome:
    """What a refusal means. `wall` is the time now, for hints that name a moment."""
    listed = _listed(provider, status, body)
    if listed is not None:
        return _MEANS[listed.means]
    hint = hints.retry_after(status, headers, body, wall=wall)
    return Outcome(status, hint.seconds, hint.why) if hint is not None else Outcome(status)


def of_stream(provider: Provider, refusal: Refusal, headers: Mapping[str, str], *, wall: float) -> Outcome:
    """Likewise for an error inside a 200: it counts as the status it would have had, which is `refusal`'s."""
    outcome = verdict(provider, refusal.status, headers, refusal.said, wall=wall)
    if outcome.status == refusal.status and outcome.retry_after is None and refusal.retry_after is not None:
        return Outcome(outcome.status, refusal.retry_after, outcome.why, outcome.own)
    return outcome


def wait(outcome: Outcome, longest: float) -> float | None:
    """In how many seconds a client is told to come back: no later than the pool itself would ask again
    (`cooldown.max-seconds`)."""
    return None if outcome.retry_after is None else min(outcome.retry_after, longest)


def last_word(outcome: Outcome) -> int:
    """Of several refusals the client hears the one with the highest number, and of equal ones the latest.

    What passes by itself goes first: told "429, in a minute" a client comes back and is served, while after "no such
    model" or "bad key", which is true of one credential only, it gives up what another could still have given it. A
    401 comes last: clients take it for their own key, and ask a person to sign in where that helps nobody.
    """
    if outcome.own or outcome.status in {402, 403}:
        return 1
    return 0 if outcome.status == 401 else 2


def _listed(provider: Provider, status: int, body: bytes) -> CredentialRefusal | None:
    rows = [row for row in provider.api.refusals if status in row.status]
    error = fault.error_of(body) if rows else {}
    if not error:
        return None
    codes = frozenset(_codes(error))
    message = error.get("message")
    words = message[: fault.LONGEST].lower() if isinstance(message, str) else ""
    return next((row for row in rows if _fits(row, codes, words)), None)


def _fits(row: CredentialRefusal, codes: frozenset[str], words: str) -> bool:
    return (not row.code or any(code.lower() in codes for code in row.code)) and (
        not row.says or any(text.lower() in words for text in row.says)
    )


def _codes(error: Mapping[str, Any]) -> Iterator[str]:
    """Where vendors put a word for programs: `code` or `type`, Google `status` and the `reason` of its ErrorInfo."""
    details = error.get("details")
    reasons = [one.get("reason") for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    for value in (error.get("code"), error.get("type"), error.get("status"), *reasons):
        if isinstance(value, str):
            yield value.lower()
