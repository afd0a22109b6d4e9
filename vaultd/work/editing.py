"""The one owner of the configuration file: an edit is read, made, checked, written and taken up, one at a time.

    current text ── edit ──▶ candidate ── parse, catalogue ──▶ good ── write, fsync, rename ──▶ house.take_up
                                                     └▶ refused: the file is as it was, the error names the key

The file is replaced, never written in place: a kill leaves the old one or the new one. Whoever edits it by hand at the
same time is noticed by its contents, and the edit is made again on what they wrote.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from vaultd.catalog.load import load, shipped_folder
from vaultd.config import legacy, places, write
from vaultd.config.keys import AT_START, LOCKED, differing
from vaultd.config.load import parse
from vaultd.config.masked import Masks, secret_at
from vaultd.config.masked_text import masked_text
from vaultd.config.model import Config
from vaultd.config.places import Places
from vaultd.errors import Misconfigured, VaultdError
from vaultd.vault.commit import outlasted
from vaultd.vault.keyring import Keyring
from vaultd.work.config_file import ConfigFile
from vaultd.work.management_key import hashed, is_plain
from vaultd.work.tasks import Tasks

#: An editor's save between our read and our rename is one in thousands; three in a row is a program at work.
_TRIES: Final = 3

#: From the text as it is now to the text as it is to be. Runs in a thread; may raise Misconfigured.
Edit = Callable[[str], str]


class Stale(VaultdError):
    """The file is no longer the text that the edit was made for."""


class Unsaved(VaultdError):
    """The file cannot be written. Nothing has changed."""


class Invalid(Misconfigured):
    """What the edit makes is no configuration. `path`: the key, as far as one is named."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class Locked(Misconfigured):
    """The edit would change a key that only whoever may edit the file changes."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: can be changed in the file alone, by whoever may edit it")
        self.path = path


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit did, or would do."""

    #: Dotted keys whose values are others now.
    changed: tuple[str, ...]
    #: Unified, secrets masked.
    diff: str
    #: What is worth knowing of the configuration as it is now.
    warnings: tuple[str, ...]
    etag: str


class House(Protocol):
    """What of the house an edit needs."""

    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def config_option(self) -> str | None: ...
    @property
    def config(self) -> Config: ...
    @property
    def places(self) -> Places: ...
    @property
    def keyring(self) -> Keyring: ...
    async def take_up(self) -> None: ...


class Editor:
    def __init__(self, house: House) -> None:
        self._house = house
        self._turn = asyncio.Lock()
        self._tasks = Tasks()

    @property
    def file(self) -> ConfigFile:
        """The configuration's; where there is none yet, the one that would be looked for."""
        found = self._house.places
        return ConfigFile(found.config_file or found.config_dir / "config.yaml")

    @property
    def writable(self) -> bool:
        """As far as one can tell beforehand."""
        return self.file.writable

    def text(self) -> str | None:
        """As it is now; None where there is no file. Raises Unsaved or Invalid where it cannot be read."""
        return _decoded(self._read(), str(self.file.path))

    def etag(self, text: str | None) -> str:
        """Names a text and tells nothing of it: a plain hash would let its reader try passwords."""
        return hashlib.blake2b((text or "").encode(), key=self._house.keyring.pepper[:64], digest_size=16).hexdigest()

    async def edit(self, make: Edit, *, etag: str | None = None) -> Change:
        """Makes it on the newest text, or only on the text that `etag` names. Goes on to its end where the caller is
        cancelled. Raises Stale, Unsaved, Locked, Invalid or what `make` raises; then nothing has changed."""
        return await self._wholly(lambda: self._edit(make, etag, hashing=False))

    async def check(self, make: Edit) -> Change:
        """What `edit` would do. Raises what it would."""
        data = self._read()
        self._refuse_vanished(data)
        before = _decoded(data, str(self.file.path))
        return (await asyncio.to_thread(self._candidate, before or "", make, hashing=False))[1]

    async def hash_management_key(self) -> None:
        """A plain `remote-management.secret-key` in the file becomes its bcrypt hash; nothing else is touched. Does
        nothing where it is empty or a hash already. Raises Unsaved."""
        if is_plain(self._house.config.remote_management.secret_key):
            await self._wholly(lambda: self._edit(_hashed(str(self.file.path)), None, hashing=True))

    async def close(self) -> None:
        """Waits for the edit under way."""
        async with self._turn:
            await self._tasks.close()

    async def _wholly(self, work: Callable[[], Awaitable[Change]]) -> Change:
        async def ends() -> Change | Exception:
            try:
                return await work()
            except Exception as error:  # noqa: BLE001 - handed to the caller
                return error

        doing = self._tasks.start("edit the configuration", ends())
        if await outlasted(doing):
            raise asyncio.CancelledError
        outcome: Change | Exception = doing.result()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _edit(self, make: Edit, etag: str | None, *, hashing: bool) -> Change:
        async with self._turn:
            file = self.file
            try:
                async with file.held():
                    for _ in range(_TRIES):
                        data = await asyncio.to_thread(file.read)
                        self._refuse_vanished(data)
                        before = _decoded(data, str(file.path))
                        if etag is not None and not hmac.compare_digest(etag.encode(), self.etag(before).encode()):
                            raise Stale(f"{file.path} has changed meanwhile; read it again")
                        text, change = await asyncio.to_thread(self._candidate, before or "", make, hashing=hashing)
                        if text == before or (before is None and not text.strip()):
                            return change
                        if await asyncio.to_thread(file.replace, text.encode(), data):
                            break
                    else:
                        raise Unsaved("failed to save config: something else keeps writing it")
            except OSError as error:
                raise Unsaved(f"failed to save config: {error.strerror or type(error).__name__}") from error
            await self._house.take_up()
            return change

    def _read(self) -> bytes | None:
        try:
            return self.file.read()
        except OSError as error:
            raise Unsaved(f"the configuration cannot be read: {error.strerror}") from error

    def _refuse_vanished(self, data: bytes | None) -> None:
        """An edit of a file that is gone would make one that holds nothing but the edit, and be taken up."""
        gone = data is None and self._house.places.config_file is not None
        empty = data is not None and not data.strip() and self._house.config != Config()
        if gone or empty:
            state = "is gone" if gone else "is empty"
            raise Unsaved(f"failed to save config: {self.file.path} {state}; put it back, or restart vaultd without it")

    def _candidate(self, before: str, make: Edit, *, hashing: bool) -> tuple[str, Change]:
        """The text that `make` makes, found right as a reload would find it, and what is different."""
        source = str(self.file.path)
        text = make(before)
        if not text.strip():
            text = "{}\n"  # nothing set: an empty file is taken for one that an editor is about to write
        warnings: list[str] = []
        try:
            config = parse(text, source, warnings)
            found = places.find(self._house.env, self._house.config_option, config)
            catalog = load(shipped_folder(), found.providers_dir, config, source)
        except Misconfigured as error:
            raise Invalid(str(error), _path(str(error), source)) from None
        old = self._before(before, source)
        changed = tuple(differing(old, config))
        for path in LOCKED:
            if path in changed and not (hashing and path.endswith("secret-key")):
                raise Locked(path)
        if not hashing:
            _refuse_sleeping(before, text, source)
        _refuse_masks(before, text, source)
        warnings += catalog.notes
        if late := [path for path in changed if path.partition(".")[0] in AT_START]:
            warnings.append(f"{', '.join(late)}: counts from the next start on")
        return text, Change(changed, _diff(before, text, source), tuple(warnings), self.etag(text))

    def _before(self, text: str, source: str) -> Config:
        """What the file says; where it says nothing that can be read, what is in force."""
        try:
            return parse(text, source, [])
        except Misconfigured:
            return self._house.config


