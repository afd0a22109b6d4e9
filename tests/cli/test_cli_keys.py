"""Client keys on the folder itself, with no daemon there."""

from __future__ import annotations

from shell import Person


def test_the_life_of_a_key(person: Person) -> None:
    made = person.types("keys", "create", "laptop", "--json").json["data"]
    assert made["alias"] == "laptop"
    assert made["vApiKey"].startswith(f"vk_{made['id']}_")

    listed = person.types("keys", "list", "--json").json
    assert listed["count"] == 1
    assert listed["data"][0]["status"] == 1
    assert made["vApiKey"] not in str(listed)
    assert "laptop" in person.types("keys", "list").out

    assert person.types("keys", "get", made["id"]).out.strip() == made["vApiKey"]
    assert person.types("keys", "get", "laptop", "--json").json == {"data": made}

    assert person.types("keys", "disable", "laptop", "--json").json == {"data": {"id": made["id"], "status": 0}}
    assert person.types("keys", "enable", made["id"], "--json").json == {"data": {"id": made["id"], "status": 1}}
    assert person.types("keys", "delete", "laptop", "--json").json == {"data": {"id": made["id"], "deleted": True}}
    assert person.types("keys", "list", "--json").json == {"data": [], "count": 0}


def test_thr_01_an_issued_key_lies_nowhere_in_clear(person: Person) -> None:
    value = person.types("keys", "create", "laptop").out.strip()
    secret = value[len("vk_123456789abc_") :][:43].encode()  # it may hold underscores itself
    files = [file for file in person.auth_dir.rglob("*") if file.is_file()]
    assert files
    assert all(secret not in file.read_bytes() for file in files)


def test_thr_33_a_whole_value_is_read_from_stdin(person: Person) -> None:
    value = person.types("keys", "create", "laptop").out.strip()
    assert person.types("keys", "disable", "-", stdin=value + "\n").code == 0
    assert person.types("keys", "list", "--json").json["data"][0]["status"] == 0
    warned = person.types("keys", "enable", value)
    assert warned.code == 0
    assert "stdin" in warned.err


def test_a_masked_an_unknown_and_a_taken_name_are_errors_that_say_so(person: Person) -> None:
    person.types("keys", "create", "laptop")
    masked = person.types("keys", "list", "--json").json["data"][0]["vApiKey"]
    for words, says in (
        (("keys", "get", masked), "masked"),
        (("keys", "disable", "phone"), "vaultd keys list"),
        (("keys", "create", "laptop"), "another alias"),
        (("models", "list", "--key", masked), "masked"),
    ):
        done = person.types(*words)
        assert done.code == 78
        assert says in done.err
