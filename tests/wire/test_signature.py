"""What one vendor sealed comes back to that vendor, whatever client it travelled through, and to no other."""

from __future__ import annotations

import base64
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire import signature

FORMATS: Final = ["anthropic-messages", "openai-responses", "gemini"]


def fernet(blocks: int = 4) -> str:
    return base64.urlsafe_b64encode(
        b"\x80\x00\x00\x00\x00\x68" + b"\xfb\xff" * ((51 + blocks * 16) // 2) + b"C"
    ).decode()


#: Heads as recorded: `12 ce 03 0a 46 08 0b 18 02 2a 40` and the forms around it.
ANTHROPIC: Final = base64.b64encode(bytes.fromhex("12ce030a46080b18022a40") + b"\xfb\xff\xbeCANARY" * 9).decode()
NEWER: Final = base64.b64encode(bytes.fromhex("080212cd020a8701081018022a40") + b"CANARY" * 9).decode()
WITH_CHANNEL: Final = base64.b64encode(bytes.fromhex("12f0010a67080f100118022a4053") + b"CANARY" * 9).decode()
TENTH: Final = base64.b64encode(bytes.fromhex("12ce030a46080a18022a40") + b"CANARY" * 9).decode()
DOUBLE: Final = base64.b64encode(ANTHROPIC.encode()).decode()
#: Google's, which begin alike: `12 ad 09 0a aa 09 01 11` and `12 96 12 0a 93 12 08 02 12 8e 12 01`.
GOOGLE: Final = base64.b64encode(bytes.fromhex("12ad090aaa0901114d320f") + b"CANARY" * 9).decode()
GOOGLE_NUMBERED: Final = base64.b64encode(bytes.fromhex("1296120a93120802128e1201") + b"CANARY" * 9).decode()


@pytest.mark.parametrize("text", [ANTHROPIC, NEWER, WITH_CHANNEL, TENTH, DOUBLE])
def test_anthropics_seals_travel_as_they_are(text: str) -> None:
    assert signature.carry(text, "anthropic-messages") == text
    assert [signature.own(text, fmt) for fmt in FORMATS] == [text, "", ""]


def test_openais_encrypted_text_travels_as_it_is() -> None:
    assert signature.carry(fernet(), "openai-responses") == fernet()
    assert [signature.own(fernet(), fmt) for fmt in FORMATS] == ["", fernet(), ""]


@pytest.mark.parametrize("text", [GOOGLE, GOOGLE_NUMBERED, ANTHROPIC, "AY89a1CANARY"])
def test_googles_seals_travel_under_a_mark_for_others_look_alike(text: str) -> None:
    travelling = signature.carry(text, "gemini")
    assert travelling != text
    assert [signature.own(travelling, fmt) for fmt in FORMATS] == ["", "", text]


@pytest.mark.parametrize(
    "text", [GOOGLE, GOOGLE_NUMBERED, fernet()[:-1], fernet()[:-4], "gAAAACANARY", "RCANARY", "E", ""]
)
def test_what_nobody_marked_and_no_shape_tells_is_nobodys(text: str) -> None:
    assert [signature.own(text, fmt) for fmt in FORMATS] == ["", "", ""]


@pytest.mark.parametrize(
    ("text", "minted"), [(ANTHROPIC, "anthropic-messages"), (fernet(), "openai-responses"), (GOOGLE, "gemini")]
)
def test_a_client_that_decodes_and_encodes_it_again_does_no_harm(text: str, minted: str) -> None:
    travelling = signature.carry(text, minted)
    recoded = base64.urlsafe_b64encode(
        base64.b64decode(travelling, altchars=b"-_" if "-" in travelling else None)
    ).decode()
    assert base64.urlsafe_b64decode(signature.own(recoded, minted)) == base64.urlsafe_b64decode(
        text.replace("+", "-").replace("/", "_")
    )
    if minted != "gemini":
        assert signature.own(recoded, minted) == text


def test_what_a_client_had_from_a_vendor_of_its_own_format_is_that_formats() -> None:
    for text in (ANTHROPIC, fernet(), signature.carry(GOOGLE, "gemini"), signature.redacted(ANTHROPIC), ""):
        assert signature.returned(text, "openai-responses") == text
    assert signature.own(signature.returned("CANARY", "openai-responses"), "openai-responses") == "CANARY"


def test_a_format_that_seals_nothing_owns_nothing() -> None:
    assert signature.carry("CANARY", "openai-chat") == ""
    assert signature.own(signature.carry("CANARY", "gemini"), "openai-chat") == ""


@pytest.mark.parametrize("minted", FORMATS)
def test_redacted_thinking_is_told_apart(minted: str) -> None:
    travelling = signature.redacted(signature.carry("CANARY", minted))
    assert signature.unredacted(travelling) == (signature.carry("CANARY", minted), True)
    assert signature.own(travelling, minted) == "CANARY"


@given(text=st.text(min_size=1), minted=st.sampled_from(FORMATS), asked=st.sampled_from(FORMATS))
def test_a_seal_comes_back_to_its_maker_alone(text: str, minted: str, asked: str) -> None:
    travelling = signature.carry(text, minted)
    assert signature.carry(travelling, asked) == travelling
    assert signature.own(travelling, asked) == (text if asked == minted else "")
