"""What changed between two tables is said thing by thing, field by field; nothing is said of what means the same."""

from pathlib import Path

import pytest

from incidentd.classify import load
from incidentd.classify.difference import Change, FieldChange, How, differences
from incidentd.classify.difference_report import IDENTICAL, SAME, counted, no_difference, show_differences
from tests.classify.ground import CALENDARS, DESTINATIONS, ESCALATION, TIERS, texts

SHIPPED = load(Path(__file__).parents[2] / "rules").files
ROWS = """\
rows:
  - {name: down, match: [sli="outage"], tier: P0}
  - {name: slow, match: [sli="latency"], tier: P2, when: [value > 300]}
  - {name: full, match: [sli="disk"], tier: P3}
"""


def changed(one: str = ROWS, **files: str) -> list[Change]:
    return differences(texts(one=ROWS), texts(one=one, **files))


def row(name: str, how: How, *fields: tuple[str, str | None, str | None]) -> Change:
    return Change("row", f"one/{name}", how, tuple(FieldChange(*each) for each in fields))


def test_a_table_does_not_differ_from_itself() -> None:
    assert differences(SHIPPED, SHIPPED) == []
    assert show_differences([]) == ""
    assert no_difference("2f5f2e4c4f82", "2f5f2e4c4f82") == IDENTICAL


def test_two_versions_without_a_change_are_said_to_mean_the_same() -> None:
    assert no_difference("2f5f2e4c4f82", "02ab8d7f2a13") == SAME


def test_comments_layout_quotes_and_lists_of_one_are_no_difference() -> None:
    same = ROWS.replace('[sli="outage"]', "'sli=\"outage\"'").replace("{name: down,", '{"name": "down",')
    assert changed("# a comment\n" + same) == []


def test_a_changed_row_names_each_field_with_what_it_was_and_is() -> None:
    other = ROWS.replace("tier: P2, when: [value > 300]", "tier: P1, when: [value > 400], runbook: x")
    fields = ("tier", "P2", "P1"), ("when", "value > 300", "value > 400"), ("runbook", None, "x")
    assert changed(other) == [row("slow", How.CHANGED, *fields)]


def test_rows_come_and_go() -> None:
    other = ROWS.replace("name: full", "name: fuller")
    gone, came = ("match", 'sli="disk"', None), ("match", None, 'sli="disk"')
    assert changed(other) == [
        row("full", How.REMOVED, gone, ("tier", "P3", None)),
        row("fuller", How.ADDED, came, ("tier", None, "P3")),
    ]


def test_only_the_row_that_moved_is_named_with_its_places() -> None:
    head, down, slow, full, _ = ROWS.split("\n")
    assert changed("\n".join([head, full, down, slow, ""])) == [row("full", How.MOVED, ("place", "3", "1"))]


def test_a_new_row_before_others_moves_none_of_them() -> None:
    head, rest = ROWS.split("\n", 1)
    first = '  - {name: first, match: [sli="x"], tier: P3}'
    assert [(each.how, each.name) for each in changed(f"{head}\n{first}\n{rest}")] == [(How.ADDED, "one/first")]


@pytest.mark.parametrize(
    ("files", "kind", "name", "field"),
    [
        ({"tiers": TIERS.replace("response: 15m", "response: 20m")}, "tier", "P1", ("response", "15m", "20m")),
        ({"tiers": TIERS.replace("warning: P2", "warning: P1")}, "severity", "", ("warning", "P2", "P1")),
        ({"tiers": TIERS.replace("also: [environment]", "also: [env]")}, "key", "", ("also", "environment", "env")),
        (
            {"destinations": DESTINATIONS.replace('"#room"', '"#war-room"')},
            "destination",
            "room",
            ("channel", "#room", "#war-room"),
        ),
        (
            {"calendars": CALENDARS.replace("UTC", "Europe/Berlin")},
            "calendar",
            "days",
            ("zone", "UTC", "Europe/Berlin"),
        ),
        ({"escalation": ESCALATION.replace("name: manager", "name: boss")}, "person", "2", ("name", "manager", "boss")),
        (
            {"escalation": ESCALATION.replace("{lasts: 10m, tell: [room]}", "{lasts: 20m, tell: [room]}")},
            "policy",
            "default",
            ("tiers P0 levels 2 lasts", "10m", "20m"),
        ),
        (
            {"heartbeats": "backup: {every: 25h, tier: P2}\n"},
            "heartbeat",
            "backup",
            ("every", None, "25h"),
        ),
    ],
)
def test_what_is_no_row_is_named_by_its_kind(
    files: dict[str, str], kind: str, name: str, field: tuple[str, str | None, str | None]
) -> None:
    (change,) = changed(**files)
    assert (change.kind, change.name) == (kind, name)
    assert FieldChange(*field) in change.fields


def test_observing_is_a_change_of_the_table() -> None:
    (change,) = differences(texts(one="system: x\n" + ROWS), texts(one="system: x\nobserve: true\n" + ROWS))
    assert (change.kind, change.name, change.fields) == ("table", "one", (FieldChange("observe", None, "true"),))


def test_another_order_of_the_tables_and_a_new_table_are_told() -> None:
    two = texts(one=ROWS, two=ROWS, tiers=TIERS.replace("[one]", "[two, one]"))
    found = differences(texts(one=ROWS), two)
    assert (found[0].kind, found[0].fields) == ("order of tables", (FieldChange("tables", "one", "two, one"),))
    assert {each.name for each in found if each.kind == "row"} == {"two/down", "two/slow", "two/full"}


def test_examples_are_counted_and_not_spelled_out() -> None:
    one, other = (ROWS + f"examples:\n  - {{row: down, tier: P0, labels: {{sli: outage, x: {x}}}}}\n" for x in "ab")
    (change,) = differences(texts(one=one), texts(one=other))
    assert show_differences([change]).endswith("~ one: 1 new, 1 gone")
    assert counted([change]) == ""


def test_a_text_that_is_no_yaml_is_compared_as_the_text_it_is() -> None:
    (change,) = differences(texts(one="a: b: c"), texts(one="a: b: d"))
    assert (change.kind, change.name, change.fields) == (
        "file",
        "one.yaml",
        (FieldChange("text", "a: b: c", "a: b: d"),),
    )


def test_the_report_reads_top_down_rows_first() -> None:
    other = ROWS.replace("tier: P2", "tier: P1").replace("name: full", "name: fuller")
    shown = show_differences(changed(other, tiers=TIERS.replace("response: 15m", "response: 20m")))
    assert shown.splitlines() == [
        "Rows",
        "  - one/full",
        '      match: sli="disk"',
        "      tier: P3",
        "  + one/fuller",
        '      match: sli="disk"',
        "      tier: P3",
        "  ~ one/slow",
        "      tier: P2 → P1",
        "Tiers",
        "  ~ P1",
        "      response: 15m → 20m",
    ]
    assert counted(changed(other)) == "rows: 1 added, 1 removed, 1 changed"


def test_a_line_break_or_an_escape_in_a_text_stays_in_one_line() -> None:
    other = ROWS.replace("tier: P3", 'tier: P3, title: "a\\e[2Jb\\nc"')
    assert all(line.isprintable() for line in show_differences(changed(other)).splitlines())
