"""Each source of the root key: absent, right, wrong, short, too open, two at once. P4: losing it is loud."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from vaultd.errors import Misconfigured
from vaultd.vault import rootkey
from vaultd.vault.rootkey import RootKey

RAW = bytes(range(100, 132))
TEXT = base64.b64encode(RAW).decode()


def find(
    key_file: Path, env: dict[str, str] | None = None, *, sealed: bool = True, config_key_file: Path | None = None
) -> RootKey:
    return rootkey.find(env or {}, config_key_file, key_file, sealed_files_exist=sealed, ask=None)


def write(path: Path, text: str = TEXT, mode: int = 0o600) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_p4_a_first_run_makes_a_key_file_for_us_alone_and_says_so(key_file: Path) -> None:
    made = find(key_file, sealed=False)
    assert made.created
    assert str(key_file) in made.source
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
    again = find(key_file)
    assert not again.created
    assert again.key.raw_value == made.key.raw_value
    assert list(key_file.parent.iterdir()) == [key_file]


def test_p4_sealed_files_and_no_source_is_an_error_and_makes_nothing(key_file: Path) -> None:
    with pytest.raises(Misconfigured, match="no root key"):
        find(key_file)
    assert not key_file.exists()


def test_every_source_gives_the_same_key(key_file: Path, tmp_path: Path) -> None:
    credential = write(tmp_path / "credentials" / "vaultd-root", mode=0o440)
    env = {"CREDENTIALS_DIRECTORY": str(credential.parent), "VAULTD_ROOT_KEY": TEXT}
    configured = write(tmp_path / "elsewhere" / "my.key")
    for found in (
        find(key_file, {"CREDENTIALS_DIRECTORY": str(credential.parent)}),
        find(key_file, {"VAULTD_ROOT_KEY": TEXT}),
        find(key_file, config_key_file=configured),
        find(write(key_file)),
        find(key_file, env),
    ):
        assert found.key.raw_value == RAW
    assert find(key_file, env).source == f"the credential {credential}"
    assert "key file" in find(tmp_path / "none" / "root.key", {"VAULTD_ROOT_KEY": TEXT}).warning


def test_p4_a_credential_that_cannot_be_read_is_named(key_file: Path, tmp_path: Path) -> None:
    """A folder stands there: what a container's engine makes of a mount whose file is missing."""
    (tmp_path / "secrets" / "vaultd-root").mkdir(parents=True)
    with pytest.raises(Misconfigured, match="secrets/vaultd-root cannot be read") as refusal:
        find(key_file, {"CREDENTIALS_DIRECTORY": str(tmp_path / "secrets")}, sealed=False)
    assert refusal.value.code == "key-unreadable"
    assert not key_file.exists()


def test_p4_two_sources_that_differ_are_refused_and_both_named(key_file: Path) -> None:
    write(key_file)
    with pytest.raises(Misconfigured) as refusal:
        find(key_file, {"VAULTD_ROOT_KEY": base64.b64encode(os.urandom(32)).decode()})
    assert str(key_file) in str(refusal.value)
    assert "$VAULTD_ROOT_KEY" in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [TEXT, TEXT.rstrip("="), TEXT + "\n", base64.urlsafe_b64encode(bytes(range(224, 256))).decode()],
)
def test_base64_of_either_alphabet_is_a_key(text: str) -> None:
    assert len(rootkey.parse(text.encode(), "it").raw_value) == 32


def test_a_jwk_is_a_key() -> None:
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(RAW).rstrip(b"=").decode(), "kid": "x", "use": "enc"}
    assert rootkey.parse(json.dumps(jwk).encode(), "it").raw_value == RAW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "correct horse battery staple CANARY",
        "CANARYpassword",
        base64.b64encode(b"my CANARY passphrase is so long!").decode(),
        base64.b64encode(bytes(32)).decode(),
        base64.b64encode(RAW[:31]).decode(),
        base64.b64encode(RAW + b"x").decode(),
        RAW.hex(),
        '{"kty":"EC","k":"CANARY"}',
        '{"kty":"oct"}',
        "{CANARY",
    ],
)
def test_p4_what_is_no_random_key_is_refused_without_being_repeated(key_file: Path, text: str) -> None:
    write(key_file, text)
    with pytest.raises(Misconfigured) as refusal:
        find(key_file)
    assert "head -c 32 /dev/urandom" in str(refusal.value)
    assert "CANARY" not in str(refusal.value)
    key_file.unlink()  # what was planted here is no leak


def test_p4_a_key_file_open_to_others_is_refused(key_file: Path) -> None:
    write(key_file, mode=0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        find(key_file)


def test_p4_a_key_file_in_a_folder_that_others_can_write_is_refused(key_file: Path) -> None:
    write(key_file).parent.chmod(0o770)
    with pytest.raises(Misconfigured, match="chmod go-w"):
        find(key_file)


def test_p4_a_link_a_pipe_and_a_folder_are_no_key_file(key_file: Path, tmp_path: Path) -> None:
    key_file.parent.mkdir(mode=0o700)
    key_file.symlink_to(write(tmp_path / "real.key"))
    with pytest.raises(Misconfigured, match="cannot be read"):
        find(key_file)
    key_file.unlink()
    os.mkfifo(key_file, 0o600)
    with pytest.raises(Misconfigured, match="regular"):
        find(key_file)
    key_file.unlink()
    key_file.mkdir(mode=0o700)
    with pytest.raises(Misconfigured, match="regular"):
        find(key_file)


@pytest.mark.parametrize(
    "kid", ["scrypt-30-8-1-" + "A" * 22, "scrypt-17-99-1-" + "A" * 22, "scrypt-0-8-1-" + "A" * 22, "scrypt-x"]
)
def test_scrypt_parameters_are_capped_when_they_are_read(kid: str) -> None:
    with pytest.raises(Misconfigured):
        rootkey.from_passphrase("CANARY passphrase", kid)


def test_a_passphrases_kid_tells_nothing_of_the_key() -> None:
    one, two = rootkey.new_passphrase_kid(), rootkey.new_passphrase_kid()
    assert one != two
    key = rootkey.from_passphrase("CANARY passphrase", one)
    assert key.kid == one
    assert key.kid != key.thumbprint()
