"""Rules from a folder and from texts, policies that build on one another, and what is warned of."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from incidentd.classify import check, load, parse, run_examples
from incidentd.classify.kind import KINDS
from incidentd.classify.report import show_check, show_examples, show_faults
from incidentd.errors import RulesError
from incidentd.tier import Tier
from tests.classify.ground import CALENDARS, DESTINATIONS, ESCALATION, FILES, alert, rules, texts


def folder(path: Path) -> Path:
    for name, text in FILES.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def test_folder_and_its_texts_are_the_same_rules(tmp_path: Path) -> None:
    loaded = load(folder(tmp_path))

    assert loaded.files == FILES
    assert loaded.version == parse(loaded.files, dict(KINDS)).version


def test_version_changes_with_any_text_and_not_with_their_order() -> None:
    version = parse(FILES).version

    assert parse(dict(reversed(FILES.items())), dict(KINDS)).version == version
    assert rules("# a comment\n" + FILES["one.yaml"]).version != version
    assert len(version) == 12


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("one.yaml", b"\xff\xfe", "one.yaml:1: is not UTF-8"),
        ("one.yaml", b"#" * 10_000_000, "one.yaml:1: larger than 1,000,000 bytes"),
        ("two.yml", b"rows: []\n", "two.yml:1: is not read: name it .yaml"),
    ],
)
def test_file_that_cannot_be_read_is_a_fault(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    (folder(tmp_path) / name).write_bytes(data)

    with pytest.raises(RulesError) as raised:
        load(tmp_path)

    assert [str(fault) for fault in raised.value.faults] == [expected]


def test_missing_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(RulesError) as raised:
        load(tmp_path / "nowhere")

    assert (
        str(raised.value)
        == f"{tmp_path / 'nowhere'}: there is no such folder of rules; INCIDENTD_RULES names the one that is used"
    )


def test_files_that_are_no_rules_are_left_alone(tmp_path: Path) -> None:
    (folder(tmp_path) / "README.md").write_text("words", encoding="utf-8")
    (tmp_path / ".hidden.yaml").write_text("x: [", encoding="utf-8")
    (tmp_path / "more").mkdir()

    assert load(tmp_path).files == FILES


def test_policy_extends_another_tier_by_tier() -> None:
    more = "  mesh: {extends: default, rounds: 5, tiers: {P1: {response: 7m, levels: [{lasts: 5m, tell: [page]}]}}}\n"
    policies = rules(escalation=ESCALATION + more).policies
    mesh, default = policies["mesh"], policies["default"]

    assert (mesh.rounds, mesh.name, default.rounds) == (5, "mesh", 3)
    assert mesh.tiers[Tier.P1].response.within == timedelta(minutes=7)
    assert mesh.tiers[Tier.P1].levels[0].duration == timedelta(minutes=5)
    assert mesh.tiers[Tier.P1].opening == default.tiers[Tier.P1].opening
    assert mesh.tiers[Tier.P0] == default.tiers[Tier.P0]


def test_policy_may_stand_before_the_one_it_extends() -> None:
    escalation = ESCALATION.replace("policies:\n", "policies:\n  first: {extends: default, rounds: 7}\n")

    assert rules(escalation=escalation).policies["first"].tiers[Tier.P2].levels


def test_people_are_mentioned_by_kind() -> None:
    escalation = ESCALATION.replace("{name: engineer}", '{name: engineer, slack: "<!subteam^S0123456>"}')
    people = rules(escalation=escalation).people

    assert people[1].mention == {"slack": "<!subteam^S0123456>"}
    assert people[2].mention == {}


def test_destination_names_variables_in_their_order() -> None:
    more = "more: {kind: pagerduty, routing_key: [INCIDENTD_A, INCIDENTD_B], per_minute: 60, burst: 5}\n"
    spec = rules(destinations=DESTINATIONS + more).destinations["more"]

    assert (spec.secret_names, spec.pages, spec.per_minute, spec.burst) == (("INCIDENTD_A", "INCIDENTD_B"), True, 60, 5)


def test_holidays_are_those_of_the_country_and_further_dates() -> None:
    more = (
        'de: {zone: Europe/Berlin, weekdays: [fri], holidays: {country: DE, subdivision: BE, dates: ["2026-12-18"]}}\n'
    )
    calendar = rules(calendars=CALENDARS + more).calendars["de"]
    thursday = datetime(2026, 12, 17, 12, tzinfo=UTC)

    # 18 December by date, 25 December and 1 January by country: 8 January is the next Friday.
    assert calendar.next_open(thursday) == datetime(2027, 1, 7, 23, tzinfo=UTC)


PAIR = """\
rows:
  - {name: low, match: [sli="a"], when: [value < 5], tier: P0}
  - {name: mid, match: [sli="a"], when: [value < 9], tier: P1}
