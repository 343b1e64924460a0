"""The index finds what asking every row in turn would find: the first one that fits, whatever rows ask for."""

import sys
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentd.alert import Alert
from incidentd.classify import Rules, classify, explain
from incidentd.classify import parse as parsed
from incidentd.classify.classify import find
from incidentd.classify.index import build_index, every
from incidentd.classify.row import Fit
from tests.classify.ground import NOW, TIERS, alert, rules, texts

LABELS = ("system", "slo", "sli", "region", "näme with spaces")
VALUES = ("", "a", "b", "c")
NUMBERS = ("", "1", "2", "3", "n/a")

matchers = st.builds(
    lambda label, operator, values: f'"{label}"{operator}"{"|".join(values) if "~" in operator else values[0]}"',
    st.sampled_from(LABELS),
    st.sampled_from(["=", "=", "=", "!=", "=~", "!~"]),
    st.lists(st.sampled_from(VALUES), min_size=1, max_size=2),
)
conditions = st.builds("{} {} {}".format, st.sampled_from(["value", "age"]), st.sampled_from("<>="), st.integers(1, 3))
a_row = st.tuples(
    st.lists(matchers, max_size=4, unique=True),
    st.lists(conditions, max_size=2, unique=True),
    st.sampled_from(["P0", "P1", "P2", "P3"]),
)
a_table = st.lists(a_row, min_size=1, max_size=14)
labels = st.dictionaries(st.sampled_from([*LABELS, "age", "severity"]), st.sampled_from([*VALUES, "1", "2"]))


def written(table: list[tuple[list[str], list[str], str]], system: str) -> str:
    rows = "".join(
        f"  - {{name: r{number}, tier: {tier}, match: [{', '.join(repr(each) for each in match)}], when: {when}}}\n"
        for number, (match, when, tier) in enumerate(table)
    )
    return f"{f'system: {system}' if system else ''}\nrows:\n{rows}"


def unreached_may_stay(files: Mapping[str, str]) -> Rules:
    """Rules whose loader doesn't refuse rows that nothing reaches: chance makes many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["incidentd.classify.load"], "unreachable", lambda _rows: ())
        return parsed(files)


def assert_same(found: Rules, given_alert: Alert) -> None:
    """Row and doubt are those of a scan, and an explanation names every row that was asked up to it, in order."""
    scanned = find(given_alert, every(found.rows))
    verdict, explanation = classify(given_alert, found), explain(given_alert, found)
    assert find(given_alert, found.candidates(given_alert.labels)) == scanned
    assert explanation.taker == (scanned.row.name if scanned else None)
    assert verdict.row == (scanned.row.name if scanned else "severity")
    assert explanation.verdict == verdict
    fits = {row.name: row.fit(given_alert) for row in found.rows}
    asked = [each.row for each in explanation.asked]
    assert [each.fit for each in explanation.asked] == [fits[name] for name in asked]
    certain = next((name for name, fit in fits.items() if fit is Fit.YES), None)
    upto = list(fits)[: list(fits).index(certain) + 1] if certain else list(fits)
    assert asked == [name for name in upto if name in asked]
    assert all(fits[name] is Fit.NO for name in upto if name not in asked)


@settings(max_examples=120, deadline=None)
@given(a_table, a_table, st.sampled_from(["", "a", "b"]), labels, st.sampled_from(NUMBERS))
def test_the_first_row_that_fits_takes_an_alert_with_the_index_as_by_a_scan(
    first: list[tuple[list[str], list[str], str]],
    second: list[tuple[list[str], list[str], str]],
    system: str,
    given_labels: dict[str, str],
    value: str,
) -> None:
    tiers = TIERS.replace("[one]", "[one, two]")
    found = unreached_may_stay(texts(tiers=tiers, one=written(first, system), two=written(second, "")))
    annotations = {"value": value} if value else {}
    assert_same(found, Alert("a1", given_labels, annotations, NOW, None, firing=True))


def test_an_absent_label_is_the_empty_one() -> None:
    found = rules(
        "rows:\n"
        + "".join(
            f'  - {{name: {name}, tier: P1, match: [region="{region}", slo="{slo}"]}}\n'
            for name, region, slo in [("a", "", "x"), ("b", "eu", "x"), ("c", "", "y"), ("d", "us", "")]
        )
    )
    assert classify(alert(slo="x"), found).row == "one/a"
    assert classify(alert(slo="x", region=""), found).row == "one/a"
    assert classify(alert(region="us"), found).row == "one/d"
    assert classify(alert(), found).row == "severity"


def test_what_is_asked_does_not_grow_with_the_table() -> None:
    found = rules(
        "rows:\n"
        + "".join(
            f'  - {{name: r{n}, tier: P1, match: [slo="{n // 2}", sli="x"], when: [value < {n % 2 + 1}]}}\n'
            for n in range(2000)
        )
    )
    for number in (0, 500, 999):
        assert len(found.candidates({"slo": str(number), "sli": "x"})) == 2
    assert found.candidates({"slo": "none"}) == []


def test_a_row_with_more_labels_than_the_index_looks_at_is_found() -> None:
    many = ", ".join(f'l{n}="{n}"' for n in range(40))
    rows = "".join(f'  - {{name: r{n}, tier: P1, match: [{many}, last="{n}"]}}\n' for n in range(5))
    found = rules(f"rows:\n{rows}")
    assert classify(alert(**{f"l{n}": str(n) for n in range(40)}, last="3"), found).row == "one/r3"
    assert build_index((), "system").candidates({}) == []
