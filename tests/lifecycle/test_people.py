"""One name for each person, and nobody waits for it twice."""

from incidentd.errors import PermanentError, TransientError
from incidentd.lifecycle.people import KNOWN_FOR_SECONDS, QUIET_SECONDS, People


class Directory:
    """Answers as told, and counts."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, what: str, seconds: float) -> str:
        assert seconds <= 3
        self.asked.append(what)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_somebody_is_known_by_the_same_name_as_in_slack_and_asked_for_once() -> None:
    email, name = Directory("ann@example.org"), Directory("ann")
    clock = [0.0]
    people = People(email, name, lambda: clock[0])
    assert [people.name("P1", "Ann Mason") for _ in range(3)] == ["ann"] * 3
    assert (email.asked, name.asked) == (["P1"], ["ann@example.org"])
    clock[0] = KNOWN_FOR_SECONDS + 1
    assert people.name("P1", "Ann Mason") == "ann"
    assert len(email.asked) == 2


def test_without_both_directories_people_keep_the_name_that_they_came_with() -> None:
    for people in (People(None, None), People(Directory("x"), None), People(None, Directory("x"))):
        assert people.name("P1", "Ann Mason") == "Ann Mason"


def test_after_a_failure_nobody_is_asked_for_for_a_while() -> None:
    email, clock = Directory(TransientError("503")), [0.0]
    people = People(email, Directory("ann"), lambda: clock[0])
    assert [people.name(who, who) for who in ("P1", "P2", "P1")] == ["P1", "P2", "P1"]
    assert email.asked == ["P1"]
    clock[0], email.answer = QUIET_SECONDS + 1, "ann@example.org"
    assert people.name("P1", "Ann Mason") == "ann"


def test_somebody_whom_slack_does_not_know_is_not_asked_for_again_and_others_are() -> None:
    email, name = Directory("ann@example.org"), Directory(PermanentError("users_not_found"))
    people = People(email, name)
    assert [people.name(who, who) for who in ("P1", "P1", "P2")] == ["P1", "P1", "P2"]
    assert email.asked == ["P1", "P2"]


def test_a_name_that_cannot_be_shown_is_none() -> None:
    assert People(Directory("ann@example.org"), Directory("a\x00n")).name("P1", "Ann Mason") == "Ann Mason"
    assert People(Directory(""), Directory("ann")).name("P1", "Ann Mason") == "Ann Mason"
