"""What the house says of itself: its configuration, whether it serves, and the keys it serves with."""

from __future__ import annotations

from collections.abc import Iterator

from vaultd.config.load import weak_keys
from vaultd.work.health.codes import Finding, found
from vaultd.work.health.seen import House


def troubles(house: House) -> Iterator[Finding]:
    """What the house met while it read, listened and logged: it knows the code itself."""
    for code, says in house.troubles.items():
        subject = str(house.places.state_dir / "logs") if code == "log-unwritable" else ""
        yield found(code, says, subject=subject)


def usage(house: House) -> Iterator[Finding]:
    for code, says in house.usage.troubles.items():
        yield found(code, says, subject=str(house.places.state_dir))


def audit(house: House) -> Iterator[Finding]:
    for code, says in house.audit.troubles():
        yield found(code, says, subject=str(house.audit.path))


def warnings(house: House) -> Iterator[Finding]:
    """But for those that have a code of their own."""
    told = {says for _, says in weak_keys(house.config)} | {house.keyring.root.warning}
    yield from (found("config-warning", says) for says in house.warnings if says not in told)


def daemon(house: House) -> Iterator[Finding]:
    if house.keeper.trouble:
        yield found("keeper-failing", house.keeper.trouble)
    if house.daemon is None:
        yield found("daemon-absent", "no daemon runs: nothing is renewed or relayed")


def client_keys(house: House) -> Iterator[Finding]:
    folder = house.keyring.clients.folder
    for file, reason in sorted(house.clients.refused().items()):
        yield found("client-key-damaged", f"client key {file}: {reason}", subject=str(folder / file))
    for place, says in weak_keys(house.config):
        yield found("client-key-weak", says, subject=place)
    if not any(key.enabled for key in house.clients.list()):
        yield found("no-client-key", "no client key can be used: nobody can ask anything")
