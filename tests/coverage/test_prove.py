"""Each alert has a row, a tier, a runbook and somebody at every level, or is named; and so is what nothing uses."""

from collections.abc import Mapping

import pytest

from incidentd.classify import Rules
from incidentd.coverage import Kind, Proof, parse_rule_files, prove
from incidentd.coverage.case import cases_of, outcome
from incidentd.coverage.row_index import RowIndex
from incidentd.objective import parse_objectives
from tests.classify.ground import DESTINATIONS, ESCALATION, rules
from tests.systems.test_objectives import SOUND as OBJECTIVE

TABLE = """\
system: shop
objectives: {checkout: it works}
rows:
  - {name: slow, match: [slo="checkout", sli="latency"], when: [value > 500], tier: P1}
  - {name: down, match: [slo="checkout", sli="outage"], tier: P0, runbook: "https://example.com"}
examples:
  - {row: slow, tier: P1, labels: {alertname: Slow, slo: checkout, sli: latency}, annotations: {value: "501"}}
  - {row: down, tier: P0, labels: {alertname: Down, slo: checkout, sli: outage}}
"""
SOUND = rules(TABLE)
VALUE = "'{{ $value }}'"


def rule(
    expr: str = 'x{system="shop",slo="checkout",sli="latency"} > 500',
    name: str = "Slow",
    value: str = VALUE,
    runbook: str = "https://example.com/r",
    labels: str = "severity: critical",
) -> str:
    lines = [f"alert: {name}", f"expr: {expr!r}", f"labels: {{{labels}}}", "annotations:"]
    lines += [f"  value: {value}"] if value else []
    lines += [f"  runbook_url: {runbook!r}"] if runbook else []
    return "      - " + "\n        ".join([*lines, "  summary: s"]) + "\n"


def proven(*alerts: str, table: Rules = SOUND, external: Mapping[str, str] | None = None) -> Proof:
    text = "groups:\n  - name: g\n    rules:\n" + "".join(alerts)
    return prove(table, parse_rule_files({"a.yml": text}), (), external)


def findings(proof: Proof, *but: Kind) -> list[str]:
    return [f"{each.kind}: {each}" for each in proof.findings if each.kind not in but]


