"""Allowances that are used up and come back, accounts that are not served, and what the vendor counts meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
import pytest

from vaultd.sandbox import Sandbox

NOW = 1_763_740_800.0
HELLO = [{"role": "user", "content": "hi"}]
WEEKS = 18 * 86400


class Hand:
    """A clock that only the test moves."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
async def sandbox(hand: Hand) -> AsyncIterator[Sandbox]:
    async with Sandbox(now=hand) as running:
        yield running


class Asks:
    """Asks each vendor in its own grammar, by login or by key."""

    def __init__(self, sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.http = http
        self.logins: dict[str, str] = {}

    def token(self, vendor: str, email: str = "") -> str:
        return self.logins.setdefault(vendor + email, self.sandbox[vendor].login(email).value)

    async def __call__(
        self, who: str, model: str = "m", *, email: str = "", key: str = "sk-CANARY-1", project: str = ""
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        url, headers, body = self._asked(who, model, email, key, project)
        async with self.http.post(self.sandbox.url + url, json=body, headers=headers) as reply:
            named = {name.lower(): value for name, value in reply.headers.items()}
            return reply.status, named, json.loads(await reply.read())

    def _asked(self, who: str, model: str, email: str, key: str, project: str) -> tuple[str, dict[str, str], Any]:
        contents = {"contents": [{"parts": [{"text": "hi"}]}]}
        match who:
            case "claude":
                headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "oauth-2025-04-20"}
                headers["Authorization"] = f"Bearer {self.token('claude', email)}"
                return "/claude/v1/messages", headers, {"model": model, "max_tokens": 9, "messages": HELLO}
            case "claude-key":
                headers = {"anthropic-version": "2023-06-01", "x-api-key": key}
                return "/claude/v1/messages", headers, {"model": model, "max_tokens": 9, "messages": HELLO}
            case "codex":
                token = self.token("codex", email)
                account = self.sandbox["codex"].live(token).family.account.account
                headers = {"Authorization": f"Bearer {token}", "chatgpt-account-id": account}
                body = {"model": model, "instructions": "", "input": [], "store": False, "stream": True}
                return "/codex/backend-api/codex/responses", headers, body
            case "gemini":
                headers = {"Authorization": f"Bearer {self.token('gemini', email)}"}
                body = {"model": model, "project": project or "sandbox-project", "request": contents}
                return "/gemini/v1internal:generateContent", headers, body
            case "gemini-key":
                return f"/gemini/v1beta/models/{model}:generateContent", {"x-goog-api-key": key}, contents
        headers = {"Authorization": f"Bearer {key}"}
        return "/invented/v1/chat/completions", headers, {"model": model, "messages": HELLO}


@pytest.fixture
def ask(sandbox: Sandbox, http: aiohttp.ClientSession) -> Asks:
    return Asks(sandbox, http)


async def test_an_allowance_comes_back_when_its_time_is_over(sandbox: Sandbox, ask: Asks, hand: Hand) -> None:
    sandbox.exhaust("claude", seconds=60)
    assert (await ask("claude"))[0] == 429
    hand.now += 59
    assert (await ask("claude"))[1]["retry-after"] == "1"
    hand.now += 1
    assert (await ask("claude"))[0] == 200


async def test_anthropic_says_so_in_unified_headers_for_a_login(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.exhaust("claude", seconds=600)
    status, headers, body = await ask("claude")
    assert (status, body["error"]["type"]) == (429, "rate_limit_error")
    unified = {name.partition("unified-")[2]: value for name, value in headers.items() if "unified" in name}
    assert unified["status"] == unified["5h-status"] == "rejected" and unified["7d-status"] == "allowed"
    assert unified["reset"] == unified["5h-reset"] == str(int(NOW) + 600) != unified["7d-reset"]
    assert (headers["retry-after"], unified["representative-claim"]) == ("600", "five_hour")


async def test_and_in_a_window_of_seven_days_where_it_is_long(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.exhaust("claude", seconds=86400)
    _, headers, _ = await ask("claude")
    assert headers["anthropic-ratelimit-unified-representative-claim"] == "seven_day"
    assert headers["anthropic-ratelimit-unified-7d-reset"] == headers["anthropic-ratelimit-unified-reset"]
    assert headers["anthropic-ratelimit-unified-5h-status"] == "allowed"


async def test_for_a_key_it_gives_times_in_rfc_3339(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.exhaust("claude", seconds=60, key="sk-CANARY-2")
    assert (await ask("claude-key"))[0] == 200
    _, headers, _ = await ask("claude-key", key="sk-CANARY-2")
    assert headers["anthropic-ratelimit-input-tokens-reset"] == "2025-11-21T16:01:00Z"


async def test_codex_says_so_in_the_body_and_by_window(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.exhaust("codex", seconds=1800)
    status, headers, body = await ask("codex")
    assert status == 429 and "retry-after" not in headers
    error = body["error"]
    assert (error["type"], error["plan_type"]) == ("usage_limit_reached", "plus")
    assert (error["resets_at"], error["resets_in_seconds"]) == (int(NOW) + 1800, 1800)
    assert headers["x-codex-primary-used-percent"] == "100.0"
    assert headers["x-codex-primary-reset-after-seconds"] == "1800"


async def test_google_says_so_in_the_text_and_in_retry_info(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.exhaust("gemini", seconds=3723.5)
    _, headers, body = await ask("gemini")
    error = body["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED" and "retry-after" not in headers
    assert error["message"].endswith("Your quota will reset after 1h2m3.5s.")
    info, retry = error["details"]
    assert info["metadata"]["quotaResetDelay"] == "1h2m3.5s" and retry["retryDelay"] == "3723.5s"
    _, _, body = await ask("gemini-key")
    failure, _, retry = body["error"]["details"]
    assert failure["violations"][0]["quotaId"].startswith("GenerateRequestsPerDay") and retry["retryDelay"] == "3723s"


async def test_openai_spells_a_duration_in_headers(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.exhaust("invented", seconds=432)
    status, headers, body = await ask("invented")
    assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
    assert headers["x-ratelimit-reset-requests"] == "7m12s" and headers["x-ratelimit-remaining-requests"] == "0"
    assert "try again in 7m12s" in body["error"]["message"]


async def test_a_hint_can_be_wrong_by_weeks(sandbox: Sandbox, ask: Asks, hand: Hand) -> None:
    for vendor in ("codex", "claude"):
        sandbox.exhaust(vendor, seconds=60, says_seconds=WEEKS)
    assert (await ask("codex"))[2]["error"]["resets_in_seconds"] == WEEKS
    assert (await ask("claude"))[1]["anthropic-ratelimit-unified-reset"] == str(int(NOW) + WEEKS)
    hand.now += 61
    assert (await ask("claude"))[0] == 200


@pytest.mark.parametrize("who", ["claude", "codex", "gemini", "gemini-key", "invented"])
async def test_a_hint_can_be_missing_or_be_retry_after_alone(sandbox: Sandbox, ask: Asks, who: str) -> None:
    sandbox.exhaust(who.removesuffix("-key"), seconds=60, hint="none")
    status, headers, body = await ask(who)
    assert status == 429 and not [name for name in headers if "reset" in name or "retry" in name]
    assert "60" not in json.dumps(body)
    sandbox[who.removesuffix("-key")].lift()
    sandbox.exhaust(who.removesuffix("-key"), seconds=60, hint="retry-after")
    status, headers, body = await ask(who)
    assert (status, headers["retry-after"]) == (429, "60") and "reset" not in json.dumps([headers, body])


async def test_google_counts_by_project_and_by_model(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.set("gemini", projects=["one", "two"])
    sandbox.exhaust("gemini", seconds=60, project="one", model="gemini-2.5-pro")
    seen = [
        (await ask("gemini", model, project=project))[0]
        for project in ("one", "two")
        for model in ("gemini-2.5-pro", "gemini-2.5-pro-preview-06-05")
    ]
    assert seen == [429, 200, 200, 200]


async def test_an_allowance_is_one_accounts(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.exhaust("claude", seconds=60, account="ann@example.com")
    assert (await ask("claude", email="ann@example.com"))[0] == 429
    assert (await ask("claude", email="ben@example.com"))[0] == 200


# --- who or what is not served ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "status", "words"),
    [
        ("claude-key", 400, "credit balance is too low"),
        ("codex", 402, "deactivated_workspace"),
        ("gemini-key", 403, "BILLING_DISABLED"),
        ("invented", 429, "insufficient_quota"),
    ],
)
async def test_an_account_without_money(sandbox: Sandbox, ask: Asks, who: str, status: int, words: str) -> None:
    sandbox.deny(who.removesuffix("-key"), why="empty")
    told, _, body = await ask(who)
    assert told == status and words in json.dumps(body)


async def test_some_say_402(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.deny("invented", why="empty", status=402, key="sk-CANARY-2")
    assert (await ask("invented"))[0] == 200
    status, _, body = await ask("invented", key="sk-CANARY-2")
    assert (status, body["error"]["message"]) == (402, "Insufficient Balance")


@pytest.mark.parametrize(
    ("who", "status", "words"),
    [
        ("claude", 404, "model: dear"),
        ("codex", 400, "not supported when using Codex with a ChatGPT account"),
        ("gemini", 404, "Requested entity was not found"),
        ("gemini-key", 404, "models/dear is not found"),
        ("invented", 404, "model_not_found"),
    ],
)
async def test_a_model_this_account_may_not_use(sandbox: Sandbox, ask: Asks, who: str, status: int, words: str) -> None:
    sandbox.deny(who.removesuffix("-key"), why="model", model="dear")
    told, _, body = await ask(who, "dear")
    assert told == status and words in json.dumps(body)
    sandbox[who.removesuffix("-key")].lift()
    sandbox.deny(who.removesuffix("-key"), why="model", model="another")
    if who != "codex":
        assert (await ask(who, "dear"))[0] == 200


@pytest.mark.parametrize("who", ["claude", "codex", "gemini-key", "invented"])
@pytest.mark.parametrize(("why", "status"), [("too-long", 400), ("too-large", 413), ("policy", 400)])
async def test_a_request_no_account_gets_answered(sandbox: Sandbox, ask: Asks, who: str, why: str, status: int) -> None:
    sandbox.deny(who.removesuffix("-key"), why=why)
    assert (await ask(who))[0] == status
    assert sandbox[who.removesuffix("-key")].counts[f"denied:{why}"] == 1


async def test_a_bad_key_is_400_at_google_and_only_its_reason_tells(sandbox: Sandbox, ask: Asks) -> None:
    sandbox.set("gemini", bad_keys=["sk-CANARY-2"])
    assert (await ask("gemini-key"))[0] == 200
    status, _, body = await ask("gemini-key", key="sk-CANARY-2")
    assert (status, body["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")


# --- clocks, tokens, counts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [0, -3600, 86400])
async def test_the_date_of_an_answer_is_the_vendors_own(sandbox: Sandbox, ask: Asks, skew: float) -> None:
    sandbox.set("claude", date_skew_seconds=skew)
    _, headers, _ = await ask("claude")
    assert parsedate_to_datetime(headers["date"]).timestamp() == NOW + skew


async def test_a_token_endpoint_that_has_moved(sandbox: Sandbox, person: Any) -> None:
    refresh = sandbox["codex"].login().family.refresh
    sandbox.set("codex", token_moved=True)
    async with person.http.post(person.endpoint("codex", "token"), data={}) as reply:
        assert reply.status == 404 and reply.content_type == "text/html"
    sandbox.set("codex", token_moved=False)
    assert (await person.renew("codex", refresh))[0] == 200


async def test_a_vendor_that_takes_none_of_its_own_tokens(sandbox: Sandbox, person: Any, ask: Asks) -> None:
    ask.token("claude")
    sandbox.set("claude", refuse_access=True)
    assert (await ask("claude"))[0] == 401
    status, renewed = await person.renew("claude", sandbox["claude"].families[0].refresh)
    assert status == 200
    ask.logins["claude"] = renewed["access_token"]
    assert (await ask("claude"))[0] == 401
    counts = sandbox["claude"].counts
    assert (counts["presented:access"], counts["refused:access"], counts["refused:token_invalidated"]) == (2, 2, 2)


async def test_what_was_presented_and_what_was_refused_is_counted(sandbox: Sandbox, person: Any, ask: Asks) -> None:
    sandbox.set("codex", grace_seconds=60)
    spent = sandbox["codex"].login().family.refresh
    for refresh in (spent, spent, "codex-rt-CANARY-unknown"):
        await person.renew("codex", refresh)
    counts = sandbox["codex"].counts
    assert (counts["presented:refresh"], counts["presented:spent"], counts["reuse_events"]) == (3, 1, 0)
    assert (counts["refused:refresh"], counts["refused:refresh_token_invalidated"]) == (1, 1)
    await ask("invented")
    sandbox.set("invented", bad_keys=["sk-CANARY-2"])
    await ask("invented", key="sk-CANARY-2")
    counts = sandbox["invented"].counts
    assert (counts["presented:key"], counts["refused:key"]) == (2, 1)


async def test_the_most_requests_at_a_time_are_counted_per_token(sandbox: Sandbox, ask: Asks) -> None:
    known = sandbox["invented"]
    sandbox.fault("invented", at="llm", do="hang", times=3)
    async with asyncio.TaskGroup() as group:
        for key in ("sk-CANARY-1", "sk-CANARY-1", "sk-CANARY-2"):
            group.create_task(ask("invented", key=key))
        await known.until(lambda: known.counts["faults"] == 3)
        known.release()
    await ask("invented")
    assert sorted(known.most.values()) == [1, 2] and not +known.running


async def test_hundreds_of_logins_are_made_and_expire_at_once(sandbox: Sandbox, person: Any, ask: Asks) -> None:
    known = sandbox["claude"]
    given = [known.login(f"p{number}@example.com") for number in range(300)]
    assert (await ask("claude", email="p299@example.com"))[0] == 200
    known.expire()
    assert (await ask("claude", email="p299@example.com"))[0] == 401
    assert (await person.renew("claude", given[7].family.refresh))[0] == 200
    assert (given[7].family.renewals, known.counts["renewals"]) == (1, 1)


async def test_the_same_from_outside_the_process(sandbox: Sandbox, person: Any, ask: Asks) -> None:
    await person.control(
        vendor="claude", exhaust={"seconds": 60, "says_seconds": 9}, refuse={"why": "model", "model": "dear"}
    )
    assert ((await ask("claude"))[0], (await ask("claude", "dear"))[0]) == (429, 404)
    async with person.http.get(f"{sandbox.url}/_control") as reply:
        said = (await reply.json())["vendors"]["claude"]
    assert said["exhausted"][0]["left"] == 60 and said["denials"][0]["model"] == "dear" and len(said["most"]) == 1
    await person.control(vendor="claude", lift=True)
    assert ((await ask("claude"))[0], (await ask("claude", "dear"))[0]) == (200, 200)


@pytest.mark.parametrize(
    ("kind", "switch"),
    [("exhaust", {"secs": 1}), ("exhaust", {}), ("exhaust", {"seconds": 1, "hint": "x"}), ("refuse", {"why": "poor"})],
)
async def test_a_misspelt_switch_is_refused(sandbox: Sandbox, person: Any, kind: str, switch: dict) -> None:
    assert (await person.control(vendor="claude", **{kind: switch}))[0] == 400
    with pytest.raises(msgspec.ValidationError):
        {"exhaust": sandbox.exhaust, "refuse": sandbox.deny}[kind]("claude", **switch)
