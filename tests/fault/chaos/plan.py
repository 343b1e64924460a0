"""Which fault comes when: all of it follows from the seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

_APART_SECONDS = 15.0
SQLITE, POSTGRESQL = "sqlite", "postgresql"
PAGERDUTY, SLACK = "pagerduty", "slack"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault. ``hits`` are what it takes away: two faults never take the same thing at the same time.

    ``shortest`` and ``longest`` are seconds; 0 is over at once. ``leases``: it lasts beyond a sender's lease.
    """

    name: str
    weight: int
    hits: frozenset[str] = frozenset()
    shortest: float = 0.0
    longest: float = 0.0
    database: str = ""
    leases: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come. ``at`` counts from the run's start; ``chance`` decides what else is open. Times in seconds."""

    at: float
    kind: Kind
    seconds: float
    chance: int


def _kind(name: str, weight: int, *hits: str, lasts: tuple[float, float] = (0, 0), database: str = "") -> Kind:
    return Kind(name, weight, frozenset(hits), *lasts, database)


FREEZE_SENDER = Kind("sender frozen beyond its lease", 3, leases=True)

KINDS: Sequence[Kind] = (
    _kind("kill -9 of the web part", 2, "web"),
    _kind("kill -9 of a worker", 8),
    _kind("kill -9 of a timekeeper", 6),
    _kind("kill -9 of a whole group", 2),
    FREEZE_SENDER,
    _kind("web part frozen", 2, "web", lasts=(0.5, 4)),
    _kind("timekeeper frozen", 3, lasts=(1, 12)),
    _kind("SIGTERM to the web part", 1, "web"),
    _kind("SIGTERM to a group", 1),
    _kind("exit at a named point", 7, "web", lasts=(5, 5)),
    _kind("Redis killed", 4, "redis", lasts=(0.2, 8)),
    _kind("Redis emptied", 6, "redis"),
    _kind("Redis frozen", 4, "redis", lasts=(1, 8)),
    _kind("wrong jobs in the queues", 4, "redis"),
    _kind("PostgreSQL: connections ended", 7, "database", database=POSTGRESQL),
    _kind("PostgreSQL stopped", 4, "database", lasts=(0.5, 6), database=POSTGRESQL),
    _kind("PostgreSQL read-only", 4, "database", lasts=(0.5, 6), database=POSTGRESQL),
    _kind("SQLite locked", 8, "database", lasts=(0.5, 8), database=SQLITE),
    _kind("PagerDuty: 5xx", 4, PAGERDUTY, lasts=(1, 10)),
    _kind("PagerDuty: 429", 4, PAGERDUTY, lasts=(1, 6)),
    _kind("PagerDuty: reply lost", 5, PAGERDUTY, lasts=(1, 5)),
    _kind("PagerDuty: no answer", 4, PAGERDUTY, lasts=(1, 6)),
    _kind("PagerDuty: a byte a second", 3, PAGERDUTY, lasts=(1, 6)),
    _kind("PagerDuty: malformed once", 2, PAGERDUTY, lasts=(3, 3)),
    _kind("Slack: 5xx", 3, SLACK, lasts=(1, 10)),
    _kind("Slack: 429", 3, SLACK, lasts=(1, 6)),
    _kind("Slack: ok false", 3, SLACK, lasts=(1, 6)),
    _kind("Slack: reply lost", 4, SLACK, lasts=(1, 5)),
    _kind("Slack: no answer", 3, SLACK, lasts=(1, 6)),
    _kind("Slack: a byte a second", 2, SLACK, lasts=(1, 6)),
    _kind("receivers refuse connections", 4, PAGERDUTY, SLACK, lasts=(0.5, 8)),
    _kind("copies of webhooks, out of order", 5),
)


def plan(seed: int, seconds: float, count: int, database: str, lease: float) -> list[Fault]:
    """``count`` faults within ``seconds``, each kind at least once where there are enough; the earliest first.

    Raises:
        ValueError: so many don't fit: what they hit is taken.
    """
    random = Random(seed)
    kinds = [kind for kind in KINDS if kind.database in ("", database)]
    chosen = random.sample(kinds, min(count, len(kinds)))
    chosen += random.choices(kinds, [kind.weight for kind in kinds], k=count - len(chosen))
    taken: dict[str, list[tuple[float, float]]] = {}
    faults = [_placed(kind, random, seconds, lease, taken) for kind in chosen]
    return sorted(faults, key=lambda fault: fault.at)


def one_by_one(seed: int, seconds: float, lease: float) -> list[Fault]:
    """Deaths and Redis only, each kind in turn, so far apart that what one has delayed has come before the next one."""
    random = Random(seed)
    kinds = [kind for kind in KINDS if kind.name.startswith(("kill -9", "Redis"))]
    random.shuffle(kinds)
    times = range(int(max(0.0, seconds) // (lease + _APART_SECONDS)) or 1)
    return [
        Fault(number * (lease + _APART_SECONDS), kind, kind.longest, random.randrange(2**31))
        for number in times
        for kind in [kinds[number % len(kinds)]]
    ]


def _placed(
    kind: Kind, random: Random, seconds: float, lease: float, taken: dict[str, list[tuple[float, float]]]
) -> Fault:
    """Somewhere where nothing that it hits is taken; shorter and shorter, where the time is full."""
    for attempt in range(1000):
        lasts = (lease + 2 if kind.leases else random.uniform(kind.shortest, kind.longest)) / (1 + attempt // 100)
        at = random.uniform(0, max(0.0, seconds - lasts))
        span = (at, at + lasts + 0.5)
        if not any(_meet(span, other) for thing in kind.hits for other in taken.get(thing, [])):
            for thing in kind.hits:
                taken.setdefault(thing, []).append(span)
            return Fault(round(at, 3), kind, round(lasts, 3), random.randrange(2**31))
    raise ValueError(f"{kind.name} finds no room")


def _meet(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def names(faults: Sequence[Fault]) -> Iterator[str]:
    """What comes, in its order."""
    yield from (fault.kind.name for fault in faults)
