"""Edits of the configuration's file: each whole or not at all, taken up once, and nobody else's is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import bcrypt
import pytest
from disks import a_full_disk

from vaultd.config import write
from vaultd.errors import Misconfigured
from vaultd.house import House, build
from vaultd.work.editing import Edit, Editor, Invalid, Locked, Stale, Unsaved

KEY = "CANARY-management-key"
HASHED = bcrypt.hashpw(KEY.encode(), bcrypt.gensalt(4)).decode()
FILE = f"""\
# Mine.
remote-management: {{secret-key: {HASHED}}}  # long
api-keys: # who may ask
  - sk-CANARY-first-0123456789
request-retry: 1
"""


def puts(path: str, value: object) -> Edit:
    return lambda text: write.put(text, write.steps(path), value, "config.yaml")


def reloads(house: House, outcome: str = "taken") -> float:
    return house.metrics.counted("vaultd_config_reloads_total", outcome)


class File:
    """The configuration on the disk, as a person at it sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def text(self) -> str:
        return self.path.read_text()

    @text.setter
    def text(self, text: str) -> None:
        self.path.write_text(text)

    @property
    def stat(self) -> os.stat_result:
        return self.path.stat()

    @property
    def mode(self) -> int:
        return self.stat.st_mode & 0o777

    def folder(self) -> set[str]:
        """What lies there beside the root key."""
        return {one.name for one in self.path.parent.iterdir() if one.is_file()} - {"root.key"}

    def becomes_folder(self) -> None:
        self.path.unlink()
        self.path.mkdir()

    def links_to(self, real: File, to: str) -> None:
        for one in (self, real):
            one.path.parent.mkdir(parents=True)
        real.text = FILE
        self.path.symlink_to(to)


@pytest.fixture
def file(home: dict[str, str], planted: Callable[[Path], Path]) -> File:
    path = planted(Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml")
    path.parent.mkdir(parents=True)
    path.write_text(FILE)
    return File(path)


@pytest.fixture
async def house(home: dict[str, str], file: File) -> AsyncIterator[House]:
    """As a daemon: it follows its files."""
    house = await build(home, None, for_daemon=False)
    await house.start()
    yield house
    await house.close()


async def test_each_edit_is_in_the_file_and_in_force_and_reloaded_once(house: House, file: File) -> None:
    for count in range(2, 12):
        change = await house.editor.edit(puts("request-retry", count))
        assert change.changed == ("request-retry",)
        assert house.config.request_retry == count
        assert file.text == FILE.replace("retry: 1", f"retry: {count}")
        await house.look()
    assert reloads(house) == 10
    assert file.folder() == {"config.yaml"}


async def test_an_edit_that_says_what_is_said_already_writes_nothing(house: House, file: File) -> None:
    before = file.stat
    change = await house.editor.edit(puts("request-retry", 1))
    assert (change.changed, change.diff, reloads(house)) == ((), "", 0)
    assert file.stat == before


async def test_many_at_once_are_made_one_after_another(house: House, file: File) -> None:
    def adds(key: str) -> Edit:
        return lambda text: write.put(text, ("api-keys", len(write.tree(text, "f")["api-keys"])), key, "f")

    await asyncio.gather(*(house.editor.edit(adds(f"CANARY-{n}")) for n in range(20)))
    assert house.config.api_keys[1:] == [f"CANARY-{n}" for n in range(20)]
    assert reloads(house) == 20


async def test_two_daemons_on_one_file_lose_no_edit_of_each_other(house: House, home: dict[str, str]) -> None:
    another = await build(home, None, for_daemon=False)

    def adds(key: str) -> Edit:
        return lambda text: write.put(text, ("api-keys", len(write.tree(text, "f")["api-keys"])), key, "f")

    editors = (house.editor, another.editor)
    await asyncio.gather(*(editors[n % 2].edit(adds(f"CANARY-{n}")) for n in range(20)))
    await another.close()
    await house.look()
    assert sorted(house.config.api_keys[1:]) == sorted(f"CANARY-{n}" for n in range(20))


async def test_what_a_person_saves_meanwhile_is_not_lost(house: House, file: File) -> None:
    saves = [FILE + "# by hand\n", FILE + "# by hand\ndebug: true\n"]

    def make(text: str) -> str:
        if saves:
            file.text = saves.pop(0)
        return puts("request-retry", 5)(text)

    await house.editor.edit(make)
    assert file.text == (FILE + "# by hand\ndebug: true\n").replace("retry: 1", "retry: 5")
    assert (house.config.debug, house.config.request_retry) == (True, 5)


async def test_a_file_that_never_rests_is_left_alone(house: House, file: File) -> None:
    count = 0

    def make(text: str) -> str:
        nonlocal count
        count += 1
        file.text = f"{FILE}# {count}\n"
        return puts("request-retry", 5)(text)

    with pytest.raises(Unsaved, match="failed to save config"):
        await house.editor.edit(make)
    assert file.text == f"{FILE}# {count}\n"


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        ("request-retry", -1, Invalid),
        ("request-retri", 1, Invalid),
        ("proxy-url", "ftp://x", Invalid),
        ("providers.claude.endpoints.token", "http://evil.example", Invalid),
        ("api-keys", ["changeme"], Invalid),
        ("claude-api-key", [{"api-key": "sk-a****9999"}], Invalid),
        ("remote-management.secret-key", "CANARY-other", Locked),
        ("remote-management.allow-remote", True, Locked),
        ("request-retry[3]", 1, Misconfigured),
    ],
)
async def test_what_would_be_no_configuration_changes_neither_file_nor_memory(
    house: House, file: File, path: str, value: object, kind: type[Misconfigured]
) -> None:
    before = house.config
    with pytest.raises(kind) as told:
        await house.editor.edit(puts(path, value))
    assert "CANARY" not in str(told.value)
    if isinstance(told.value, Invalid | Locked):
        assert told.value.path.startswith(path.partition("[")[0].partition(".endpoints")[0])
    assert (file.text, house.config, reloads(house), file.folder()) == (FILE, before, 0, {"config.yaml"})


