"""Which row takes an alert, and why: said row by row."""

from incidentd.alert import Alert
from incidentd.classify import explain
from incidentd.classify.report import show_explanation
from incidentd.classify.row import Fit
from tests.classify.ground import NOW, alert, rules

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
        "title:    An alert without a name",
        "key:      /",
        "policy:   default",
        "region:   eu",
        "scope:    -",
        "also to:  -",
        f"version:  {RULES.version}",
    ]


def test_explanation_where_no_row_matches() -> None:
    explanation = explain(alert(severity="critical"), RULES)

    assert explanation.taker is None
    assert len(explanation.asked) == 4
    assert "P1 by severity: no row matched: severity critical" in show_explanation(explanation)


def test_explanation_shows_no_control_characters_of_the_alert() -> None:
    evil = Alert("1", {"sli": "a\x1b[31m\u202e", "alertname": "x\x1b[0m"}, {}, NOW, None, firing=True)

    assert all(char.isprintable() for line in show_explanation(explain(evil, RULES)).split("\n") for char in line)
