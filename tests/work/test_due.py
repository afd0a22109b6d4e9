"""When a login is due: a table of stamps and clocks."""

from __future__ import annotations

import pytest

from vaultd.catalog.manifest import Api, OAuth, Provider
from vaultd.oauth.tokens import Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.work import due

HOUR = 3600.0
DAY = 24 * HOUR
YEAR = 365 * DAY
ISSUED = 1_790_000_000.0


def vendor(lead: str) -> Provider:
    return Provider(id="v", oauth=OAuth(client_id="c", refresh_ahead=lead), api=Api(formats=["openai-chat"]))


def login(id: str = "v-ann", *, lifetime: float = HOUR, refresh: str = "CANARY-r") -> Credential:  # noqa: A002
    tokens = Tokens(
        access=Secret("CANARY-a"),
        refresh=Secret(refresh) if refresh else None,
        issued_at=ISSUED,
        expires_at=ISSUED + lifetime,
    )
    return Credential(id=id, provider="v", kind="oauth", tokens=tokens)


@pytest.mark.parametrize(
    ("lead", "lifetime", "most"),
    [
        ("5d", 10 * DAY, 2 * DAY),  # codex: a fifth of ten days is nearer than five days
        ("5d", 60 * DAY, 5 * DAY),
        ("4h", 8 * HOUR, 1.6 * HOUR),  # claude
        ("5m", HOUR, 300.0),  # gemini: the lead, for a fifth would be 12 minutes
        ("4h", 5.0, 1.0),  # a lead above the life must not renew for ever
    ],
)
def test_sec_50_renewal_is_the_lead_ahead_but_at_most_a_fifth_of_the_lifetime(
    lead: str, lifetime: float, most: float
) -> None:
    span = due.life(login(lifetime=lifetime), vendor(lead), wall=ISSUED, boot=1000.0)

    assert span is not None
    assert span.ends == 1000.0 + lifetime
    assert most * (1 - due.SPREAD) < span.ends - span.due <= most
    assert span.due <= span.stale < span.ends


def test_sec_50_jitter_is_the_ids_own_and_parts_neighbours() -> None:
    moments = [due.ahead(vendor("4h"), 8 * HOUR, f"v-{n}@example.org") for n in range(100)]

    assert moments == [due.ahead(vendor("4h"), 8 * HOUR, f"v-{n}@example.org") for n in range(100)]
    assert len(set(moments)) == 100
    assert max(moments) - min(moments) > 0.8 * due.SPREAD * 1.6 * HOUR


@pytest.mark.parametrize(
    ("wall_error", "left"),
    [
        (0.0, HOUR),
        (+60.0, HOUR - 60),
        (-1.0, HOUR),  # a clock behind the stamps: no token outlives its stated lifetime
        (-DAY, HOUR),
        (-10 * YEAR, HOUR),
        (-ISSUED, HOUR),  # 1970 at boot
        (+DAY, HOUR - DAY),
        (+10 * YEAR, HOUR - 10 * YEAR),
    ],
)
def test_sec_51_a_wrong_wall_clock_never_makes_a_token_live_longer(wall_error: float, left: float) -> None:
    span = due.life(login(), vendor("5m"), wall=ISSUED + wall_error, boot=7.0)

    assert span is not None
    assert span.ends == pytest.approx(7.0 + left)


def test_without_a_refresh_token_there_is_nothing_to_do_before_the_end() -> None:
    span = due.life(login(refresh=""), vendor("5m"), wall=ISSUED, boot=0.0)

    assert span == due.Life(due=HOUR, stale=HOUR, ends=HOUR)


def test_an_api_key_never_expires() -> None:
    key = Credential(id="k", provider="v", kind="key", key=Secret("CANARY-k"))

    assert due.life(key, vendor("5m"), wall=ISSUED, boot=0.0) is None


@pytest.mark.parametrize(
    ("wall", "boot", "jump"),
    [
        (60.0, 60.0, False),
        (63.0, 60.0, False),  # slewed
        (8 * HOUR, 8 * HOUR, False),  # suspended: the boot clock went on
        (60.0 + 6, 60.0, True),
        (60.0 - DAY, 60.0, True),
        (ISSUED, 60.0, True),  # from 1970 to now
    ],
)
def test_sec_51_a_jump_is_what_the_wall_clock_did_and_the_boot_clock_did_not(
    wall: float, boot: float, jump: bool
) -> None:
    assert due.jumped(wall=0.0, boot=0.0, new_wall=wall, new_boot=boot) is jump


@pytest.mark.parametrize(
    ("failures", "asked", "chance", "seconds"),
    [
        (1, None, 0.999, 0.999),
        (2, None, 0.5, 1.0),
        (5, None, 0.5, 8.0),
        (30, None, 0.5, 150.0),
        (5000, None, 0.999, 299.7),
        (1, 20.0, 0.1, 20.0),
        (9, 5.0, 0.5, 128.0),
        (1, 18 * DAY, 0.1, HOUR),  # a vendor's wrong hint holds nobody for days
    ],
)
def test_sec_49_pauses_double_from_a_second_to_five_minutes_and_honour_retry_after(
    failures: int, asked: float | None, chance: float, seconds: float
) -> None:
    assert due.pause(failures, asked, chance) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("logins", "lifetime", "most"),
    [
        (1, HOUR, 300.0),
        (20, HOUR, 300.0),  # a handful fits into any lead
        (100, HOUR, 300.0),
        (1000, HOUR, 1000 / (1 - due.SPREAD)),
        (950, HOUR, 1000 / (1 - due.SPREAD)),  # in hundreds
        (5000, HOUR, HOUR / 2),
        (1000, 10 * DAY, 1000 / (1 - due.SPREAD)),
    ],
)
def test_sec_50_the_lead_is_as_long_as_a_crowd_needs_and_at_most_half_the_life(
    logins: int, lifetime: float, most: float
) -> None:
    ahead = due.ahead(vendor("5m"), lifetime, "v-ann", due.crowds(logins))

    assert most * (1 - due.SPREAD) < ahead <= most


@pytest.mark.parametrize(
    ("deadlines", "seconds"),
    [
        ([], 1.0),
        ([5.0], 1.0),  # missed: it hurries nobody
        ([1000.0] * 100, 1.0),
        ([110.0] * 200, 0.5),
        ([1000.0, 10.5, *[1000.0] * 5], 0.5),
        ([10.001], 0.05),
        ([10.5] * 1000, 0.05),
    ],
)
def test_sec_50_a_second_between_two_is_cut_only_where_it_would_let_one_run_out(
    deadlines: list[float], seconds: float
) -> None:
    assert due.gap(deadlines, 10.0) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("wall_error", "guessed"),
    [(0.0, False), (-4.0, False), (-6.0, True), (-DAY, True), (-ISSUED, True), (+10 * YEAR, False)],
)
def test_sec_51_of_a_token_from_the_future_nobody_knows_the_age(wall_error: float, guessed: bool) -> None:
    span = due.life(login(), vendor("5m"), wall=ISSUED + wall_error, boot=7.0)

    assert span is not None
    assert span.guessed is guessed
    if guessed:  # who needs it renews it first; the loop waits until the clock is set, but not for ever
        assert (span.stale, span.due) == (7.0, 7.0 + due.CLOCK_SET)
