"""`vaultd connect` as a person types it, beside a daemon: shown, written, written again, taken back."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pwd
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from beside import Machine, Owner
from ports import free_port
from shell import Person

#: As the daemon's clients are told apart: by the machine's name for who runs them.
ME = pwd.getpwuid(os.geteuid()).pw_name
SETTINGS = b'{\n\t"env": {"ANTHROPIC_API_KEY": "sk-CANARY-of-mine", "FOO": "bar"},\n\t"theme": "dark"\n}'


def said_in(file: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads(file.read_text())
    return told


def test_print_shows_what_would_be_written_and_no_key_and_changes_nothing(owner: Owner) -> None:
    owner.has(".claude/settings.json", SETTINGS)
    before, keys = owner.tree(), owner.types("keys", "list").out
    shown = owner.connects("claude-code", "--print", "--models", "opus=gemini-3-pro").out
    assert '"ANTHROPIC_DEFAULT_OPUS_MODEL": "gemini-3-pro"' in shown
    assert "apiKeyHelper" in shown and "CANARY" not in shown
    assert "vk_" not in owner.connects("gemini-cli", "--print").out
    assert "GEMINI_API_KEY=" in owner.connects("gemini-cli", "--print").out
    assert (owner.tree(), owner.types("keys", "list").out) == (before, keys)


def test_again_with_other_models_and_then_back_to_the_byte(owner: Owner) -> None:
    dotfiles = owner.has("dotfiles/claude.json", SETTINGS)
    dotfiles.chmod(0o640)
    link = owner.home / ".claude" / "settings.json"
    link.parent.mkdir()
    link.symlink_to("../dotfiles/claude.json")
    before = owner.tree()

    owner.connects("claude-code", "--models", "opus=gemini-3-pro,haiku=qwen3-coder-plus")
    first = owner.tree()
    assert "left as it is" in owner.connects("claude-code", "--models", "opus=gemini-3-pro,haiku=qwen3-coder-plus").out
    assert owner.tree() == first
    owner.connects("claude-code", "--models", "sonnet=gpt-5.5", "--models", "claude-opus-4-8")
    told = said_in(link)
    assert (told["model"], told["theme"]) == ("claude-opus-4-8", "dark")
    assert told["env"].keys() == {"FOO", "ANTHROPIC_BASE_URL", "ANTHROPIC_DEFAULT_SONNET_MODEL"}  # type: ignore[attr-defined]
    assert link.is_symlink() and dotfiles.stat().st_mode & 0o777 == 0o640
    kept = [path for path in owner.home.rglob("connect/claude-code/*") if path.name != "record.json"]
    assert [path.read_bytes() for path in kept] == [SETTINGS]
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*kept, *(one.parent for one in kept)])
    shown = owner.connects("claude-code", "--undo", "--print").out
    assert '+    "env": {"ANTHROPIC_API_KEY": "…", "FOO": "bar"},' in shown

    owner.connects("claude-code", "--undo")
    assert owner.tree() == before and link.is_symlink()
    assert "nothing to take back" in owner.connects("claude-code", "--undo").err


def test_what_was_touched_between_keeps_its_touches(owner: Owner) -> None:
    """As Claude Code writes its settings when a model is chosen: all anew, with two blanks."""
    file = owner.has(".claude/settings.json", SETTINGS)
    owner.connects("claude-code", "--models", "gpt-5.5")
    touched = said_in(file) | {"model": "opus", "verbose": True}
    file.write_text(json.dumps(touched, indent=2))
    assert "changed since" in owner.types("connect").out
    owner.connects("claude-code", "--models", "opus=gpt-5.5")
    left = owner.connects("claude-code", "--undo")
    assert said_in(file) == json.loads(SETTINGS) | {"model": "opus", "verbose": True}
    assert f"vaultd keys delete claude-code@{ME}" in left.err


def test_how_each_client_stands(owner: Owner, machine: Machine) -> None:
    owner.connects("codex", "--models", "gpt-5.5(high)")
    rows = {line.split()[0]: line.split()[1:] for line in owner.types("connect").out.splitlines()}
    assert rows["codex"] == ["connected", machine.url, "gpt-5.5(high)"]
    assert rows["opencode"] == ["-"]
    owner.connects("codex", "--undo")
    assert [*owner.home.rglob("*codex*"), *owner.home.rglob("vaultd")] == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("claude-cod",), 2, "did you mean claude-code?"),
        (("claude-code", "--models", "opus=gemini-3-por"), 78, "nearest: gemini-3-pro"),
        (("claude-code", "--models", "opsu=gemini-3-pro"), 2, "opus=…"),
        (("codex", "--models", "opus=gemini-3-pro"), 2, "takes a model"),
        (("codex", "--code-assist"), 2, "for gemini-cli"),
        (("codex", "--undo", "--models", "gpt-5.5"), 2, "no other word"),
        (("codex", "--url", "ftp://host"), 78, "no address"),
    ],
)
def test_wrong_words_say_what_is_right_and_write_nothing(
    owner: Owner, words: tuple[str, ...], code: int, says: str
) -> None:
    before = owner.tree()
    done = owner.types("connect", *words, stdin="vk_CANARY\n")
    assert (done.code, owner.tree()) == (code, before), done.err
    assert says in done.err


@pytest.mark.parametrize(
    "url",
    ["http://host:99999", "http://[::1", f"http://{'a' * 70}.x", "http://a..b", "http://ho st", "http://me:pwCANARY@h"],
)
def test_an_address_that_none_can_be_asked_at_is_refused_and_not_repeated(owner: Owner, url: str) -> None:
    done = owner.types("connect", "codex", "--url", url, stdin="vk_CANARY\n")
    assert (done.code, owner.tree()) == (78, {}), done.err
    assert "no address" in done.err and "CANARY" not in done.err


def test_what_lies_beside_our_lines_is_shown_without_keys(owner: Owner) -> None:
    said = {"ANTHROPIC_CUSTOM_HEADERS": "x-a: sk-CANARY", "MY_AUTH": "Bearer CANARY", "PASSWORD": "a b CANARY"}
    owner.has(".claude/settings.json", json.dumps({"apiKeyHelper": "echo sk-CANARYCANARY", "env": said}).encode())
    owner.has(".gemini/.env", b"GEMINI_API_KEY='CANARY a'\nURL=postgres://me:CANARY@db/x\n")
    shown = owner.connects("claude-code", "--print").out + owner.connects("gemini-cli", "--print").out
    assert "CANARY" not in shown and f"token --client-key claude-code@{ME}" in shown


def test_what_would_count_for_more_is_taken_out_and_comes_back(owner: Owner) -> None:
    """As the installed clients rank them: another vendor's switch before the address, a variable before the setting."""
    rivals = {"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_MODEL": "old", "ANTHROPIC_SMALL_FAST_MODEL": "old"}
    claude = owner.has(".claude/settings.json", json.dumps({"env": {"FOO": "bar", **rivals}}).encode())
    gemini = owner.has(".gemini/.env", b"GEMINI_MODEL=old\nFOO=bar\n")
    before = owner.tree()
    owner.connects("claude-code")
    assert said_in(claude)["env"].keys() >= rivals.keys() - {"CLAUDE_CODE_USE_BEDROCK"}  # type: ignore[attr-defined]
    owner.connects("claude-code", "--models", "gpt-5.5,haiku=gpt-5.5")
    owner.connects("gemini-cli", "--models", "gpt-5.5")
    assert rivals.keys().isdisjoint(said_in(claude)["env"])  # type: ignore[call-overload]
    assert "GEMINI_MODEL" not in gemini.read_text() and "FOO=bar" in gemini.read_text()
    owner.connects("claude-code", "--undo")
    owner.connects("gemini-cli", "--undo")
    assert owner.tree() == before


