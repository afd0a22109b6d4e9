"""The sealed file's reader and writer. Whatever is given to the reader, the answer is the content or `Refused`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey

from vaultd.errors import Misconfigured
from vaultd.vault.envelope import (
    CLIENT,
    MAX_RECIPIENTS,
    PLAIN_LIMIT,
    TOKEN,
    NotSealed,
    Opened,
    Refused,
    UnknownKey,
    kids,
    open_,
    rewrap,
    seal,
)

KEK = OctKey.generate_key(256, auto_kid=True)
OTHER = OctKey.generate_key(256, auto_kid=True)
RECOVERY = ECKey.generate_key("P-256", auto_kid=True)
RING = {str(KEK.kid): KEK}
NAME = "codex-a@b.example.json"
PLAIN = b'{"access":"CANARY-1"}'


def sealed(plain: bytes = PLAIN, **other: Any) -> bytes:
    given = {"typ": TOKEN, "name": NAME, "provider": "codex", "generation": 7, "keks": [KEK], "recovery": [RECOVERY]}
    return seal(plain, **(given | other))


def opened(data: bytes, **other: Any) -> Opened:
    return open_(data, **({"typ": TOKEN, "name": NAME, "provider": "codex", "ring": RING} | other))


def changed(data: bytes, **members: Any) -> bytes:
    return json.dumps(json.loads(data) | members).encode()


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_what_is_sealed_opens_with_its_generation_and_provider() -> None:
    answer = opened(sealed(), provider=None)
    assert (answer.plain, answer.generation, answer.provider) == (PLAIN, 7, "codex")
    assert "CANARY" not in repr(answer)


def test_the_layout_is_rfc_7516_general_json_with_the_binding_in_the_protected_header() -> None:
    document = json.loads(sealed())
    assert set(document) == {"protected", "recipients", "iv", "ciphertext", "tag"}
    protected = base64.urlsafe_b64decode(document["protected"] + "==")
    assert protected == (
        b'{"enc":"A256GCM","typ":"vaultd-token+jwe",'
        b'"vaultd":{"v":1,"name":"codex-a@b.example.json","provider":"codex","gen":7}}'
    )
    assert [r["header"]["alg"] for r in document["recipients"]] == ["A256KW", "ECDH-ES+A256KW"]
    assert [r["header"]["kid"] for r in document["recipients"]] == [KEK.thumbprint(), RECOVERY.thumbprint()]
    assert sealed().isascii()


def test_p1_two_seals_of_one_content_share_nothing_but_the_header() -> None:
    one, two = json.loads(sealed()), json.loads(sealed())
    assert one["iv"] != two["iv"]
    assert one["ciphertext"] != two["ciphertext"]


def test_p2_a_file_put_under_another_name_is_refused() -> None:
    with pytest.raises(Refused, match="another name"):
        opened(sealed(), name="codex-other.json")


def test_p2_a_file_of_another_provider_is_refused() -> None:
    with pytest.raises(Refused, match="belongs to the provider codex"):
        opened(sealed(), provider="claude")


def test_p2_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(Refused, match="another name"):
        opened(sealed(typ=CLIENT))


def test_p2_an_older_generation_than_seen_is_refused() -> None:
    assert opened(sealed(), min_generation=7).generation == 7
    with pytest.raises(Refused, match="rolled back"):
        opened(sealed(), min_generation=8)


def test_p2_a_file_made_with_the_recovery_public_key_alone_is_refused() -> None:
    forged = jwe.GeneralJSONEncryption(
        json.loads(base64.urlsafe_b64decode(json.loads(sealed())["protected"] + "==")), PLAIN
    )
    forged.add_recipient({"alg": "ECDH-ES+A256KW", "kid": RECOVERY.kid}, RECOVERY)
    registry = jwe.JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"], strict_check_header=False)
    with pytest.raises(UnknownKey):
        opened(json.dumps(jwe.encrypt_json(forged, None, registry=registry)).encode())


def test_p2_the_recipient_of_another_file_opens_nothing() -> None:
    with pytest.raises(Refused):
        opened(changed(sealed(), recipients=json.loads(sealed())["recipients"]))


def test_p2_our_recipient_twice_is_refused() -> None:
    recipients = json.loads(sealed())["recipients"]
    with pytest.raises(Refused, match="twice"):
        opened(changed(sealed(), recipients=[recipients[0], *recipients]))


def test_p2_two_keys_of_the_ring_on_one_file_are_refused() -> None:
    with pytest.raises(Refused, match="twice"):
        opened(sealed(keks=[KEK, OTHER]), ring={**RING, str(OTHER.kid): OTHER})


@pytest.mark.parametrize("alg", ["dir", "A256GCMKW", "A128KW", "PBES2-HS256+A128KW", "ECDH-ES+A256KW", "none", None, 1])
def test_d3_every_algorithm_but_ours_is_refused(alg: object) -> None:
    recipients = json.loads(sealed())["recipients"]
    recipients[0]["header"]["alg"] = alg
    with pytest.raises(Refused):
        opened(changed(sealed(), recipients=recipients))


@pytest.mark.parametrize("extra", [{"zip": "DEF"}, {"crit": ["vaultd"]}, {"enc": "A256GCM"}, {"x": 1}])
def test_an_unprotected_header_of_the_recipient_adds_nothing(extra: dict[str, Any]) -> None:
    recipients = json.loads(sealed())["recipients"]
    recipients[0]["header"] |= extra
    with pytest.raises(Refused, match="members that ours have not"):
        opened(changed(sealed(), recipients=recipients))


@pytest.mark.parametrize(
    "extra", [{"aad": "AAAA"}, {"unprotected": {"zip": "DEF"}}, {"header": {}}, {"encrypted_key": ""}]
)
def test_members_that_we_never_write_are_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="members"):
        opened(changed(sealed(), **extra))


@pytest.mark.parametrize("change", [{"zip": "DEF"}, {"crit": ["vaultd"]}, {"alg": "A256KW"}, {"enc": "A128GCM"}])
def test_a_protected_header_of_ours_with_more_or_other_members_is_refused_even_when_it_authenticates(
    change: dict[str, str],
) -> None:
    header = {"enc": "A256GCM", "typ": TOKEN, "vaultd": {"v": 1, "name": NAME, "provider": "codex", "gen": 7}} | change
    forged = jwe.GeneralJSONEncryption(header, PLAIN)
    forged.add_recipient({"alg": "A256KW", "kid": KEK.kid}, KEK)
    registry = jwe.JWERegistry(algorithms=["A256KW", "A256GCM", "A128GCM", "DEF"], strict_check_header=False)
    registry.check_header = lambda header, check_more=False: None  # type: ignore[method-assign]  # joserfc's own writer
    with pytest.raises(Refused):
        opened(json.dumps(jwe.encrypt_json(forged, None, registry=registry)).encode())


@pytest.mark.parametrize(
    "binding", [{"v": True}, {"v": 2}, {"gen": 7.0}, {"gen": True}, {"gen": -1}, {"gen": "7"}, {"x": 1}]
)
def test_a_binding_of_other_types_is_refused_even_when_it_authenticates(binding: dict[str, Any]) -> None:
    bound = {"v": 1, "name": NAME, "provider": "codex", "gen": 7} | binding
    forged = jwe.GeneralJSONEncryption({"enc": "A256GCM", "typ": TOKEN, "vaultd": bound}, PLAIN)
    forged.add_recipient({"alg": "A256KW", "kid": KEK.kid}, KEK)
    registry = jwe.JWERegistry(algorithms=["A256KW", "A256GCM"], strict_check_header=False)
    with pytest.raises(Refused):
        opened(json.dumps(jwe.encrypt_json(forged, None, registry=registry)).encode())


def test_p2_every_single_bit_flip_is_refused() -> None:
    data = sealed(recovery=[])
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            with pytest.raises(Refused):
                opened(bytes(flipped))


def test_nine_recipients_are_refused_by_writer_and_reader() -> None:
    with pytest.raises(Misconfigured, match=str(MAX_RECIPIENTS)):
        sealed(recovery=[RECOVERY] * MAX_RECIPIENTS)
    recipients = json.loads(sealed())["recipients"]
    with pytest.raises(Refused, match=str(MAX_RECIPIENTS)):
        opened(changed(sealed(), recipients=[recipients[0]] + [recipients[1]] * MAX_RECIPIENTS))


def test_the_largest_content_that_is_written_is_read_and_one_byte_more_is_not_written() -> None:
    assert opened(sealed(b"x" * PLAIN_LIMIT)).plain == b"x" * PLAIN_LIMIT
    with pytest.raises(Misconfigured, match="at most"):
        sealed(b"x" * (PLAIN_LIMIT + 1))


@pytest.mark.parametrize(
    "name", ["../a.json", "a/b.json", "a.json\n", "ä.json", "-a.json", ".a.json", "a b.json", "a.txt", ""]
)
def test_thr_17_nothing_is_sealed_for_a_name_outside_the_rule(name: str) -> None:
    with pytest.raises(Misconfigured, match="cannot name"):
        sealed(name=name)


def test_plain_files_are_told_from_damaged_ones() -> None:
    for plain in (b'{"access_token":"CANARY-plain"}', b"[]", b"", b"\xff\xfe", b"[" * 70_000):
        with pytest.raises(NotSealed):
            opened(plain)


def test_a_repeated_member_is_refused() -> None:
    with pytest.raises(Refused):
        opened(sealed()[:-1] + b',"tag":"AAAA"}')


def test_a_rewrap_changes_recipients_only_and_parts_the_old_key_from_the_file() -> None:
    before = sealed(recovery=[])
    after = rewrap(before, ring=RING, kek=OTHER, recovery=[RECOVERY])
    for member in ("protected", "iv", "ciphertext", "tag"):
        assert json.loads(after)[member] == json.loads(before)[member]
    assert kids(after) == [OTHER.kid, RECOVERY.kid]
    assert opened(after, ring={str(OTHER.kid): OTHER}).plain == PLAIN
    with pytest.raises(UnknownKey):
        opened(after)


def test_d3_a_rewrap_of_a_foreign_file_is_refused() -> None:
    with pytest.raises(Refused):
        rewrap(sealed(keks=[OTHER]), ring=RING, kek=KEK)
    with pytest.raises(Refused):
        rewrap(changed(sealed(), recipients=[*json.loads(sealed())["recipients"][:1], 7]), ring=RING, kek=KEK)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
PATHS = [
    ("protected",), ("iv",), ("tag",), ("ciphertext",), ("recipients",), ("recipients", 0), ("recipients", 0, "header"),
    ("recipients", 0, "header", "alg"), ("recipients", 0, "header", "kid"), ("recipients", 0, "encrypted_key"),
]  # fmt: skip
GOOD = sealed()


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), junk=JUNK)
def test_any_junk_in_any_place_is_refused(path: tuple[Any, ...], junk: Any) -> None:
    document = json.loads(GOOD)
    place = document
    for step in path[:-1]:
        place = place[step]
    if place[path[-1]] == junk:
        return
    place[path[-1]] = junk
    with pytest.raises(Refused):
        opened(json.dumps(document).encode())


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=300) | JUNK.map(lambda junk: json.dumps(junk).encode()))
def test_any_bytes_at_all_are_refused(data: bytes) -> None:
    for reader in (opened, kids, lambda data: rewrap(data, ring=RING, kek=KEK)):
        with pytest.raises(Refused):
            reader(data)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(header=JUNK | st.dictionaries(st.sampled_from(["enc", "typ", "vaultd", "alg", "zip", "crit"]), JUNK))
def test_any_protected_header_is_refused(header: Any) -> None:
    with pytest.raises(Refused):
        opened(changed(GOOD, protected=b64(json.dumps(header).encode())))
