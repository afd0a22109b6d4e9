"""What fuzzing found, each as small as it gets."""

from __future__ import annotations

import pytest
from talk import MODEL, grammar

from vaultd.wire.refusal import Refusal


def test_a_responses_part_whose_type_is_a_list_is_refused() -> None:
    body = b'{"input":[{"role":"user","content":[{"type":["input_text"],"text":"hello"}]}]}'
    with pytest.raises(Refusal) as refused:
        grammar("openai-responses").read_request(body, model=MODEL, stream=False)
    assert refused.value.status == 400
    assert "type" in refused.value.message