def _decoded(data: bytes | None, source: str) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{source}: is not UTF-8; edit it by hand") from None


def _path(message: str, source: str) -> str:
    found = re.match(r": ([a-z0-9_.\[\]-]+): ", message.removeprefix(source), re.IGNORECASE)
    return found.group(1) if found else ""


def _hashed(source: str) -> Edit:
    def make(text: str) -> str:
        raw = write.tree(text, source)
        for path in (("remote-management", "secret-key"), ("remote-management-key",)):  # the first that is there counts
            secret = write.at(raw, path)
            if secret is not write.NOTHING:
                if not isinstance(secret, str) or not is_plain(secret):
                    return text
                return write.put(text, path, hashed(secret), source)
        return text

    return make


def _refuse_sleeping(before: str, text: str, source: str) -> None:
    """A locked key in its older spelling beside the present one does not count, but would once that is taken out."""
    old, new = _tree(before, source), write.tree(text, source)
    for path in LOCKED:
        section, _, name = path.partition(".")
        older = legacy.OLDER_LOCKED[path]
        if older in new and new[older] != old.get(older) and name in (new.get(section) or {}):
            raise Locked(path)


def _refuse_masks(before: str, text: str, source: str) -> None:
    """A mask that got this far would be stored for a key. One that stood there before was somebody's own choice."""
    known = {value for _, value in _secrets(_tree(before, source))}
    for path, value in _secrets(write.tree(text, source)):
        if "****" in value and value not in known:
            raise Invalid(f"{source}: {path}: this is a mask, write the key itself", path)


def _tree(text: str, source: str) -> dict[str, Any]:
    """What it says; nothing where it cannot be read."""
    try:
        return write.tree(text, source)
    except Misconfigured:
        return {}


def _secrets(raw: Any, key: str = "", path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(raw, dict):
        for name, member in raw.items():
            yield from _secrets(member, "api-key" if key == "headers" else name, f"{path}.{name}" if path else name)
    elif isinstance(raw, list):
        for index, member in enumerate(raw):
            yield from _secrets(member, key, f"{path}[{index}]")
    elif isinstance(raw, str) and secret_at(key):
        yield path, str(raw)


def _diff(before: str, text: str, source: str) -> str:
    try:
        masks = Masks(write.tree(before, source), write.tree(text, source))
        old = masked_text(before, source, masks)
    except Misconfigured:  # nobody can say what in the old text is a key
        return ""
    lines = difflib.unified_diff(
        old.splitlines(), masked_text(text, source, masks).splitlines(), "config.yaml", "config.yaml", lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)
