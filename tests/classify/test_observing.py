"""``observe``: what a table may say of it, and what the verdict then is."""

from datetime import UTC, datetime, timedelta

import pytest

from incidentd.classify import Classifier, classify
from incidentd.tier import Tier
from tests.classify.ground import ONE, alert, faults, rules, texts

SHOP = "system: shop\n"
UNTIL = datetime(2026, 12, 1, tzinfo=UTC)

FAULTS = {
    "observe is no truth value": ("observe: maybe\n", "one.yaml:2: observe 'maybe' is unknown"),
    "observe_until is no day": (
        'observe: true\nobserve_until: "next week"\n',
        "one.yaml:3: observe_until is no day such as 2026-12-01, nor an instant with its zone",
    ),
    "observe_until is a day that never comes": (
        "observe: true\nobserve_until: 2026-02-30\n",
        "one.yaml:3: observe_until is no day such as 2026-12-01, nor an instant with its zone",
    ),
    "observe_until has no zone": (
        "observe: true\nobserve_until: 2026-12-01T08:00:00\n",
        "one.yaml:3: observe_until is no day such as 2026-12-01, nor an instant with its zone",
    ),
    "observe_until without observe": (
        "observe_until: 2026-12-01\n",
        "one.yaml:2: observe_until counts only together with observe: true",
    ),
}


@pytest.mark.parametrize(("written", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_exactly(written: str, fault: str) -> None:
    assert fault in faults(texts(one=SHOP + written + ONE))


def test_a_table_without_a_system_observes_nothing() -> None:
    assert "one.yaml:1: observe is for a table with a system" in faults(texts(one="observe: true\n" + ONE))


@pytest.mark.parametrize("written", ["2026-12-01", "2026-12-01T00:00:00Z", '"2026-12-01T01:00:00+01:00"'])
def test_it_lasts_until_the_instant_named(written: str) -> None:
    table = rules(f"{SHOP}observe: true\nobserve_until: {written}\n{ONE}")
    verdict = classify(alert(system="shop", sli="outage"), table)
    assert (verdict.row, verdict.tier) == ("one/down", Tier.P0)
    assert verdict.at(UNTIL - timedelta(microseconds=1)).observing is not None
    assert verdict.at(UNTIL).observing is None


def test_it_counts_for_every_alert_of_the_system_whatever_row_takes_it_and_for_no_other() -> None:
    table = rules(f"{SHOP}observe: true\n{ONE}")
    ask = Classifier(table)
    observed = {
        (row, system): ask(alert(system=system, sli=sli)).observing is not None
        for row, sli in (("down", "outage"), ("severity", "else"))
        for system in ("shop", "other")
    }
    assert observed == {(row, system): system == "shop" for row in ("down", "severity") for system in ("shop", "other")}


def test_an_alert_is_news_when_observing_begins_or_ends_and_not_when_its_end_moves() -> None:
    asked = alert(system="shop", sli="outage")
    tables = [
        rules(f"{SHOP}{more}{ONE}") for more in ("", "observe: true\n", "observe: true\nobserve_until: 2026-12-01\n")
    ]
    told, observed, until = (classify(asked, table).shown for table in tables)
    assert told != observed
    assert observed == until
