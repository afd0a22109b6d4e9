"""Client keys: made, shown, looked up; between processes; never in clear."""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import Callable

import pytest

from vaultd.errors import Misconfigured
from vaultd.vault.clients import ClientKeys, mask, new_value
from vaultd.vault.keyring import Keyring


@pytest.fixture
def keys(keyring: Keyring) -> ClientKeys:
    return ClientKeys(keyring)


@pytest.fixture
def other(open_keyring: Callable[[], Keyring], keys: ClientKeys) -> ClientKeys:
    return ClientKeys(open_keyring())


async def test_thr_04_an_issued_key_has_the_scannable_form(keys: ClientKeys) -> None:
    key = await keys.create("laptop")
    value = key.value.reveal()
    assert re.fullmatch(rf"vk_{key.id}_[A-Za-z0-9_-]{{43}}_[0-9a-f]{{8}}", value)
    assert int(value[-8:], 16) == binascii.crc32(value[:-9].encode())
    assert key.value.reveal() not in repr(key)


async def test_a_key_is_identified_until_it_is_disabled_or_deleted(keys: ClientKeys) -> None:
    key = await keys.create("laptop")
    value = key.value.reveal()
    assert keys.identify(value) == key
    await keys.disable("laptop")
    assert keys.identify(value) is None
    await keys.enable(key.id)
    assert keys.identify(value) is not None
    await keys.delete(value)
    assert keys.identify(value) is None
    assert keys.list() == []


async def test_keys_of_the_config_are_taken_as_they_are_and_not_ours_to_change(keys: ClientKeys) -> None:
    keys.with_config_keys(["sk-1234", "another"])
    found = keys.identify("sk-1234")
    assert found is not None
    assert found.source == "config"
    assert "1234" not in found.id
    with pytest.raises(Misconfigured, match="stands in the config"):
        await keys.delete(found.id)
    keys.with_config_keys(["another"])
    assert keys.identify("sk-1234") is None


@pytest.mark.parametrize("presented", ["", "x", "vk_", "\udcff\ud800", "x" * 5000, "\0", "ключ"])
def test_thr_02_anything_may_be_presented(keys: ClientKeys, presented: str) -> None:
    assert keys.identify(presented) is None


async def test_thr_01_issued_keys_stand_nowhere_in_clear(keys: ClientKeys, keyring: Keyring) -> None:
    value = (await keys.create("laptop")).value.reveal()
    stored = b"".join(file.read_bytes() for file in keyring.folder.rglob("*") if file.is_file())
    assert value.encode() not in stored
    assert value[16:59].encode() not in stored


async def test_another_process_sees_what_was_done(keys: ClientKeys, other: ClientKeys) -> None:
    key = await keys.create("laptop")
    assert other.identify(key.value.reveal()) is None
    await other.rescan()
    assert other.identify(key.value.reveal()) == key
    await other.disable("laptop")
    await keys.rescan()
    assert keys.identify(key.value.reveal()) is None


async def test_an_alias_is_given_once_also_between_processes(keys: ClientKeys, other: ClientKeys) -> None:
    made = await asyncio.gather(keys.create("laptop"), other.create("laptop"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in made) == ["ClientKey", "Misconfigured"]


async def test_a_key_is_named_by_id_alias_or_value_and_by_nothing_else(keys: ClientKeys) -> None:
    key = await keys.create("laptop")
    value = key.value.reveal()
    for ref in (key.id, "laptop", value):
        assert keys.get(ref) == key
    for ref, why in (
        (key.masked, "masked"),
        ("vk_1234****", "masked"),
        (value[:-1] + ("0" if value[-1] != "0" else "1"), "checksum"),
        (new_value(), "another vaultd"),
        ("CANARY-unknown", "no client key"),
    ):
        with pytest.raises(Misconfigured, match=why) as refusal:
            keys.get(ref)
        assert ref not in str(refusal.value)


@pytest.mark.parametrize("alias", ["", "vk_laptop", "a" * 65, "a\nb", "-a", "ä"])
async def test_an_alias_that_could_not_be_typed_again_is_refused(keys: ClientKeys, alias: str) -> None:
    with pytest.raises(Misconfigured, match="an alias is"):
        await keys.create(alias)


async def test_p2_a_key_file_that_is_not_ours_is_not_used(
    keys: ClientKeys, keyring: Keyring, other: ClientKeys
) -> None:
    key = await keys.create("laptop")
    keyring.clients.commit("ffffffffffff.json", keyring.clients.read(f"{key.id}.json")[0])
    await other.rescan()
    assert [found.id for found in other.list()] == [key.id]
    assert list(other.refused()) == ["ffffffffffff.json"]


def test_a_mask_gives_nothing_to_use() -> None:
    value = new_value()
    assert mask(value) == value[:15] + "…"
    assert mask("sk-1234567890abcdef") == "sk-…cdef"
    assert mask("short") == "…"
