"""Where the root key comes from. It opens the keyring and nothing else.

    1  $CREDENTIALS_DIRECTORY/vaultd-root     systemd, sealed to host or TPM; in the image a secret of its engine
    2  vault.key-file, else <config dir>/root.key
    3  $VAULTD_ROOT_KEY                       readable in /proc by the same user: warned of
    4  a passphrase                           asked for only where the keyring file says it is sealed by one

Fails closed: two sources that differ, a source that is not a key, sealed files and no source are all errors that name
the source. Only a first run, with neither source nor sealed file, makes a key file. There is no way to plain text.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from joserfc.jwk import OctKey

from vaultd.errors import Misconfigured
from vaultd.vault.store.files import make_private

KEY_BYTES: Final = 32
#: A JWK with every optional member stays far below; a device or a log file given by mistake does not.
_FILE_LIMIT: Final = 4096
#: 128 MiB and a fifth of a second, once per start: what age asks for too (2^18 there).
_SCRYPT: Final = (17, 8, 1)
#: When reading, at most 1 GiB: whoever can write the keyring file must not be able to eat the machine's memory.
_SCRYPT_MAX: Final = (20, 8, 4)
_SCRYPT_KID: Final = re.compile(r"scrypt-([0-9]{1,2})-([0-9]{1,2})-([0-9]{1,2})-([A-Za-z0-9_-]{22})", re.ASCII)
_HOW: Final = "make one with: head -c 32 /dev/urandom | base64"

Ask = Callable[[], str]


@dataclass(frozen=True, slots=True)
class RootKey:
    """The key, the source it came from, and how to ask that source again (None where a person was asked)."""

    key: OctKey = field(repr=False)
    source: str
    #: The file that holds it, where a file of ours does: `rekey` replaces it in place.
    file: Path | None = None
    created: bool = False
    warning: str = ""
    again: Callable[[], RootKey] | None = field(default=None, repr=False, compare=False)


def find(
    env: Mapping[str, str],
    config_key_file: Path | None,
    default_key_file: Path,
    *,
    sealed_files_exist: bool,
    ask: Ask | None,
    passphrase_kid: str | None = None,
) -> RootKey:
    """The one root key, per the order above. `passphrase_kid` is what the keyring file says of its passphrase."""

    def again() -> RootKey:
        return find(env, config_key_file, default_key_file, sealed_files_exist=True, ask=None)

    found = _sources(env, config_key_file or default_key_file)
    for other in found[1:]:
        if not hmac.compare_digest(found[0].key.raw_value, other.key.raw_value):
            raise Misconfigured(
                f"{found[0].source} and {other.source} hold different root keys: remove the one that does not"
                " open the vault (vaultd never picks one)",
                code="key-conflict",
            )
    if found:
        return replace(found[0], again=again)
    if passphrase_kid is not None:
        if ask is None:
            raise Misconfigured(
                "the vault is sealed by a passphrase and nobody is there to ask: start on a terminal",
                code="passphrase-unasked",
            )
        return RootKey(from_passphrase(ask(), passphrase_kid), "the passphrase")
    if sealed_files_exist:
        raise Misconfigured(
            f"sealed files and no root key: none in $CREDENTIALS_DIRECTORY/vaultd-root,"
            f" {config_key_file or default_key_file} or $VAULTD_ROOT_KEY; bring back the one they were sealed with",
            code="key-missing",
        )
    return replace(create(config_key_file or default_key_file), again=again)


def create(path: Path, *, replacing: bool = False) -> RootKey:
    """A new random key in a file of 0600, complete from the first moment it can be seen."""
    key = generate()
    make_private(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, written(key))
            os.fsync(fd)
        finally:
            os.close(fd)
        if replacing:
            temporary.replace(path)
        else:
            with suppress(FileExistsError):  # two first runs at once: the first one's key counts
                os.link(temporary, path)
            temporary.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise Misconfigured(
            f"the key file {path} cannot be written: {error.strerror}; a root key may also come as"
            " $CREDENTIALS_DIRECTORY/vaultd-root",
            code="key-unwritable",
        ) from error
    return replace(read_key_file(path), created=True)


def generate() -> OctKey:
    return OctKey.generate_key(KEY_BYTES * 8, auto_kid=True)


def written(key: OctKey) -> bytes:
    """As it stands in a key file."""
    return urlsafe_b64encode(key.raw_value) + b"\n"


def new_passphrase_kid() -> str:
    """Names a passphrase's parameters and salt. Random: a thumbprint would let anyone test guesses (RFC 7638 §7)."""
    return "scrypt-{}-{}-{}-{}".format(*_SCRYPT, urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode())


def is_passphrase_kid(kid: str) -> bool:
    return kid.startswith("scrypt-")


