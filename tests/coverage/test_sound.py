"""What is proven of an alert before it fires is so when it fires."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from incidentd.alert import Alert
from incidentd.classify import classify
from incidentd.classify.classify import NO_ROW
from incidentd.coverage import load_rule_files, parse_rule_files, prove
from incidentd.coverage.case import outcome
from slo.source import ROOT
from tests.classify.ground import NOW, TIERS, texts
from tests.classify.test_index import LABELS, VALUES, a_table, unreached_may_stay, written
from tests.systems.catalogue import SYSTEMS
from tests.systems.test_alert_rules import CASES, RULES, expected

NAMES = [name for name in LABELS if " " not in name]

asked = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["=", "!=", "=~", "!~"]), st.sampled_from([*VALUES, "a|b"])),
    max_size=3,
)
compared = st.tuples(st.sampled_from([">", ">=", "<", "<=", "=="]), st.sampled_from([0, 1, 2, 3]))
values = st.one_of(st.integers(-1, 4), st.sampled_from([0.04, 0.06, 0.94, 0.96, 1.04, 1.5, 2.04, 2.96, 3.04]))
WRITTEN = {
    "{{ $value }}": "%r",
    '{{ $value | printf "%.1f" }}': "%.1f",
    '{{ printf "%.0f" $value }}': "%.0f",
    '{{ $value | printf "%.1g" }}': "%.1g",
    '{{ $value | printf "%.4f" | reReplaceAll "\\\\.?0+$" "" }}': "%.4f",
}
series = st.dictionaries(st.sampled_from([*NAMES, "age"]), st.sampled_from([*VALUES, "1", "2"]))
HOLDS = {
    ">": lambda number, limit: number > limit,
    ">=": lambda number, limit: number >= limit,
    "<": lambda number, limit: number < limit,
    "<=": lambda number, limit: number <= limit,
    "==": lambda number, limit: number == limit,
}


def satisfied(matchers: list[tuple[str, str, str]], labels: Mapping[str, str]) -> bool:
    """As Prometheus selects: the patterns here are lists of values."""
    for name, operator, value in matchers:
        same = labels.get(name, "") in (value.split("|") if "~" in operator else [value])
        if same != (operator in ("=", "=~")):
            return False
    return True


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_promtool_sees_firing_goes_to_a_row_that_was_foretold(system: str) -> None:
    proof = prove(RULES, load_rule_files([str(ROOT / system)]))
    foretold = {each.rule.name: (set(each.rows), set(each.tiers)) for each in proof.alerts}
    fired = [alert for test in CASES[system] for _, alert in expected(test) if alert]
    assert {alert.labels["alertname"] for alert in fired} == set(foretold)
    for alert in fired:
        verdict = classify(alert, RULES)
        rows, tiers = foretold[alert.labels["alertname"]]
        assert verdict.row in rows
        assert verdict.tier in tiers


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    a_table, a_table, st.sampled_from(["", "a"]), asked, compared, series, values, st.booleans(),
    st.sampled_from(list(WRITTEN)),
)  # fmt: skip
def test_an_alert_that_fires_goes_to_a_row_that_was_foretold(
    first: list[tuple[list[str], list[str], str]],
    second: list[tuple[list[str], list[str], str]],
    system: str,
    matchers: list[tuple[str, str, str]],
    comparison: tuple[str, int],
    labels: dict[str, str],
    number: float,
    aggregated: bool,
    template: str,
) -> None:
    operator, limit = comparison
    assume(satisfied(matchers, labels) and HOLDS[operator](number, limit))
    tiers = TIERS.replace("[one]", "[one, two]")
    rules = unreached_may_stay(texts(tiers=tiers, one=written(first, system), two=written(second, "")))
    selector = "x{" + ",".join(f'{name}{op}"{value}"' for name, op, value in matchers) + "}"
    kept = {name: text for name, text in labels.items() if not aggregated or name in ("system", "slo")}
    expr = f"sum by (system, slo) ({selector}) {operator} {limit}" if aggregated else f"{selector} {operator} {limit}"
    files = parse_rule_files(
        {
            "a.yml": "groups:\n  - name: g\n    rules:\n      - alert: A\n"
            f"        expr: {expr!r}\n        annotations: {{value: '{template}'}}\n"
        }
    )
    fired = Alert("a1", {**kept, "alertname": "A"}, {"value": WRITTEN[template] % number}, NOW, None, firing=True)
    verdict = classify(fired, rules)
    (alert,) = prove(rules, files).alerts
    outcomes = [outcome(case, rules.rows, further=True) for case in alert.cases]
    assert outcomes, "it fires, so a series was selected"
    reached = {row.name for each in outcomes for row in each.rows}
    assert verdict.row == NO_ROW or verdict.row in reached
    if all(each.certain for each in outcomes):
        assert verdict.row != NO_ROW