"""
EXAMPLES = """\
examples:
  - {row: low, tier: P0, labels: {sli: a, alertname: %s}, annotations: {value: 4}}
  - {row: mid, tier: P1, labels: {sli: a, alertname: %s}, annotations: {value: 8}}
"""
CHANGING = "differs from row low by the value alone: Alertmanager does not tell when a value changes"


def test_rows_that_rely_on_a_changing_value_are_warned_of() -> None:
    assert any(CHANGING in fault.cause and fault.row == "mid" for fault in rules(PAIR).warnings)
    assert any(CHANGING in fault.cause for fault in rules(PAIR + EXAMPLES % ("Same", "Same")).warnings)


def test_rows_with_alertnames_of_their_own_are_not_warned_of() -> None:
    assert rules(PAIR + EXAMPLES % ("Low", "Mid")).warnings == ()


def test_row_without_example_is_warned_of() -> None:
    assert [str(fault) for fault in rules().warnings] == ["one.yaml:2: [down] has no example"]


def test_levels_of_one_routing_key_are_warned_of() -> None:
    destinations = DESTINATIONS + "boss: {kind: pagerduty, routing_key: INCIDENTD_PAGERDUTY_ROUTING_KEY}\n"
    escalation = ESCALATION.replace("{lasts: 10m, tell: [room]}", "{lasts: 10m, tell: [boss]}")

    assert (
        "destinations.yaml:3: [boss] page and boss page at different levels with one routing key, "
        "INCIDENTD_PAGERDUTY_ROUTING_KEY: give each its own"
    ) in [str(fault) for fault in rules(escalation=escalation, destinations=destinations).warnings]


def test_pages_of_one_key_with_different_limits_are_warned_of() -> None:
    more = "boss: {kind: pagerduty, routing_key: [INCIDENTD_B, INCIDENTD_PAGERDUTY_ROUTING_KEY], per_minute: 9}\n"
    table = rules(destinations=DESTINATIONS + more)

    warned = "page and boss have one routing key, INCIDENTD_PAGERDUTY_ROUTING_KEY, and different limits"
    found = [each.cause for each in check(table, {"INCIDENTD_PAGERDUTY_ROUTING_KEY"}).warnings]
    assert any(cause.startswith(warned) for cause in found)
    found = [each.cause for each in check(table, {"INCIDENTD_B", "INCIDENTD_PAGERDUTY_ROUTING_KEY"}).warnings]
    assert not any("different limits" in cause for cause in found)


def test_report_of_a_sound_table_says_what_there_is() -> None:
    assert show_check(check(rules(PAIR + EXAMPLES % ("Low", "Mid")), {"INCIDENTD_SLACK_BOT_TOKEN"})).splitlines()[
        1:
    ] == [
        "Rows: one 2. Policies: default, internal. Destinations: page, room.",
        "No secret is set for: page.",
    ]


def test_report_of_faults_counts_them() -> None:
    with pytest.raises(RulesError) as raised:
        parse(texts(one="rows:\n  - {name: a\x85b, tier: P9}\n"))

    assert show_faults(raised.value.faults).splitlines()[-1] == "1 fault. The rules can't be used."
    assert all(char.isprintable() for line in show_faults(raised.value.faults).splitlines() for char in line)


def test_report_of_examples_shows_those_that_fail() -> None:
    results = run_examples(rules(PAIR + (EXAMPLES % ("Low", "Mid")).replace("value: 8", "value: 3")))

    assert show_examples(results).splitlines() == [
        "one.yaml:6: expected one/mid P1, got one/low P0 (a 3 < 5)",
        "1 of 2 examples hold.",
    ]


def test_index_leaves_out_only_rows_of_other_systems() -> None:
    table = 'rows:\n  - {name: a, match: [system="x"], tier: P0}\n  - {name: b, match: [q="1"], tier: P1}\n'
    found = rules(table + '  - {name: c, match: [system=""], tier: P2}\n')

    assert [row.name for row in found.rows_for({"system": "x"})] == ["one/a", "one/b"]
    assert [row.name for row in found.rows_for({"system": "y"})] == ["one/b"]
    assert [row.name for row in found.rows_for(alert().labels)] == ["one/b", "one/c"]
