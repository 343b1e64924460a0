"""What the first matching row says, and what is said where none matches (model 1, 6, 8, 9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.alert import Alert
from incidentd.classify import Classifier, classify, explain, title_of
from incidentd.classify.report import show_explanation
from incidentd.tier import Tier
from incidentd.timeline import Scope
from tests.classify.ground import NOW, TIERS, alert, rules

TABLE = """\
system: shop
objectives: {web: 99.9 %, pay: 99.95 %}
scopes:
  - {slos: [web], minimum: P1, regions: 2, tier: P0}
rows:
  - {name: web-99, match: [slo="web", sli="availability"], when: [value < 99], tier: P0}
  - {name: web-99.5, match: [slo="web", sli="availability"], when: [value < 99.5], tier: P1}
  - {name: slow, match: [sli="latency"], when: [value > 100, value < 200], tier: P2}
  - {name: old, match: [sli="age"], when: [age_days > 45], tier: P1}
  - {name: rest, match: [slo="web", sli="misc"], tier: P3, title: "{slo} {{is}} {value} in {region}", runbook: "https://r"}
  - {name: team, match: [sli="team"], tier: P2, key: [team, shift], destinations: [room], policy: internal}
  - {name: scoped, match: [sli="scoped"], tier: P2, scope: {minimum: P2, regions: 3, tier: P1}}
  - {name: budget, any_objective: true, match: [sli="budget"], tier: P2}
"""
RULES = rules(TABLE)
CLASSIFIER = Classifier(RULES)


def shop(value: str | None = None, **labels: str) -> Alert:
    return alert(value, system="shop", **labels)


def test_first_matching_row_takes_the_alert() -> None:
    verdict = classify(shop("98.9", slo="web", sli="availability"), RULES)

    assert (verdict.row, verdict.tier, verdict.reason) == ("one/web-99", Tier.P0, "availability 98.9 < 99")
    assert (verdict.system, verdict.slo, verdict.version, verdict.policy) == ("shop", "web", RULES.version, "default")


def test_each_condition_of_a_row_must_hold() -> None:
    assert classify(shop("150", sli="latency"), RULES).row == "one/slow"
    assert classify(shop("150", sli="latency"), RULES).reason == "latency 150 > 100, latency 150 < 200"
    assert classify(shop("200", sli="latency"), RULES).row == "severity"


def test_condition_on_a_label_names_the_label() -> None:
    assert classify(shop(sli="age", age_days="46"), RULES).reason == "age_days 46 > 45"


def test_alert_of_another_system_is_not_taken() -> None:
    assert classify(alert("98", system="other", slo="web", sli="availability"), RULES).row == "severity"


@pytest.mark.parametrize(
    ("value", "severity", "row", "tier", "reason"),
    [
        (None, "", "one/web-99.5", "P1", "no value given: least urgent row that fits"),
        ("NaN", "warning", "one/web-99.5", "P1", "availability 'NaN' is no number: least urgent row that fits"),
        ("5%", "info", "one/web-99.5", "P1", "availability '5%' is no number: least urgent row that fits"),
        ("n/a", "critical", "one/web-99.5", "P1", "availability 'n/a' is no number: least urgent row that fits"),
    ],
)
def test_value_that_is_no_number_takes_the_least_urgent_row_that_fits(
    value: str | None, severity: str, row: str, tier: str, reason: str
) -> None:
    verdict = classify(shop(value, slo="web", sli="availability", severity=severity), RULES)

    assert (verdict.row, verdict.tier, verdict.reason) == (row, tier, reason)


def test_severity_raises_an_unreadable_value() -> None:
    verdict = classify(shop("n/a", sli="latency", severity="critical"), RULES)

    assert (verdict.row, verdict.tier) == ("one/slow", Tier.P1)
    assert verdict.reason == "latency 'n/a' is no number: least urgent row that fits, raised to P1 by severity critical"


def test_row_without_a_number_is_among_those_that_fit_an_unreadable_value() -> None:
    table = """\
rows:
  - {name: bad, match: [sli="a"], when: [value < 5], tier: P0}
  - {name: any, match: [sli="a"], tier: P2}
  - {name: later, match: [sli=~"a|b"], tier: P3}
