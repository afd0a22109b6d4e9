"""Seals the summary of a conversation that Codex keeps for us, as an opaque item, from one request to the next.

    "vaultdC1" + base64url(nonce (12) + AES-256-GCM(key, nonce, summary, the eight letters before it))

The key comes (HKDF-SHA256, RFC 5869) from the one secret of the keyring that no rotation changes, its pepper. The keys
of the files will not do: they are dropped once no file needs them, and a conversation may rest for longer than that.
"""

from __future__ import annotations

import binascii
import secrets
from base64 import b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

#: Base64 letters that no vendor's own content begins with (OpenAI's is `gAAAA…`).
MARK: Final = "vaultdC1"
_INFO: Final = b"vaultd compaction"
#: NIST SP 800-38D §8.3: 2^32 random ones under one key, which is more than anybody will have conversations.
_NONCE: Final = 12


class CompactionSeal:
    """What one keyring seals, it alone opens; daemons that share it open each other's."""

    __slots__ = ("_key",)

    def __init__(self, pepper: bytes) -> None:
        self._key: Final = AESGCM(HKDF(SHA256(), 32, salt=None, info=_INFO).derive(pepper))

    def seal(self, summary: str) -> str:
        """`encrypted_content` of an item that holds `summary`."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._key.encrypt(nonce, summary.encode(), MARK.encode())
        return MARK + urlsafe_b64encode(nonce + sealed).decode()

    def open(self, content: str) -> str | None:
        """The summary in it; None where it was sealed by another keyring, or is not as it was sealed."""
        if not content.startswith(MARK):
            return None
        try:
            sealed = b64decode(content[len(MARK) :], altchars=b"-_", validate=True)
            return self._key.decrypt(sealed[:_NONCE], sealed[_NONCE:], MARK.encode()).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None
