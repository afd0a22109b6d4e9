"""A person presses Tab: bash, zsh and fish, each with the script that `vaultd completion` prints."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import LONGEST, Daemon, Person

#: What a line of words completes to, as bash asks: the function is called with the words and the place of the last.
_BASH = """
eval "$(vaultd completion bash)"
complete -p vaultd >&2
while IFS= read -r line; do
  IFS=' ' read -ra COMP_WORDS <<< "$line"
  [[ $line == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
  _vaultd_completion vaultd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
  echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture
def person(home: dict[str, str]) -> Person:
    """With the program on the path, as a shell has it."""
    return Person({**home, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{home['PATH']}"})


def _tabs(person: Person, *lines: str) -> list[list[str]]:
    """What bash offers for each of these lines."""
    typed = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(
        ["bash", "--norc", "-c", _BASH],
        input=typed,
        env=person.env,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=True,
    )
    assert done.stderr == "complete -o nosort -F _vaultd_completion vaultd\n", "a shell's line must not be written into"
    return [line.split() for line in done.stdout.splitlines()]


def test_bash_completes_commands_vendors_and_credentials_and_makes_nothing(person: Person) -> None:
    person.configures("openai-compatibility: [{name: acme, base-url: 'https://acme.example/v1'}]\n")
    person.auth_dir.mkdir(parents=True, mode=0o700)
    for name in ("codex-ann@example.com", "claude-ann@example.com"):
        (person.auth_dir / f"{name}.json").write_text("{}")
    before = _files(person)
    commands, flags, credentials, below, vendors, clients = _tabs(
        person,
        "vaultd cred",
        "vaultd login --qw",
        "vaultd logout co",
        "vaultd keys d",
        "vaultd providers show ac",
        "vaultd connect ge",
    )
    assert commands == ["credentials"]
    assert flags == ["--qwen"]
    assert credentials == ["codex-ann@example.com"]
    assert below == ["delete", "disable"]
    assert vendors == ["acme"]
    assert clients == ["gemini-cli"]
    assert _files(person) == before, "pressing Tab makes no file: no key, no folder"


def _files(person: Person) -> set[Path]:
    return {path for root in ("HOME", "XDG_RUNTIME_DIR") for path in Path(person.env[root]).rglob("*")}


def test_a_broken_configuration_completes_to_nothing_and_says_nothing(person: Person) -> None:
    person.configures("prot: 8317\n")
    flags, commands, credentials = _tabs(person, "vaultd login --qw", "vaultd stat", "vaultd logout co")
    assert (flags, commands, credentials) == ([], ["status"], [])


def test_client_keys_are_the_daemons_word(person: Person, serves: Callable[..., Daemon]) -> None:
    assert _tabs(person, "vaultd keys get defau") == [[]]
    serves(person)
    # A daemon that a busy machine keeps from answering within two seconds is none: then Tab is pressed again.
    presses = (_tabs(person, "vaultd keys get defau") for _ in range(5))
    assert next((offered for offered in presses if offered != [[]]), None) == [["default"]]


def test_fish_completes(person: Person, tool: Callable[[str], str]) -> None:
    words = 'vaultd completion fish | source; complete -C "vaultd cred"; complete -C "vaultd login --qw"'
    done = subprocess.run(
        [tool("fish"), "--no-config", "-c", words],
        env=person.env,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=True,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["credentials", "--qwen"]
    assert done.stderr == ""


def test_zsh_completes(person: Person, tool: Callable[[str], str]) -> None:
    ours, its = pty.openpty()
    zsh = subprocess.Popen(
        [tool("zsh"), "-f", "-i"],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**person.env, "TERM": "dumb"},
        start_new_session=True,
    )
    try:
        script = 'autoload -U compinit; compinit -D; eval "$(vaultd completion zsh)"; echo READY-$((40+2))\n'
        os.write(ours, script.encode())
        _until(ours, b"READY-42")
        os.write(ours, b"vaultd creden\t")
        _until(ours, b"credentials")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(ours)
        os.close(its)


def _until(terminal: int, words: bytes) -> None:
    seen = b""
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], LONGEST)
        assert ready, f"{words!r} never came: {seen!r}"
        seen += os.read(terminal, 4096)
