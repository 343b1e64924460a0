"""``drills.yaml``: what it says, each of its faults by its name; and what a table says of a drill's alert."""

from datetime import UTC, datetime, time, timedelta

import pytest

from incidentd.alert import Alert
from incidentd.classify import Classifier, check, classify, explain
from incidentd.classify.report import show_check
from incidentd.drill import DrillMark, labels_of, mark_of
from incidentd.intake import fingerprint
from incidentd.tier import Tier
from tests.classify.ground import ESCALATION, faults, rules, texts
from tests.classify.ground import ONE as ROWS

ONE = "system: shop\n" + ROWS
ID = "0193f000-0000-7000-8000-000000000001"
WHEN = 'weekdays: [wed], at: "10:00", zone: Europe/Berlin'

FAULTS = {
    "file_is_list": ("- a\n", "drills.yaml:1: the file must be a mapping of names to values"),
    "drill_is_text": ("a: b\n", "drills.yaml:1: [a] a must be a mapping of names to values"),
    "name_in_capitals": (
        f"Weekly: {{tier: P1, {WHEN}}}\n",
        "drills.yaml:1: [Weekly] a drill's name is of small letters, digits and - _ .",
    ),
    "tier_missing": (f"a: {{{WHEN}}}\n", "drills.yaml:1: [a] tier is missing"),
    "tier_unknown": (f"a: {{tier: P7, {WHEN}}}\n", "drills.yaml:1: [a] tier 'P7' is none of P0, P1, P2, P3"),
    "system_unknown": (
        f"a: {{tier: P1, system: shpo, {WHEN}}}\n",
        "drills.yaml:1: [a] system 'shpo' has no table of its own: did you mean 'shop'?",
    ),
    "no_weekday": (
        'a: {tier: P1, at: "10:00", zone: UTC}\n',
        "drills.yaml:1: [a] weekdays names no day: it would never run",
    ),
    "weekday_unknown": (
        'a: {tier: P1, weekdays: [wednesday], at: "10:00", zone: UTC}\n',
        "drills.yaml:1: [a] weekdays: 'wednesday' is none of mon, tue, wed, thu, fri, sat, sun",
    ),
    "at_missing": ("a: {tier: P1, weekdays: [wed], zone: UTC}\n", "drills.yaml:1: [a] at is missing"),
    "at_is_no_time": (
        'a: {tier: P1, weekdays: [wed], at: "10", zone: UTC}\n',
        "drills.yaml:1: [a] at '10' is no time of day such as \"09:00\"",
    ),
    "at_is_the_end_of_the_day": (
        'a: {tier: P1, weekdays: [wed], at: "24:00", zone: UTC}\n',
        "drills.yaml:1: [a] at '24:00' is no time of day such as \"09:00\"",
    ),
    "at_without_quotes": (
        "a: {tier: P1, weekdays: [wed], at: 10:00, zone: UTC}\n",
        'drills.yaml:1: 10:00 is a number of base 60 in YAML: write "10:00"',
    ),
    "zone_missing": ('a: {tier: P1, weekdays: [wed], at: "10:00"}\n', "drills.yaml:1: [a] zone is missing"),
    "zone_unknown": (
        'a: {tier: P1, weekdays: [wed], at: "10:00", zone: Berlin}\n',
        "drills.yaml:1: [a] zone 'Berlin' is no zone of the tz database, such as Europe/Warsaw",
    ),
    "within_is_no_duration": (
        f"a:\n  tier: P1\n  {WHEN.replace(', ', chr(10) + '  ')}\n  within: soon\n",
        "drills.yaml:6: [a] within 'soon' is no duration such as 30s, 5m, 1h30m or 2d",
    ),
    "within_is_nothing": (f"a: {{tier: P1, within: 1s, {WHEN}}}\n", "drills.yaml:1: [a] within '1s' is too short"),
    "within_is_hours": (f"a: {{tier: P1, within: 2h, {WHEN}}}\n", "drills.yaml:1: [a] within is longer than 1h"),
    "answer_is_a_day": (f"a: {{tier: P1, answer: 1d, {WHEN}}}\n", "drills.yaml:1: [a] answer is longer than 4h"),
    "answer_is_a_word": (
        f"a: {{tier: P1, answer: person, {WHEN}}}\n",
        "drills.yaml:1: [a] answer 'person' is no duration such as 30s, 5m, 1h30m or 2d",
    ),
    "field_misspelt": (
        f"a: {{tier: P1, withn: 5m, {WHEN}}}\n",
        "drills.yaml:1: [a] unknown field 'withn': did you mean 'within'?",
    ),
    "country_unknown": (
        f"a: {{tier: P1, {WHEN}, holidays: {{country: XX}}}}\n",
        "drills.yaml:1: [a] country 'XX' is not known to the holidays library",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_told_with_its_place(name: str) -> None:
    text, expected = FAULTS[name]
    assert faults(texts(one=ONE, drills=text)) == [expected]


def test_a_tier_that_tells_nobody_at_once_has_nothing_to_drill() -> None:
    silent = ESCALATION.replace("P3: {opening: [room], calendar: days}", "P3: {opening: [], calendar: days}")
    found = faults(texts(escalation=silent, drills=f"a: {{tier: P3, {WHEN}}}\n"))
    assert found == ["drills.yaml:1: [a] P3 tells nobody at once: there is nothing to drill"]


def test_all_that_a_drill_may_say() -> None:
    text = f"weekly: {{tier: P1, system: shop, {WHEN}, within: 2m, answer: 10m, holidays: {{country: DE}}}}\n"
    table = rules(ONE, drills=text)
    (spec,) = table.drills.values()
    assert (spec.name, spec.tier, spec.system) == ("weekly", Tier.P1, "shop")
    assert (spec.schedule.weekdays, spec.schedule.at) == (frozenset({2}), time(10, 0))
    assert (spec.within, spec.answer) == (timedelta(minutes=2), timedelta(minutes=10))
    # 2030-12-25 is a Wednesday.
    after = spec.schedule.next_after(datetime(2030, 12, 20, tzinfo=UTC))
    assert after == datetime(2031, 1, 8, 9, 0, tzinfo=UTC)
    assert "Drills: weekly (P1 of shop, wed at 10:00, Europe/Berlin)." in show_check(check(table))


@pytest.mark.parametrize("text", ["", "# weekly:\n#   tier: P1\n"])
def test_a_file_of_comments_has_no_drill(text: str) -> None:
    assert rules(drills=text).drills == {}


def test_a_drill_that_waits_for_longer_than_level_1_lasts_is_warned_of() -> None:
    table = rules(drills=f"a: {{tier: P0, {WHEN}, answer: 6m}}\nb: {{tier: P0, {WHEN}, answer: 5m}}\n")
    assert [str(each) for each in table.warnings if each.file == "drills.yaml"] == [
        "drills.yaml:1: [a] answer is longer than level 1 lasts: level 2 may be told of a drill"
    ]


# The alert of a drill.


def drilled(of: str = "shop", tier: Tier = Tier.P1, **changes: str) -> Alert:
    labels = {**labels_of(DrillMark(ID, tier, of), "weekly"), **changes}
    return Alert(fingerprint(labels), labels, {}, datetime(2026, 1, 5, tzinfo=UTC), None, firing=True)


FOLLOWED = "policy: internal\ndestinations: [room]\n" + ONE


def test_a_drill_takes_the_policy_and_the_followers_of_the_system_that_it_drills() -> None:
    verdict = classify(drilled(), rules(FOLLOWED))
    assert (verdict.tier, verdict.policy, verdict.destinations) == (Tier.P1, "internal", ("room",))
    assert verdict.title == "DRILL: P1 of shop, nothing is wrong"
    verdict = classify(drilled(of=""), rules(FOLLOWED))
    assert (verdict.policy, verdict.destinations, verdict.title) == ("default", (), "DRILL: P1, nothing is wrong")


def test_a_drill_has_a_key_that_no_other_incident_has() -> None:
    table = rules(FOLLOWED)
    verdict = classify(drilled(), table)
    assert (verdict.key, verdict.system) == (f"incidentd-drill/{ID}", "incidentd-drill")
    assert explain(drilled(), table).asked == ()


def test_what_is_remembered_of_one_drill_is_not_said_of_another() -> None:
    remembers, table = Classifier(rules(FOLLOWED)), rules(FOLLOWED)
    others = {"incidentd_drill": ID[:-1] + "2"}
    for alert in (drilled(), drilled("shop", Tier.P1, **others), drilled(tier=Tier.P0), drilled(of=""), drilled()):
        assert remembers(alert) == classify(alert, table)


@pytest.mark.parametrize(
    "changes",
    [
        {"system": "shop"},
        {"incidentd_drill": "x"},
        {"incidentd_drill": ID + "\n"},
        {"incidentd_drill_tier": "P9"},
        {"incidentd_drill_tier": ""},
    ],
)
def test_an_alert_that_only_looks_like_a_drills_is_classified_as_any_other(changes: dict[str, str]) -> None:
    alert = drilled("shop", Tier.P1, **changes)
    assert mark_of(alert) is None
    assert classify(alert, rules(FOLLOWED)).row == "severity"
