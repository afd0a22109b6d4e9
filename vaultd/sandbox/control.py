"""`/_control`: the switches from outside the process. GET reports state and counters; POST changes one vendor.

No token leaves by it: values are shown as fingerprints. The server listens on loopback only, and nothing here is worth
guarding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from vaultd.sandbox.call import answer
from vaultd.sandbox.records import Hit, mask
from vaultd.sandbox.state import Vendor
from vaultd.sandbox.switches import Denial, Fault, Quota


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One POST. Done in the order of the fields; `vendor` empty means every vendor."""

    vendor: str = ""
    #: Forget switches, faults, logins and records.
    reset: bool = False
    #: Switches by name (`switches.Switches`).
    set: dict[str, Any] = {}
    fault: Fault | None = None
    #: An allowance is used up from now; who or what is refused; all such things come to an end.
    exhaust: Quota | None = None
    refuse: Denial | None = None
    lift: bool = False
    #: Disarm all faults.
    mend: bool = False
    #: Let what hangs or stalls go on.
    release: bool = False
    #: End access tokens now / revoke logins: an email, or `*` for all.
    expire: str = ""
    sign_out: str = ""
    #: The person at the device page: the user code.
    approve: str = ""
    deny: str = ""


async def perform(state: Mapping[str, Vendor], request: web.Request) -> web.Response:
    try:
        order = msgspec.json.decode(await request.read(), type=Order)
        chosen = list(state.values()) if not order.vendor else [state[order.vendor]]
        for vendor in chosen:
            _apply(vendor, order)
    except msgspec.MsgspecError as error:
        return answer({"error": str(error)}, status=400)
    except KeyError as error:
        return answer({"error": f"no such vendor: {error}"}, status=400)
    return answer({"ok": True})


def _apply(vendor: Vendor, order: Order) -> None:
    if order.reset:
        vendor.reset()
    if order.set:
        vendor.set(**order.set)
    if order.mend:
        vendor.faults.clear()
    if order.fault is not None:
        vendor.arm(order.fault)
    if order.lift:
        vendor.lift()
    if order.exhaust is not None:
        vendor.exhaust(order.exhaust)
    if order.refuse is not None:
        vendor.deny(order.refuse)
    if order.release:
        vendor.release()
    _apply_to_logins(vendor, order)


def _apply_to_logins(vendor: Vendor, order: Order) -> None:
    if order.expire:
        vendor.expire(order.expire.strip("*"))
    if order.sign_out:
        vendor.sign_out(order.sign_out.strip("*"))
    if order.approve:
        vendor.decide_device(order.approve, "approved")
    if order.deny:
        vendor.decide_device(order.deny, "denied")


def report(state: Mapping[str, Vendor], other_hits: Sequence[Hit]) -> dict[str, Any]:
    vendors = {name: _vendor_report(vendor) for name, vendor in state.items()}
    return {"vendors": vendors, "other_hits": [hit.masked() for hit in other_hits]}


def _vendor_report(vendor: Vendor) -> dict[str, Any]:
    return {
        "switches": vendor.switches,
        "faults": [{"fault": armed.fault, "left": armed.left} for armed in vendor.faults],
        "counts": dict(vendor.counts),
        #: Requests per bearer token or key, by fingerprint.
        "uses": dict(vendor.uses),
        #: The most of them there were at a time.
        "most": dict(vendor.most),
        "exhausted": [{"quota": quota, "left": until - vendor.now()} for quota, until in vendor.exhausted],
        "denials": vendor.denials,
        "logins": [
            {
                "id": family.id,
                "email": family.account.email,
                "person": family.account.person,
                "account": family.account.account,
                "alive": family.alive,
                "renewals": family.renewals,
                "refresh": mask(family.refresh),
            }
            for family in vendor.families
        ],
        "devices": [{"user_code": device.user_code, "verdict": device.verdict} for device in vendor.devices.values()],
        "hits": [hit.masked() for hit in vendor.hits],
    }
