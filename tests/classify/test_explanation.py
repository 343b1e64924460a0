"""Which row takes an alert, and why: said row by row."""

import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from incidentd.alert import Alert
from incidentd.classify import classify, explain
from incidentd.classify.report import show_explanation
from incidentd.classify.row import Fit
from incidentd.classify.wording import told_in_words
from incidentd.tier import Tier
from tests.classify.ground import ESCALATION, NOW, alert, rules

RULES = rules("""\
rows:
  - {name: low, match: [sli="a", region!=""], when: [value < 5], tier: P0}
  - {name: mid, match: [sli="a"], when: [value < 9, age > 2], tier: P1}
  - {name: all, match: [sli="a"], tier: P2}
  - {name: never, match: [sli="b"], tier: P3}
""")


def test_explanation_ends_at_the_row_that_takes_the_alert() -> None:
    explanation = explain(alert("8", sli="a", age="3"), RULES)

    assert [(each.row, each.fit) for each in explanation.asked] == [("one/low", Fit.NO), ("one/mid", Fit.YES)]
    assert explanation.taker == "one/mid"
    assert [(a.asked, a.given, a.holds) for a in explanation.asked[1].answers] == [
        ('sli="a"', "a", True),
        ("value < 9", "8", True),
        ("label age > 2", "3", True),
    ]


def test_explanation_of_an_unreadable_number_names_the_row_that_was_chosen() -> None:
    text = show_explanation(explain(alert("n/a", sli="a", region="eu", severity="info"), RULES))

    assert text.splitlines() == [
        "one/low (P0): would, but for a number that can't be read",
        '    yes       sli="a"',
        '    yes       region!=""',
        "    no number value < 5   (is 'n/a')",
        "one/mid (P1): would, but for a number that can't be read",
        '    yes       sli="a"',
        "    no number value < 9   (is 'n/a')",
        "    no number label age > 2   (absent)",
        "one/all (P2): takes it",
        '    yes       sli="a"',
        "",
        "P2 by one/all: a 'n/a' is no number: least urgent row that fits",
        "title:        An alert without a name",
        "key:          /",
        "numbers:      value 'n/a', age ''",
        "region:       eu",
        "scope:        -",
        "also to:      -",
        "by a number:  P0 with value < 5 (one/low)",
        "              P2 with value >= 5 (one/all)",
        "policy:       default; an answer within 1 h",
        "is told:      at once       room",
        "              at once       level 1 (engineer): room",
        "              after 1 h     again from the first level: 3 rounds in all, then a reminder every 1 h",
        f"version:      {RULES.version}",
    ]


def test_explanation_where_no_row_matches() -> None:
    explanation = explain(alert(severity="critical"), RULES)

    assert explanation.taker is None
    assert len(explanation.asked) == 4
    assert "P1 by severity: no row matched: severity critical" in show_explanation(explanation)


def test_explanation_shows_no_control_characters_of_the_alert() -> None:
    evil = Alert("1", {"sli": "a\x1b[31m\u202e", "alertname": "x\x1b[0m"}, {}, NOW, None, firing=True)

    assert all(char.isprintable() for line in show_explanation(explain(evil, RULES)).split("\n") for char in line)


BUDGET = """\
objectives: {a: all of it, b: some of it}
scopes: [{slos: [a], minimum: P1, regions: 3, tier: P0}]
rows:
  - {name: all, match: [sli="budget", slo=~"a|b"], when: [value >= 100], tier: P0}
  - {name: most, match: [sli="budget"], when: [value >= 80], tier: P1}
  - {name: half, match: [sli="budget"], when: [value >= 50, value <= 99], tier: P2}
  - {name: fast, match: [sli="burn", window="1h"], tier: P1}
  - {name: slow, match: [sli="burn"], tier: P2}
"""


def others(value: str | None, **labels: str) -> list[str]:
    found = rules(BUDGET)
    return [f"{each.tier} {each.needed}" for each in explain(alert(value, **labels), found).alternatives]


