"""(a), (b), (c), (g): what taking an alert in costs, beside the bare endpoint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench import load
from bench.database import Fresh
from bench.filling import fill
from bench.installation import Installation, bare, installation
from bench.notification import distinct, fresh, notification, requests, together
from bench.result import Result

ROUNDS = 5
SINGLES = 600
GROUPS = 40
GROUP = 100

Bodies = Callable[[], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Pair:
    """One round: requests per second of incidentd and of the bare endpoint, right after one another."""

    ours: float
    bare: float


def measure(fresh_database: Fresh) -> list[Result]:
    """(a), (b) and (c), each on an installation of its own."""
    again = singles()
    a = _side_by_side(fresh_database, singles, singles)
    b = _side_by_side(fresh_database, groups, singles)
    one = _side_by_side(fresh_database, groups_of_one, groups_of_one)
    c = _side_by_side(fresh_database, lambda: again, singles)
    return [
        _result("a", "distinct alerts, one a webhook", a, 1, 0.5),
        _result("b", "groups of 100, each alert its own incident: alerts for each bare request", b, GROUP, 2),
        _result("b", "groups of 100, one incident, against bare with the same body", one, 1, 0.2),
        _result("c", "repeats, one a webhook", c, 1, 2),
    ]


def _side_by_side(fresh_database: Fresh, ours: Bodies, theirs: Bodies) -> list[Pair]:
    """The rounds after a first one, in which both warm up."""
    with fresh_database() as mine, fresh_database() as its, installation(mine) as here, bare(its) as yardstick:
        _pair(here, yardstick, ours, theirs)
        return [_pair(here, yardstick, ours, theirs) for _ in range(ROUNDS)]


def measure_open(fresh_database: Fresh) -> list[Result]:
    """(g)"""
    with fresh_database() as few, fresh_database() as many, fresh_database() as theirs, bare(theirs) as yardstick:
        costs = [_cost(url, yardstick, number) for url, number in ((few, 1_000), (many, 100_000))]
    ratio = costs[1] / costs[0]
    return [Result("g", "cost of a webhook with 100,000 open against 1,000", f"{ratio:.2f}", "≤ 1.15", ratio <= 1.15)]


def _cost(url: str, yardstick: int, open_incidents: int) -> float:
    """Bare requests that one webhook costs."""
    fill(url, open_incidents)
    with installation(url) as here:
        _pair(here, yardstick, singles, singles)
        return median(
            pair.bare / pair.ours for pair in [_pair(here, yardstick, singles, singles) for _ in range(ROUNDS)]
        )


def singles() -> list[bytes]:
    """Webhooks with one new alert each, each of an incident of its own."""
    return [notification(distinct([number])) for number in fresh(SINGLES)]


def groups() -> list[bytes]:
    """Webhooks with a hundred new alerts, each of an incident of its own."""
    return [notification(distinct(fresh(GROUP))) for _ in range(GROUPS)]


def groups_of_one() -> list[bytes]:
    """Webhooks with a hundred new alerts of one new incident."""
    return [notification(together(fresh(GROUP))) for _ in range(GROUPS)]


def _pair(here: Installation, yardstick: int, ours: Bodies, theirs: Bodies) -> Pair:
    """incidentd's workers are at work on what it took in, also while the bare endpoint is measured: as in use."""
    mine, its = list(requests(ours())), list(requests(theirs()))
    return Pair(load.send(here.port, mine).rate, load.send(yardstick, its).rate)


def _result(letter: str, what: str, pairs: Sequence[Pair], alerts: int, least: float) -> Result:
    ratio = median(pair.ours * alerts / pair.bare for pair in pairs)
    rate, its = median(pair.ours * alerts for pair in pairs), median(pair.bare for pair in pairs)
    return Result(
        letter, what, f"{ratio:.2f} ({rate:,.0f} against {its:,.0f} a second)", f"≥ {least:g}", ratio >= least
    )