def test_an_alert_that_a_row_takes_whatever_its_value_is_covered() -> None:
    proof = proven(rule())
    assert findings(proof) == []
    assert proof.holds
    (covered,) = proof.alerts
    assert (covered.rows, covered.tiers) == (("one/slow",), ("P1",))


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (
            rule('x{system="shop",slo="checkout",sli="errors"} > 5'),
            "uncovered: a.yml:4: [Slow] no row takes it for slo checkout: its severity alone decides, "
            "P1 by severity critical",
        ),
        (
            rule('x{system="shop",slo="checkout",sli="latency"} < 500'),
            "uncovered: a.yml:4: [Slow] no row takes it for slo checkout: its severity alone decides, "
            "P1 by severity critical",
        ),
        (
            rule('x{slo="checkout",sli="latency"} > 500', labels=""),
            "uncovered: a.yml:4: [Slow] no row takes it for slo checkout: its severity alone decides, "
            "P2 by no severity",
        ),
        (
            rule('x{system="shop",slo="checkout",sli="latency"} > 400'),
            "unproven: a.yml:4: [Slow] one/slow for slo checkout may take it, or its severity alone, "
            "P1 by severity critical: that depends on value; nothing here says",
        ),
        (
            rule(labels="severity: critical, sli: '{{ $labels.kind }}'"),
            "unproven: a.yml:4: [Slow] one/slow, one/down for slo checkout may take it, or its severity alone, "
            "P1 by severity critical: that depends on sli; nothing here says",
        ),
        (
            rule(value="'{{ $value | humanize }}'"),
            "unreadable: a.yml:4: [Slow] row one/slow asks for a number, and the annotation value is formatted for "
            "people: a plain number is needed",
        ),
        (
            rule(value="'{{ $value | printf \"%.1f\" }}'"),
            "unproven: a.yml:4: [Slow] one/slow for slo checkout may take it, or its severity alone, "
            "P1 by severity critical: that depends on value; nothing here says",
        ),
        (
            rule(value='\'{{ $value | reReplaceAll "0" "" }}\''),
            "unproven: a.yml:4: [Slow] one/slow for slo checkout may take it, or its severity alone, "
            "P1 by severity critical: that depends on value; nothing here says",
        ),
        (
            rule(value="'{{ $value | printf \"%d\" }}'"),
            "unreadable: a.yml:4: [Slow] row one/slow asks for a number, and the annotation value is formatted for "
            "people: a plain number is needed",
        ),
        (
            rule(value="'{{ $value }} ms'"),
            "unreadable: a.yml:4: [Slow] row one/slow asks for a number, and the annotation value has 'ms' beside the "
            "number",
        ),
        (
            rule(value=""),
            "unreadable: a.yml:4: [Slow] row one/slow asks for a number, and there is no annotation value",
        ),
        (
            rule(runbook=""),
            "no-runbook: a.yml:4: [Slow] has no annotation runbook_url, nor has row one/slow a runbook",
        ),
        (
            rule(runbook="wiki/slow"),
            "no-runbook: a.yml:4: [Slow] runbook_url 'wiki/slow' is no address that begins with https://",
        ),
        (
            rule('x{system="shop",slo="checkout",sli="latency",a="b",a="c"} > 500'),
            "uncovered: a.yml:4: [Slow] no series satisfies its selector: it never fires",
        ),
        (
            rule("vector(1)", labels="severity: none"),
            "unproven: a.yml:4: [Slow] always fires, and nothing expects it in heartbeats.yaml: an incident "
            "P3 by severity none",
        ),
    ],
)
def test_what_is_not_covered_is_said_with_its_cause(alert: str, said: str) -> None:
    assert said in findings(proven(alert), Kind.SILENT_OBJECTIVE)


@pytest.mark.parametrize(
    ("expr", "template"),
    [
        (" > 500", '{{ $value | printf "%.4f" }}'),
        (" > 500", '{{ printf "%g" $value }}'),
        (" >= 500.06", '{{ printf "%.1f" $value }}'),
        (" > 600", '{{ printf "%.0f" $value }}'),
        (" == 501", '{{ printf "%.0f" $value }}'),
    ],
)
def test_a_value_whose_rounding_leads_to_no_other_row_is_covered(expr: str, template: str) -> None:
    series = 'x{system="shop",slo="checkout",sli="latency"}'
    assert findings(proven(rule(series + expr, value=f"'{template}'"))) == []


def test_each_of_two_matchers_on_one_label_has_to_be_certain() -> None:
    here = rules(TABLE.replace('sli="outage"]', 'sli="outage", region!="", region!="eu"]'))
    alert = rule('x{system="shop",slo="checkout",sli="outage",region!=""} > 0', "Down")
    (covered,) = proven(alert, table=here).alerts
    assert [each.certain for each in covered.further] == [False]


def test_a_template_that_copies_a_label_is_as_well_known_as_that_label() -> None:
    copied = rule('x{system="shop",goal="checkout",sli="latency"} > 500', labels="slo: '{{ $labels.goal }}'")
    assert findings(proven(copied)) == []


def test_a_row_that_has_a_runbook_spares_the_alert_its_own() -> None:
    down = rule('x{system="shop",slo="checkout",sli="outage"} > 0', "Down", runbook="")
    assert findings(proven(down)) == []


def test_a_label_that_prometheus_adds_to_every_alert_counts() -> None:
    alert = rule('x{slo="checkout",sli="latency"} > 500')
    assert not proven(alert).holds
    assert findings(proven(alert, external={"system": "shop"})) == []


