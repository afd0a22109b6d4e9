"""The local API: name → function. What the command line asks and the admin socket answers.

A verb takes the house and a JSON object, and returns something JSON-able. It prints nothing and asks nobody; it
raises `vaultd.errors`, whose class decides the exit code. No HTTP and no terminal in here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from vaultd.house import House
from vaultd.vault.audit_chain import TEXT
from vaultd.verbs import audit, backup, credentials, doctor, explain, keys, logs, models, moving, status, token, vault

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
    "logs": logs.logs,
    "audit.show": audit.show,
    "audit.verify": audit.verify,
    "audit.accept": audit.accept,
    "backup": backup.backup,
    "restore.plan": backup.plan_restore,
    "restore": backup.restore,
    "explain": explain.explain,
    "cooldowns.list": explain.cooldowns,
    "cooldowns.lift": explain.lift,
    "vault.status": vault.status,
    "vault.rotate": vault.rotate_keys,
    "vault.rekey": vault.rekey_,
    "vault.rekey.finish": vault.rekey_finish,
    "vault.recovery.add": vault.recovery_add,
    "vault.recovery.remove": vault.recovery_remove,
}

#: Verbs that plant a first secret: without a daemon these make a vault where there is none, as `login` and `serve` do.
#: Whatever else is asked looks, or changes what is there, and leaves an empty home as it is.
PLANTS: Final[frozenset[str]] = frozenset({"credentials.add", "credentials.import", "keys.create", "restore"})
#: Those that say what one of these would do: without a vault they are played in one that is thrown away.
REHEARSALS: Final[frozenset[str]] = frozenset({"credentials.import.plan", "restore.plan"})

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
        "audit.accept",
        "backup",
        "restore",
        "cooldowns.lift",
        "vault.rotate",
        "vault.rekey",
        "vault.rekey.finish",
        "vault.recovery.add",
        "vault.recovery.remove",
    }
)

#: Arguments that name a thing. Others may be keys, files' contents, or nothing that anybody looks for.
_NAMES: Final = ("id", "credential", "provider", "alias", "label", "model", "format", "cli")
#: Arguments whose word tells what was asked for.
_FLAGS: Final = ("full",)
#: `, and 12345 more`.
_BESIDES: Final = 20
#: Of a client key these verbs get id or alias by this name, `credentials.add` a secret.
_BY_KEY: Final = frozenset({"keys.get", "keys.enable", "keys.disable", "keys.delete"})


async def run(house: House, name: str, args: Mapping[str, Any], who: str) -> Any:
    """The verb `name` (KeyError where there is none), with its lines in the audit log."""
    verb = VERBS[name]
    if name not in AUDITED:
        return await verb(house, args)
    names = _named(house, name, args)
    async with house.audit.action(who, name, _listed(names)) as told:
        answer = await verb(house, args)
        told.what = _listed([*_read_by(answer), *names, *_made(answer)])
        return answer


def _named(house: House, name: str, args: Mapping[str, Any]) -> list[str]:
    found = [value for key in _NAMES if isinstance(value := args.get(key), str) and value]
    found += [word for word in _FLAGS if args.get(word) is True]
    key = args.get("key" if name in _BY_KEY else "client_key")
    if isinstance(key, str):
        known = any(key in {one.id, one.alias} for one in house.clients.list())
        found.append(key if known else house.audit.mark(key))  # the whole key, typed for its name
    ids = args.get("ids")
    return [*found, *(id_ for id_ in ids if isinstance(id_, str))] if isinstance(ids, list) else found


def _listed(names: Iterable[str]) -> str:
    """As many as a line of the audit log has room for, and how many there are besides."""
    known = list(dict.fromkeys(filter(None, names)))
    told = known[:1]  # of any length: it is cut there
    for name in known[1:]:
        if sum(len(one) + 2 for one in (*told, name)) > TEXT - _BESIDES:
            return ", ".join([*told, f"and {len(known) - len(told)} more"])
        told.append(name)
    return ", ".join(told)


def _read_by(answer: Any) -> Iterator[str]:
    """The thumbprints of the keys that what is handed out was sealed to."""
    given = [answer.get("recipient"), *(answer.get("recipients") or ())] if isinstance(answer, dict) else []
    for one in given:
        name = one.get("kid") if isinstance(one, dict) else one
        if isinstance(name, str):
            yield f"sealed to {name}"


def _made(answer: Any) -> Iterator[str]:
    """The ids of what was made, changed or handed out, as verbs answer them."""
    inner = [answer.get(name) for name in ("data", "logins")] if isinstance(answer, dict) else []
    for part in (answer, *(one for found in inner for one in (found if isinstance(found, list) else [found]))):
        if isinstance(part, dict) and isinstance(part.get("id"), str):
            yield part["id"]
