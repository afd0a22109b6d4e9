"""`vaultd service`: the systemd units written, taken away and looked at, the system's or (`--user`) one's own.

Nothing is started or enabled by `install`: it says which command does. A file that a person has changed is left as it
is, and told. `uninstall` takes away what `install` wrote; the vault and its key stay.
"""

from __future__ import annotations

import grp
from dataclasses import asdict, dataclass
from typing import Final

import click

from vaultd.cli import terminal
from vaultd.cli.ask import call_of
from vaultd.cli.service.systemd import GROUP, KEY, STATE, UNITS, Manager, seal_key
from vaultd.cli.service.units import File, Installation, files
from vaultd.config.places import SYSTEM_SOCKET
from vaultd.errors import Misconfigured
from vaultd.net import local

#: As `doctor`: something is to be done.
_FOUND: Final = 1

_user_option = click.option("--user", is_flag=True, help="A service of your own, by systemctl --user.")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `status`. `action` is empty where all is well."""

    check: str
    says: str
    action: str = ""


@click.group()
def service() -> None:
    """Install, remove and check the systemd units."""


@service.command()
@_user_option
@click.pass_context
def install(ctx: click.Context, user: bool) -> None:
    """Write the units and seal a root key to this machine; says what to type next."""
    manager, wanted = _manager(ctx, user), _files(ctx, user)
    again = _typed(user, "install")
    manager.require(again)
    if not user and (place := Installation.found().in_a_home()) is not None:
        raise Misconfigured(
            f"{place} is in a home folder, which the service cannot see: python3 -m venv /opt/vaultd, "
            f"/opt/vaultd/bin/pip install vaultd, then /opt/vaultd/bin/vaultd service install"
        )
    for file in wanted:
        _write(file)
    if not user:
        manager.runs("systemd-sysusers", "/etc/sysusers.d/vaultd.conf")
        manager.runs("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/vaultd.conf")
        made = seal_key()
        terminal.chat(f"{'sealed a new root key to this machine' if made else 'kept the sealed root key'}: {KEY}")
    manager.does("daemon-reload")
    terminal.chat("next:")
    terminal.out(f"{manager.systemctl} enable --now vaultd.service")
    if user:
        terminal.chat("it ends with your last session, unless: loginctl enable-linger")
    else:
        terminal.chat(f"who may use it: usermod -aG {GROUP} NAME; the first login: vaultd login --codex")


@service.command()
@_user_option
@click.pass_context
def uninstall(ctx: click.Context, user: bool) -> None:
    """Stop it and take away what `install` wrote; credentials and key stay."""
    manager, wanted = _manager(ctx, user), _files(ctx, user)
    manager.require(_typed(user, "uninstall"))
    there = [file for file in wanted if file.state() != "absent"]
    if units := [file.path.name for file in there if file.path.name in UNITS]:
        manager.does("disable", *units)
        manager.does("stop", *units)
    for file in there:
        if file.state() in {"edited", "masked"}:
            terminal.chat(f"kept, for it was changed here: {file.path}")
        else:
            file.path.unlink()
            terminal.chat(f"removed: {file.path}")
    manager.does("daemon-reload")
    if user:
        terminal.chat("the credentials and their key stay where `vaultd status` shows them")
    else:
        terminal.chat(f"the credentials stay in {STATE}, their sealed key in {KEY}, the group {GROUP} in /etc/group")


@service.command()
@_user_option
@terminal.json_option
@click.pass_context
def status(ctx: click.Context, user: bool, as_json: bool) -> None:
    """How the service stands, with one next action each; exit 0 only if all is well."""
    manager, wanted = _manager(ctx, user), _files(ctx, user)
    manager.require_running(_typed(user, "status"))
    checks = [_file_check(file, _typed(user, "install")) for file in wanted]
    checks += [_unit_check(manager, unit) for unit in UNITS]
    if not user:
        checks += [_key_check(), _group_check(), _socket_check(manager)]
    well = not any(check.action for check in checks)
    if as_json:
        terminal.out_json({"well": well, "checks": [asdict(check) for check in checks]})
    else:
        rows = [("fault" if one.action else "ok", one.check, one.says, one.action) for one in checks]
        terminal.table(("STATE", "CHECK", "WHAT", "NEXT"), rows)
    ctx.exit(0 if well else _FOUND)


def _manager(ctx: click.Context, user: bool) -> Manager:
    return Manager(call_of(ctx).env, user=user)


def _files(ctx: click.Context, user: bool) -> list[File]:
    return files(Installation.found(), user_folder=_manager(ctx, user).folder if user else None)


def _typed(user: bool, word: str) -> str:
    return f"{Installation.found().program} service {word}{' --user' if user else ''}"


def _write(file: File) -> None:
    match file.state():
        case "current":
            terminal.chat(f"as it should be: {file.path}")
        case "masked":
            terminal.chat(f"kept switched off, by a link to /dev/null: {file.path}")
        case "edited":
            terminal.chat(f"kept, for it was changed here (move it away to have the shipped one): {file.path}")
        case _:
            file.write()
            terminal.chat(f"written: {file.path}")


def _file_check(file: File, install_: str) -> Check:
    state = file.state()
    says = {
        "current": "as shipped",
        "absent": "absent",
        "old": "of another version",
        "edited": "changed here",
        "masked": "switched off here, by a link to /dev/null",
    }
    if state == "edited":
        return Check(str(file.path), says[state], f"remove it (systemctl edit keeps changes apart), then {install_}")
    return Check(str(file.path), says[state], "" if state in {"current", "masked"} else install_)


def _unit_check(manager: Manager, unit: str) -> Check:
    enabled, active = manager.tells("is-enabled", unit) or "unknown", manager.tells("is-active", unit) or "unknown"
    if enabled in {"unknown", "not-found"}:
        return Check(unit, "not installed", _typed(manager.user, "install"))
    says = f"{enabled}, {active}"
    if enabled.startswith("masked"):  # a person's word; without the main port's socket the daemon opens the port
        return Check(unit, says, "" if unit == "vaultd.socket" else f"{manager.systemctl} unmask {unit}")
    if enabled != "enabled":
        return Check(unit, says, f"{manager.systemctl} enable --now {unit}")
    # The first question starts the service: at rest it is well where its socket is open.
    at_rest = unit.endswith(".service") and active == "inactive"
    if active == "active" or at_rest:
        return Check(unit, says)
    journal = "journalctl --user" if manager.user else "journalctl"
    # All of them: where one has been started too often, systemd lets the others fail with it.
    again = f"{manager.systemctl} reset-failed 'vaultd*'; {manager.systemctl} restart {' '.join(UNITS)}"
    return Check(unit, says, f"{journal} -u {unit} says why; then {again}")


def _key_check() -> Check:
    try:
        size = KEY.stat().st_size
    except FileNotFoundError:
        return Check("root key", f"{KEY} is absent", _typed(False, "install"))
    except PermissionError:
        return Check("root key", f"{KEY}: only root can see", f"sudo {_typed(False, 'status')}")
    return Check("root key", f"sealed, {size} bytes" if size else "empty", "" if size else f"remove {KEY} and install")


def _group_check() -> Check:
    try:
        members = grp.getgrnam(GROUP).gr_mem
    except KeyError:
        return Check("group", f"{GROUP} is absent", _typed(False, "install"))
    return Check("group", f"{GROUP}: {', '.join(members) or 'root alone'}")


def _socket_check(manager: Manager) -> Check:
    answer = local.knock(SYSTEM_SOCKET, local.STARTING_SECONDS)
    if not isinstance(answer, str):
        return Check("admin socket", f"vaultd {answer.get('version', '?')} answers, pid {answer.get('pid', '?')}")
    says = {"nobody": "not open", "forbidden": "not for you", "silent": "open, and nobody answers"}[answer]
    action = {
        "nobody": f"{manager.systemctl} start vaultd-admin.socket",
        "forbidden": f"sudo usermod -aG {GROUP} NAME, and log in again",
        "silent": "journalctl -u vaultd.service says why",
    }[answer]
    return Check("admin socket", says, action)