def test_a_label_that_the_rule_does_not_name_is_pointed_out_where_it_would_matter() -> None:
    here = rules(TABLE.replace('sli="outage"]', 'sli="outage", region=""]'))
    down = rule('x{system="shop",slo="checkout",sli="outage"} > 0', "Down")
    (found,) = proven(down, table=here).findings
    assert (found.kind, found.is_fault) == (Kind.UNPROVEN, False)
    assert found.place.cause == "its series may have labels that the rule doesn't name, and then no row: region"
    assert findings(proven(down.replace('sli="outage"', 'sli="outage",region=""'), table=here)) == []


def test_a_sign_of_life_needs_neither_row_nor_runbook() -> None:
    table = rules(TABLE, heartbeats='watchdog: {match: [alertname="Watchdog"], every: 30m, tier: P1}\n')
    watchdog = rule("vector(1)", "Watchdog", value="", runbook="", labels="severity: none")
    proof = proven(watchdog, rule(), table=table)
    assert findings(proof) == []
    assert proof.alerts[0].heartbeats == ("watchdog",)


def test_a_level_that_reaches_nobody_is_a_fault_that_names_the_alerts() -> None:
    gap = ESCALATION.replace("{lasts: 10m, tell: [room]}", "{lasts: 10m, tell: []}")
    down = rule('x{system="shop",slo="checkout",sli="outage"} > 0', "Down")
    proof = proven(rule(), down, table=rules(TABLE, escalation=gap))
    assert findings(proof) == ["nobody: escalation.yaml: [default P0] level 2 (manager) reaches nobody, for Down"]
    assert not proof.holds


def test_a_tier_that_several_regions_would_raise_it_to_needs_people_too() -> None:
    gap = ESCALATION.replace("{lasts: 10m, tell: [room]}", "{lasts: 10m, tell: []}")
    table = TABLE.replace("rows:", "scopes: [{slos: [checkout], minimum: P1, regions: 2, tier: P0}]\nrows:")
    proof = proven(rule(), table=rules(table, escalation=gap))
    assert findings(proof) == ["nobody: escalation.yaml: [default P0] level 2 (manager) reaches nobody, for Slow"]


def test_a_tier_without_levels_that_tells_nobody_at_once_is_a_fault() -> None:
    silent = ESCALATION.replace("P3: {opening: [room], calendar: days}", "P3: {calendar: days}")
    table = TABLE.replace("tier: P1", "tier: P3")
    proof = proven(rule(), table=rules(table, escalation=silent))
    assert "nobody: escalation.yaml: [default P3] there is no level, and nobody is told at once, for Slow" in findings(
        proof
    )


def test_who_is_optional_alone_is_nobody() -> None:
    """As long as its variable is not set, nobody is told there and nobody misses it."""
    more = DESTINATIONS.replace("fallback: room}", "fallback: room, optional: true}")
    proof = proven(rule(), table=rules(TABLE, destinations=more))
    said = "nobody: escalation.yaml: [default P1] level 1 (engineer) reaches nobody but what is optional, for Slow"
    assert said in findings(proof)
    more = DESTINATIONS + "hook: {kind: webhook, url: INCIDENTD_HOOK, optional: true}\n"
    quiet = ESCALATION.replace("P3: {opening: [room], calendar: days}", "P3: {opening: [hook], calendar: days}")
    proof = proven(rule(), table=rules(TABLE.replace("tier: P1", "tier: P3"), destinations=more, escalation=quiet))
    said = "nobody: escalation.yaml: [default P3] there is no level, and nobody is told at once but what is optional"
    assert f"{said}, for Slow" in findings(proof)


def test_a_row_that_neither_an_alert_nor_an_example_reaches_is_dead() -> None:
    table = TABLE.replace("examples:", '  - {name: lost, match: [slo="checkout", sli="typo"], tier: P2}\nexamples:')
    proof = proven(rule(), table=rules(table))
    assert findings(proof) == ["dead-row: one.yaml:6: [lost] is dead: none of the alerts, and no example, comes to it"]
    assert proof.holds
    reached = rule('x{system="shop",slo="checkout",sli="typo"}', "Lost")
    assert findings(proven(rule(), reached, table=rules(table))) == []


