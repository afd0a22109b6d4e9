"""What a line of the audit log is, what its head is, and whether a log is whole: bytes in, findings out, no files.

    {"seq": 7, "at": …, "who": …, "action": …, "outcome": …, "prev": <mac of line 6>, "mac": <over all before it>}

Each line is authentic by itself and names the one before it, so that a walk tells an altered line from one that is
missing, doubled or out of its place. The head is the last line's number and MAC under a seal of its own; it is kept
elsewhere, so that a tail that was cut off is missed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vaultd.errors import Misconfigured

FORMAT: Final = 1
#: HMAC-SHA-256 cut to 128 bits, which RFC 2104 §5 allows: nobody guesses it, and a line holds two of them.
_MAC_BYTES: Final = 16
#: What the first line follows on.
GENESIS: Final = "0" * (2 * _MAC_BYTES)
_SEALED: Final = re.compile(rb'(\{.*),"mac":"([0-9a-f]{%d})"\}' % (2 * _MAC_BYTES))
#: RFC 5869 §3.2: a key of its own for each use.
_OF_LINES: Final = b"vaultd audit line"
_OF_HEAD: Final = b"vaultd audit head"
_OF_VALUES: Final = b"vaultd audit value"

#: Most of a text in a line: a name is shorter, and a line stays below `LONGEST` however it is escaped.
TEXT: Final = 500
_NAME: Final = 200
#: Two texts and two names of characters that are written `\ud83d\ude00`, and what else a line has.
LONGEST: Final = 12 * (TEXT + 3 * _NAME) + 400
#: Findings that are told one by one: a file of somebody else's has one for each line, which says no more.
_FINDINGS: Final = 50

Outcome = Literal["asked", "done", "refused", "failed", "unknown", "noted"]

#: The log's own lines.
TORN: Final = "audit torn"
BROKEN: Final = "audit broken"
ACCEPTED: Final = "audit accepted"


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`asked`: the number of the line that this one is the outcome of. `at`: RFC 3339, in UTC."""

    seq: int
    at: str
    who: str
    action: str
    outcome: Outcome
    what: str = ""
    status: str = ""
    asked: int = 0
    prev: str
    mac: str = ""


_ALWAYS: Final = frozenset({"seq", "at", "who", "action", "outcome", "prev"})


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the chain has come. `first`: from which line on the log has to be whole (older ones were turned over, or
    accepted as they are). `broken`: the line that says the log was not as it had been left; 0 where it was. `turned`:
    the last line of each older file that is kept: a file's name alone would let anybody say which ones are too old."""

    seq: int = 0
    mac: str = GENESIS
    first: int = 1
    broken: int = 0
    turned: tuple[int, ...] = ()

    def after(self, line: Line) -> Head:
        """The head once this line stands."""
        at = msgspec.structs.replace(self, seq=line.seq, mac=line.mac)
        if line.action == ACCEPTED:
            return msgspec.structs.replace(at, first=line.seq, broken=0)
        if line.action == BROKEN and not self.broken:
            return msgspec.structs.replace(at, broken=line.seq)
        return at

    def turned_over(self, keep: int) -> Head:
        """The head once its last line ends a file, and beside a new one `keep` older files stay."""
        turned = (*self.turned, self.seq)
        gone, kept = turned[:-keep], turned[-keep:]
        return msgspec.structs.replace(self, turned=kept, first=max(self.first, *(one + 1 for one in gone), 1))


