"""What an examination finds: one line each, with how to mend what is wrong."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is. A warning works, and should be looked at; a fault doesn't work."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``mend`` says in plain words what to do about it; empty where it is ok."""

    about: str
    grade: Grade
    says: str
    mend: str = ""


def ok(about: str, says: str) -> Finding:
    """It is as it should be."""
    return Finding(about, Grade.OK, says)


def warning(about: str, says: str, mend: str) -> Finding:
    """It works, and should be looked at."""
    return Finding(about, Grade.WARNING, says, mend)


def fault(about: str, says: str, mend: str) -> Finding:
    """It doesn't work."""
    return Finding(about, Grade.FAULT, says, mend)


@dataclass(frozen=True, slots=True)
class Check:
    """One examination, to be run beside the others. ``about`` names it where it gives no finding in time."""

    about: str
    look: Callable[[], Iterable[Finding]]