"""
    assert classify(alert("?", sli="a", severity="info"), rules(table)).row == "one/any"


def test_row_before_the_unreadable_one_takes_the_alert_as_ever() -> None:
    table = """\
rows:
  - {name: any, match: [sli="a", x="1"], tier: P2}
  - {name: bad, match: [sli="a"], when: [value < 5], tier: P0}
"""
    verdict = classify(alert("?", sli="a", x="1"), rules(table))

    assert (verdict.row, verdict.reason) == ("one/any", 'sli="a", x="1"')


@pytest.mark.parametrize(
    ("severity", "tier", "reason"),
    [
        ("critical", "P1", "no row matched: severity critical"),
        ("warning", "P2", "no row matched: severity warning"),
        ("info", "P3", "no row matched: severity info"),
        ("none", "P3", "no row matched: severity none"),
        ("page", "P2", "no row matched: unknown severity page"),
        ("Critical", "P2", "no row matched: unknown severity Critical"),
        ("", "P2", "no row matched: no severity"),
    ],
)
@pytest.mark.parametrize("system", ["shop", "unknown", ""])
def test_no_row_goes_by_severity(system: str, severity: str, tier: str, reason: str) -> None:
    verdict = classify(alert(system=system, slo="x", severity=severity), RULES)

    assert (verdict.row, verdict.tier, verdict.reason) == ("severity", tier, reason)


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ({"system": "shop", "slo": "web"}, "shop/web"),
        ({"system": "shop", "slo": "web", "region": "eu"}, "shop/web"),
        ({"system": "shop", "slo": "web", "environment": "preview"}, "shop/web/environment=preview"),
        ({"system": "shop", "slo": "web", "cluster": "a", "namespace": "b"}, "shop/web"),
        ({"system": "shop", "alertname": "Down"}, "shop/Down"),
        ({"service": "cart", "alertname": "Down"}, "cart/Down"),
        ({"service": "cart", "job": "node", "alertname": "Down"}, "cart/Down"),
        ({"job": "node", "alertname": "Down", "cluster": "a"}, "node/Down/cluster=a"),
        ({"job": "n", "alertname": "D", "cluster": "a", "namespace": "b"}, "n/D/cluster=a/namespace=b"),
        ({}, "/"),
        ({"system": "a/b", "slo": "c"}, "a\\/b/c"),
        ({"system": "a", "slo": "b/c"}, "a/b\\/c"),
        ({"system": "a", "slo": "b/environment=x"}, "a/b\\/environment\\=x"),
        ({"system": "shop", "sli": "team", "team": "red", "shift": "a/b"}, "team=red/shift=a\\/b"),
        ({"system": "shop", "sli": "team", "team": "red"}, "team=red"),
    ],
)
def test_key_names_the_problem(labels: dict[str, str], key: str) -> None:
    assert classify(alert(**labels), RULES).key == key


@given(st.lists(st.text(alphabet="a/\\=", max_size=4), min_size=3, max_size=3, unique=False), st.data())
def test_two_keys_are_equal_only_for_equal_labels(first: list[str], data: st.DataObject) -> None:
    second = data.draw(st.lists(st.text(alphabet="a/\\=", max_size=4), min_size=3, max_size=3))
    names = ("system", "slo", "environment")

    same = (
        classify(alert(**dict(zip(names, first, strict=True))), RULES).key
        == classify(alert(**dict(zip(names, second, strict=True))), RULES).key
    )

    assert same == (first == second)


def test_long_key_is_cut_and_stays_distinct() -> None:
    keys = {classify(alert(system="s", slo="x" * 4000 + end), RULES).key for end in "ab"}

    assert len(keys) == 2
    assert all(len(key) <= 300 for key in keys)


def test_scope_rule_of_the_objective_travels_with_every_verdict_for_it() -> None:
    scope = Scope(Tier.P1, 2, Tier.P0)

    assert classify(shop("98", slo="web", sli="availability", region="eu"), RULES).scope == scope
    assert classify(shop(slo="web", sli="budget", region="eu"), RULES).scope == scope
    assert classify(shop(slo="web", sli="unknown", region="eu"), RULES).scope == scope
    assert classify(shop(slo="pay", sli="budget", region="eu"), RULES).scope is None


def test_scope_rule_of_a_row_goes_before_the_table() -> None:
    assert classify(shop(slo="web", sli="scoped", region="eu"), RULES).scope == Scope(Tier.P2, 3, Tier.P1)


def test_region_outside_the_list_counts_for_no_scope_rule() -> None:
    listed = rules("regions: [eu, us]\n" + TABLE)

    assert classify(shop(slo="web", sli="budget", region="eu"), listed).scope is not None
    assert classify(shop(slo="web", sli="budget", region="moon"), listed).scope is None
    assert classify(shop(slo="web", sli="budget", region="moon"), listed).region == "moon"


def test_region_is_none_when_absent() -> None:
    assert classify(shop(slo="web", sli="budget"), RULES).region is None
    assert classify(shop(slo="web", sli="budget", region=""), RULES).region is None


def test_row_gives_policy_destinations_title_and_runbook() -> None:
    team = classify(shop(sli="team", team="red"), RULES)
    misc = classify(shop("7", slo="web", sli="misc", region="eu"), RULES)

    assert (team.policy, team.destinations) == ("internal", ("room",))
    assert title_of(misc.title, shop("7", slo="web", region="eu")) == "web {is} 7 in eu"
    assert misc.runbook == "https://r"


@pytest.mark.parametrize(
    ("annotations", "labels", "title"),
    [
        ({"summary": "Sum", "title": "Tit"}, {"alertname": "Name"}, "Sum"),
        ({"title": "Tit"}, {"alertname": "Name"}, "Tit"),
        ({}, {"alertname": "Name"}, "Name"),
        ({}, {}, "An alert without a name"),
        ({"summary": "two\n\tlines "}, {}, "two lines"),
        ({"summary": "x" * 500}, {}, "x" * 199 + "…"),
    ],
)
def test_title_is_one_line_of_what_the_alert_says(
    annotations: dict[str, str], labels: dict[str, str], title: str
) -> None:
    heard = Alert("1", labels, annotations, NOW, None, True)

    assert title_of(classify(heard, RULES).title, heard) == title


def test_table_gives_its_policy_to_alerts_of_its_system_that_no_row_takes() -> None:
    table = rules("policy: internal\ndestinations: [room]\n" + TABLE)

    verdict = classify(shop(slo="nothing"), table)

    assert (verdict.row, verdict.policy, verdict.destinations) == ("severity", "internal", ("room",))


def test_any_objective_is_one_that_the_file_lists() -> None:
    assert classify(shop(slo="pay", sli="budget"), RULES).row == "one/budget"
    assert classify(shop(slo="other", sli="budget"), RULES).row == "severity"


def test_tables_are_asked_in_their_order() -> None:
    one = 'rows:\n  - {name: all, match: [a="1"], tier: P1}\n'
    two = 'rows:\n  - {name: all, match: [b="1"], tier: P2}\n'
    order = {n: rules(one, tiers=TIERS.replace("[one]", n), two=two) for n in ("[one, two]", "[two, one]")}

    assert classify(alert(a="1", b="1"), order["[one, two]"]).row == "one/all"
    assert classify(alert(a="1", b="1"), order["[two, one]"]).row == "two/all"


ANY_TEXT = (
    st.text() | st.text(alphabet=st.characters()) | st.sampled_from(["shop", "web", "availability", "budget", "a"])
)
ANY_LABELS = st.dictionaries(
    st.sampled_from(["system", "slo", "sli", "region", "severity", "environment", "team", "alertname", "age_days"])
    | st.text(),
    ANY_TEXT | st.just("\ud800"),
)


@given(ANY_LABELS, st.dictionaries(st.sampled_from(["value", "summary"]) | st.text(), ANY_TEXT), st.booleans())
def test_classify_never_fails(labels: dict[str, str], annotations: dict[str, str], firing: bool) -> None:
    heard = Alert("1", labels, annotations, NOW, None, firing)

    verdict = classify(heard, RULES)

    assert "\n" not in title_of(verdict.title, heard)
    assert "\n" not in verdict.reason
    assert explain(heard, RULES).verdict == verdict
    assert CLASSIFIER(heard) == verdict
    assert show_explanation(explain(heard, RULES)).endswith(RULES.version)