def test_files_in_another_folder_are_not_taken_for_those_of_the_first(owner: Owner) -> None:
    one, two = (owner.has(f"{name}/settings.json", b'{"of": "%s"}' % name.encode()) for name in ("one", "two"))
    before = owner.tree()
    for name in ("one", "two"):
        owner.env["CLAUDE_CONFIG_DIR"] = os.path.relpath(owner.home / name)
        owner.connects("claude-code")
    assert b"vaultd" in two.read_bytes() and one.read_bytes() == b'{"of": "one"}'
    del owner.env["CLAUDE_CONFIG_DIR"]
    assert owner.connects("claude-code", "--undo").out == f"restored {two}\n"
    assert owner.tree() == before


def test_whoever_is_stopped_between_two_files_has_a_way_back(owner: Owner) -> None:
    """The folder of the second takes no file any more, as on a full disk, when other models are asked for."""
    settings = owner.has(".config/opencode/opencode.jsonc", b'{\n  // mine\n  "model": "a/b"\n}\n')
    before = owner.tree()
    owner.connects("opencode", "--models", "claude-opus-4-8,small=gpt-5.5")
    state = owner.home / ".local/state/vaultd/connect/opencode"
    first = json.loads((state / "record.json").read_text())
    written = settings.read_bytes()
    owner.connects("opencode", "--models", "gemini-3-pro")
    second = json.loads((state / "record.json").read_text())
    assert second["earlier"] == []
    # As it is on the disk between the record and the first file.
    (state / "record.json").write_text(json.dumps(second | {"earlier": first["files"]}))
    settings.write_bytes(written + b"// later\n")
    (settings.parent / ".vaultd-0123456789abcdef").write_text("half of it")
    owner.connects("opencode", "--undo")
    after = owner.tree()
    assert after.pop(".config/opencode/opencode.jsonc")[1] == before.pop(".config/opencode/opencode.jsonc")[1] + (
        b"// later\n"
    )
    assert after == before


