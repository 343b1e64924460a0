"""Where one destination keeps one conversation about an incident."""

from dataclasses import dataclass

PAGE = "page"
TELL = "tell"


@dataclass(frozen=True, slots=True)
class Slot:
    """A destination and the part of the incident it follows there.

    A place where people read follows an episode (``e2``); a page is one round and level of it
    (``e2.r3.l1``, and ``e2.r3.l1.2`` when a person had the same level told again).
    """

    destination: str
    name: str
    paging: bool

    @property
    def queue(self) -> str:
        """Pages have a queue of their own: they never wait behind posts."""
        return PAGE if self.paging else TELL


@dataclass(frozen=True, slots=True)
class PageSlot:
    """The parts of a page's slot name."""

    episode: int
    round: int
    level: int
    repeat: int = 0

    def __str__(self) -> str:
        repeat = f".{self.repeat}" if self.repeat else ""
        return f"e{self.episode}.r{self.round}.l{self.level}{repeat}"


def parse_page_slot(name: str) -> PageSlot:
    """The parts of ``e2.r3.l1`` or ``e2.r3.l1.2``."""
    episode, round_, level, *repeat = name.split(".")
    return PageSlot(int(episode[1:]), int(round_[1:]), int(level[1:]), int(repeat[0]) if repeat else 0)


def parse_episode(name: str) -> int:
    """The episode of any slot name."""
    return int(name.split(".", 1)[0][1:])
