"""Whether a presented management key is the right one: bcrypt once, then a keyed hash of what was right.

bcrypt is slow on purpose, a quarter of a second in a thread; a panel asks ten times a second. What is remembered is no
use to whoever reads our memory later: its key is made at each start, and a reload of the configuration forgets it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from typing import Final

import bcrypt

from vaultd.config.load import BCRYPT_BYTES
from vaultd.house import House
from vaultd.work.management_key import is_hash

#: A person, a script and a desktop app, each with the key or the password, and some room.
_REMEMBERED: Final = 8


class ManagementKey:
    def __init__(self, house: House) -> None:
        self._house = house
        self._pepper = secrets.token_bytes(32)
        self._known: dict[bytes, None] = {}
        self._of: object = None
        #: One guess at a time: guesses cost a core, and there are requests to relay.
        self._turn = asyncio.Lock()

    @property
    def password(self) -> str:
        """`MANAGEMENT_PASSWORD`, as in CLIProxyAPI's containers: a second key, and remote management is allowed."""
        return self._house.env.get("MANAGEMENT_PASSWORD", "").strip()

    @property
    def wanted(self) -> bool:
        """Whether there is any key that could be right: without one the management API does not exist."""
        return bool(self.password or self._house.config.remote_management.secret_key)

    def remembered(self, presented: str) -> bool:
        """Known to be right, in microseconds. False says nothing yet."""
        if self._of is not self._house.config:
            self._known, self._of = {}, self._house.config
        return self._digest(presented.encode(errors="surrogateescape")) in self._known

    async def right(self, presented: str) -> bool:
        """Takes as long as bcrypt does, and its turn."""
        async with self._turn:
            if self.remembered(presented):
                return True
            config = self._house.config
            key = presented.encode(errors="surrogateescape")
            if not self._same(key, self.password) and not await self._fits(key, config.remote_management.secret_key):
                return False
            if config is self._house.config:
                while len(self._known) >= _REMEMBERED:
                    del self._known[next(iter(self._known))]
                self._known[self._digest(key)] = None
            return True

    async def _fits(self, key: bytes, secret: str) -> bool:
        if not is_hash(secret):  # still to be hashed
            return self._same(key, secret)
        if not key or len(key) > BCRYPT_BYTES:
            return False
        try:
            return await asyncio.to_thread(bcrypt.checkpw, key, secret.encode())
        except ValueError:  # a NUL in what was presented, or a hash that is cut short
            return False

    def _same(self, key: bytes, secret: str) -> bool:
        return bool(secret) and hmac.compare_digest(self._digest(key), self._digest(secret.encode()))

    def _digest(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, key=self._pepper).digest()
