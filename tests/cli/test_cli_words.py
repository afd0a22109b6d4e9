"""The command line itself: what it lists, how it fails, where an option may stand."""

from __future__ import annotations

import subprocess
import sys

import pytest
from shell import Person

from vaultd import errors
from vaultd.cli.main import COMMANDS, exit_code


def test_help_names_every_command_and_imports_none_of_them(person: Person) -> None:
    done = person.types("--help")
    assert done.code == 0
    assert all(f"  {command} " in done.out for command in COMMANDS)
    heavy = "print({'aiohttp', 'rich', 'cryptography', 'watchdog', 'uvloop', 'msgspec'} & set(sys.modules))"
    words = "import sys; from vaultd.cli.main import run; run(['--help'], serve=None); " + heavy
    listed = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, env=person.env, check=True)
    assert listed.stdout.endswith("set()\n")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself_and_takes_a_config(command: str, person: Person) -> None:
    done = person.types(command, "--help")
    assert done.code == 0, done.err
    assert "--config FILE" in done.out


def test_config_may_stand_before_or_after_the_command(person: Person) -> None:
    for words in (
        ("--config", "/no/such", "status"),
        ("status", "--config", "/no/such"),
        ("keys", "list", "--config", "/no/such"),
    ):
        done = person.types(*words)
        assert (done.code, done.out) == (78, "")
        assert done.err == "vaultd: /no/such: no such file, but --config names it\n"


def test_a_wrong_command_line_is_2_and_says_where_help_is(person: Person) -> None:
    for words in (("nonsense",), ("keys", "create"), ("serve", "--port", "70000"), ("credentials",)):
        done = person.types(*words)
        assert (done.code, done.out) == (2, "")
        assert "--help" in done.err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_was_closed_is_nobodys_file(closed: str, person: Person) -> None:
    """Else the next file opened gets its number, and what is said goes into that file."""
    typed = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "vaultd", "keys", "create", "laptop"]
    done = subprocess.run(typed, capture_output=True, text=True, env=person.env, check=False)
    assert done.returncode == 0, done.stderr
    assert person.types("keys", "list", "--json").json["count"] == 1


def test_a_reader_that_goes_away_is_neither_success_nor_a_fault_that_was_found(person: Person) -> None:
    pipe = 'set -o pipefail; "$0" -m vaultd providers list | exec 0<&-'
    done = subprocess.run(
        ["bash", "-c", pipe, sys.executable], env=person.env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (141, "")


def test_the_first_secret_says_that_it_made_the_root_key_and_no_other(person: Person) -> None:
    said = person.types("keys", "create", "phone").err
    assert said.startswith("a new root key was made: the key file ")
    assert person.types("keys", "list").err == ""


def test_a_folder_open_to_others_is_shut_and_it_is_told(person: Person) -> None:
    person.types("keys", "create", "phone")
    person.auth_dir.chmod(0o755)
    assert person.types("keys", "list").err == f"{person.auth_dir} was open to others (0755); it is 0700 now\n"
    assert person.auth_dir.stat().st_mode & 0o777 == 0o700


def test_each_error_has_its_exit_code() -> None:
    codes = {
        errors.Misconfigured("x"): 78,
        errors.SignInRequired("x"): 3,
        errors.TimedOut("x"): 4,
        errors.PortTaken("x"): 5,
        errors.TryLater("x"): 6,
        errors.UpstreamRefused("x", status=403): 6,
        errors.ProtocolError("x"): 6,
    }
    assert [exit_code(error) for error in codes] == list(codes.values())


def test_thr_28_a_fault_of_ours_is_one_line_that_quotes_nothing(person: Person) -> None:
    words = (
        "from vaultd.cli.main import run\n"
        "def boom(*_): raise RuntimeError('the token CANARY-1')\n"
        "raise SystemExit(run(['serve'], serve=boom))"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, env=person.env, check=False)
    assert done.returncode == 70
    assert "internal error: RuntimeError" in done.stderr
    assert "CANARY" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_thr_29_a_name_cannot_move_the_cursor(person: Person) -> None:
    done = person.types("status", "--config", "/no/\x1b[2J\u202e")
    assert done.err == "vaultd: /no/\\x1b[2J\\u202e: no such file, but --config names it\n"