def from_passphrase(passphrase: str, kid: str) -> OctKey:
    parameters = _SCRYPT_KID.fullmatch(kid)
    if parameters is None:
        raise Misconfigured(
            "the keyring file names passphrase parameters that cannot be read: restore it from a backup",
            code="keyring-damaged",
        )
    cost, block, parallel = (int(parameters[n]) for n in (1, 2, 3))
    if any(not 1 <= value <= most for value, most in zip((cost, block, parallel), _SCRYPT_MAX, strict=True)):
        raise Misconfigured(
            "the keyring file asks for more scrypt than is allowed: it was tampered with; restore it",
            code="keyring-damaged",
        )
    salt = urlsafe_b64decode(parameters[4] + "==")
    derived = Scrypt(salt=salt, length=KEY_BYTES, n=1 << cost, r=block, p=parallel).derive(passphrase.encode())
    return OctKey.import_key(derived, {"kid": kid})


def parse(text: bytes, source: str) -> OctKey:
    """32 random bytes, in base64 (either alphabet) or as a JWK. What looks thought up by a person is refused."""
    stripped = text.strip()
    raw = _from_jwk(stripped, source) if stripped.startswith(b"{") else _from_base64(stripped)
    if raw is None or len(raw) != KEY_BYTES:
        raise Misconfigured(
            f"{source} is no root key, which is 32 random bytes in base64 or a JWK: {_HOW}", code="key-malformed"
        )
    # Chance makes 32 printable bytes once in 10^14, and fewer than 12 different ones never.
    if all(0x20 <= byte < 0x7F for byte in raw) or len(set(raw)) < 12:
        raise Misconfigured(f"{source} looks like a passphrase, not like random bytes: {_HOW}", code="key-malformed")
    key = OctKey.import_key(raw)
    key.ensure_kid()
    return key


def read_key_file(path: Path) -> RootKey:
    """Raises FileNotFoundError where there is none, Misconfigured where it is open to anybody else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Misconfigured(
            f"the key file {path} cannot be read (a link?): {error.strerror}", code="key-unreadable"
        ) from error
    try:
        _check_key_file(path, os.fstat(fd), path.parent.stat())
        return RootKey(parse(os.read(fd, _FILE_LIMIT), f"the key file {path}"), f"the key file {path}", file=path)
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sources(env: Mapping[str, str], key_file: Path) -> list[RootKey]:
    found = []
    if folder := env.get("CREDENTIALS_DIRECTORY"):
        # systemd sees to its mode, which is 0400 in one version and 0440 with an ACL in the next; the mode of a
        # container's secret is 0444, or that of its file outside.
        path = Path(folder) / "vaultd-root"
        source = f"the credential {path}"
        try:
            with path.open("rb") as file:
                found.append(RootKey(parse(file.read(_FILE_LIMIT), source), source))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Misconfigured(
                f"{source} cannot be read by uid {os.geteuid()}: {error.strerror}", code="key-unreadable"
            ) from error
    with suppress(FileNotFoundError):
        found.append(read_key_file(key_file))
    if text := env.get("VAULTD_ROOT_KEY"):
        warning = "the root key stands in the environment, where any process of this user can read it: use a key file"
        found.append(RootKey(parse(text.encode(), "$VAULTD_ROOT_KEY"), "$VAULTD_ROOT_KEY", warning=warning))
    return found


def _check_key_file(path: Path, facts: os.stat_result, parent: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise Misconfigured(f"the key file {path} is not a regular file", code="key-unreadable")
    if facts.st_uid not in {os.geteuid(), 0}:
        raise Misconfigured(f"the key file {path} belongs to another user: chown it", code="key-foreign")
    if facts.st_mode & 0o077:
        raise Misconfigured(
            f"the key file {path} is open to others ({facts.st_mode & 0o777:04o}): chmod 600 it", code="key-open"
        )
    if parent.st_mode & 0o022:
        raise Misconfigured(
            f"the folder of the key file {path} can be written by others: chmod go-w {path.parent}", code="key-open"
        )


def _from_base64(text: bytes) -> bytes | None:
    try:
        return b64decode(
            text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4), altchars=_alphabet(text), validate=True
        )
    except ValueError:
        return None


def _alphabet(text: bytes) -> bytes:
    return b"-_" if b"-" in text or b"_" in text else b"+/"


def _from_jwk(text: bytes, source: str) -> bytes | None:
    class Jwk(msgspec.Struct):
        kty: str
        k: str

    try:
        jwk = msgspec.json.decode(text, type=Jwk)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Misconfigured(f"{source} starts as JSON but is no JWK: {_HOW}", code="key-malformed") from None
    return _from_base64(jwk.k.encode()) if jwk.kty == "oct" else None
