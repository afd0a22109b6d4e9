"""Where sessions live: who becomes a home, for how long, and what is kept of it."""

from __future__ import annotations

import itertools

from vaultd.pool.homes import BEGINNINGS, HOMES, Homes

STAY = ("s", "m")


def lives(homes: Homes, now: float = 0) -> tuple[str, str] | None:
    home = homes.find(STAY, now)
    return None if home is None else (home.credential, home.away)


def test_until_somebody_has_answered_whoever_answers_is_the_home() -> None:
    homes = Homes()
    homes.lodge(STAY, "a", 0, away=False)
    assert lives(homes) == ("a", "")
    homes.served(STAY, "b", 0)
    assert lives(homes) == ("b", "")
    homes.served(STAY, "c", 0)
    assert lives(homes) == ("b", "c")


def test_back_at_home_nobody_is_away() -> None:
    homes = Homes()
    for credential in ("a", "b", "a"):
        homes.served(STAY, credential, 0)
    assert lives(homes) == ("a", "")


def test_unused_for_an_hour_it_is_forgotten_and_each_answer_counts_as_use() -> None:
    homes = Homes()
    for now in (0, 3000, 6000):
        homes.served(STAY, "a", now)
    assert lives(homes, 9600) == ("a", "")
    assert lives(homes, 9601) is None


def test_of_too_many_the_longest_unused_makes_room() -> None:
    homes = Homes()
    homes.served(STAY, "a", 0)
    for number in range(HOMES - 1):
        homes.served((str(number), "m"), "b", 0)
    homes.served(STAY, "a", 0)
    homes.served(("one more", "m"), "b", 0)
    assert lives(homes) == ("a", "")
    assert homes.find(("0", "m"), 0) is None


def test_each_model_of_a_session_has_its_own() -> None:
    homes = Homes()
    homes.served(STAY, "a", 0)
    assert homes.find(("s", "other"), 0) is None


def test_where_the_first_question_was_answered_a_conversation_goes_on() -> None:
    homes = Homes()
    homes.began(STAY, "a")
    homes.began(STAY, "b")
    assert homes.export(0) == []
    assert lives(homes) == ("a", "")
    homes.began(STAY, "b")
    assert lives(homes) == ("a", "")


def test_questions_that_never_go_on_drive_nobody_out() -> None:
    homes = Homes()
    homes.served(STAY, "a", 0)
    before = homes.version
    for number in range(BEGINNINGS + 1):
        homes.began((str(number), "m"), "b")
    assert homes.version == before
    assert lives(homes) == ("a", "")
    assert homes.find(("0", "m"), 0) is None
    assert homes.find(("1", "m"), 0) is not None


def test_only_a_move_is_worth_writing_down() -> None:
    homes = Homes()
    seen = [homes.version]
    for credential in ("a", "a", "b", "b", "a"):
        homes.served(STAY, credential, 0)
        seen.append(homes.version)
    assert [later > earlier for earlier, later in itertools.pairwise(seen)] == [True, False, True, False, True]


def test_what_is_kept_comes_back_as_old_as_it_was_and_does_not_undo_what_is_known() -> None:
    homes = Homes()
    homes.served(("known", "m"), "a", 100)
    homes.served(STAY, "a", 200)
    homes.served(STAY, "b", 200)
    homes.lodge(("unproven", "m"), "a", 200, away=False)
    kept = homes.export(300)
    assert [(home.session, home.used) for home in kept] == [("known", -200), ("s", -100)]
    later = Homes()
    later.served(("known", "m"), "c", 50)
    later.restore(kept, 50)
    assert lives(later, 50) == ("a", "b")
    known = later.find(("known", "m"), 50)
    assert known is not None and known.credential == "c"
    assert lives(later, 50 - 100 + 3601) is None
