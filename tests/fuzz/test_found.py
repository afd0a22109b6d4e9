"""What fuzzing found, each as small as it gets."""

from __future__ import annotations

import base64

import pytest
from talk import MODEL, grammar

from vaultd.wire import signature
from vaultd.wire.refusal import Refusal


def test_a_responses_part_whose_type_is_a_list_is_refused() -> None:
    body = b'{"input":[{"role":"user","content":[{"type":["input_text"],"text":"hello"}]}]}'
    with pytest.raises(Refusal) as refused:
        grammar("openai-responses").read_request(body, model=MODEL, stream=False)
    assert refused.value.status == 400
    assert "type" in refused.value.message


@pytest.mark.parametrize("seal", ["gAAAAfake-encrypted-CANARY", "no base64 at all: CANARY é", "abcde"])
@pytest.mark.parametrize("minted", ["openai-responses", "anthropic-messages", "gemini"])
def test_a_seal_that_is_no_base64_travels_as_base64(seal: str, minted: str) -> None:
    """Google's SDK decodes what it is given, and refuses an answer in which it cannot."""
    travelling = signature.carry(seal, minted)
    assert base64.b64decode(travelling, altchars=b"-_", validate=True)
    assert signature.carry(travelling, minted) == travelling
    assert signature.own(travelling, minted) == seal
