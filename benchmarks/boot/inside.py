"""Runs within the machine that `benchmarks/boot.py` booted, after the operator's lines: what a service has to stand.

Each story prints one line; the first that does not hold ends it all, with the journal.
"""

# ruff: noqa: ASYNC110, ASYNC240, TID251 - one loop for one driver and its sandbox: it may wait for a file, and polls

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from vaultd.sandbox import Sandbox

KEY = "booted-CANARY-0123456789abcdef0123456789abcdef"
STATE = Path("/var/lib/private/vaultd")
MANIFESTS = Path("/etc/vaultd/providers")
DROP_IN = Path("/run/systemd/system/vaultd.service.d/boot.conf")
KILLS = int(os.environ.get("KILLS", "60"))
CLIENTS = 8


def sh(*words: str, code: int | None = 0) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return (done.stdout + done.stderr).strip()


async def off(*words: str, code: int | None = 0) -> str:
    return await asyncio.to_thread(sh, *words, code=code)


def shown(what: str) -> str:
    return sh("systemctl", "show", "-P", what, "vaultd.service")


def pid() -> int:
    return int(shown("MainPID"))


def journal(unit: str = "vaultd.service") -> str:
    return sh("journalctl", "--no-pager", "-o", "cat", "-u", unit)


async def until(holds: Callable[[], object], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.02)


async def asked(path: str, body: object = None, wait: float = 60) -> tuple[int, str]:
    """A client of the main port, on a connection of its own."""
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", 8317), wait)
    try:
        data = json.dumps(body).encode() if body is not None else b""
        head = f"{'POST' if data else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        answer = (await asyncio.wait_for(reader.read(), wait)).decode()
    finally:
        writer.close()
    if not answer:
        raise ConnectionResetError
    return int(answer.split()[1]), answer


SAY = {"model": "gpt-5", "input": "say still-here", "stream": True}


def said(words: str) -> None:
    print(f"ok  {words}", flush=True)


def with_unit(*lines: str) -> None:
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text("\n".join(lines) + "\n")
    sh("systemctl", "daemon-reload")


async def begins_with_the_configuration_of_etc(sandbox: Sandbox) -> None:
    etc = Path("/etc/vaultd/config.yaml")
    etc.write_text(json.dumps({"api-keys": [KEY], "providers": sandbox.overlay()}))
    etc.chmod(0o600)
    before = etc.stat().st_mtime_ns
    await off("systemctl", "restart", "vaultd")
    ours = STATE / "config.yaml"
    facts = ours.stat()
    assert ours.read_bytes() == etc.read_bytes() and stat.S_IMODE(facts.st_mode) == 0o600
    assert facts.st_uid == STATE.stat().st_uid != 0 and etc.stat().st_mtime_ns == before
    ours.write_text(ours.read_text() + "\n# ours\n")
    await off("systemctl", "restart", "vaultd")
    assert ours.read_text().endswith("# ours\n")
    said("seeded once from /etc/vaultd/config.yaml (root, 0600), never overwritten")


async def keeps_to_its_sandbox() -> None:
    status = Path(f"/proc/{pid()}/status").read_text()
    assert re.search(r"NoNewPrivs:\s1\n", status) and re.search(r"Seccomp:\s2\n", status)
    assert re.search(r"CapEff:\s0+\n", status) and re.search(r"CoreDumping:\s0\n", status)
    exposure = await off("systemd-analyze", "security", "--no-pager", "vaultd.service", code=None)
    level = float(exposure.splitlines()[-1].split(": ")[1].split()[0])
    assert level <= 1.2, exposure
    said(f"exposure of the running service: {level}")
    for path, mode, owner in ((STATE, 0o700, None), (Path("/etc/vaultd"), 0o755, 0), (MANIFESTS, 0o755, 0)):
        facts = path.stat()
        assert stat.S_IMODE(facts.st_mode) == mode and (owner is None or facts.st_uid == owner), path
    socket = Path("/run/vaultd/admin.sock").stat()
    assert stat.S_IMODE(socket.st_mode) == 0o660 and socket.st_uid == 0
    assert "file-events-absent" not in await off("vaultd", "doctor", code=None)
    said("state 0700 of its own user, /etc/vaultd root's, admin socket 0660 root:vaultd-admin")


