"""A person signs in at a desk: the browser, the paste, the port, the clock, and whose file it becomes."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import pytest
from desk import HandClock, open_vault
from ports import own_callbacks

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.manifest import Provider
from vaultd.config.model import Config
from vaultd.effects import AwaitRedirect, Choose, Reply, Send, Show
from vaultd.errors import PortTaken, SignInRequired, TimedOut, TryLater, VaultdError
from vaultd.net.client import Client
from vaultd.sandbox import Sandbox
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner
from vaultd.work.race import race
from vaultd.work.sign_in import MAX_PENDING, SignIns, Wish, _flow, new_state, ways


async def follow(url: str) -> str:
    """What a browser does with an address; the body of the page it ends on."""
    async with aiohttp.ClientSession() as browser, browser.get(url) as page:
        return await page.text()


async def redirect_of(url: str) -> str:
    """Where the vendor sends the browser: what a person whose page does not load finds in the address bar."""
    async with aiohttp.ClientSession() as browser, browser.get(url, allow_redirects=False) as page:
        return page.headers["Location"]


@dataclass
class Person:
    """A desk with a person who does what `does` says once the address is shown."""

    does: Callable[[Person, str], Awaitable[Any]]
    label: str = ""
    lines: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    shown: asyncio.Future[Show] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    listening: int | None = None
    notes: list[str] = field(default_factory=list)

    async def show(self, effect: Show, listening: int | None) -> None:
        self.listening = listening
        self.shown.set_result(effect)

    async def pasted(self, awaited: AwaitRedirect) -> str | None:
        return await self.lines.get()

    async def choose(self, effect: Choose) -> Sequence[str]:
        return [effect.default]

    async def ask_label(self, provider: Provider) -> str:
        return self.label

    def note(self, line: str) -> None:
        self.notes.append(line)

    def tick(self, seconds_left: float) -> None:
        pass


@dataclass
class Office:
    """Where sign-ins happen: a vault, a way out, and the pretend vendor on ports that nobody else uses."""

    sandbox: Sandbox
    clock: HandClock
    owner: Owner
    client: Client
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sign_ins = SignIns(self.owner, self.send, self.clock)

    async def send(self, effect: Send, *, proxy: str | None = None) -> Reply:
        self.sent.append(effect.url)
        return await self.client.send(effect)

    def provider(self, name: str) -> Provider:
        overlaid = Config(providers=own_callbacks(self.sandbox))
        return load(shipped_folder(), None, overlaid, "a test").provider(name)

    async def sign_in(self, wish: Wish, person: Person) -> Credential:
        return await race(self.sign_ins.run(wish, person), self._act(person))

    async def _act(self, person: Person) -> NoReturn:
        await person.does(person, (await person.shown).url)
        await asyncio.Event().wait()
        raise AssertionError


def port_of(provider: Provider) -> int:
    assert provider.oauth is not None and provider.oauth.redirect is not None
    return provider.oauth.redirect.port


async def is_shut(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def opens(_person: Person, url: str) -> None:
    await follow(url)


async def waits(_person: Person, _url: str) -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def office(tmp_path: Path, clock: HandClock, sandbox: Sandbox) -> Any:
    client = Client()
    yield Office(sandbox, clock, await open_vault(tmp_path / "auth"), client)
    await client.close()


@pytest.mark.parametrize("name", ["codex", "claude", "gemini", "iflow"])
async def test_opening_the_address_signs_in(office: Office, name: str) -> None:
    provider = office.provider(name)

    credential = await office.sign_in(Wish(provider), Person(opens))

    assert credential.id == f"{name}-{name}@example.com"
    assert credential.bearer is not None and "CANARY" in credential.bearer.reveal()
    assert office.owner.get(credential.id) == credential
    assert await is_shut(port_of(provider))


def test_sec_02_sec_04_each_attempt_has_its_own_verifier_and_state(clock: HandClock) -> None:
    provider = load(shipped_folder(), None, Config(), "a test").provider("codex")
    seen: set[str] = set()
    for _ in range(10_000):
        flow = _flow(Wish(provider), clock, new_state())
        given = flow.gi_frame.f_locals  # type: ignore[attr-defined]
        assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", given["verifier"])
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", given["state"])
        seen |= {given["verifier"], given["state"]}
        flow.close()
    assert len(seen) == 20_000


async def test_sec_04_an_answer_for_another_sign_in_changes_nothing(office: Office) -> None:
    one, two = office.provider("codex"), office.provider("claude")

    async def crosses(person: Person, url: str) -> None:
        query = (await redirect_of(url)).partition("?")[2]
        async with aiohttp.ClientSession() as browser:
            crossed = f"http://localhost:{port_of(two)}/callback?{query}"
            async with browser.get(crossed) as page:
                assert page.status == 400
        await follow(url)

    other = Person(waits)
    async with asyncio.TaskGroup() as group:
        second = group.create_task(office.sign_in(Wish(two), other))
        url = (await other.shown).url
        await office.sign_in(Wish(one), Person(crosses))
        assert not second.done()
        await follow(url)
    assert second.result().provider == "claude"


async def test_sec_09_nine_sign_ins_at_once_are_one_too_many(office: Office) -> None:
    people = [Person(waits) for _ in range(MAX_PENDING)]
    async with asyncio.TaskGroup() as group:
        pending = [group.create_task(office.sign_ins.run(Wish(office.provider("codex")), person)) for person in people]
        for person in people:
            await person.shown
        with pytest.raises(TryLater, match="8"):
            await office.sign_ins.run(Wish(office.provider("codex")), Person(waits))
        pending[0].cancel()
        await asyncio.wait(pending[:1])
        assert await office.sign_in(Wish(office.provider("claude")), Person(opens))
        for task in pending:
            task.cancel()


async def test_sec_09_sec_25_a_sign_in_ends_after_its_time_and_shuts_its_port(office: Office) -> None:
    provider = office.provider("codex")
    person = Person(waits)

    async with asyncio.TaskGroup() as group:
        signing = group.create_task(outcome(office.sign_in(Wish(provider), person)))
        await person.shown
        assert not await is_shut(port_of(provider))
        while not signing.done():
            await asyncio.sleep(0)
            office.clock.advance(60)

    assert isinstance(signing.result(), TimedOut)
    assert await is_shut(port_of(provider))


async def test_sec_25_a_cancelled_sign_in_shuts_its_port_and_forgets_its_verifier(office: Office) -> None:
    provider = office.provider("codex")
    person = Person(waits)
    signing = asyncio.gather(office.sign_ins.run(Wish(provider), person))
    await person.shown

    signing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await signing

    assert await is_shut(port_of(provider))


async def test_sec_12_sec_26_with_the_port_taken_a_pasted_address_signs_in(office: Office) -> None:
    provider = office.provider("codex")

    async def pastes(person: Person, url: str) -> None:
        await person.lines.put(await redirect_of(url))

    person = Person(pastes)
    with closing(socket.create_server(("127.0.0.1", port_of(provider)))):
        credential = await office.sign_in(Wish(provider), person)

    assert credential.id == "codex-codex@example.com"
    assert person.listening is None
    assert f"port {port_of(provider)} on 127.0.0.1 is taken by pid" in person.notes[0]


async def test_sec_12_with_the_port_taken_and_the_input_at_its_end_nothing_is_left(office: Office) -> None:
    provider = office.provider("codex")

    async def leaves(person: Person, _url: str) -> None:
        await person.lines.put(None)

    with closing(socket.create_server(("127.0.0.1", port_of(provider)))):
        result = await outcome(office.sign_in(Wish(provider), Person(leaves)))

    assert isinstance(result, PortTaken)
    assert "is taken by pid" in str(result)


async def test_the_end_of_the_input_ends_only_the_paste(office: Office) -> None:
    async def leaves_and_opens(person: Person, url: str) -> None:
        await person.lines.put(None)
        await follow(url)

    assert await office.sign_in(Wish(office.provider("codex")), Person(leaves_and_opens))


async def test_sec_26_a_wrong_paste_is_told_and_the_wait_goes_on(office: Office) -> None:
    async def fumbles(person: Person, url: str) -> None:
        right = await redirect_of(url)
        await person.lines.put("\n")
        await person.lines.put("what is this")
        await person.lines.put(re.sub(r"state=[^&]*", "state=another", right))
        await person.lines.put(right)

    person = Person(fumbles)
    assert await office.sign_in(Wish(office.provider("codex")), person)

    unreadable, of_another = person.notes
    assert "paste the whole address" in unreadable
    assert "another sign-in" in of_another


async def test_claudes_own_page_shows_a_code_to_paste_and_no_port_is_opened(office: Office) -> None:
    provider = office.provider("claude")

    async def copies(person: Person, url: str) -> None:
        assert await is_shut(port_of(provider))
        page = await follow(url)
        found = re.search(r"[A-Za-z0-9._~-]+#[A-Za-z0-9_-]{43}", page)
        assert found is not None, page
        await person.lines.put(found[0])

    credential = await office.sign_in(Wish(provider, way="paste-page"), Person(copies))

    assert credential.id == "claude-claude@example.com"


async def test_sec_20_two_deliveries_at_once_are_one_token_request(office: Office) -> None:
    provider = office.provider("codex")

    async def twice(_person: Person, url: str) -> None:
        where = await redirect_of(url)
        await asyncio.gather(follow(where), follow(where), return_exceptions=True)

    await office.sign_in(Wish(provider), Person(twice))

    assert office.sent == [provider.endpoints["token"]]


async def test_sec_33_an_exchange_that_was_cut_is_not_repeated(office: Office) -> None:
    provider = office.provider("codex")
    office.sandbox.fault("codex", at="token", do="cut-after", times=0)

    result = await outcome(office.sign_in(Wish(provider), Person(opens)))

    assert isinstance(result, TryLater) and result.outcome_unknown
    assert len(office.sent) == 1


async def test_the_person_said_no(office: Office) -> None:
    office.sandbox.set("codex", consent="deny")

    result = await outcome(office.sign_in(Wish(office.provider("codex")), Person(opens)))

    assert isinstance(result, SignInRequired)
    assert office.sent == []


async def test_sec_34_another_person_gets_another_file_and_the_same_one_the_same(office: Office) -> None:
    provider = office.provider("codex")
    first = await office.sign_in(Wish(provider), Person(opens))
    office.sandbox.set("codex", account="b@example.com")
    second = await office.sign_in(Wish(provider), Person(opens))
    office.sandbox.set("codex", account="")
    again = await office.sign_in(Wish(provider), Person(opens))

    assert (first.id, second.id) == ("codex-codex@example.com", "codex-b@example.com")
    assert again.id == first.id
    assert again.generation > first.generation
    assert set(office.owner.snapshot()) == {first.id, second.id}


async def test_sec_34_one_email_in_two_plans_is_two_files(office: Office) -> None:
    provider = office.provider("codex")
    for account in ("personal", "team"):
        office.sandbox.set("codex", account={"email": "a@example.com", "person": "p", "account": account})
        await office.sign_in(Wish(provider), Person(opens))

    ids = sorted(office.owner.snapshot())
    assert ids[0] == "codex-a@example.com"
    assert re.fullmatch(r"codex-a@example\.com-[0-9a-f]{8}", ids[1])


async def device_sign_in(office: Office, wish: Wish, person: Person) -> Credential:
    """A device flow; the hands of the clock go on whenever the flow waits."""
    async with asyncio.TaskGroup() as group:
        signing = group.create_task(office.sign_in(wish, person))
        await person.shown
        while not signing.done():
            await asyncio.sleep(0)
            office.clock.advance(0.5)
    return signing.result()


async def test_an_account_without_a_name_is_called_what_the_person_says(office: Office) -> None:
    credential = await device_sign_in(office, Wish(office.provider("kimi"), "device"), Person(opens, label="work"))

    assert credential.id == "kimi-work"


async def test_an_account_without_a_name_and_nobody_there_is_numbered(office: Office) -> None:
    one = await device_sign_in(office, Wish(office.provider("qwen"), "device"), Person(opens))
    two = await device_sign_in(office, Wish(office.provider("qwen"), "device"), Person(opens))

    assert (one.id, two.id) == ("qwen-1", "qwen-2")


async def test_projects_named_beforehand_are_not_asked_for(office: Office) -> None:
    office.sandbox.set("gemini", projects=["one", "two"])

    credential = await office.sign_in(Wish(office.provider("gemini"), projects=("two",)), Person(opens))

    assert credential.account.facts["projects"] == ["two"]


async def test_all_projects(office: Office) -> None:
    office.sandbox.set("gemini", projects=["one", "two"])

    credential = await office.sign_in(Wish(office.provider("gemini"), projects=("ALL",)), Person(opens))

    assert credential.account.facts["projects"] == ["one", "two"]


async def test_a_vendor_without_projects_says_that_the_option_was_of_no_use(office: Office) -> None:
    person = Person(opens)
    await office.sign_in(Wish(office.provider("codex"), projects=("one",)), person)

    assert "--project-id" in person.notes[-1]


def test_each_vendors_ways_in() -> None:
    catalog = load(shipped_folder(), None, Config(), "a test")
    assert {id: ways(catalog.provider(id)) for id in catalog.sign_in_ids()} == {  # noqa: A001
        "claude": ["browser", "paste-page"],
        "codex": ["browser", "device"],
        "gemini": ["browser"],
        "iflow": ["browser"],
        "kimi": ["device"],
        "qwen": ["device"],
        "xai": ["device"],
    }


async def outcome(work: Awaitable[Credential]) -> Credential | VaultdError:
    """The result or the failure, as a value."""
    try:
        return await work
    except VaultdError as error:
        return error
