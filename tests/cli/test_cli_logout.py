"""A login renewed on demand and ended, here and at the vendor."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from ports import own_callbacks
from shell import LONGEST, Daemon, Person
from vendors import vendors

from vaultd.sandbox import Sandbox


@pytest.fixture
def sandbox(person: Person) -> Iterator[Sandbox]:
    with vendors() as sandbox:
        person.configures(json.dumps({"providers": own_callbacks(sandbox)}))
        yield sandbox


def signed_in(person: Person, provider: str) -> str:
    """The id of a credential made by opening the printed URL."""
    words = [sys.executable, "-m", "vaultd", "login", f"--{provider}", "--no-browser"]
    with subprocess.Popen(words, env=person.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as login:
        assert login.stdout is not None
        with urllib.request.urlopen(login.stdout.readline().strip(), timeout=LONGEST):
            pass
        return login.stdout.readline().strip().rpartition(" -> ")[2]


def test_a_login_is_renewed_on_demand(person: Person, sandbox: Sandbox) -> None:
    credential = signed_in(person, "codex")
    done = person.types("credentials", "refresh", credential)
    assert done.out.startswith(f"renewed: {credential} until ")
    assert sandbox["codex"].counts["renewals"] == 1


def test_a_failing_renewal_is_told_and_who_mended_it_need_not_wait(
    person: Person, sandbox: Sandbox, serves: Callable[..., Daemon]
) -> None:
    credential = signed_in(person, "codex")
    serves(person)
    sandbox.fault("codex", at="token", do="status", status=503, retry_after=3600)
    assert person.types("credentials", "refresh", credential).code == 6

    (row,) = person.types("status", "--json").json["credentials"]
    assert row["reason"] == "its renewal fails: the vendor answered 503"
    assert row["action"] == f"vaultd credentials refresh {credential}"
    assert "available; its renewal fails: the vendor answered 503" in person.types("status").out
    checks = person.types("doctor", "--json").json["checks"]
    assert ("renewal", "warn") in {(check["check"], check["state"]) for check in checks}

    assert person.types("credentials", "refresh", credential).code == 0
    assert person.types("status", "--json").json["credentials"][0]["reason"] == ""


def test_sec_54_everywhere_ends_the_login_at_the_vendor_before_it_is_forgotten(
    person: Person, sandbox: Sandbox, serves: Callable[..., Daemon]
) -> None:
    credential = signed_in(person, "codex")
    serves(person)
    sandbox.fault("codex", at="revoke", do="status", status=503)
    failed = person.types("logout", credential, "--everywhere")
    assert failed.code == 6
    assert person.types("credentials", "list", "--json").json["count"] == 1

    assert person.types("logout", credential, "--everywhere").out == f"signed out: {credential}\n"
    assert person.types("credentials", "list", "--json").json["count"] == 0
    assert [hit.at for hit in sandbox["codex"].hits if hit.at == "revoke"] == ["revoke", "revoke"]


def test_a_vendor_without_revocation_is_said_to_be_one(person: Person, sandbox: Sandbox) -> None:
    credential = signed_in(person, "claude")
    done = person.types("logout", credential, "--everywhere")
    assert (done.code, done.out) == (0, f"signed out: {credential}\n")
    assert "offers no revocation" in done.err