async def refuses_what_a_thief_would_do() -> None:
    """From within the sign-in's unit, whose sandbox is the daemon's."""
    probe = Path("/opt/vaultd/probe.py")
    probe.write_bytes(Path(__file__).with_name("probe.py").read_bytes())
    probe.chmod(0o644)
    other = Path("/run/systemd/system/vaultd-login@probe.service.d/probe.conf")
    other.parent.mkdir()
    other.write_text(f"[Service]\nExecStart=\nExecStart=/opt/vaultd/bin/python3 {probe}\n")
    await off("systemctl", "daemon-reload")
    await off("systemctl", "start", "vaultd-login@probe")
    deeds = re.findall(r"^(?:refused|ALLOWED) .*$", journal("vaultd-login@probe"), re.MULTILINE)
    assert len(deeds) == 11 and all(deed.startswith("refused") for deed in deeds), deeds
    said("; ".join(deeds))


async def answers_its_administrators() -> None:
    assert " running at" in await off("runuser", "-u", "alice", "--", "vaultd", "status", code=None)
    assert " running at" not in await off("runuser", "-u", "bob", "--", "vaultd", "status", code=None)
    said("alice of vaultd-admin is answered, bob is not")


async def signs_in_by_its_own_unit(sandbox: Sandbox) -> None:
    vendor = sandbox["codex"]
    start = asyncio.create_task(off("systemctl", "start", "vaultd-login@codex"))
    await until(lambda: vendor.devices or start.done())
    for device in list(vendor.devices.values()):
        assert device.user_code in journal("vaultd-login@codex")
        vendor.decide_device(device.user_code, "approved")
    try:
        await start
    except AssertionError:
        print(journal("vaultd-login@codex"))
        raise
    await until(lambda: "1 of 1" in shown("StatusText"))
    assert (await asked("/v1/responses", SAY))[0] == 200
    said("vaultd-login@codex: the code in the journal, the running daemon took the login up, and relays")


async def signs_in_for_an_administrator(sandbox: Sandbox) -> None:
    """By the admin socket: alice has no right to the folder, and the flow runs in the daemon's sandbox."""
    vendor = sandbox["qwen"]
    login = asyncio.create_task(off("runuser", "-u", "alice", "--", "vaultd", "login", "--qwen", "--device"))
    await until(lambda: vendor.devices or login.done())
    for device in list(vendor.devices.values()):
        vendor.decide_device(device.user_code, "approved")
    assert "signed in: qwen" in await login
    said("alice signs in through the admin socket, in the daemon's sandbox")


async def takes_a_manifest_of_ones_own() -> None:
    (MANIFESTS / "mine.yaml").write_text("id: [broken\n")
    await until(lambda: "mine.yaml" in journal())
    before = await _reloads_taken()
    (MANIFESTS / "mine.yaml").unlink()
    while await _reloads_taken() == before:
        await asyncio.sleep(0.05)
    said("a manifest dropped into /etc/vaultd/providers is seen at once, through the sandbox")


async def reloads() -> None:
    """In 252 `kill` may end before the daemon has said RELOADING=1; then systemctl does not wait for the rest."""
    main, waited, took = pid(), 0, []
    for _ in range(5):
        before, began = await _reloads_taken(), time.monotonic()
        await off("systemctl", "reload", "vaultd")
        took.append(time.monotonic() - began)
        waited += await _reloads_taken() > before
        while await _reloads_taken() == before:
            await asyncio.sleep(0.05)
        assert pid() == main
    said(f"systemctl reload: taken 5 of 5, over when it came back {waited} of 5, {max(took) * 1000:.0f} ms at most")


async def _reloads_taken() -> int:
    _, told = await asked("/metrics")
    found = re.search(r"vaultd_config_reloads_total\{[^}]*taken[^}]*\} (\d+)", told)
    return int(found[1]) if found else 0


async def moves_to_another_port() -> None:
    """As docs/systemd.md says: systemd opens no port while its service runs, so that has to end with the socket."""
    edit = Path("/run/systemd/system/vaultd.socket.d/boot.conf")
    edit.parent.mkdir()
    for where in ("127.0.0.1:9317", "127.0.0.1:8317"):
        edit.write_text(f"[Socket]\nListenStream=\nListenStream={where}\n")
        await off("systemctl", "daemon-reload")
        await off("systemctl", "restart", "vaultd.socket", "vaultd")
        assert f" running at http://{where} " in await off(
            "runuser", "-u", "alice", "--", "vaultd", "status", code=None
        )
    for _ in range(3):
        await off("systemctl", "restart", "vaultd.socket", "vaultd-admin.socket", "vaultd")
    said("systemctl restart vaultd.socket vaultd: at the port that the edited unit names, and back")


