"""`vaultd service` on a machine of its own: a copy of this one's files in which root installs, changes, looks and
removes. systemctl, systemd-creds and systemd-sysusers are the real ones; no manager runs there, so that what would be
started is not (`SYSTEMD_OFFLINE`)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from shell import Done

_ROOT = Path(__file__).parents[2]
_UNITS = ("vaultd.service", "vaultd.socket", "vaultd-admin.socket", "vaultd-login@.service")
_SHIPPED = f"/opt/vaultd/lib/python3.{sys.version_info.minor}/site-packages/vaultd/_systemd/vaultd.service"
_MAKE = """
set -e
mount -t tmpfs none "$1"; mkdir "$1/upper" "$1/work" "$1/tree"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/tree"
mount --rbind /proc "$1/tree/proc"; mount --rbind /dev "$1/tree/dev"
mkdir -p "$1/tree/opt" "$1/tree/run/systemd/system" "$1/tree/opt/wheels"
mount --bind "$2" "$1/tree/opt/wheels"
chroot "$1/tree" /usr/bin/python3 -m venv --without-pip /opt/vaultd
site=$(echo "$1"/tree/opt/vaultd/lib/python3*/site-packages)
cp -r "$3/vaultd" "$site/"; cp -r "$3/systemd" "$site/vaultd/_systemd"; cp -r "$3/providers" "$site/vaultd/_providers"
echo /opt/wheels > "$site/wheels.pth"
printf '#!/opt/vaultd/bin/python3\\nfrom vaultd.__main__ import main\\nmain()\\n' > "$1/tree/opt/vaultd/bin/vaultd"
chmod 755 "$1/tree/opt/vaultd/bin/vaultd"
echo made; exec sleep infinity
"""


class Machine:
    """Root types there."""

    def __init__(self, folder: Path) -> None:
        packages = Path(msgspec.__file__).parents[1]
        command = ["unshare", "--mount", "bash", "-c", _MAKE, "make", str(folder), str(packages), str(_ROOT)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None and self.process.stderr is not None
        if self.process.stdout.readline() != "made\n":
            pytest.skip(f"no machine within this one: {self.process.stderr.read()}")
        self.root = Path(f"/proc/{self.process.pid}/root{folder}/tree")

    def types(self, *words: str, stdin: str = "", **env: str) -> Done:
        done = subprocess.run(
            ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", f"--root={self.root}", "--wd=/", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "SYSTEMD_OFFLINE": "1", **env},
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def service(self, *words: str, **env: str) -> Done:
        return self.types("/opt/vaultd/bin/vaultd", "service", *words, **env)

    def file(self, path: str) -> Path:
        return self.root / path.lstrip("/")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Iterator[Machine]:
    for name in ("unshare", "nsenter", "systemctl", "systemd-creds", "systemd-analyze", "/usr/bin/python3"):
        tool(name)
    if os.geteuid() != 0:
        pytest.skip("only root can make a machine within this one")
    asked = ["/usr/bin/python3", "-c", "import sys; print(sys.version_info.minor)"]
    if subprocess.check_output(asked, text=True).strip() != str(sys.version_info.minor):
        pytest.skip("the machine's own Python is another version than ours, whose packages it is to use")
    one = Machine(tmp_path_factory.mktemp("machine"))
    yield one
    one.process.kill()
    one.process.wait()
    for pipe in (one.process.stdout, one.process.stderr):
        assert pipe is not None
        pipe.close()


@pytest.fixture
def installed(machine: Machine) -> Iterator[Machine]:
    done = machine.service("install")
    assert done.code == 0, done.err
    yield machine
    machine.service("uninstall")


def test_what_is_installed_is_what_is_shipped_with_this_installations_paths(installed: Machine) -> None:
    for name in _UNITS:
        written = installed.file(f"/etc/systemd/system/{name}")
        mark, _, rest = written.read_text().partition("\n")
        assert rest == (_ROOT / "systemd" / name).read_text(), "/opt/vaultd is where the shipped ones say it is"
        assert "sha256:" in mark and written.stat().st_mode & 0o777 == 0o644
    units = [f"/etc/systemd/system/{name}" for name in _UNITS[:3]]
    verified = installed.types("systemd-analyze", "verify", "--man=no", *units)
    assert verified.code == 0, verified.err
    assert installed.types("getent", "group", "vaultd-admin").code == 0
    assert installed.file("/etc/vaultd/providers").is_dir()


def test_the_root_key_is_sealed_to_the_machine_and_lies_nowhere_else(machine: Machine) -> None:
    done = machine.service("install")
    assert done.out == "systemctl enable --now vaultd.service\n"
    sealed = machine.file("/etc/credstore.encrypted/vaultd-root")
    assert sealed.stat().st_mode & 0o777 == 0o600
    opened = machine.types("systemd-creds", "decrypt", "/etc/credstore.encrypted/vaultd-root", "-")
    assert len(base64.urlsafe_b64decode(opened.out)) == 32
    assert opened.out not in done.out + done.err
    assert opened.out.encode() not in sealed.read_bytes()

    before = sealed.read_bytes()
    again = machine.service("install")

    assert (again.code, sealed.read_bytes()) == (0, before)
    assert again.err.count("as it should be") == 6 and "kept the sealed root key" in again.err
    machine.service("uninstall")


def test_a_new_key_is_never_made_for_sealed_files_of_an_old_one(installed: Machine) -> None:
    key, kept = installed.file("/etc/credstore.encrypted/vaultd-root"), installed.file("/var/tmp/vaultd-root")
    vault = installed.file("/var/lib/private/vaultd/auth/.vault")
    vault.mkdir(parents=True)
    key.rename(kept)
    done = installed.service("install")
    kept.rename(key)
    shutil.rmtree(installed.file("/var/lib/private/vaultd"))

    assert done.code == 78
    assert "systemd-creds encrypt --name=vaultd-root" in done.err


def test_what_a_person_changed_is_neither_replaced_nor_removed_and_an_older_version_is(installed: Machine) -> None:
    changed, older = (installed.file(f"/etc/systemd/system/{name}") for name in ("vaultd.socket", "vaultd.service"))
    changed.write_text(changed.read_text().replace("8317", "8318"))
    # As another version wrote it: its own mark over its own text.
    installed.types(
        "sed",
        "-i",
        "s/WatchdogSec=30s/WatchdogSec=20s/",
        _SHIPPED,
    )
    installed.service("install")
    assert "WatchdogSec=20s" in older.read_text()
    installed.types(
        "sed",
        "-i",
        "s/WatchdogSec=20s/WatchdogSec=30s/",
        _SHIPPED,
    )
    rows = {row["check"]: row for row in json.loads(installed.service("status", "--json").out)["checks"]}
    assert rows["/etc/systemd/system/vaultd.socket"]["says"] == "changed here"
    assert rows["/etc/systemd/system/vaultd.service"]["says"] == "of another version"

    again = installed.service("install")

    assert again.code == 0 and "kept, for it was changed here" in again.err
    assert "8318" in changed.read_text() and "WatchdogSec=30s" in older.read_text()
    gone = installed.service("uninstall")
    assert gone.code == 0 and changed.exists() and not older.exists()
    changed.unlink()


def test_a_socket_that_was_switched_off_stays_so_and_is_no_fault(installed: Machine) -> None:
    off = installed.file("/etc/systemd/system/vaultd.socket")
    off.unlink()
    off.symlink_to("/dev/null")

    again = installed.service("install")

    assert again.code == 0 and "kept switched off, by a link to /dev/null" in again.err
    rows = {row["check"]: row for row in installed.service("status", "--json").json["checks"]}
    assert rows["vaultd.socket"] | {"says": ""} == {"check": "vaultd.socket", "says": "", "action": ""}
    assert rows["vaultd.socket"]["says"].startswith("masked")
    assert rows["/etc/systemd/system/vaultd.socket"]["action"] == ""
    installed.service("uninstall")
    assert off.is_symlink(), "it is the person's"
    off.unlink()


def test_a_place_that_takes_no_file_is_said_in_one_line(machine: Machine) -> None:
    folder = machine.file("/etc/systemd/system/vaultd.socket")
    folder.mkdir()
    assert (
        f"kept, for it was changed here (move it away to have the shipped one): /{folder.relative_to(machine.root)}"
        in (machine.service("install").err)
    )
    folder.rmdir()
    sealed = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro none /etc/systemd && exec "$@"', "sh")
    done = machine.types(*sealed, "/opt/vaultd/bin/vaultd", "service", "install")
    assert done.code == 78
    assert done.err.splitlines()[-1].endswith(
        "/etc/systemd/system/vaultd.service cannot be written: Read-only file system"
    )
    machine.service("uninstall")


def test_uninstall_takes_the_units_and_leaves_state_and_key(machine: Machine) -> None:
    machine.service("install")
    machine.types("systemctl", "enable", "vaultd.service")
    state = machine.file("/var/lib/private/vaultd")
    state.mkdir(parents=True)

    done = machine.service("uninstall")

    assert done.code == 0, done.err
    assert "/var/lib/private/vaultd" in done.err and "/etc/credstore.encrypted/vaultd-root" in done.err
    left = {path.name for path in machine.file("/etc/systemd/system").rglob("vaultd*")}
    assert left == set()
    assert state.is_dir() and machine.file("/etc/credstore.encrypted/vaultd-root").is_file()
    assert machine.service("uninstall").code == 0
    state.rmdir()


def test_status_names_one_next_action_for_each_fault(machine: Machine) -> None:
    nothing = machine.service("status", "--json")
    assert nothing.code == 1
    assert {row["action"] for row in nothing.json["checks"] if row["check"].startswith("/etc")} == {
        "/opt/vaultd/bin/vaultd service install"
    }
    machine.service("install")
    rows = {row["check"]: row for row in machine.service("status", "--json").json["checks"]}
    assert rows["vaultd.service"]["action"] == "systemctl enable --now vaultd.service"
    assert rows["admin socket"]["action"] == "systemctl start vaultd-admin.socket"
    assert rows["root key"]["action"] == rows["group"]["action"] == ""
    machine.types("systemctl", "enable", "vaultd.service")
    rows = {row["check"]: row for row in machine.service("status", "--json").json["checks"]}
    assert all(rows[unit]["says"].startswith("enabled") for unit in _UNITS[:3]), "the service takes its sockets along"
    machine.service("uninstall")


def test_a_persons_own_service_needs_no_root_and_no_group(machine: Machine) -> None:
    home = machine.file("/tmp/ann")
    home.mkdir()
    (home / "runtime" / "systemd").mkdir(parents=True)
    # Nothing offline will do for a person's own manager, so one that agrees with everything stands for it.
    agrees = home / "systemctl"
    agrees.write_text('#!/bin/sh\necho "$@" >> /tmp/ann/typed\n')
    agrees.chmod(0o755)
    env = {"HOME": "/tmp/ann", "XDG_RUNTIME_DIR": "/tmp/ann/runtime", "PATH": "/tmp/ann:/usr/bin:/bin"}
    env["XDG_CONFIG_HOME"] = "not/absolute"  # to be ignored, says XDG Base Directory
    done = machine.service("install", "--user", **env)
    assert (done.code, done.out) == (0, "systemctl --user enable --now vaultd.service\n"), done.err
    units = home / ".config" / "systemd" / "user"
    assert {path.name for path in units.iterdir()} == set(_UNITS[:3])
    assert "LoadCredentialEncrypted" not in (units / "vaultd.service").read_text()
    assert machine.service("uninstall", "--user", **env).code == 0
    assert list(units.iterdir()) == []
    assert (home / "typed").read_text().splitlines() == [
        "--user daemon-reload",
        "--user disable vaultd.service vaultd.socket vaultd-admin.socket",
        "--user stop vaultd.service vaultd.socket vaultd-admin.socket",
        "--user daemon-reload",
    ]


@pytest.mark.parametrize(("word", "inherited"), [("install", ""), ("status", "/run/user/0"), ("uninstall", "")])
def test_after_su_a_person_is_told_how_to_find_their_own_manager(machine: Machine, word: str, inherited: str) -> None:
    """su and sudo -u leave another's XDG_RUNTIME_DIR in the environment, or none; systemctl finds nobody there."""
    roots, own = machine.file("/run/user/0/systemd"), machine.file("/run/user/65534/systemd")
    for folder, uid in ((roots, 0), (own, 65534)):
        folder.mkdir(parents=True, exist_ok=True)
        folder.parent.chmod(0o700)
        os.chown(folder, uid, uid)
        os.chown(folder.parent, uid, uid)
    (home := machine.file("/tmp/bea")).mkdir(exist_ok=True)
    os.chown(home, 65534, 65534)
    stranger = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/opt/vaultd/bin/vaultd")

    done = machine.types(*stranger, "service", word, "--user", HOME="/tmp/bea", XDG_RUNTIME_DIR=inherited)
    for folder in (roots, own):
        shutil.rmtree(folder.parent)

    again = f"export XDG_RUNTIME_DIR=/run/user/65534; /opt/vaultd/bin/vaultd service {word} --user"
    assert (done.code, again in done.err) == (78, True), done.err
    assert list(home.iterdir()) == []


def test_where_it_cannot_be_it_says_what_would_do(machine: Machine) -> None:
    stranger = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = machine.types(*stranger, "/opt/vaultd/bin/vaultd", "service", "install")
    assert (done.code, "sudo /opt/vaultd/bin/vaultd service install" in done.err) == (78, True)

    home = "/root"
    as_after_su = (*stranger, "env", f"PATH={home}/bin")
    hidden = machine.types(*as_after_su, "/opt/vaultd/bin/vaultd", "service", "status", HOME="/tmp")
    assert (hidden.code, "systemctl is not installed here" in hidden.err) == (78, True), hidden.err

    machine.types("cp", "-r", "/opt/vaultd", home)
    at_home = machine.types(f"{home}/vaultd/bin/python3", f"{home}/vaultd/bin/vaultd", "service", "install")
    assert (at_home.code, "python3 -m venv /opt/vaultd" in at_home.err) == (78, True)

    booted = machine.file("/run/systemd/system")
    booted.rmdir()
    without = machine.service("install")
    booted.mkdir()
    assert (without.code, "vaultd serve" in without.err) == (78, True)
    assert not machine.file("/etc/systemd/system/vaultd.service").exists()
