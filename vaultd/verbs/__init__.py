"""The local API: name → function. What the command line asks and the admin socket answers.

A verb takes the house and a JSON object, and returns something JSON-able. It prints nothing and asks nobody; it
raises `vaultd.errors`, whose class decides the exit code. No HTTP and no terminal in here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from vaultd.house import House
from vaultd.verbs import credentials, doctor, explain, keys, models, moving, status, token

Verb = Callable[[House, Mapping[str, Any]], Awaitable[Any]]

VERBS: Final[dict[str, Verb]] = {
    "status": status.status,
    "doctor": doctor.doctor,
    "logout": credentials.logout,
    "credentials.list": credentials.list_,
    "credentials.show": credentials.show,
    "credentials.add": credentials.add,
    "credentials.refresh": credentials.refresh,
    "credentials.set": credentials.set_,
    "credentials.accept": credentials.accept,
    "credentials.enable": credentials.enable,
    "credentials.disable": credentials.disable,
    "credentials.remove": credentials.remove,
    "credentials.import.plan": moving.plan_import,
    "credentials.import": moving.import_,
    "credentials.export": moving.export,
    "keys.list": keys.list_,
    "keys.create": keys.create,
    "keys.get": keys.get,
    "keys.enable": keys.enable,
    "keys.disable": keys.disable,
    "keys.delete": keys.delete,
    "token": token.token,
    "models.list": models.list_,
    "explain": explain.explain,
    "cooldowns.list": explain.cooldowns,
    "cooldowns.lift": explain.lift,
}

#: Verbs that change something or hand out a secret: each leaves an entry in the audit log, whoever asks, and is refused
#: where none can be written (THR-39).
AUDITED: Final[frozenset[str]] = frozenset(
    {
        "logout",
        "credentials.add",
        "credentials.refresh",
        "credentials.set",
        "credentials.accept",
        "credentials.enable",
        "credentials.disable",
        "credentials.remove",
        "credentials.import",
        "credentials.export",
        "keys.create",
        "keys.get",
        "keys.enable",
        "keys.disable",
        "keys.delete",
        "token",
        "cooldowns.lift",
    }
)
