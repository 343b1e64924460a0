"""The alerts of a run, and what becomes of each: all of it follows from the seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Plot(StrEnum):
    """What becomes of an alert."""

    LEFT = "left to climb"
    CALM = "left, with levels of minutes"
    BY_API = "answered by the API"
    BY_SLACK = "answered in Slack"
    OVER = "over soon"
    FLAPPING = "flapping, and then firing"


_WEIGHTS = {Plot.LEFT: 4, Plot.CALM: 2, Plot.BY_API: 3, Plot.BY_SLACK: 2, Plot.OVER: 3, Plot.FLAPPING: 2}
REPLICAS = 3
_REPEATS = (5, 15, 40)


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification of one replica of Alertmanager, at its time in seconds from the story's start.

    ``number`` is its place among the alert's states. ``since``: when this episode began; ``until``: when it ended, if
    it is over.
    """

    at: float
    replica: int
    number: int
    firing: bool
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Story:
    """One alert. ``place`` tells it from others. ``waits``: seconds that a person takes to answer."""

    place: str
    plot: Plot
    at: float
    notices: Sequence[Notice]
    waits: float

    @property
    def climbs(self) -> bool:
        """Whether its levels last seconds."""
        return self.plot is not Plot.CALM

    @property
    def stays(self) -> bool:
        """Whether it fires at the end."""
        return self.plot is not Plot.OVER


def stories(seed: int, seconds: float, per_second: float) -> list[Story]:
    """A steady flow, the earliest first."""
    random = Random(seed)
    found = []
    for number in range(max(1, int(seconds * per_second))):
        plot = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        at = (number + random.random()) / per_second
        found.append(Story(f"p{number}", plot, at, _notices(plot, random, seconds - at), random.uniform(0.2, 3)))
    return found


def _notices(plot: Plot, random: Random, last_at: float) -> list[Notice]:
    """Each state comes from each replica, so that late copies of one come after the next one's; repeats follow."""
    turns = {Plot.OVER: 2, Plot.FLAPPING: 2 * random.randrange(1, 4) + 1}.get(plot, 1)
    notices, at, since, ended, number = [], 0.0, 0.0, 0.0, 0
    for number in range(turns):
        since = at if number % 2 == 0 else since
        for replica in range(REPLICAS):
            late = random.uniform(0, 2) if replica else 0
            notices.append(Notice(at + late, replica, number, number % 2 == 0, since, at))
        ended, at = at, at + random.uniform(1.5, 8 if plot is Plot.OVER else 5)
    # An old copy can come last of all, and says what is not so any more; Alertmanager repeats what is.
    repeats = [at + wait for wait in _REPEATS if at + wait < last_at] + [last_at + random.uniform(1, 6)]
    return notices + [
        Notice(again, random.randrange(REPLICAS), number, number % 2 == 0, since, ended) for again in repeats
    ]
