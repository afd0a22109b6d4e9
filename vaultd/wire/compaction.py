"""The opaque item in which vaultd keeps the summary of a conversation that was cut short.

Codex asks for one `compaction` item, never looks into it and sends it back in the place of what it stands for. A vendor
that has no such item writes a summary; what vaultd wraps it in, only vaultd reads.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

#: Base64 letters that no vendor's own content begins with (OpenAI's is `gAAAA…`).
MARK: Final = "vaultdC0"


def seal(summary: str) -> str:
    """`encrypted_content` of an item that holds `summary`."""
    return MARK + base64.urlsafe_b64encode(summary.encode()).decode()


def opened(content: str) -> str | None:
    """The summary in it; None where the content is a vendor's own."""
    if not content.startswith(MARK):
        return None
    try:
        return base64.b64decode(content[len(MARK) :], altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
