"""The machine below: disk, file system, clock and the process itself."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vaultd.net.process import is_hardened
from vaultd.work.health.codes import Finding, found
from vaultd.work.health.seen import House
from vaultd.work.skew import TOO_FAR

#: Ten commits of the largest file and a log: below it renewals start to fail.
_FREE_BYTES: Final = 16 * 1024 * 1024
#: Before this vaultd did not exist: a clock that says so makes every token look fresh and every certificate invalid.
_EPOCH: Final = dt.datetime(2025, 11, 1, tzinfo=dt.UTC).timestamp()
#: `flock` or rename means something else there (statfs(2) magic is not portable; the mount table is).
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "vboxsf"})


def disk(house: House) -> Iterator[Finding]:
    folder = house.owner.folder
    try:
        facts = os.statvfs(folder)
    except OSError:
        return  # not there any more: `keys.folders` says so
    free = facts.f_bavail * facts.f_frsize
    if free < _FREE_BYTES:
        yield found("disk-full", f"{free // 1024} KiB left for {folder}: renewals cannot be saved", subject=str(folder))
    elif facts.f_files and not facts.f_favail:  # some file systems count none
        yield found("disk-full", f"no inode left for {folder}: renewals cannot be saved", subject=str(folder))


def file_system(house: House) -> Iterator[Finding]:
    folder = house.owner.folder
    kind = filesystem_of(folder, Path("/proc/self/mounts"))
    if kind in _NETWORK:
        yield found("network-file-system", f"{folder} lies on {kind}: locks do not hold there", subject=str(folder))


def clock(house: House) -> Iterator[Finding]:
    now = house.clock.now()
    newest = max((c.renewed_at for c in house.owner.snapshot().values()), default=0.0)
    if now < max(_EPOCH, newest):
        yield found("clock-implausible", f"the clock says {_minute(now)}, which is past already")
    skew = house.renewer.skew()
    if skew is not None and abs(skew) > TOO_FAR:
        where = "behind" if skew > 0 else "ahead of"
        yield found("clock-skew", f"this machine's clock is {abs(skew):.0f} s {where} the vendors' clocks")


def process(_house: House) -> Iterator[Finding]:
    if not is_hardened():
        yield found("process-open", "this process can be dumped or read by others of this user")


def _minute(wall: float) -> str:
    return f"{dt.datetime.fromtimestamp(wall, dt.UTC):%Y-%m-%d %H:%M} UTC"


def filesystem_of(folder: Path, mounts: Path) -> str:
    """The type of the deepest mount above `folder` (proc(5), escapes as there)."""
    best, kind = "", ""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, raw, fstype, *_ = line.split(" ")
        point = raw.encode().decode("unicode_escape")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fstype
    return kind