async def is_restarted_when_its_loop_is_blocked() -> None:
    with_unit("[Service]", "WatchdogSec=3s")
    await off("systemctl", "restart", "vaultd")
    main, hole = pid(), MANIFESTS / "hole.yaml"
    await asyncio.sleep(6)
    assert pid() == main, "a daemon that gets on was ended"
    os.mkfifo(hole, 0o644)  # who reads it waits for a writer, and the daemon reads its manifests in its loop
    began = time.monotonic()
    await until(lambda: _stuck(main))
    hole.unlink()
    await until(lambda: shown("MainPID") not in {"0", str(main)} and shown("ActiveState") == "active")
    assert "Watchdog timeout" in journal()
    assert (await asked("/v1/responses", SAY))[0] == 200
    said(f"a blocked loop: the watchdog (3 s) and a new daemon, {time.monotonic() - began:.1f} s")


def _stuck(process: int) -> bool:
    """Whether its main thread waits in open(2) for the other end of a FIFO."""
    try:
        waits_in = Path(f"/proc/{process}/wchan").read_text()
    except OSError:
        return False
    return "wait_for_partner" in waits_in or "fifo" in waits_in


async def ends_a_renewal_that_a_kill_or_a_stop_cut_off(sandbox: Sandbox) -> None:
    vendor = sandbox["codex"]
    for how in ("kill", "watchdog", "stop"):
        sandbox.fault("codex", at="token", do="delay", times=1, seconds=3)
        spent, asked_before = vendor.counts["renewals"], vendor.counts["requests:token"]
        credential = json.loads(await off("vaultd", "status", "--json"))["credentials"][0]["id"]
        order = asyncio.create_task(off("vaultd", "credentials", "refresh", credential, code=None))
        await until(lambda: vendor.counts["requests:token"] > asked_before)  # noqa: B023
        began, main = time.monotonic(), pid()
        if how == "stop":
            await off("systemctl", "stop", "vaultd.service")
        else:
            os.kill(main, signal.SIGKILL if how == "kill" else signal.SIGABRT)
            if how == "watchdog":  # systemd sends the keeper what it sends the daemon
                for process in Path("/sys/fs/cgroup/system.slice/vaultd.service/cgroup.procs").read_text().split():
                    os.kill(int(process), signal.SIGABRT)
            status, _ = await asked("/v1/responses", SAY)
            assert status == 200
        took = time.monotonic() - began
        await order
        assert vendor.counts["renewals"] == spent + 1 and vendor.counts["reuse_events"] == 0
        said(f"renewal under way at a {how}: saved; {'ended' if how == 'stop' else 'next answer'} after {took:.1f} s")
    assert (await asked("/v1/responses", SAY))[0] == 200
    assert shown("ActiveState") == "active"
    said("stopped, and started again by a client that knocked")


async def refuses_nobody_while_it_is_killed() -> None:
    with_unit("[Unit]", "StartLimitIntervalSec=0")
    await off("systemctl", "restart", "vaultd")
    seen: Counter[str] = Counter()
    waits: list[float] = []
    done = asyncio.Event()

    async def client() -> None:
        while not done.is_set():
            began = time.monotonic()
            try:
                status, _ = await asked("/v1/responses", SAY)
                seen[str(status)] += 1
                waits.append(time.monotonic() - began)
            except ConnectionRefusedError:
                seen["refused"] += 1
            except (ConnectionError, asyncio.IncompleteReadError):
                seen["cut"] += 1

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    began = time.monotonic()
    for _ in range(KILLS):
        main, answered = await asyncio.to_thread(pid), seen["200"]
        os.kill(main, signal.SIGKILL)
        await until(lambda: pid() not in {0, main})  # noqa: B023
        await until(lambda: seen["200"] > answered + 5)  # noqa: B023
    took = time.monotonic() - began
    done.set()
    await asyncio.gather(*clients)
    figures = f"{sum(seen.values())} connections, refused {seen['refused']}, cut in mid-answer {seen['cut']}"
    said(f"{KILLS} x kill -9 under load in {took:.0f} s: {figures}, longest wait {max(waits):.2f} s; {dict(seen)}")
    assert seen["refused"] == 0