async def test_a_full_disk_or_a_folder_that_may_not_be_written_changes_nothing(house: House, file: File) -> None:
    before = house.config
    with a_full_disk(), pytest.raises(Unsaved, match=r"failed to save config: File too large"):
        await house.editor.edit(puts("request-retry", 5))
    assert house.editor.writable
    if os.geteuid() != 0:  # root writes where it likes
        file.path.parent.chmod(0o500)
        assert not house.editor.writable
        with pytest.raises(Unsaved, match="failed to save config: Permission denied"):
            await house.editor.edit(puts("request-retry", 5))
        file.path.parent.chmod(0o700)
    assert (file.text, house.config, file.folder()) == (FILE, before, {"config.yaml"})


async def test_a_folder_where_the_file_should_be_is_told(house: House, file: File) -> None:
    file.becomes_folder()
    with pytest.raises(Unsaved, match="failed to save config"):
        await house.editor.edit(puts("request-retry", 5))
    assert file.folder() == set()


async def test_a_link_stays_and_what_it_points_to_is_replaced(
    home: dict[str, str], tmp_path: Path, planted: Callable[[Path], Path]
) -> None:
    real, file = (
        File(planted(tmp_path / "dotfiles" / "vaultd.yaml")),
        File(tmp_path / "home/.config/vaultd/config.yaml"),
    )
    file.links_to(real, "../../../dotfiles/vaultd.yaml")
    real.path.chmod(0o640)
    house = await build(home, None, for_daemon=False)
    await house.start()
    await house.editor.edit(puts("debug", True))
    await house.look()
    await house.close()
    assert str(file.path.readlink()) == "../../../dotfiles/vaultd.yaml"
    assert real.text == FILE + "debug: true\n"
    assert real.mode == 0o640
    assert (house.config.debug, reloads(house)) == (True, 1)


