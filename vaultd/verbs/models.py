"""Which models can be asked for now, and who serves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaultd.house import House
from vaultd.verbs.arguments import text


async def list_(house: House, args: Mapping[str, Any]) -> Any:
    """`key` names a client key: then what that key may call, nothing where it is switched off."""
    if "key" in args and not house.clients.get(text(args, "key")).enabled:
        return {"data": [], "count": 0}
    rows = [
        {
            "modelIdentifier": name,
            "modelName": model.display_name or name,
            "modelInvokeStatus": 1,
            "providers": providers,
            "context": model.context,
            "max_output": model.max_output,
        }
        for name, (model, providers) in house.pool.models(house).items()
    ]
    return {"data": rows, "count": len(rows)}