def test_a_row_that_an_earlier_one_hides_in_other_words_is_a_fault() -> None:
    table = TABLE.replace("rows:\n", 'rows:\n  - {name: any, match: [\'sli=~"latency|outage"\', slo!=""], tier: P2}\n')
    proof = proven(rule(), table=rules(table))
    assert [each for each in findings(proof) if "hidden" in each] == [
        "hidden-row: one.yaml:5: [slow] is never reached: row one/any takes all that it would",
        "hidden-row: one.yaml:6: [down] is never reached: row one/any takes all that it would",
    ]


def test_destinations_and_policies_that_nothing_uses_are_named() -> None:
    more = DESTINATIONS + 'lost: {kind: slack, channel: "#a"}\nonly: {kind: slack, channel: "#b"}\n'
    odd = ESCALATION + "  odd: {extends: default, tiers: {P3: {opening: [only]}}}\n"
    assert findings(proven(rule(), table=rules(TABLE, destinations=more, escalation=odd))) == [
        "unused-destination: destinations.yaml:3: [lost] is told nothing: "
        "no policy in use, no row and no table names it",
        "unused-destination: destinations.yaml:4: [only] is told nothing: "
        "no policy in use, no row and no table names it",
        "unused-policy: escalation.yaml: [odd] is followed by nothing: no row, table or heartbeat names this policy",
    ]


def test_a_fallback_of_what_is_told_is_used() -> None:
    more = DESTINATIONS.replace("fallback: room", "fallback: last") + 'last: {kind: slack, channel: "#a"}\n'
    assert findings(proven(rule(), table=rules(TABLE, destinations=more))) == []


def test_a_fallback_of_what_is_no_page_is_never_told() -> None:
    more = DESTINATIONS.replace('channel: "#room"}', 'channel: "#room", fallback: last}')
    assert findings(proven(rule(), table=rules(TABLE, destinations=more + 'last: {kind: slack, channel: "#a"}\n'))) == [
        "unused-destination: destinations.yaml:3: [last] is told nothing: "
        "no policy in use, no row and no table names it",
    ]


def test_an_objective_without_an_alert_is_named_where_it_stands() -> None:
    files = parse_rule_files({"a.yml": "groups: []\n"})
    (promised,) = parse_objectives({"o.yaml": OBJECTIVE.replace("name: checkout", "name: search", 1)})
    proof = prove(SOUND, files, [promised])
    assert findings(proof) == [
        "silent-objective: one.yaml: [checkout] no alert looks after this objective of shop",
        "silent-objective: o.yaml:14: [search] no alert looks after this objective of shop",
    ]
    assert proof.holds, "it is a warning"


@pytest.mark.parametrize("further", [False, True])
def test_the_index_leaves_out_no_row_that_may_take_an_alert(further: bool) -> None:
    """Whatever is known of the label that it looks at: a value, some, any, or that it is absent."""
    rows = "".join(
        f"  - {{name: r{number}, match: [{match}], tier: P{number % 4}}}\n"
        for number, match in enumerate(
            ('slo="a", sli="x"', '\'slo=~"a|b"\', sli="y"', 'slo="b"', 'slo="", sli="x"', 'slo="c", sli="z"', 'sli="z"')
        )
    )
    table = rules(f"rows:\n{rows}")
    index = RowIndex(table.rows)
    labels = ('slo="a"', 'slo=~"a|b"', 'slo!="a"', 'slo=~"a.*"', 'slo=""', 'sli="z"', 'slo="b",sli="x"', 'slo="none"')
    for labelled in labels:
        for expr in (f"m{{{labelled}}} > 1", f"sum(m{{{labelled}}}) > 1", f"sum by (slo, sli) (m{{{labelled}}}) > 1"):
            text = "groups:\n  - name: g\n    rules:\n" + rule(expr)
            (alert,) = parse_rule_files({"a.yml": text}).alerts
            for case in cases_of(alert, {}, {}):
                chosen = outcome(case, index.candidates(case, further=further), further=further)
                assert chosen == outcome(case, table.rows, further=further), expr