def test_the_next_tier_up_and_down_is_named_with_the_nearest_number_that_leads_to_it() -> None:
    assert others("85", sli="budget", slo="b") == ["P0 value >= 100", "P2 50 <= value < 80"]
    assert others("120", sli="budget", slo="b") == ["P1 80 <= value < 100"]
    assert others("51", sli="budget") == ["P1 value >= 80"]
    assert others("3", sli="budget", severity="critical") == ["P2 50 <= value < 80"]


def test_a_limit_is_named_as_it_is_and_never_rounded() -> None:
    one = """\
rows:
  - {name: near, match: [sli="a"], when: [value < 99.99995], tier: P1}
  - {name: rest, match: [sli="a"], when: [value < 1234567890], tier: P2}
  - {name: many, match: [sli="a"], tier: P3}
"""
    found = explain(alert("100", sli="a"), rules(one)).alternatives
    assert [each.needed for each in found] == ["value < 99.99995", "value >= 1234567890"]


def test_more_regions_and_another_label_are_named_where_they_would_raise_it() -> None:
    assert others("85", sli="budget", slo="a") == [
        "P0 value >= 100",
        "P2 50 <= value < 80",
        "P0 P1 or worse in 3 regions",
    ]
    assert others(None, sli="burn", window="6h") == ['P1 window="1h"']


def test_who_is_told_when_is_the_policys_course() -> None:
    explanation = explain(alert("120", sli="budget", slo="b"), rules(BUDGET))
    assert explanation.course is not None
    told = [(each.after, each.level, each.destinations) for each in explanation.course.tellings]
    minutes = timedelta(minutes=1)
    assert told == [(0 * minutes, 0, ("room",)), (0 * minutes, 1, ("page",)), (5 * minutes, 2, ("room",))]
    assert explanation.course.whole == 15 * minutes
    text = show_explanation(explanation)
    assert "policy:       default; an answer within 5 min" in text
    assert "              after 5 min   level 2 (manager): room" in text


@given(st.floats(-200, 200), st.sampled_from(["a", "b", "c"]))
def test_a_number_of_a_stretch_that_is_named_has_the_tier_that_is_named(value: float, slo: str) -> None:
    found = rules(BUDGET)
    for each in explain(alert(repr(value), sli="budget", slo=slo), found).alternatives:
        if "value" in each.needed and ">=" not in each.needed and "regions" not in each.needed:
            least, _, most = re.fullmatch(r"(\S+) (<=|<) value < (\S+)|value < (\S+)", each.needed).group(1, 2, 3)  # type: ignore[union-attr]
            inside = (float(least) + float(most)) / 2 if least else float(each.needed.rpartition(" ")[2]) - 1
            assert classify(alert(repr(inside), sli="budget", slo=slo), found).tier == each.tier


def test_of_a_system_that_is_observed_it_is_said_that_nobody_is_told() -> None:
    for until, said in (
        ("", "while the table says observe: true"),
        ("observe_until: 2026-12-01\n", "before 2026-12-01 00:00 UTC"),
    ):
        table = rules(f"system: shop\nobserve: true\n{until}{BUDGET}")
        text = show_explanation(explain(alert("120", system="shop", sli="budget", slo="b"), table))
        assert f"observed:     nobody is told {said}; otherwise as follows" in text


def test_updates_are_named_with_who_is_told() -> None:
    often = ESCALATION.replace("tell: [room]}]}", "tell: [room]}], updates: 90m}")
    found = rules(escalation=often + "  rare: {extends: default, tiers: {P2: {updates: never}}}\n")
    shown = show_explanation(explain(alert(severity="warning"), found))
    assert "              every 1 h 30 min what holds, in the threads of Slack, while it is open\n" in shown
    said = "every 1 h 30 min while it is open: what holds, in Slack's threads"
    assert told_in_words(found, "default", Tier.P2) == ["at once: room", said]
    assert told_in_words(found, "rare", Tier.P2) == ["at once: room"]
