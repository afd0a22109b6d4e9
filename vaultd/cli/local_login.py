"""A sign-in in this very process: no daemon runs, and the folder is the person's own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from vaultd.cli import terminal
from vaultd.cli.ask import Call
from vaultd.cli.sign_in_place import Order, SignedIn, own_vendors

if TYPE_CHECKING:
    from vaultd.cli.desk import TerminalDesk


class Here:
    """`Place` in this process."""

    def __init__(self, call: Call) -> None:
        self.vendors = own_vendors(call)
        self._call = call

    async def sign_in(self, order: Order, desk: TerminalDesk) -> SignedIn:
        from vaultd.house import build  # noqa: PLC0415 - start-up time
        from vaultd.vault.audit import command_line  # noqa: PLC0415
        from vaultd.work.sign_in import SignIns, Wish  # noqa: PLC0415

        house = await build(self._call.env, self._call.config, for_daemon=False, ask=terminal.passphrase_asker())
        for line in [*house.keyring.news, *house.warnings]:
            desk.note(line)
        try:
            provider = house.catalog.provider(order.provider)
            wish = Wish(provider, order.way, order.label, order.projects, order.timeout)
            sign_ins = SignIns(house.owner, house.client.send, house.clock, callback_bind=self._call.callback_bind)
            async with house.audit.sign_in(command_line(), provider.id) as told:
                credential = await sign_ins.run(wish, desk)
                told.what = credential.id
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await house.close()
        return SignedIn(credential.provider, credential.known_as, credential.id)
