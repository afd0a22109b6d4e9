"""The image without an engine: the Dockerfile's own steps in a Debian tree, and its command run as compose.yaml asks.

For machines that have no container engine. Read are the Dockerfile and compose.yaml themselves; the kernel's namespaces
do the rest (root, debootstrap, util-linux, iproute2):

    own mounts   the tree read only, tmpfs, volume, configuration and secret as compose.yaml lists them
    own net      loopback alone: no port is published, and the pretend vendor lives in there
    own pids     the image's init is process 1; uid 10001, no capability, no new privileges

Not as an engine does it: the base is Debian's own python3.11 and not the official image of Python; no seccomp filter,
no cgroup (pids_limit, mem_limit), no layers, no registry.

    python benchmarks/image.py [--keep]      .image/ holds the base, which takes a minute to make
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "package"))

import dockerfile  # noqa: E402 - the reader that the short tests use

#: How packages are reached from here, as an engine's build would inherit it. Nothing else of this machine goes in.
_PROXY = ("http_proxy", "https_proxy", "no_proxy")
NETWORK = (*_PROXY, *(name.upper() for name in _PROXY), "PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE")
CERTIFICATES = "etc/ssl/certs"
#: What the official image has beside Debian's minimum.
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,tzdata,netbase"
_COMPILERS = {"gcc", "cc", "g++", "c++", "ld", "make"}
_TOOLS = {"pip", "pip3", "ensurepip", "setuptools", "wheel", "hatchling"} | _COMPILERS
#: A daemon that is not up by then never will be.
PATIENCE = 30.0


def run(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=True, text=True, **more)


# --- The steps of the Dockerfile


def debian(folder: Path) -> Path:
    """The stand-in for the base image."""
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", folder, stdout=subprocess.DEVNULL)
        (folder / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        (folder / ".ready").touch()
    return folder


class Tree:
    """One stage while it is built: a folder, and what of ENV, ARG and WORKDIR holds."""

    def __init__(self, stage: dockerfile.Stage, root: Path, base: Path) -> None:
        self.stage, self.root, self.folder = stage, root, "/"
        self.env: dict[str, str] = {}
        shutil.rmtree(root, ignore_errors=True)
        run("cp", "-a", base, root)

    def perform(self, others: dict[str, Tree]) -> None:
        for word, rest in self.stage.steps:
            if word == "WORKDIR":
                self.folder = rest
                self._inside(rest).mkdir(parents=True, exist_ok=True)
            elif word == "ENV":
                name, _, self.env[name] = rest.partition("=")
            elif word == "COPY":
                self._copy(rest, others)
            elif word == "RUN":
                self._run(rest)

    def _inside(self, path: str) -> Path:
        return self.root / (path if path.startswith("/") else f"{self.folder}/{path}").lstrip("/")

    def _copy(self, rest: str, others: dict[str, Tree]) -> None:
        source, target = rest.rsplit(" ", 1)
        if source.startswith("--from="):
            name, _, path = source.removeprefix("--from=").partition(" ")
            run("cp", "-a", others[name].root / path.lstrip("/"), self._inside(target))
            return
        wanted = source.rstrip("/")
        for path in dockerfile.context(ROOT):
            if wanted == "." or path.is_relative_to(wanted):
                to = self._inside(target) / (path if wanted == "." else path.relative_to(wanted))
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, to)

    def _run(self, command: str) -> None:
        print(f"  RUN {command[:110]}")
        here = {name: os.environ[name] for name in NETWORK if name in os.environ}
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **here}
        (self.root / "etc/resolv.conf").touch()
        script = f"""set -e
            mount -t proc proc {self.root}/proc; mount --rbind /dev {self.root}/dev
            mount --bind /etc/resolv.conf {self.root}/etc/resolv.conf
            mount --bind /{CERTIFICATES} {self.root}/{CERTIFICATES}
            exec chroot {self.root} sh -c 'cd {self.folder} && eval "$STEP"'"""
        env |= {**self.stage.args, **self.env, "STEP": command}
        run("unshare", "--mount", "--propagation", "private", "sh", "-c", script, env=env, stdout=subprocess.DEVNULL)


def build(work: Path) -> tuple[dockerfile.Stage, Path]:
    """The last stage and its tree."""
    given = {"COMMIT": _git("rev-parse", "HEAD"), "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct")}
    built: dict[str, Tree] = {}
    tree = None
    for number, stage in enumerate(dockerfile.stages((ROOT / "Dockerfile").read_text(), given)):
        began = time.monotonic()
        print(f"FROM {stage.base} {stage.name}")
        tree = Tree(stage, work / (stage.name or f"stage-{number}"), debian(work / "base"))
        tree.perform(built)
        built[stage.name] = tree
        print(
            f"  {time.monotonic() - began:.0f} s, {_megabytes(tree.root) - _megabytes(work / 'base')} MB over the base"
        )
    assert tree is not None
    return tree.stage, tree.root


def _git(*words: str) -> str:
    return run("git", "-C", ROOT, *words, capture_output=True).stdout.strip()


def _megabytes(folder: Path) -> int:
    return int(run("du", "-sm", folder, capture_output=True).stdout.split()[0])


# --- What an engine does with the image


class Container:
    """`docker compose up` of the one service, as far as the kernel does it. `mounts`: what stands for its volumes."""

    def __init__(self, stage: dockerfile.Stage, tree: Path, net: str, mounts: dict[str, Path], service: Any) -> None:
        self.stage, self.tree, self.net, self.mounts, self.service = stage, tree, net, mounts, service
        self.log = tree.parent / f"container-{secrets.token_hex(4)}.log"
        self.pid = 0
        self._outer: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        command = [*self.stage.command("ENTRYPOINT"), *self.stage.command("CMD"), *more]
        words = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private"]
        with self.log.open("wb") as log:
            self._outer = subprocess.Popen(
                ["ip", "netns", "exec", self.net, *words, "sh", "-c", self._script(), "sh", *self._as(), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        until(lambda: self._outer is None or self._outer.poll() is not None or children.read_text().strip())
        self.pid = int((children.read_text().split() or ["0"])[0]) if self._outer.poll() is None else 0

    def _script(self) -> str:
        at = self.tree
        lines = [f"mount --bind {at} {at}"]
        lines += [f"mount --bind {source} {at}{target}" for target, source in self.mounts.items() if source.is_dir()]
        lines += [f"mount -t proc proc {at}/proc", f"mount -t tmpfs -o mode=0755,nosuid tmpfs {at}/dev"]
        for name in ("null", "zero", "random", "urandom"):
            lines += [f"touch {at}/dev/{name}", f"mount --bind /dev/{name} {at}/dev/{name}"]
        for entry in self.service["tmpfs"]:
            target, _, options = entry.partition(":")
            lines.append(f"mount -t tmpfs -o {options} tmpfs {at}{target}")
        for target, source in self.mounts.items():
            if source.is_file():
                lines += [f"mount --bind {source} {at}{target}", f"mount -o remount,bind,ro {at}{target}"]
        assert self.service["read_only"]
        lines += [f"mount -o remount,bind,ro {at}", f"ulimit -c {self.service['ulimits']['core']}"]
        return f'set -e\n{os.linesep.join(lines)}\nexec chroot {at} "$@"'

    def _as(self) -> list[str]:
        """The user, the powers and the environment of the image's processes."""
        uid, _, gid = self.service["user"].partition(":")
        assert self.service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in self.service["security_opt"]
        setpriv = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
        folder = ["env", "-i", "-C", self.stage.once["WORKDIR"]]
        return [*setpriv, "--inh-caps=-all", *folder, *(f"{key}={value}" for key, value in self.stage.env.items())]

    def execute(self, *words: str, stdin: str | None = "") -> subprocess.CompletedProcess[str]:
        """`docker exec`."""
        return subprocess.run(self._enter(*words), input=stdin, capture_output=True, text=True, check=False)

    def opens(self, *words: str) -> subprocess.Popen[str]:
        """`docker exec -i`, to talk with."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self._enter(*words), stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def _enter(self, *words: str) -> list[str]:
        space = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--ipc", "--uts", "--root"]
        return [*space, *self._as(), *words]

    def ended(self) -> int:
        assert self._outer is not None
        return self._outer.wait(PATIENCE)

    def stop(self) -> tuple[int, float]:
        """As an engine does: its signal to process 1, then a wait. Exit code, seconds."""
        began = time.monotonic()
        os.kill(self.pid, signal.Signals[self.stage.once["STOPSIGNAL"]])
        assert self._outer is not None
        return self._outer.wait(float(self.service["stop_grace_period"].removesuffix("s"))), time.monotonic() - began

    def kill(self) -> None:
        if self._outer is not None and self._outer.poll() is None:
            self._outer.kill()
            self._outer.wait()

    @property
    def health(self) -> int:
        return self.execute(*self.stage.health).returncode


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError("it never came to be")
        time.sleep(0.05)


@contextlib.contextmanager
def own_network() -> Iterator[str]:
    """A network with a loopback and one more address of its own, joined to no other."""
    name = f"vaultd-image-{os.getpid()}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "address", "add", f"{OTHER_ADDRESS}/32", "dev", "lo")
        yield name
    finally:
        run("ip", "netns", "delete", name)


#: RFC 5737: an address for documents, which nobody has.
OTHER_ADDRESS = "192.0.2.1"


class World:
    """Vendor, browser and client, in the container's network: `image_world.py` on the other end of two pipes."""

    def __init__(self, net: str) -> None:
        script = Path(__file__).with_name("image_world.py")
        words = ["ip", "netns", "exec", net, sys.executable, str(script)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.overlay = self._hears()

    def _hears(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def asks(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return self._hears()

    def ends(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)


# --- What it has to show


class Findings:
    def __init__(self) -> None:
        self.failed = 0

    def shows(self, what: str, true: object, detail: str = "") -> None:
        print(f"{'ok   ' if true else 'FAIL '}{what}{f': {detail}' if detail else ''}", flush=True)
        self.failed += not true


def prove(stage: dockerfile.Stage, tree: Path, work: Path) -> int:
    found = Findings()
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    service = compose["services"]["vaultd"]
    tools = _tools(tree)
    found.shows("no pip, no compiler in what was installed", not tools, " ".join(tools))
    state, config = work / "state", work / "config"
    for folder, owner in ((state, 10001), (config, 0)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700 if owner else 0o755)
        os.chown(folder, owner, owner)
    secret = work / "vaultd-root"
    secret.write_bytes(b64encode(secrets.token_bytes(32)))
    secret.chmod(0o444)
    mounts = {"/var/lib/vaultd": state, "/etc/vaultd": config}
    (tree / "run/secrets/vaultd-root").unlink(missing_ok=True)
    with own_network() as net:
        without = Container(stage, tree, net, mounts, service)
        without.start()
        code, said = without.ended(), without.log.read_text()
        found.shows(
            "no key: it does not start, and says why", code == 78 and "key" in said, f"exit {code}: {said.strip()}"
        )
        (tree / "run/secrets/vaultd-root").touch()  # an engine makes the place of a mount
        before = _snapshot(tree)
        world = World(net)
        try:
            (config / "config.yaml").write_text(json.dumps({"providers": world.overlay}))
            _live(found, Container(stage, tree, net, {**mounts, "/run/secrets/vaultd-root": secret}, service), world)
        finally:
            world.ends()
    found.shows("nothing written outside the volume", _snapshot(tree) == before)
    clear = run("sh", "-c", f"grep -rl CANARY {state} || true", capture_output=True).stdout
    found.shows("no token in clear in the volume, and no key", not clear and not list(state.rglob("*root*")), clear)
    return found.failed


def _live(found: Findings, one: Container, world: World) -> None:
    try:
        began = time.monotonic()
        one.start()
        until(lambda: one.execute("vaultd", "health").returncode == 0)
        found.shows("alive", True, f"{time.monotonic() - began:.1f} s after the start")
        found.shows("version", True, one.execute("vaultd", "--version").stdout.strip())
        found.shows("not ready without a login", one.health == 6)
        _confined(found, one)
        login = one.opens("vaultd", "login", "--codex", "--no-browser")
        assert login.stdin is not None and login.stdout is not None
        landed = world.asks(open=login.stdout.readline().strip())
        out, err = login.communicate(f"{landed}\n", PATIENCE)
        found.shows("signed in by paste, beside the daemon", login.returncode == 0, (out or err).strip())
        began = time.monotonic()
        ready = one.health
        found.shows("HEALTHCHECK is content", ready == 0, f"{time.monotonic() - began:.2f} s")
        key = one.execute("vaultd", "keys", "get", "default").stdout.strip()
        for host in ("127.0.0.1", OTHER_ADDRESS):
            status = world.asks(ask=f"http://{host}:8317", key=key)
            found.shows(f"a request is relayed, asked of {host}", status == 200, str(status))
        checks = json.loads(one.execute("vaultd", "doctor", "--json").stdout)["checks"]
        codes = [row["code"] for row in checks if row["code"]]
        found.shows("doctor", not set(codes) - {"recovery-missing"}, ", ".join(codes))
        code, seconds = one.stop()
        found.shows("SIGTERM ends it", code == 0, f"exit {code} after {seconds:.1f} s")
        one.start()
        until(lambda: one.health == 0)
        status = world.asks(ask="http://127.0.0.1:8317", key=key)
        found.shows("a second start keeps login and client key", status == 200, str(status))
        code, seconds = one.stop()
        found.shows("SIGTERM ends it again", code == 0, f"exit {code} after {seconds:.1f} s")
        one.start("--callback-bind", "0.0.0.0")
        until(lambda: one.health == 0)
        login = one.opens("vaultd", "login", "--codex", "--no-browser")
        assert login.stdout is not None
        status = world.asks(land=login.stdout.readline().strip(), at=OTHER_ADDRESS)
        out, err = login.communicate(timeout=PATIENCE)
        found.shows("signed in by a published callback", login.returncode == 0, f"{status}, {(out or err).strip()}")
        one.stop()
    finally:
        one.kill()
        if found.failed:
            print(one.log.read_text())


def _confined(found: Findings, one: Container) -> None:
    facts = Path(f"/proc/{one.pid}/status").read_text()
    lines = dict(line.split(":\t", 1) for line in facts.splitlines() if ":\t" in line)
    found.shows("process 1 is the init, of uid 10001", lines["Name"] == "tini" and lines["Uid"].split()[0] == "10001")
    powers = {lines[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")}
    found.shows("no capability, no new privileges", powers == {"0" * 16} and lines["NoNewPrivs"] == "1")
    for place in ("/opt/vaultd/x", "/etc/vaultd/x", "/usr/local/x", "/run/x"):
        found.shows(f"{place} cannot be written", one.execute("touch", place).returncode != 0)
    found.shows("nothing runs from /tmp", one.execute("sh", "-c", "cp /bin/true /tmp/x && /tmp/x").returncode == 126)


def _tools(tree: Path) -> list[str]:
    """What could bring in more: installers of packages (but Debian's own), compilers."""
    found = [path for folder in ("usr/bin", "usr/local/bin", "opt/vaultd/bin") for path in (tree / folder).glob("*")]
    found += [
        path for folder in ("opt/vaultd", "usr/local") for path in (tree / folder).glob("lib/python3*/*-packages/*")
    ]
    # Debian's own python3-pip is in the stand-in for the base, and in no image of Python.
    return [
        str(path)
        for path in found
        if (path.name in _TOOLS and path.parent != tree / "usr/bin") or path.name in _COMPILERS
    ]


def _snapshot(tree: Path) -> set[tuple[str, int, int]]:
    found = set()
    for path in tree.rglob("*"):
        facts = path.lstat()
        found.add((str(path), facts.st_mtime_ns, facts.st_size))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="use the tree that was built before")
    keep = parser.parse_args().keep
    work = ROOT / ".image"
    work.mkdir(exist_ok=True)
    last = dockerfile.stages((ROOT / "Dockerfile").read_text(), {})[-1]
    stage, tree = (last, work / "stage-1") if keep else build(work)
    sys.exit(1 if prove(stage, tree, work) else 0)


if __name__ == "__main__":
    main()
