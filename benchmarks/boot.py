"""`make boot`: a Debian 12 of its own boots its systemd, an operator installs vaultd, and the service is tried.

    debootstrap (once, kept) ─▶ a copy ─▶ wheel of this checkout ─▶ systemd-nspawn -b ─▶ operator.sh ─▶ inside.py

Needs root, debootstrap and systemd-nspawn, a minute, and once the Debian mirror. The network inside is loopback alone,
so that no port of this machine is met. KILLS=60 is how often the daemon is killed under load.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSIDE = ROOT / "benchmarks" / "boot"
#: In the machine: the scripts, the wheels, and what was said.
TRIAL = "opt/trial"
KEPT = Path(os.environ.get("VAULTD_TOOLS", ROOT / ".tools")) / "boot"
#: libpam-systemd gives a person a service manager of their own.
PACKAGES = "systemd,systemd-sysv,libpam-systemd,dbus,python3,python3-venv,procps,iproute2,ca-certificates"
#: A boot takes seconds, sixty kills with their restarts two minutes.
LONGEST = 900
UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=HOME=/root KILLS={kills}
ExecStart=/bin/bash -c '/bin/bash /{trial}/operator.sh && exec /opt/vaultd/bin/python3 /{trial}/inside.py'
StandardOutput=append:/{trial}/said.txt
StandardError=append:/{trial}/said.txt
ExecStopPost=/bin/systemctl poweroff --no-block
"""


def run(*words: object, quiet: bool = True) -> None:
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL if quiet else None)


def base() -> Path:
    """A bare Debian with these packages; made in a folder beside and renamed, so that half of one is never used."""
    tree = KEPT / f"bookworm-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:8]}"
    if not tree.exists():
        making = KEPT / "making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        # In mounts of its own: those that a failure leaves must not be there when its folder is removed.
        run("unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", making)
        making.rename(tree)
    return tree


def wheels(into: Path) -> None:
    """This checkout's, and what it asks for."""
    into.mkdir(parents=True)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", into, ROOT)
    kept = KEPT / "wheels"
    run(sys.executable, "-m", "pip", "download", "--quiet", "--dest", kept, "--find-links", kept, *into.glob("*.whl"))
    for wheel in kept.glob("*.whl"):
        if not wheel.name.startswith("vaultd-"):
            shutil.copy(wheel, into)


def boot(tree: Path) -> str:
    """Until the machine powers itself off. What was said inside."""
    run("cp", "-a", "--reflink=auto", f"{base()}/.", tree)
    wheels(tree / TRIAL / "wheels")
    for script in INSIDE.iterdir():
        shutil.copy(script, tree / TRIAL)
    for person in ("alice", "bob"):
        run("chroot", tree, "useradd", "--create-home", person)
    units = tree / "etc" / "systemd" / "system"
    (units / "tried.service").write_text(UNIT.format(trial=TRIAL, kills=os.environ.get("KILLS", "60")))
    (units / "multi-user.target.wants" / "tried.service").symlink_to("/etc/systemd/system/tried.service")
    words = ["systemd-nspawn", "--quiet", "--boot", "--directory", str(tree), "--register=no", "--keep-unit"]
    words += ["--private-network", "--console=read-only", "--machine=vaultd-boot"]
    subprocess.run(
        words,
        env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},  # also where this machine has the old one
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=LONGEST,
        check=True,
    )
    said = tree / TRIAL / "said.txt"
    return said.read_text() if said.exists() else "nothing was said: the machine did not get as far"


def main() -> int:
    missing = [name for name in ("debootstrap", "systemd-nspawn", "chroot") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        print(f"needs root and {', '.join(missing) or 'nothing else'}: apt-get install debootstrap systemd-container")
        return 1
    with tempfile.TemporaryDirectory(prefix="vaultd-boot-") as folder:
        said = boot(Path(folder) / "machine")
    print(said)
    return 0 if said.rstrip().endswith("ALL GOOD") else 1


if __name__ == "__main__":
    sys.exit(main())
