"""What docs/systems.md says of the five systems is so."""

import re

import pytest

from incidentd.classify import load
from incidentd.objective import compare
from slo.source import ROOT, SYSTEMS, UNITS, Source, read
from tests.test_docs import cells, page

SOURCES = {system: read(system) for system in SYSTEMS}
RULES = load(ROOT.parent / "rules")
_SUFFIX = re.compile(r"_(bucket|count|sum)$")
_METRIC = re.compile(r"([a-z][a-z0-9_]+)(?:\{[^}]*\})?\[")
_GAUGE = re.compile(r"\(([a-z]+_[a-z0-9_]+)\)")

each_system = pytest.mark.parametrize("system", SYSTEMS)


def metrics(source: Source) -> set[str]:
    """What the expressions of a system ask of it, histograms by their own name."""
    queries = [query for each in source.objectives for query in (each.good, each.bad, each.total)]
    text = " ".join([*queries, *(each.expr for each in source.indicators)])
    text = re.sub(r"sli:\w+:\w+|\bby \([^)]*\)", "", text)
    histograms = set(re.findall(r"([a-z][a-z0-9_]+)_bucket", text))
    found = {*_METRIC.findall(text), *_GAUGE.findall(text)}
    return {_SUFFIX.sub("", name) if _SUFFIX.sub("", name) in histograms else name for name in found}


@each_system
def test_every_metric_that_is_asked_for_is_in_the_table_and_no_other(system: str) -> None:
    listed = {name for row in cells(page("systems.md"), "Metrics") if row[0] == system for name in
              re.findall(r"`(\w+)`", row[1])}  # fmt: skip
    assert listed == metrics(SOURCES[system])


def test_every_indicator_and_its_unit_is_in_the_table() -> None:
    rows = cells(page("systems.md"), "How an alert speaks")
    assert {name: row[1] for row in rows for name in re.findall(r"`(\w+)`", row[0])} == UNITS


@each_system
def test_objectives_rows_and_alerts_are_counted_rightly(system: str) -> None:
    table = RULES.tables[system]
    said = re.split(rf"^## {system}$", page("systems.md"), flags=re.MULTILINE)[1].partition("\n## ")[0]
    assert f"{len(table.objectives)} objectives" in said
    assert f"{len(table.rows)} rows, {len(SOURCES[system].alerts)} alerts" in said


def test_the_budgets_that_differ_are_told() -> None:
    told = cells(page("systems.md"), "Stated budgets")
    found = [each for source in SOURCES.values() for each in compare(source.objectives)]
    assert sorted(float(row[2].removesuffix(" min")) for row in told) == sorted(round(e.computed, 4) for e in found)
    assert sorted(float(row[1].split()[0]) for row in told) == sorted(each.stated for each in found)