async def test_without_a_file_the_first_edit_makes_one_for_its_owner_alone(home: dict[str, str]) -> None:
    house = await build(home, None, for_daemon=False)
    await house.start()
    file = File(Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml")
    assert house.editor.text() is None
    etag = house.editor.etag(None)
    await house.editor.edit(puts("debug", True), etag=etag)
    assert (file.text, file.mode) == ("debug: true\n", 0o600)
    await house.editor.edit(lambda text: write.remove(text, ("debug",), "f"))
    assert file.text == "{}\n"
    await house.editor.edit(puts("request-retry", 2))
    assert file.text == "request-retry: 2\n"
    await house.close()
    assert (house.config.request_retry, reloads(house)) == (2, 3)


async def test_an_edit_for_another_text_is_refused(house: House, file: File) -> None:
    etag = house.editor.etag(house.editor.text())
    change = await house.editor.edit(puts("request-retry", 2), etag=etag)
    await house.editor.edit(puts("request-retry", 3), etag=change.etag)
    for old in (etag, change.etag, "", "é"):
        with pytest.raises(Stale):
            await house.editor.edit(puts("request-retry", 9), etag=old)
    assert house.config.request_retry == 3


async def test_a_caller_who_goes_away_does_not_stop_an_edit_in_the_middle(house: House, file: File) -> None:
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def make(text: str) -> str:
        loop.call_soon_threadsafe(begun.set)
        return puts("request-retry", 7)(text)

    async with asyncio.TaskGroup() as group:
        caller = group.create_task(house.editor.edit(make))
        await begun.wait()
        caller.cancel()
    assert caller.cancelled()
    assert file.text == FILE.replace("retry: 1", "retry: 7")
    assert (house.config.request_retry, reloads(house)) == (7, 1)


async def test_what_a_kill_left_beside_the_file_is_swept(house: House, file: File) -> None:
    (file.path.parent / ".config.yaml.0123456789ab.new").write_text("half")
    (file.path.parent / ".config.yaml.swp").write_text("an editor's own")
    await house.editor.edit(puts("request-retry", 7))
    assert file.folder() == {"config.yaml", ".config.yaml.swp"}


async def test_the_diff_and_what_changed_tell_no_key(house: House) -> None:
    change = await house.editor.edit(puts("api-keys", ["sk-CANARY-first-0123456789", "sk-CANARY-second-012345678"]))
    assert change.changed == ("api-keys",)
    assert '+  - "sk-C****5678"' in change.diff or "+  - sk-C****5678" in change.diff
    assert "CANARY" not in change.diff
    assert "next start" in " ".join((await house.editor.check(puts("port", 1234))).warnings)
    assert house.config.port == 8317


@pytest.mark.parametrize("older", [False, True])
async def test_a_plain_management_key_becomes_its_hash_and_nothing_else_changes(
    home: dict[str, str], file: File, older: bool
) -> None:
    text = (
        FILE.replace(HASHED, KEY)
        .replace("remote-management: {secret-key: ", "remote-management-key: '")
        .replace("}  #", "'  #")
    )
    text = text if older else FILE.replace(HASHED, KEY)
    file.text = text
    house = await build(home, None, for_daemon=False)
    assert house.config.remote_management.secret_key == KEY
    await asyncio.gather(house.editor.hash_management_key(), house.editor.hash_management_key())
    hashed = house.config.remote_management.secret_key
    assert bcrypt.checkpw(KEY.encode(), hashed.encode())
    assert file.text.replace(f'"{hashed}"', KEY).replace(hashed, KEY) == text
    assert reloads(house) == 1
    await house.editor.hash_management_key()
    await house.close()
    assert reloads(house) == 1


@pytest.mark.parametrize("state", ["gone", "empty"])
async def test_a_file_that_vanished_does_not_come_back_as_the_edit_alone(house: House, file: File, state: str) -> None:
    for edit in (house.editor.edit, house.editor.check):
        file.path.unlink() if state == "gone" else file.path.write_text("\n")
        with pytest.raises(Unsaved, match=f"is {state}"):
            await edit(puts("request-retry", 5))
        assert (file.path.exists(), house.config.request_retry) == (state == "empty", 1)
        file.text = FILE
    await house.editor.edit(puts("request-retry", 5))
    assert file.text == FILE.replace("retry: 1", "retry: 5")


async def test_a_file_broken_by_hand_is_neither_edited_nor_taken_for_nothing(house: House, file: File) -> None:
    for broken in (b"port: [", b"\xff", b"prot: 1\n"):
        file.path.write_bytes(broken)
        with pytest.raises(Misconfigured):
            await house.editor.edit(puts("request-retry", 5))
        assert file.path.read_bytes() == broken
    whole: Editor = house.editor
    with pytest.raises(Locked):  # what is in force counts where the file says nothing
        await whole.edit(lambda _: "remote-management: {secret-key: CANARY-mine}\n")
    file.text = FILE
