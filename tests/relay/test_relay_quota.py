"""What vendors say of their windows on the way is known, for people to look at."""

from __future__ import annotations

from pooled import Open, chat_keys
from stand_in import CLIENT_KEY

CODEX = {
    "x-codex-primary-used-percent": "40",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-after-seconds": "600",
}


async def test_a_logins_windows_are_known_after_an_answer_empty_after_their_reset_and_gone_with_it(
    pooled: Open,
) -> None:
    house = await pooled()
    assert house.clock is not None
    quotas = house.house.quotas
    ann = await house.sign_in("codex", "ann@example.com")
    house.sandbox.set("codex", answer_headers=CODEX)
    assert (await house.ask("responses", "gpt-5")).status == 200
    (window,) = quotas.of(ann.id)
    assert (window.name, window.used) == ("5 hours", 0.4)
    assert window.resets_at == house.clock.now() + 600
    house.clock.advance(601)
    assert [(window.used, window.resets_at) for window in quotas.of(ann.id)] == [(0.0, None)]
    async with house.house.owner.leased(ann.id) as lease:
        await lease.remove()
    assert quotas.all() == {}


async def test_a_refusal_tells_them_too_and_a_key_that_is_configured_no_more_is_forgotten(pooled: Open) -> None:
    house = await pooled(lambda sandbox: chat_keys(sandbox, "one"))
    (key,) = house.house.pool.roster(house.house)
    house.sandbox.exhaust("invented", seconds=300)
    assert (await house.ask("chat", "big")).status == 429
    assert [(window.name, round(window.used, 3)) for window in house.house.quotas.of(key)] == [
        ("requests", 1.0),
        ("tokens", 0.033),
    ]
    house.house.places.config_file.write_text(f"api-keys: [{CLIENT_KEY}]")  # type: ignore[union-attr]
    await house.house.reload("a key was taken out")
    assert house.house.quotas.all() == {}
