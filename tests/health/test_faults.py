"""A fault made from outside the process, and what `vaultd doctor --json` calls it: one code, one next action, exit 1.

Each home is healthy but that no daemon runs, so what is found beyond `daemon-absent` is the fault and nothing else.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from homes import (
    DAY,
    KEY,
    LOGIN,
    certificate,
    config_of,
    configured,
    dead,
    environment,
    inside,
    listening,
    login,
    made,
    mounted,
    overlaid,
    signed_in,
)
from ports import free_port
from shell import Person

from vaultd.house import House
from vaultd.vault import recovery
from vaultd.work.health.codes import FAULTS

ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away and mount")

Broken = Callable[[Person], object]
FOUND: dict[str, Any] = {}


def fault(code: str, *also: str, root: bool = False) -> Callable[[Broken], Broken]:
    """The function breaks a home, and `code` (with what `also` follows from it) is what doctor finds."""

    def note(broken: Broken) -> Broken:
        marks = [ROOT] if root else []
        name = broken.__name__.replace("_", "-")
        FOUND[name] = pytest.param(broken, {code, *also}, id=f"{code}:{name}", marks=marks)
        return broken

    return note


def at_start(code: str, *, root: bool = False) -> Callable[[Broken], Broken]:
    """Likewise, and no house can be built: there is nothing else to be told."""
    return fault(code, "(nothing else)", root=root)


# The root key and the keyring.


def root_key(person: Person) -> Path:
    return person.config_dir / "root.key"


def keyring(person: Person) -> Path:
    return person.auth_dir / ".vault" / "keyring.jwe.json"


OTHER_KEY = "FCJyQSxPnZ3o8yXw0vN2bR5dT7uK9mG1hL4aE6iO8sU="


@at_start("key-missing")
def the_key_file_is_lost(person: Person) -> None:
    root_key(person).unlink()


@at_start("key-conflict")
def the_environment_has_another_key(person: Person) -> None:
    person.env["VAULTD_ROOT_KEY"] = OTHER_KEY


@at_start("key-wrong")
def another_key_is_put_in_its_place(person: Person) -> None:
    root_key(person).write_text(OTHER_KEY)


@at_start("key-malformed")
def the_key_file_holds_a_word(person: Person) -> None:
    root_key(person).write_text("correct horse battery staple")


@at_start("key-unreadable")
def the_key_file_is_a_link(person: Person) -> None:
    elsewhere = root_key(person).rename(root_key(person).with_suffix(".moved"))
    root_key(person).symlink_to(elsewhere)


@at_start("key-open")
def the_key_file_is_open_to_all(person: Person) -> None:
    root_key(person).chmod(0o644)


@at_start("key-foreign", root=True)
def the_key_file_is_anothers(person: Person) -> None:
    os.chown(root_key(person), 12345, 12345)


@at_start("keyring-missing")
def the_keyring_is_lost(person: Person) -> None:
    keyring(person).unlink()


@at_start("keyring-damaged")
def the_keyring_is_overwritten_in_the_middle(person: Person) -> None:
    cut = keyring(person).read_text()
    keyring(person).write_text(cut.replace('"ciphertext":"', '"ciphertext":"AAAA'))


@fault("key-in-environment")
def the_key_moves_to_the_environment(person: Person) -> None:
    person.env["VAULTD_ROOT_KEY"] = root_key(person).read_text().strip()
    root_key(person).unlink()


@fault("recovery-missing")
def the_recovery_key_is_removed(person: Person) -> None:
    async def remove(house: House) -> None:
        await recovery.remove(house.keyring, recovery.kids(house.keyring)[0])

    inside(person, remove)


# The folders and the files in them.


@fault("folder-open")
def the_folder_is_opened_to_all(person: Person) -> None:
    person.auth_dir.chmod(0o755)


@at_start("folder-foreign", root=True)
def the_folder_is_anothers(person: Person) -> None:
    os.chown(person.auth_dir, 12345, 12345)


@fault("folder-unwritable", "audit-unwritable", root=True)
@contextmanager
def the_folder_is_mounted_read_only(person: Person) -> Iterator[None]:
    folder = person.auth_dir
    with mounted("--bind", str(folder), at=folder), mounted("-o", "remount,bind,ro", at=folder, undo=False):
        yield


@fault("disk-full", root=True)
@contextmanager
def the_disk_is_small(person: Person) -> Iterator[None]:
    saved = person.auth_dir.with_name("saved")
    shutil.copytree(person.auth_dir, saved)
    with mounted("-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", at=person.auth_dir):
        shutil.copytree(saved, person.auth_dir, dirs_exist_ok=True)
        yield


@fault("file-damaged")
def a_file_is_cut_short(person: Person) -> None:
    file = person.auth_dir / f"{KEY}.json"
    file.write_bytes(file.read_bytes()[:-100])


@fault("file-renamed")
def a_file_is_renamed(person: Person) -> None:
    (person.auth_dir / f"{KEY}.json").rename(person.auth_dir / "gemini-api-key-away.json")


@fault("file-open")
def a_file_is_open_to_all(person: Person) -> None:
    (person.auth_dir / f"{KEY}.json").chmod(0o644)


@fault("file-not-regular")
def a_file_is_a_link(person: Person) -> None:
    file = person.auth_dir / f"{KEY}.json"
    file.symlink_to(file.rename(person.auth_dir / "elsewhere"))


@fault("file-foreign")
def a_file_is_from_another_vault(person: Person) -> None:
    other = Path(person.env["TMPDIR"], "other")
    asyncio.run(made(other))
    file = person.auth_dir / f"{KEY}.json"
    file.write_bytes(Path(environment(other)["XDG_STATE_HOME"], "vaultd", "auth", file.name).read_bytes())


@fault("rolled-back")
def a_file_is_restored_from_a_backup(person: Person) -> None:
    signed_in(person, login())
    file = person.auth_dir / f"{LOGIN}.json"
    backup = file.read_bytes()
    signed_in(person, replace(login(), created_at=time.time()))
    file.write_bytes(backup)


@fault("ledger-damaged")
def a_ledger_entry_is_overwritten(person: Person) -> None:
    signed_in(person, login())
    (person.auth_dir / ".vault" / "ledger" / f"{LOGIN}.json").write_text("{}")


@fault("journal-unusable")
def the_journal_is_a_folder(person: Person) -> None:
    signed_in(person, login())
    journal = max(person.auth_dir.parent.glob("commits-*.log"), key=lambda log: log.stat().st_mtime)
    journal.unlink()
    journal.mkdir()


@fault("audit-unwritable")
def the_audit_log_is_a_folder(person: Person) -> None:
    person.auth_dir.with_name("audit.log").mkdir()


@fault("audit-broken")
def the_audit_log_is_taken_away(person: Person) -> None:
    inside(person, lambda house: house.audit.note("ann", "keys.create"))
    person.auth_dir.with_name("audit.log").unlink()


@fault("interrupted-renewal")
def everything_was_killed_in_mid_renewal(person: Person) -> None:
    signed_in(person, login())

    async def begin(house: House) -> None:
        async with house.owner.leased(LOGIN) as lease:
            await lease.intend("https://vendor.example/token", boot=1.0, wall=time.time())

    inside(person, begin)


# Credentials.


@fault("no-credential")
def all_credentials_are_removed(person: Person) -> None:
    for file in person.auth_dir.glob("*.json"):
        file.unlink()


@fault("sign-in-required")
def a_login_is_dead(person: Person) -> None:
    signed_in(person, dead(login()))


@fault("login-ending")
def a_login_without_a_refresh_token_ends_the_day_after_tomorrow(person: Person) -> None:
    signed_in(person, login(ends_in=2 * DAY, refresh=False))


@fault("token-expired")
def no_daemon_ran_for_an_hour(person: Person) -> None:
    signed_in(person, login(ends_in=-3600))


@fault("second-refresher")
def codex_still_has_the_login_that_was_taken_over(person: Person) -> None:
    credential = login()
    signed_in(person, credential)
    assert credential.tokens is not None
    assert credential.tokens.refresh is not None
    left = Path(person.env["HOME"], ".codex", "auth.json")
    left.parent.mkdir()
    left.write_text(json.dumps({"tokens": {"refresh_token": credential.tokens.refresh.reveal()}}))


@fault("provider-missing")
def a_manifest_is_removed(person: Person) -> None:
    signed_in(person, login(provider="acme"))


@fault("sunset")
def a_vendor_closes_next_week(person: Person) -> None:
    signed_in(person, login())
    overlaid(person, {"codex": {"sunset": str(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7))}})


@fault("clock-implausible")
def the_clock_stands_before_the_last_renewal(person: Person) -> None:
    signed_in(person, replace(login(), renewed_at=time.time() + DAY))


# The configuration.


@at_start("config-invalid")
def a_key_is_misspelt(person: Person) -> None:
    configured(person, prot=1)


@at_start("config-missing")
def the_named_file_is_not_there(person: Person) -> None:
    person.env["VAULTD_CONFIG"] = "/no/such"


@at_start("config-unreadable")
def the_file_is_a_folder(person: Person) -> None:
    person.config.unlink()
    person.config.mkdir()


@at_start("tracing-unavailable")
def traces_are_wanted_and_the_extra_is_not_installed(person: Person) -> None:
    shadow = Path(person.env["HOME"], "shadow", "opentelemetry")
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()
    person.env["PYTHONPATH"] = str(shadow.parent)
    configured(person, tracing={"otlp-url": "http://127.0.0.1:4318"})


@at_start("environment-unsafe")
def tls_keys_would_be_written_to_a_file(person: Person) -> None:
    person.env["SSLKEYLOGFILE"] = "/tmp/keys"


@at_start("manifest-invalid")
def a_manifest_is_misspelt(person: Person) -> None:
    (person.config_dir / "providers").mkdir()
    (person.config_dir / "providers" / "acme.yaml").write_text("id: acme\napi: {formats: [openai-chatt]}\n")


@at_start("client-key-public")
def a_client_key_is_an_examples(person: Person) -> None:
    configured(person, api_keys=["your-api-key-1"])


@fault("config-warning")
def a_switch_does_nothing_here(person: Person) -> None:
    configured(person, request_log=True)


@fault("client-key-weak")
def a_client_key_is_short(person: Person) -> None:
    configured(person, api_keys=["abcdefgh12"])


@fault("client-key-damaged")
def a_client_keys_file_is_cut_short(person: Person) -> None:
    file = min((person.auth_dir / ".vault" / "clients").glob("*.json"))
    file.write_bytes(file.read_bytes()[:-50])


@fault("no-client-key")
def all_client_keys_are_removed(person: Person) -> None:
    for file in (person.auth_dir / ".vault" / "clients").glob("*.json"):
        file.unlink()


# The network.


@fault("exposed-without-tls")
def the_address_is_every_ones(person: Person) -> None:
    configured(person, host="0.0.0.0")


@fault("host-unusable", "exposed-without-tls")
def the_address_is_none_of_ours(person: Person) -> None:
    configured(person, host="203.0.113.9")


@fault("port-taken")
@contextmanager
def another_program_has_the_port(person: Person) -> Iterator[None]:
    with listening(config_of(person)["port"]):
        yield


@fault("callback-port-taken")
@contextmanager
def another_program_has_the_callback_port(person: Person) -> Iterator[None]:
    with listening(config_of(person)["providers"]["codex"]["oauth"]["redirect"]["port"]):
        yield


@fault("proxy-unreachable")
def nobody_is_at_the_proxy(person: Person) -> None:
    configured(person, proxy_url=f"http://ann:CANARY@127.0.0.1:{free_port()}")


@fault("certificate-unreadable")
def the_certificate_is_not_there(person: Person) -> None:
    configured(person, tls={"cert": "/no/such.pem", "key": "/no/such.key"})


@fault("certificate-expiring")
def the_certificate_ends_next_week(person: Person) -> None:
    configured(person, tls=certificate(person.config_dir, days=7))


@fault("certificate-expired")
def the_certificate_has_ended(person: Person) -> None:
    configured(person, tls=certificate(person.config_dir, days=-1))


@pytest.mark.parametrize(("broken", "codes"), FOUND.values())
def test_a_fault_from_outside_has_its_code(
    broken: Broken, codes: set[str], person: Person, planted: Callable[[Path], Path]
) -> None:
    planted(person.config)
    planted(Path(person.env["HOME"], ".codex", "auth.json"))
    wanted = codes - {"(nothing else)"} if "(nothing else)" in codes else codes | {"daemon-absent"}
    standing = broken(person)
    if hasattr(standing, "__enter__"):
        with standing:
            done = person.types("doctor", "--json")
    else:
        done = person.types("doctor", "--json")
    found = [row for row in done.json["checks"] if row["code"]]
    assert {row["code"] for row in found} == wanted
    assert (done.code, done.json["well"]) == (1, False)
    for row in found:
        assert row["state"] == FAULTS[row["code"]].state
        assert row["says"]
        assert row["action"]
        assert "{" not in row["action"]
    assert "CANARY" not in done.out + done.err


def test_thr_38_a_file_in_clear_is_named_with_the_command_that_imports_it(
    person: Person, planted: Callable[[Path], Path]
) -> None:
    dropped = planted(person.auth_dir / "claude-ann@example.com.json")
    dropped.write_text('{"type": "claude", "access_token": "CANARY-a"}')
    dropped.chmod(0o600)
    rows = {row["code"]: row for row in person.types("doctor", "--json").json["checks"]}
    assert rows["file-plaintext"]["action"] == f"vaultd credentials import {dropped} --yes --remove"
    assert rows["file-plaintext"]["subject"] == str(dropped)
    dropped.chmod(0o644)
    again = {row["code"]: row for row in person.types("doctor", "--json").json["checks"]}
    assert again["file-plaintext"] == rows["file-plaintext"], "one thing is wrong with it, and one is to be done"
