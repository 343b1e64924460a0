"""(j): how long it takes to classify an alert, with a large table and with a small one. No database is asked."""

import gc
import random
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bench.database import Fresh
from bench.installation import PROJECT
from bench.result import Result
from incidentd.alert import Alert
from incidentd.classify import Classifier, Rules, parse

SMALL, LARGE = 20, 2_000
_A_SYSTEM = 200
_THRESHOLDS = (95, 99)
_ALERTS = 4_000
_ROUNDS = 25
_MOST = 1.5
_LEAST_A_SECOND = 20_000
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_TABLES = re.compile(r"^tables: .*$", re.MULTILINE)


def measure(_fresh: Fresh) -> list[Result]:
    """(j)."""
    small, large = seconds_each(SMALL, LARGE)
    ratio = statistics.median(slow / fast for slow, fast in zip(large, small, strict=True))
    rate = 1 / statistics.median(large)
    return [
        Result(
            "j",
            f"an alert classified by {LARGE:,} rows, against {SMALL} rows",
            f"{ratio:.2f} times as long ({rate:,.0f} a second)",
            f"≤ {_MOST:g}, ≥ {_LEAST_A_SECOND:,} a second",
            ratio <= _MOST and rate >= _LEAST_A_SECOND,
        )
    ]


def seconds_each(*sizes: int) -> list[list[float]]:
    """What an alert takes with a table of each size, of the processor's time, in each of some rounds by turns."""
    sides = [(table(size), list(alerts(size))) for size in sizes]
    taken: list[list[float]] = [[] for _ in sizes]
    for _ in range(_ROUNDS):
        for side, (rules, sent) in enumerate(sides):
            taken[side].append(_seconds(rules, sent) / len(sent))
    return taken


def table(rows: int) -> Rules:
    """Rules with so many rows: systems of 200 rows at most, each objective with a row for either threshold."""
    folder = PROJECT / "rules"
    fixed = ("tiers.yaml", "escalation.yaml", "destinations.yaml", "calendars.yaml")
    templates = (str(path.relative_to(folder)) for path in (folder / "templates").glob("*.j2"))
    files = {name: (folder / name).read_text("utf-8") for name in (*fixed, *templates)}
    systems = range(-(-rows // _A_SYSTEM))
    files["tiers.yaml"] = _TABLES.sub(f"tables: [{', '.join(map(_system, systems))}]", files["tiers.yaml"])
    for number in systems:
        files[f"{_system(number)}.yaml"] = _table(number, min(rows, _A_SYSTEM))
    return parse(files)


def alerts(rows: int) -> Iterator[Alert]:
    """Alerts of which no two are alike, spread over all rows; one in ten is taken by none."""
    chosen = random.Random(rows)
    for number in range(_ALERTS):
        system, objective = divmod(chosen.randrange(rows // len(_THRESHOLDS)), _A_SYSTEM // len(_THRESHOLDS))
        labels = {
            "alertname": "Below",
            "system": _system(system),
            "slo": "unknown" if chosen.random() < 0.1 else f"objective-{objective}",
            "sli": "availability",
            "severity": "warning",
            "region": "eu",
            "instance": f"10.0.0.1:{number}",
        }
        annotations = {"summary": "Below", "value": f"{chosen.randrange(94, 99)}.{number:05}"}
        yield Alert(f"{number:016x}", labels, annotations, _AT, None, firing=True)


def _seconds(rules: Rules, sent: Sequence[Alert]) -> float:
    """Every round begins with a memory that knows nothing."""
    classifier = Classifier(rules)
    gc.collect()
    begun = time.process_time()
    for alert in sent:
        classifier(alert)
    return time.process_time() - begun


def _system(number: int) -> str:
    return f"system-{number}"


def _table(system: int, rows: int) -> str:
    objectives = range(rows // len(_THRESHOLDS))
    written = "".join(
        f"  - {{name: below-{limit}-{each}, tier: P{tier}, "
        f"match: ['slo=\"objective-{each}\"', 'sli=\"availability\"'], when: [value < {limit}]}}\n"
        for each in objectives
        for tier, limit in enumerate(_THRESHOLDS)
    )
    return f"system: {_system(system)}\nrows:\n{written}"