async def follows_his_journal(bob: tuple[str, ...]) -> None:
    follow = await asyncio.create_subprocess_exec(*bob, "vaultd", "logs", "-f", stdout=asyncio.subprocess.PIPE)
    assert follow.stdout is not None
    await asyncio.wait_for(follow.stdout.readuntil(b"listening"), 30)
    await off(*bob, "vaultd", "keys", "create", "laptop")
    await asyncio.wait_for(follow.stdout.readuntil(b"keys.create"), 30)
    follow.terminate()
    await follow.wait()
    said("bob's own: vaultd logs -f shows what was said and what comes")


async def serves_a_person_without_root(sandbox: Sandbox) -> None:
    """Bob, of no group; root's part is the line that lets his manager run without a session."""
    await off("vaultd", "service", "uninstall")
    assert shown("ActiveState") == "inactive" and not Path("/etc/systemd/system/vaultd.service").exists()
    said("vaultd service uninstall: stopped, its units gone")

    await off("loginctl", "enable-linger", "bob")
    home, runtime = Path("/home/bob"), Path(f"/run/user/{sh('id', '-u', 'bob')}")
    await until((runtime / "systemd" / "private").exists)
    without = ("runuser", "-u", "bob", "--", "env", "-C", str(home), f"HOME={home}")
    bob = (*without, f"XDG_RUNTIME_DIR={runtime}")
    manager = (*bob, "systemctl", "--user")
    assert str(runtime) in await off(*without, "vaultd", "service", "install", "--user", code=78)
    config = home / ".config" / "vaultd" / "config.yaml"
    await off(*without, "mkdir", "-p", str(config.parent))
    config.write_text(json.dumps({"api-keys": [KEY], "providers": sandbox.overlay()}))
    shutil.chown(config, "bob", "bob")
    config.chmod(0o600)
    await off(*bob, "vaultd", "service", "install", "--user")
    await off(*manager, "enable", "--now", "vaultd.service")
    await off(*bob, "vaultd", "service", "status", "--user")
    said("bob's own: vaultd service install --user, enabled, and status has nothing to say; without a session told how")

    vendor = sandbox["codex"]
    vendor.devices.clear()
    login = asyncio.create_task(off(*bob, "vaultd", "login", "--codex", "--device"))
    await until(lambda: vendor.devices or login.done())
    for device in list(vendor.devices.values()):
        vendor.decide_device(device.user_code, "approved")
    assert "signed in: codex" in await login
    for _ in range(3):
        assert (await asked("/v1/responses", SAY))[0] == 200
        os.kill(main := int(await off(*manager, "show", "-P", "MainPID", "vaultd.service")), signal.SIGKILL)
        assert (await asked("/v1/responses", SAY))[0] == 200
        assert await off(*manager, "show", "-P", "MainPID", "vaultd.service") != str(main)
    await off(*manager, "reload", "vaultd.service")
    said("bob's own signs in, relays, reloads, and comes back after kill -9 with no connection refused")

    await follows_his_journal(bob)
    key, logs = config.with_name("root.key"), await off(*bob, "vaultd", "logs")
    assert "listening" in logs and key.read_text().strip() not in logs and KEY not in logs
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and key.owner() == "bob"
    clear = await off("grep", "-rlF", key.read_text().strip(), str(home), str(runtime), "/var/log/journal", code=None)
    assert clear == str(key), clear
    await off(*bob, "vaultd", "service", "uninstall", "--user")
    assert not list((home / ".config" / "systemd" / "user").rglob("vaultd*"))
    try:
        await asked("/healthz")
    except ConnectionRefusedError:
        said("bob's own: logs by vaultd logs, the root key in one file of 0600 alone, nothing left after uninstall")
    else:
        raise AssertionError("something answers after the uninstall")


async def main() -> None:
    async with Sandbox() as sandbox:
        await begins_with_the_configuration_of_etc(sandbox)
        await keeps_to_its_sandbox()
        await refuses_what_a_thief_would_do()
        await answers_its_administrators()
        await signs_in_by_its_own_unit(sandbox)
        await signs_in_for_an_administrator(sandbox)
        await takes_a_manifest_of_ones_own()
        await reloads()
        await moves_to_another_port()
        await is_restarted_when_its_loop_is_blocked()
        await ends_a_renewal_that_a_kill_or_a_stop_cut_off(sandbox)
        await refuses_nobody_while_it_is_killed()
        await serves_a_person_without_root(sandbox)
    print("ALL GOOD", flush=True)


try:
    asyncio.run(main())
except BaseException as error:  # noqa: BLE001 - the machine is about to go, and with it all that could be looked at
    print(f"FAILED: {type(error).__name__}: {error}\n{journal()[-6000:]}", flush=True)
    sys.exit(1)
