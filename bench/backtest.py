"""How long a backtest of 100,000 alerts takes, from an export, as in a pull request."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from time import perf_counter

from bench.database import Fresh
from bench.result import Result
from incidentd.classify import Rules, load, parse
from incidentd.intake import fingerprint
from incidentd.replay import Answer, Did, Hearing, RecordedAlert, Recording, compare, read_export, side_by_side
from incidentd.replay.export import write_export

RULES = Path(__file__).parents[1] / "rules"
SINCE = datetime(2026, 9, 1, tzinfo=UTC)
DAYS = 30
ALERTS = 100_000
LIMIT_SECONDS = 60
_ANSWERED = 0.6
_PLACES = 300
_INSTANCES = 2000


def recorded(alerts: int, rules: Rules, seed: int = 1) -> Recording:
    """So many alerts in 30 days, made from the table's examples: 20 minutes each on average, most of them answered."""
    chance = random.Random(seed)
    examples = [(table.system, each) for table in rules.tables.values() for each in table.examples]
    found: list[RecordedAlert] = []
    answers: list[Answer] = []
    for number in range(alerts):
        system, example = chance.choice(examples)
        place = {"instance": f"i{chance.randrange(_INSTANCES)}", "environment": f"e{chance.randrange(_PLACES)}"}
        labels = {**({"system": system} if system else {}), **example.labels, **place}
        at = SINCE + timedelta(seconds=chance.randrange(DAYS * 86400))
        over = at + timedelta(minutes=chance.expovariate(1 / 20))
        value = example.annotations.get("value")
        heard = (Hearing(at, True, value), Hearing(over, False, value))
        found.append(RecordedAlert(fingerprint(labels), at, labels, f"incident {number}", heard))
        if chance.random() < _ANSWERED:
            after = timedelta(minutes=chance.expovariate(1 / 6))
            answers.append(Answer(at + after, f"incident {number}", Did.ACKNOWLEDGED, f"person {number % 9}"))
    found.sort(key=lambda each: each.hearings[0].at)
    answers.sort(key=lambda each: each.at)
    return Recording(SINCE, SINCE + timedelta(days=DAYS), tuple(found), tuple(answers), dict(rules.files))


def changed(rules: Rules, file: str, old: str, new: str) -> Rules:
    """The table with one text in place of another, wherever it stands in a file."""
    files: Mapping[str, str] = rules.files
    if old not in files[file]:
        raise ValueError(f"{file} does not hold {old!r}")
    return parse({**files, file: files[file].replace(old, new)})


def measure(_: Fresh) -> list[Result]:
    """(k) the whole backtest: reading the export, both tables, the difference.

    No database is asked, so it is measured once for all of them.
    """
    return [
        _result("a tier's rows changed in one system", "astudio.yaml", "tier: P2", "tier: P1"),
        _result("everything changed", "escalation.yaml", "name: CTO", "name: chief technology officer"),
    ]


@cache
def _result(what: str, file: str, old: str, new: str) -> Result:
    rules = load(RULES)
    lines = [line.encode() for line in write_export(recorded(ALERTS, rules))]
    other = changed(rules, file, old, new)
    began = perf_counter()
    recording = read_export(lines)
    difference = compare(recording, *side_by_side(recording, (rules, other)))
    seconds = perf_counter() - began
    measured = f"{seconds:.0f} s, {len(difference.changes):,} incidents change"
    what = f"backtest of {ALERTS:,} alerts, {what}"
    return Result("k", what, measured, f"< {LIMIT_SECONDS} s", seconds < LIMIT_SECONDS)