class _File(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    head: Head
    seal: str


class Finding(msgspec.Struct, frozen=True):
    """`line` counts from 1 in `file`; 0 where it is of no one line."""

    file: str
    line: int
    says: str


class Report(msgspec.Struct):
    """What a walk found. `notes`: what is told and breaks nothing. `unfinished`: numbers of lines that asked, and that
    have no outcome: under way now, or cut short."""

    sound: bool = True
    lines: int = 0
    first: int = 0
    last: int = 0
    problems: list[Finding] = msgspec.field(default_factory=list)
    notes: list[Finding] = msgspec.field(default_factory=list)
    unfinished: list[int] = msgspec.field(default_factory=list)


class Keys:
    """Derived from the keyring's pepper, the one secret that no rotation changes."""

    def __init__(self, pepper: bytes) -> None:
        self._lines: Final = _derived(pepper, _OF_LINES)
        self._head: Final = _derived(pepper, _OF_HEAD)
        self._values: Final = _derived(pepper, _OF_VALUES)

    def mark(self, value: str) -> str:
        """Stands for a value that must not be written: the same one always has the same mark."""
        return f"hmac:{_mac(self._values, value.encode('utf-8', 'surrogatepass'))}"

    def write(self, line: Line) -> tuple[bytes, Line]:
        """The line's bytes, and the line with its MAC. Plain ASCII: `cat` is safe (THR-29)."""
        cut = msgspec.structs.replace(
            line, who=line.who[:_NAME], action=line.action[:_NAME], status=line.status[:_NAME], what=line.what[:TEXT]
        )
        facts = {name: value for name, value in msgspec.structs.asdict(cut).items() if name in _ALWAYS or value}
        # Half of a character, which JSON could say and no reader takes, is a question mark.
        said = json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode(errors="replace").decode()
        body = json.dumps(json.loads(said), separators=(",", ":")).replace("\x7f", "\\u007f").encode()
        mac = _mac(self._lines, body)
        return body[:-1] + b',"mac":"' + mac.encode() + b'"}\n', msgspec.structs.replace(cut, mac=mac)

    def read(self, raw: bytes) -> Line | None:
        """A line of ours, without its end; None for anything else."""
        if (found := _SEALED.fullmatch(raw)) is None:
            return None
        if not hmac.compare_digest(_mac(self._lines, found[1] + b"}").encode(), found[2]):
            return None
        try:
            return msgspec.json.decode(raw, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # of a later version

    def write_head(self, head: Head) -> bytes:
        return msgspec.json.encode(_File(FORMAT, head, self._seal(head)))

    def read_head(self, data: bytes) -> Head:
        """Raises Misconfigured."""
        try:
            file = msgspec.json.decode(data, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Misconfigured("it is none of ours", code="audit-broken") from None
        if file.v != FORMAT or not hmac.compare_digest(
            self._seal(file.head), file.seal.encode("ascii", "replace").decode()
        ):
            raise Misconfigured("it was altered, or is another vault's", code="audit-broken")
        return file.head

    def _seal(self, head: Head) -> str:
        return _mac(self._head, msgspec.json.encode((FORMAT, *msgspec.structs.astuple(head))))


def _derived(pepper: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=use).derive(pepper)


def _mac(key: bytes, said: bytes) -> str:
    return hmac.digest(key, said, "sha256")[:_MAC_BYTES].hex()


def torn(rest: bytes) -> bool:
    """Whether what stands after the last good line is one broken-off write: no more than one line."""
    return b"\n" not in rest[:-1]


def rest_of(rest: bytes) -> str:
    """What the line after a torn one says of it: which bytes they were."""
    rest = rest.removesuffix(b"\n")
    return f"{len(rest)} bytes, sha256 {hashlib.sha256(rest).hexdigest()[:32]}"


class Walk:
    """One walk along a log, oldest line first: `line` for each, then `end`."""

    def __init__(self, keys: Keys, head: Head | None) -> None:
        self.report: Final = Report()
        self._keys = keys
        self._head = head
        self._last: Line | None = None
        #: Since the last good line: where they stand, and what they are.
        self._bad: list[tuple[str, int, bytes]] = []
        self._open: dict[int, None] = {}
        #: What the log's own line says that the head calls broken.
        self._broken = ""
        self._whole_from = head.first if head is not None else 1

    def lines(self, file: str, lines: Iterable[bytes]) -> None:
        for number, raw in enumerate(lines, 1):
            self._line(file, number, raw)

    def _line(self, file: str, number: int, raw: bytes) -> None:
        self.report.lines += 1
        line = self._keys.read(raw[:-1]) if raw.endswith(b"\n") else None
        if line is None:
            self._bad.append((file, number, raw))
            return
        self._follows(file, number, line)
        self._bad = []
        if self._last is None or line.seq > self._last.seq:
            self._last = line
            if line.seq == self._whole_from and line.action == ACCEPTED:
                self._accepted(file, number, line)
        if self._head is not None and line.seq == self._head.broken:
            self._broken = f": {line.what}"
        if line.outcome == "asked":
            self._open[line.seq] = None
        self._open.pop(line.asked, None)

    def _follows(self, file: str, number: int, line: Line) -> None:
        """What stands between this line and the last good one, and whether they belong together."""
        last, bad = self._last, len(self._bad)
        if bad == 1 and line.action == TORN and line.what == rest_of(self._bad[0][2]):
            where, at, _ = self._bad[0]
            self._note(where, at, "a line that was broken off in the writing, as the next one says")
            bad = 0
        else:
            self._tell_bad()
        expected = last.seq + 1 if last is not None else 1
        if last is None:
            self.report.first = line.seq
            if line.seq - bad > self._whole_from:
                self._problem(file, number, f"{_lines(self._whole_from, line.seq - 1 - bad)} before this one")
            elif line.seq == 1 and line.prev != GENESIS:
                self._problem(file, number, "it calls itself the first, and follows on another")
        elif line.seq < expected:
            self._problem(file, number, f"doubled or out of its place: it is line {line.seq}, after line {last.seq}")
        elif line.seq > expected + bad:
            self._problem(file, number, f"{_lines(expected + bad, line.seq - 1)} before this one")
        elif line.seq == expected and line.prev != last.mac:
            self._problem(file, number, f"it does not follow on the line {last.seq} that stands before it")

    def _tell_bad(self) -> None:
        for file, number, _ in self._bad:
            self._problem(file, number, "altered, or never written by this vault")

    def _accepted(self, file: str, number: int, line: Line) -> None:
        """What is wrong before this line somebody took note of, and the head says so as well."""
        if self.report.problems:
            told = f"{len(self.report.problems)} findings before this line, accepted at {line.at}"
            self.report.notes = [*self.report.notes, *self.report.problems, Finding(file, number, told)]
            self.report.problems = []

    def end(self, file: str, head_file: str, wrong: str) -> Report:
        """`wrong`: why the head that is there is not to be believed; then there is none."""
        report, head, last = self.report, self._head, self._last
        report.last = last.seq if last is not None else 0
        known = head or Head()
        caught_up = last is not None and last.seq == known.seq + 1 and last.prev == known.mac
        reached = caught_up or (last.seq, last.mac) == (known.seq, known.mac) if last is not None else known.seq == 0
        if len(self._bad) == 1 and reached and torn(self._bad[0][2]):
            where, at, _ = self._bad[0]
            self._note(where, at, "a line that was broken off in the writing; the next one will say so")
        else:
            self._tell_bad()
        if wrong:
            self._problem(head_file, 0, wrong)
        elif caught_up:
            self._note(file, 0, f"line {report.last} is not in {head_file} yet: its writer was killed, or is at work")
        elif not reached and head is None:
            self._problem(head_file, 0, f"it is missing, and the log has come to line {report.last}")
        elif report.last < known.seq:
            missing = _lines(report.last + 1, known.seq)
            self._problem(file, 0, f"{missing} at its end: {head_file} knows of {known.seq}")
        elif report.last > known.seq:
            self._problem(head_file, 0, f"it is older than the log: it knows of {known.seq} lines of {report.last}")
        elif not reached:
            self._problem(file, 0, f"its line {known.seq} is another than {head_file} knows")
        if known.broken and not report.problems:  # what was wrong is so no longer, and was all the same
            self._problem(file, 0, f"its line {known.broken} says that it was not as it had been left{self._broken}")
        report.unfinished = list(self._open)
        report.sound = not report.problems
        return report

    def _problem(self, file: str, line: int, says: str) -> None:
        if len(self.report.problems) < _FINDINGS:
            self.report.problems.append(Finding(file, line, says))

    def _note(self, file: str, line: int, says: str) -> None:
        if len(self.report.notes) < _FINDINGS:
            self.report.notes.append(Finding(file, line, says))


def _lines(first: int, last: int) -> str:
    return f"line {first} is missing" if first == last else f"lines {first} to {last} are missing"