def test_what_cannot_be_written_says_what_to_do_about_the_rest(owner: Owner) -> None:
    owner.has(".gemini/.env", b"X=1\n")
    owner.has(".gemini/settings.json", b"{}")
    before = owner.tree()
    shut = owner.home / ".qwen"
    shut.symlink_to("/proc/self")  # where nobody makes a file, root neither
    done = owner.types("connect", "qwen-code")
    assert done.code == 78 and "cannot be written" in done.err and "connect qwen-code --undo" in done.err
    owner.connects("qwen-code", "--undo")
    assert owner.tree() == before


def test_a_circle_of_links_and_a_pipe_are_said_and_left_alone(owner: Owner) -> None:
    folder = owner.home / ".gemini"
    folder.mkdir()
    os.mkfifo(folder / ".env")
    pipe = owner.types("connect", "gemini-cli")
    (folder / ".env").unlink()
    (folder / ".env").symlink_to(".env")
    circle = owner.types("connect", "gemini-cli")
    assert (pipe.code, circle.code, owner.tree()) == (78, 78, {})
    assert "pipe" in pipe.err and "in a circle" in circle.err


def test_a_file_that_cannot_be_read_stops_all_of_it(owner: Owner) -> None:
    owner.has(".gemini/.env", b"GEMINI_API_KEY=CANARY\n")
    owner.has(".gemini/settings.json", b'{"security": }')
    before = owner.tree()
    done = owner.types("connect", "gemini-cli")
    assert (done.code, owner.tree()) == (78, before)
    assert ".gemini/settings.json: it is no JSON: a value is expected in line 1; nothing was written" in done.err


def test_what_is_no_file_is_said_and_nothing_is_written(owner: Owner) -> None:
    blocked = owner.home / ".gemini" / ".env"
    blocked.mkdir(parents=True)
    done = owner.types("connect", "gemini-cli")
    assert done.code == 78 and f"{blocked}: cannot be read: Is a directory" in done.err
    assert owner.tree() == {}


def test_without_its_backup_what_was_written_is_still_taken_back(owner: Owner) -> None:
    file = owner.has(".claude/settings.json", SETTINGS)
    owner.connects("claude-code")
    for backup in owner.home.rglob("connect/claude-code/*settings.json"):
        backup.unlink()
    owner.connects("claude-code", "--undo")
    assert said_in(file) == json.loads(SETTINGS)


def test_a_file_that_takes_the_key_is_closed_to_others_and_opened_again(owner: Owner) -> None:
    file = owner.has(".gemini/.env", b"# mine\nGEMINI_API_KEY=CANARY\nOTHER=1\n")
    file.chmod(0o644)
    before = owner.tree()
    owner.env["GEMINI_API_KEY"] = "CANARY"
    done = owner.connects("gemini-cli")
    assert file.stat().st_mode & 0o777 == 0o600 and b"OTHER=1\n" in file.read_bytes()
    assert "(0600)" in done.err and "GEMINI_API_KEY is set in this shell" in done.err
    owner.connects("gemini-cli", "--undo")
    assert owner.tree() == before


