"""What codex-lb exports (github.com/Soju06/codex-lb, its code of 2026): one account from its page, in clear,

    {"filename", "account": {"email", "chatgptAccountId"}, "tokens": {…}, "codexAuthJson": {as Codex's auth.json}}

(earlier `authJson`, that file as a text), or a bundle of accounts sealed by a passphrase:

    {"format": "codex-lb-account-bundle", "version": 1, "kdf": {"name": "scrypt", "salt", "n": 32768, "r": 8, "p": 1},
     "cipher": {"name": "AES-256-GCM", "nonce"}, "ciphertext"}

whose plaintext is {"version": 1, "created_at", "accounts": [{"email", "chatgpt_account_id", "chatgpt_user_id", "alias",
"plan_type", "credentials": {"access_token", "refresh_token", "id_token"}}]}, authenticated together with all members
but the ciphertext, as compact JSON in order of their names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import replace
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vaultd.errors import Misconfigured
from vaultd.oauth.account import MAX_FACT, merged
from vaultd.oauth.tokens import Account
from vaultd.work.importing import codex
from vaultd.work.importing.fields import Around, Found, Members, object_of, section, text

BUNDLE: Final = "codex-lb-account-bundle"
#: The only ones there are: a file that asks for more wants this machine's memory (THR-18).
_SCRYPT: Final = {"name": "scrypt", "n": 32768, "r": 8, "p": 1}
#: As many logins as one command may seal; codex-lb itself allows more.
_MOST: Final = 1000


def read(file: Members, name: str, around: Around) -> list[Found]:
    if file.get("format") == BUNDLE:
        return _bundle(_opened(file, name, around), name, around)
    inner = section(file, "codexAuthJson", name) or object_of(text(file, "authJson", name, 32 * 1024), name)
    found = codex.read(inner, name, around)
    said = section(file, "account", name) or file
    return [_named(one, said, ("chatgptAccountId", "", "email"), name) for one in found]


def _bundle(plain: Members, name: str, around: Around) -> list[Found]:
    accounts = plain.get("accounts")
    if not isinstance(accounts, list) or len(accounts) > _MOST or not all(isinstance(one, dict) for one in accounts):
        raise Misconfigured(f"{name}: accounts is no list of at most {_MOST}")
    found = []
    for one in accounts:
        # `created_at` says when it was packed, not when the tokens were given.
        login = codex.login(section(one, "credentials", name), None, name, around)
        found.append(_named(login, one, ("chatgpt_account_id", "chatgpt_user_id", "email"), name))
    return found


def _named(found: Found, said: Members, keys: tuple[str, str, str], name: str) -> Found:
    """What the export says of the account, under what its id_token does."""
    credential = found.credential
    if credential.kind == "key":
        return found
    account, person, email = (text(said, key, name, MAX_FACT) if key else "" for key in keys)
    facts = {"chatgpt_account_id": account} if account else {}
    known = merged(Account(person=person, account=account, email=email, facts=facts), credential.account)
    return replace(found, credential=replace(credential, account=known))


def _opened(file: Members, name: str, around: Around) -> Members:
    if not around.passphrase.reveal():
        raise Misconfigured(f"{name}: is sealed by a passphrase, and none was given")
    kdf, cipher = section(file, "kdf", name), section(file, "cipher", name)
    fits = {key: value for key, value in kdf.items() if key != "salt"} == _SCRYPT
    if file.get("version") != 1 or not fits or cipher.get("name") != "AES-256-GCM":
        raise Misconfigured(f"{name}: is a bundle of another version than this program knows")
    salt, nonce = _bytes(kdf.get("salt"), 16, name), _bytes(cipher.get("nonce"), 12, name)
    sealed = _bytes(file.get("ciphertext"), None, name)
    spelled = {key: value for key, value in file.items() if key != "ciphertext"}
    about = json.dumps(spelled, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    # 32 MiB, what these parameters take (RFC 7914 §2); OpenSSL wants its limit above that.
    key = hashlib.scrypt(around.passphrase.reveal().encode(), salt=salt, n=32768, r=8, p=1, dklen=32, maxmem=1 << 26)
    try:
        plain = AESGCM(key).decrypt(nonce, sealed, about)
    except InvalidTag:
        raise Misconfigured(f"{name}: the passphrase is another one, or the file is damaged") from None
    return object_of(plain.decode(errors="replace"), name)


def _bytes(value: Any, size: int | None, name: str) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Misconfigured(f"{name}: holds what is no base64") from None
    if size is not None and len(raw) != size:
        raise Misconfigured(f"{name}: its salt or nonce has a wrong length")
    return raw
