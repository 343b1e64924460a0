"""Faults of a rules table are refused with file, line, row and cause; each by itself is in tests/broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.classify import parse
from incidentd.errors import RulesError
from tests.classify.ground import DESTINATIONS, FILES, TIERS, faults, texts


def test_the_unbroken_rules_are_sound() -> None:
    assert faults(FILES) == []


def test_a_misspelt_field_hides_no_other_fault_of_its_row() -> None:
    row = "rows:\n  - name: down\n    teir: P0\n    when: [value <]\n    match: [slo]\n"
    found = faults(texts(one=row))
    assert [each.partition(": ")[2].partition(":")[0] for each in found] == [
        "[down] tier is missing",
        "[down] unknown field 'teir'",
        "[down] when",
        "[down] match",
    ]


@pytest.mark.parametrize("stem", ["tiers", "destinations", "calendars", "escalation"])
def test_missing_file_is_a_fault(stem: str) -> None:
    files = {name: text for name, text in FILES.items() if name != f"{stem}.yaml"}

    assert faults(files) == [f"{stem}.yaml:1: is missing"]


def test_table_file_that_no_order_names_is_a_fault() -> None:
    assert faults(texts(two="rows: []\n")) == ["two.yaml:1: is not named under tables in tiers.yaml"]


def test_two_tables_of_one_system_are_a_fault() -> None:
    table = 'system: shop\nrows:\n  - {name: %s, match: [%s="1"], tier: P0}\n'
    files = texts(tiers=TIERS.replace("[one]", "[one, two]"), one=table % ("a", "a"), two=table % ("b", "b"))

    assert faults(files) == ["two.yaml:1: system 'shop' has a table of its own already: one.yaml"]


def test_all_faults_are_reported_at_once_in_the_order_of_the_files() -> None:
    broken = texts(one="rows:\n  - {name: a, tier: P7}\n  - {name: b, tier: P8}\n", calendars="days: 5\n")

    found = faults(broken)

    assert [line.split(": ")[0] for line in found] == [
        "calendars.yaml:1",
        "escalation.yaml:10",
        "one.yaml:2",
        "one.yaml:3",
    ]


def test_secret_is_never_shown() -> None:
    secret = "0123456789abcdef0123456789abcdef"

    with pytest.raises(RulesError) as raised:
        parse(texts(destinations=DESTINATIONS + f"more: {{kind: pagerduty, routing_key: {secret}}}\n"))

    assert secret not in str(raised.value)


@given(st.sampled_from(sorted(FILES)), st.integers(0, 600), st.integers(0, 12), st.text(max_size=6) | st.just("\ud800"))
def test_any_other_text_is_sound_or_a_fault_and_nothing_else(name: str, at: int, cut: int, put: str) -> None:
    text = FILES[name]

    faults({**FILES, name: text[:at] + put + text[at + cut :]})