def test_a_daemon_elsewhere_and_its_key_from_stdin(owner: Owner, machine: Machine) -> None:
    key = owner.types("keys", "create", f"of {owner.home.parent.name}"[:60]).out
    words = ("connect", "claude-code", "--url", f"{machine.url}/v1", "--models")
    wrong = owner.types(*words, "opus=gemini-3-por", stdin=key)
    assert (wrong.code, owner.tree()) == (78, {}) and "nearest: gemini-3-pro" in wrong.err
    unknown = owner.types(*words, "opus=gemini-3-pro", stdin="vk_CANARY\n")
    assert (unknown.code, owner.tree()) == (78, {}) and "does not know this client key" in unknown.err

    done = owner.types(*words, "opus=gemini-3-pro", stdin=key)
    assert done.code == 0 and key.strip() not in done.out + done.err
    settings = said_in(owner.home / ".claude" / "settings.json")
    assert settings["env"]["ANTHROPIC_BASE_URL"] == machine.url  # type: ignore[index]
    helper = subprocess.run(["sh", "-c", str(settings["apiKeyHelper"])], capture_output=True, text=True, check=True)
    assert helper.stdout == key
    owner.connects("claude-code", "--undo")
    assert owner.tree() == {}


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.2/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_answers_elsewhere_and_is_no_vaultd_is_said(owner: Owner) -> None:
    """A proxy that has no such path is not taken for a daemon without models, and no key follows a redirect."""
    words = ("connect", "codex", "--models", "gpt-5.5", "--url")
    with answering(302, b"") as url:
        moved = owner.types(*words, url, stdin="vk_CANARY\n")
    assert (moved.code, owner.tree()) == (78, {}) and "sends its clients elsewhere" in moved.err
    for status, body in ((404, b"no such path"), (200, b"[" * 100_000)):
        with answering(status, body) as url:
            done = owner.types(*words, url, stdin="vk_CANARY\n")
        assert done.code == 0 and "the models are taken as they are named" in done.err
        owner.connects("codex", "--undo")


def test_a_daemon_elsewhere_that_does_not_answer_yet(owner: Owner) -> None:
    done = owner.types("connect", "codex", "--url", f"http://127.0.0.2:{free_port()}", stdin="vk_CANARY\n")
    assert done.code == 0 and "vk_CANARY" not in done.out + done.err
    assert "does not answer" in done.err and "plain http" in done.err
    owner.connects("codex", "--undo")


def test_a_key_that_is_switched_off_is_not_handed_out(owner: Owner) -> None:
    owner.connects("qwen-code")
    owner.types("keys", "disable", f"qwen-code@{ME}")
    done = owner.types("connect", "qwen-code")
    owner.types("keys", "enable", f"qwen-code@{ME}")
    assert (done.code, f"vaultd keys enable qwen-code@{ME}" in done.err) == (78, True)
    assert owner.connects("qwen-code").code == 0
    owner.connects("qwen-code", "--undo")


def test_with_no_daemon_nobody_is_given_a_vault_of_his_own(home: dict[str, str]) -> None:
    person = Person(home)
    for words in (("connect", "codex"), ("token", "codex"), ("token", "--client-key", "codex")):
        done = person.types(*words)
        assert (done.code, done.out) == (78, "") and "no vault" in done.err
    assert not person.auth_dir.exists() and not person.config_dir.exists()


def test_with_a_vault_and_no_daemon_the_configured_address_is_said_and_taken(home: dict[str, str]) -> None:
    person = Person(home)
    person.configures("port: 8400\nhost: 0.0.0.0\n")
    person.types("keys", "create", "default")
    done = person.types("connect", "codex")
    assert done.code == 0 and "no daemon answers; http://127.0.0.1:8400" in done.err
    assert 'base_url = "http://127.0.0.1:8400/v1"' in Path(home["HOME"], ".codex", "config.toml").read_text()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_stays_his(owner: Owner) -> None:
    file = owner.has(".claude/settings.json", b"{}")
    os.chown(file, 4711, 4712)
    owner.connects("claude-code")
    assert (file.stat().st_uid, file.stat().st_gid) == (4711, 4712)
    owner.connects("claude-code", "--undo")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_by_sudo_a_person_s_new_files_are_the_person_s(owner: Owner) -> None:
    os.chown(owner.home, 4711, 4712)
    owner.connects("gemini-cli")
    made = [*owner.home.glob(".gemini/**/*"), *owner.home.glob(".local/**/*"), owner.home / ".gemini"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(4711, 4712)}
    owner.connects("gemini-cli", "--undo")
