"""What was measured, and what is to be reached."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table. ``measured`` and ``target`` are as they are to be read."""

    letter: str
    what: str
    measured: str
    target: str
    met: bool
