"""What somebody does to the log who can write it and has no key: each is found, with the line (THR-39)."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import Vault, made, problems, said

from vaultd.vault import rotate

ACTIONS = ("keys.create", "keys.delete", "vault rotate", "sign in", "logout", "daemon started", "keys.create")


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    one = made(tmp_path_factory.mktemp("audit"))
    one.writes(*ACTIONS)
    return one


@pytest.fixture(scope="module")
def whole(vault: Vault) -> bytes:
    assert vault.walked().sound
    return vault.path.read_bytes()


FIXTURES = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FIXTURES
@given(data=st.data())
def test_thr_39_no_byte_can_be_flipped(vault: Vault, whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    vault.path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
    report = vault.walked()
    assert not report.sound
    line = whole[:at].count(b"\n") + 1
    assert line in {one.line for one in report.problems}, problems(report)


@FIXTURES
@given(data=st.data())
def test_thr_39_no_line_can_be_deleted_doubled_or_moved(vault: Vault, whole: bytes, data: st.DataObject) -> None:
    lines = whole.splitlines(keepends=True)
    line = data.draw(st.integers(0, len(lines) - 1))
    to = data.draw(st.integers(0, len(lines)))
    match data.draw(st.sampled_from(["delete", "double", "move"])):
        case "delete":
            changed = lines[:line] + lines[line + 1 :]
        case "double":
            changed = [*lines[:to], lines[line], *lines[to:]]
        case _:
            changed = lines[:line] + lines[line + 1 :]
            changed.insert(to, lines[line])
    vault.path.write_bytes(b"".join(changed))
    assert vault.walked().sound == (changed == lines)


@FIXTURES
@given(data=st.data())
def test_thr_39_no_tail_can_be_cut_off_wherever_and_nothing_written_in_its_place(
    vault: Vault, whole: bytes, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(whole) - 1))
    vault.path.write_bytes(whole[:cut] + data.draw(st.binary(max_size=400)))
    report = vault.walked()
    assert not report.sound
    assert "missing" in problems(report)


@FIXTURES
@given(written=st.binary(min_size=1, max_size=200))
def test_thr_39_what_is_written_after_it_is_never_a_line(vault: Vault, whole: bytes, written: bytes) -> None:
    vault.path.write_bytes(whole + written)
    report = vault.walked()
    broken_off = b"\n" not in written[:-1]
    assert report.sound == broken_off
    assert len(report.notes) == broken_off
    assert report.last == len(ACTIONS)


@pytest.fixture
def own(tmp_path: Path) -> Vault:
    one = made(tmp_path)
    one.writes(*ACTIONS)
    return one


def test_thr_39_a_log_that_is_gone_or_another_is_missed(own: Vault, tmp_path: Path) -> None:
    own.path.unlink()
    assert "lines 1 to 7 are missing" in problems(own.verified())
    other = made(tmp_path / "other")
    other.writes(*ACTIONS)
    own.path.write_bytes(other.path.read_bytes())
    assert problems(own.verified()).count("never written by this vault") == len(ACTIONS)


def test_thr_39_an_older_copy_put_back_is_missed_by_the_head_and_the_head_by_the_log(own: Vault) -> None:
    log, head = own.path.read_bytes(), own.head.read_bytes()
    own.writes("keys.get", "keys.get")
    newer = own.path.read_bytes()
    own.path.write_bytes(log)
    assert "lines 8 to 9 are missing at its end" in problems(own.verified())
    own.path.write_bytes(newer)
    own.head.write_bytes(head)
    assert "it is older than the log: it knows of 7 lines of 9" in problems(own.verified())
    own.head.unlink()
    assert "audit.json:0: it is missing, and the log has come to line 9" in problems(own.verified())
    own.head.touch(0o600)
    own.head.write_bytes(head[:-30] + b"0" * 28 + head[-2:])
    assert "it was altered, or is another vault's" in problems(own.verified())


@pytest.mark.parametrize("done", ["its head is put back", "its head is gone", "strange lines come and go"])
async def test_thr_39_what_was_wrong_for_a_while_stays_wrong_until_it_is_accepted(own: Vault, done: str) -> None:
    """What the next line follows on may be whole again by itself, and somebody had his hands in it all the same."""
    log, head = own.path.read_bytes(), own.head.read_bytes()
    if done == "strange lines come and go":
        own.path.write_bytes(log + b"one\ntwo\n")
        own.writes("keys.get")
        own.path.write_bytes(own.path.read_bytes().replace(b"one\ntwo\n", b""))
    else:
        own.writes("keys.get", "keys.get")
        own.head.write_bytes(head) if done == "its head is put back" else own.head.unlink()
        own.writes("keys.get")
    told = next(line for line in own.file().last(10) if line.action == "audit broken")
    report = await own.audit().verify()
    assert f"its line {told.seq} says that it was not as it had been left: {told.what}" in problems(report)
    assert "audit-broken" in dict(own.audit().troubles())
    await own.audit().accept(len(report.problems))
    assert (await own.audit().verify()).sound
    assert not dict(own.audit().troubles())


@pytest.mark.parametrize("head", [b"", b"{}", None])
def test_thr_39_a_head_that_is_none_is_no_leave_to_have_lost_the_log(
    own: Vault, tmp_path: Path, head: bytes | None
) -> None:
    other = made(tmp_path / "other")
    other.writes("keys.get")
    own.head.write_bytes(other.head.read_bytes() if head is None else head)
    own.path.unlink()
    assert ".vault/audit.json:0" in problems(own.verified())
    own.path.write_bytes(other.path.read_bytes())
    assert ".vault/audit.json:0" in problems(own.verified())


def test_thr_39_log_and_head_put_back_together_are_missed_by_a_process_that_saw_more(own: Vault) -> None:
    """Nothing on the disk tells of it: that is what the ordinary log, kept elsewhere, is for."""
    file = own.file()
    log, head = own.path.read_bytes(), own.head.read_bytes()
    own.writes("keys.get")
    file.append(said("keys.delete"))
    own.path.write_bytes(log)
    own.head.write_bytes(head)
    assert own.verified().sound
    assert "line 9 was written by this process" in problems(file.walk(file.as_it_is()))
    assert "knows of line 7, and line 9 was written" in file.trouble()
    file.append(said("keys.create"))
    assert "lines 8 to 9 are missing before this one" in problems(own.verified())


def test_thr_39_a_line_of_another_course_of_the_same_log_does_not_fit_in(own: Vault) -> None:
    """Authentic, of the right number, and written after the log had been put back once."""
    log, head = own.path.read_bytes(), own.head.read_bytes()
    own.writes("keys.get", "keys.get")
    last, newest = own.lines[-1], own.head.read_bytes()
    own.path.write_bytes(log)
    own.head.write_bytes(head)
    own.writes("logout")
    own.path.write_bytes(own.path.read_bytes() + last)
    own.head.write_bytes(newest)
    assert problems(own.verified()) == "audit.log:9: it does not follow on the line 8 that stands before it"


async def test_thr_39_the_chain_goes_on_after_tampering_and_says_so_until_somebody_accepts_it(own: Vault) -> None:
    own.path.write_bytes(b"".join(own.lines[:3]))
    audit = own.audit()
    assert "it ends with line 3, and audit.json knows of line 7" in dict(audit.troubles())["audit-broken"]
    async with audit.action("command line uid 0", "keys.delete", "phone"):
        pass
    again = own.audit()  # after a restart the end of the log fits its head, and it is told all the same
    assert "its line 8 says" in dict(again.troubles())["audit-broken"]
    assert problems(await again.verify()) == "audit.log:4: lines 4 to 7 are missing before this one"
    await again.accept(1)
    report = await own.audit().verify()
    assert report.sound
    assert "lines 4 to 7 are missing" in report.notes[0].says, "what was found stays in it"
    assert not dict(own.audit().troubles())
    accepted = own.lines
    own.path.write_bytes(b"".join(accepted[:-1]))
    assert not (await own.audit().verify()).sound
    own.path.write_bytes(b"".join([*accepted[:1], *accepted[2:-1], accepted[1], accepted[-1]]))
    assert (await own.audit().verify()).sound, "before what was accepted nothing is proved any more"
    own.path.write_bytes(b"".join([*accepted, accepted[-1]]))
    assert not (await own.audit().verify()).sound, "what was accepted cannot be moved to cover more"
    own.path.write_bytes(b"".join(accepted))
    own.head.unlink()
    assert "lines 4 to 7 are missing" in problems(await own.audit().verify()), "the head has to say so too"


def test_a_rotation_of_every_key_leaves_the_chain_as_it_is(own: Vault) -> None:
    asyncio.run(rotate.rotate(own.keyring, full=True))
    own.writes("keys.get")
    assert own.verified().sound
    assert own.verified().last == len(ACTIONS) + 1


def test_a_log_that_is_turned_over_is_one_chain_and_the_oldest_file_goes(tmp_path: Path) -> None:
    own = made(tmp_path)
    own.writes(*(["keys.get"] * 62), most=1000)
    files = sorted(own.state.glob("audit.log*"))
    assert len(files) == 8
    report = own.verified()
    assert report.sound
    assert report.last == 62
    assert [line.seq for line in own.file().last(10)] == list(range(53, 63))
    assert report.first > 1
    random.Random(7).choice(files[1:]).unlink()
    assert "missing before this one" in problems(own.verified())


@pytest.mark.parametrize(("name", "kind"), [("audit.log", "link"), ("audit.log", "pipe"), ("audit.log.3", "folder")])
def test_thr_39_what_is_no_file_is_called_by_its_name_and_never_waited_for(own: Vault, name: str, kind: str) -> None:
    path = own.state / name
    path.unlink(missing_ok=True)
    {"link": lambda: path.symlink_to("/dev/zero"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    with pytest.raises(OSError, match=f"{name} is (a link: put|no regular file: move)"):
        own.verified()


def test_thr_39_nobody_makes_the_log_forget_by_the_names_of_files(tmp_path: Path) -> None:
    """Which file is the oldest is not told by what lies there: anybody who may write there can make that up."""
    own = made(tmp_path)
    own.writes(*(["keys.get"] * 20), most=1000)
    for number in range(10):
        (own.state / f"audit.log.{10**11 + number}").touch()
        (own.state / f"audit.log.{number}").touch()
    own.writes(*(["keys.get"] * 10), most=1000)
    for planted in own.state.glob("audit.log.1000*"):
        planted.unlink()
    report = own.verified()
    assert report.sound, problems(report)
    assert (report.first, report.last) == (1, 30)


def test_a_proof_that_takes_long_is_of_the_log_as_it_was_when_it_began(tmp_path: Path) -> None:
    """So whoever writes need not wait for it, and nothing that is turned over meanwhile is missed."""
    own = made(tmp_path)
    own.writes(*(["keys.get"] * 20), most=1000)
    reader = own.file()
    log = reader.as_it_is()
    own.writes(*(["keys.get"] * 60), most=1000)
    report = reader.walk(log)
    assert report.sound, problems(report)
    assert (report.first, report.last) == (1, 20)
    assert own.verified().first > 20
