"""`doctor`: every check named, what it saw, and one next action. Looks at this machine only; no vendor is asked.

A check is a function from the house to findings; `CHECKS` is the list a person reads. None of them changes anything.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from vaultd.house import House
from vaultd.net.process import is_hardened
from vaultd.vault.credential import Credential
from vaultd.verbs.credentials import refused

#: Ten commits of the largest file and a log: below it renewals start to fail.
_FREE_BYTES: Final = 16 * 1024 * 1024
#: Before this vaultd did not exist: a clock that says so makes every token look fresh and every certificate invalid.
_EPOCH: Final = dt.datetime(2025, 11, 1, tzinfo=dt.UTC).timestamp()
#: As `sunset` in a manifest: a month is enough to move.
_SUNSET_DAYS: Final = 30
#: `flock` or rename means something else there (statfs(2) magic is not portable; the mount table is).
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "vboxsf"})


@dataclass(frozen=True, slots=True)
class Finding:
    state: Literal["ok", "warn", "fail"]
    says: str
    action: str = ""


def ok(says: str) -> Finding:
    return Finding("ok", says)


async def doctor(house: House, _args: Mapping[str, Any]) -> Any:
    checks = [{"check": name, **asdict(found)} for name, check in CHECKS.items() for found in check(house)]
    return {"well": all(row["state"] == "ok" for row in checks), "checks": checks}


def _config(house: House) -> Iterator[Finding]:
    if trouble := house.troubles.get("config") or house.troubles.get("restart"):
        yield Finding("fail", trouble, "vaultd config check")
    else:
        yield ok(f"{house.config_source} is in use")


def _warnings(house: House) -> Iterator[Finding]:
    warnings = [*house.keyring.news, *house.warnings]
    for warning in warnings:
        yield Finding("warn", warning, "do what it says, or live with it")
    if not warnings:
        yield ok("nothing to warn of in configuration and manifests")


def _daemon(house: House) -> Iterator[Finding]:
    if house.daemon is None:
        yield Finding("warn", "no daemon runs: nothing is renewed or relayed", "vaultd serve")
    else:
        yield ok(f"serving at {house.daemon.address or house.config.host}, admin socket {house.daemon.admin_socket}")


def _events(house: House) -> Iterator[Finding]:
    if trouble := house.troubles.get("file-events"):
        yield Finding("warn", trouble, "raise fs.inotify.max_user_watches, or move the folder to a local disk")
    elif house.daemon is None:
        yield ok("not looked at: only a daemon follows files")
    else:
        yield ok("file events arrive")


def _root_key(house: House) -> Iterator[Finding]:
    root = house.keyring.root
    if root.warning:
        yield Finding("warn", root.warning, "put it into a key file of 0600 and set vault.key-file")
    else:
        yield ok(f"{root.source} opens the keyring")


def _recovery(house: House) -> Iterator[Finding]:
    if house.keyring.ring.recovery:
        yield ok("a recovery key can open every sealed file")
    else:
        yield Finding("warn", "no recovery key: a lost root key loses every login", "vaultd vault recovery add")


def _folder(house: House) -> Iterator[Finding]:
    mode = stat.S_IMODE(house.owner.folder.stat().st_mode)
    if mode & 0o077:
        yield Finding("fail", f"{house.owner.folder} is open to others ({mode:04o})", f"chmod 700 {house.owner.folder}")
    else:
        yield ok(f"{house.owner.folder} is for this user alone")


def _files(house: House) -> Iterator[Finding]:
    rows = refused(house)
    for row in rows:
        yield Finding("fail", f"{row['file']}: {row['reason']}", row["action"])
    if not rows:
        yield ok(f"all {len(house.owner.snapshot())} sealed files open")


def _disk(house: House) -> Iterator[Finding]:
    free = shutil.disk_usage(house.owner.folder).free
    if free < _FREE_BYTES:
        yield Finding(
            "fail", f"{free // 1024} KiB left for {house.owner.folder}", "free some space: renewals cannot be saved"
        )
    else:
        yield ok(f"{free // 2**20} MiB free where the credentials lie")


def _filesystem(house: House) -> Iterator[Finding]:
    kind = _filesystem_of(house.owner.folder, Path("/proc/self/mounts"))
    if kind in _NETWORK:
        yield Finding(
            "fail", f"{house.owner.folder} lies on {kind}: locks do not hold there", "set auth-dir to a local disk"
        )
    else:
        yield ok(f"{house.owner.folder} lies on {kind or 'an unknown file system'}")


def _clock(house: House) -> Iterator[Finding]:
    now = house.clock.now()
    newest = max((c.renewed_at for c in house.owner.snapshot().values()), default=0.0)
    if now < max(_EPOCH, newest):
        says = f"the clock says {dt.datetime.fromtimestamp(now, dt.UTC):%Y-%m-%d %H:%M} UTC, which is past already"
        yield Finding("fail", says, "set the clock, for example: timedatectl set-ntp true")
    else:
        yield ok("the clock is plausible")


def _process(_house: House) -> Iterator[Finding]:
    if is_hardened():
        yield ok("no core dump, no reading of this process's memory by others")
    else:
        yield Finding(
            "fail", "this process can be dumped or read by others of this user", "start vaultd by its own command"
        )


def _credentials(house: House) -> Iterator[Finding]:
    if not house.pool.roster(house):
        yield Finding("warn", "no credential", "vaultd login --help, or vaultd credentials add --help")
    standings = [row for row in house.pool.standings(house) if row.state not in {"available", "disabled"}]
    for row in standings:
        passing = row.state == "cooling"
        yield Finding("warn" if passing else "fail", row.sentence, row.action or "wait")
    if house.pool.roster(house) and not standings:
        yield ok(f"{len(house.pool.roster(house))} credentials, none needs anything")


def _renewal(house: House) -> Iterator[Finding]:
    failing = house.renewer.failing()
    for id_, reason in failing.items():
        yield Finding("warn", f"{id_}: its renewal fails: {reason}", f"vaultd credentials refresh {id_}")
    late = [credential for credential in house.owner.snapshot().values() if _expired(credential, house.clock.now())]
    for credential in late:
        yield Finding("warn", f"{credential.id}: its token has expired", f"vaultd credentials refresh {credential.id}")
    if not late and not failing:
        yield ok("no login holds an expired token, no renewal fails")


def _expired(credential: Credential, now: float) -> bool:
    if credential.tokens is None or credential.dead or credential.settings.disabled:
        return False
    return credential.tokens.expires_at <= now


def _client_keys(house: House) -> Iterator[Finding]:
    for file, reason in sorted(house.clients.refused().items()):
        yield Finding("fail", f"client key {file}: {reason}", "bring it back from a backup, or remove it")
    enabled = sum(1 for key in house.clients.list() if key.enabled)
    if enabled:
        yield ok(f"{enabled} client keys can be used")
    else:
        yield Finding("warn", "no client key can be used: nobody can ask anything", "vaultd keys create default")


def _exposure(house: House) -> Iterator[Finding]:
    if _is_loopback(house.config.host) or house.config.tls.cert:
        yield ok(f"listening on {house.config.host}")
    else:
        says = f"listening on {house.config.host} without TLS: client keys cross the network in clear"
        yield Finding("warn", says, "set tls.cert and tls.key, or host: 127.0.0.1 behind a proxy with TLS")


def _callback_ports(house: House) -> Iterator[Finding]:
    busy = [(id_, port) for id_, port in _redirect_ports(house) if not _can_listen(port)]
    for id_, port in busy:
        yield Finding(
            "warn",
            f"port {port} is taken: {id_} sign-in cannot be called back",
            f"vaultd login --{id_} --no-browser, and paste",
        )
    if not busy:
        yield ok("the callback ports of every sign-in are free")


def _sunset(house: House) -> Iterator[Finding]:
    today = dt.datetime.fromtimestamp(house.clock.now(), dt.UTC).date()
    used = {credential.provider for credential in house.pool.roster(house).values()}
    ending = [
        entry.provider
        for id_, entry in sorted(house.catalog.providers.items())
        if id_ in used and entry.provider.sunset
        and dt.date.fromisoformat(entry.provider.sunset) - today < dt.timedelta(days=_SUNSET_DAYS)
    ]  # fmt: skip
    for provider in ending:
        note = provider.sunset_note or "the vendor closes this way in"
        yield Finding("warn", f"{provider.id}: {note} ({provider.sunset})", f"vaultd providers show {provider.id}")
    if not ending:
        yield ok("no vendor in use closes its door soon")


CHECKS: Final[Mapping[str, Callable[[House], Iterator[Finding]]]] = {
    "config": _config,
    "warnings": _warnings,
    "daemon": _daemon,
    "file-events": _events,
    "root-key": _root_key,
    "recovery-key": _recovery,
    "folder": _folder,
    "sealed-files": _files,
    "disk-space": _disk,
    "file-system": _filesystem,
    "clock": _clock,
    "process": _process,
    "credentials": _credentials,
    "renewal": _renewal,
    "client-keys": _client_keys,
    "exposure": _exposure,
    "callback-ports": _callback_ports,
    "sunset": _sunset,
}


def _redirect_ports(house: House) -> Iterator[tuple[str, int]]:
    for id_ in house.catalog.sign_in_ids():
        oauth = house.catalog.provider(id_).oauth
        if oauth is not None and oauth.redirect is not None:
            yield id_, oauth.redirect.port


def _can_listen(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _filesystem_of(folder: Path, mounts: Path) -> str:
    """The type of the deepest mount above `folder` (proc(5), escapes as there)."""
    best, kind = "", ""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, raw, found, *_ = line.split(" ")
        point = raw.encode().decode("unicode_escape")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind
