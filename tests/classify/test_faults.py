"""Each fault of a rules table is refused with file, line, row and cause. The name is the fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.classify import parse
from incidentd.errors import RulesError
from tests.classify.ground import CALENDARS, DESTINATIONS, ESCALATION, FILES, TIERS, faults, texts

ROW = "rows:\n  - {name: down, tier: P0, %s}\n"
POLICY = ESCALATION + "  odd: {extends: default, %s}\n"

TABLE_FAULTS = {
    "no_rows": ("rows: []\n", "one.yaml:1: has no rows"),
    "rows_is_text": ("rows: down\n", "one.yaml:1: rows must be a list"),
    "row_is_text": ("rows:\n  - down\n", "one.yaml:2: a row must be a mapping of names to values"),
    "file_is_list": ("- down\n", "one.yaml:1: the file must be a mapping of names to values"),
    "name_missing": ("rows:\n  - {tier: P0}\n", "one.yaml:2: name is missing"),
    "name_empty": ('rows:\n  - {name: "", tier: P0}\n', "one.yaml:2: name is empty"),
    "tier_missing": ("rows:\n  - {name: down}\n", "one.yaml:2: [down] tier is missing"),
    "tier_unknown": ("rows:\n  - name: down\n    tier: P5\n", "one.yaml:3: [down] tier 'P5' is none of P0, P1, P2, P3"),
    "field_misspelt": (ROW % 'matches: [a="b"]', "one.yaml:2: [down] unknown field 'matches': did you mean 'match'?"),
    "field_unknown": (ROW % "xyzzy: 1", "one.yaml:2: [down] unknown field 'xyzzy'"),
    "file_field_misspelt": ("rwos: []\n", "one.yaml:1: unknown field 'rwos': did you mean 'rows'?"),
    "two_rows_of_one_name": (
        'rows:\n  - {name: a, tier: P0, match: [x="1"]}\n  - {name: a, tier: P1, match: [x="2"]}\n',
        "one.yaml:3: [a] another row has this name, in line 2",
    ),
    "row_never_reached": (
        'rows:\n  - {name: a, tier: P0, match: [x="1"]}\n  - {name: b, tier: P1, match: [x="1", y="2"]}\n',
        "one.yaml:3: [b] is never reached: row one/a takes all that it would",
    ),
    "row_never_reached_by_its_number": (
        "rows:\n  - {name: a, tier: P1, when: [value < 99.8]}\n  - {name: b, tier: P0, when: [value < 99.5]}\n",
        "one.yaml:3: [b] is never reached: row one/a takes all that it would",
    ),
    "matcher_without_operator": (
        ROW % "match: [slo]",
        "one.yaml:2: [down] match: 'slo' is no matcher: label, one of = != =~ !~, value",
    ),
    "matcher_without_closing_quote": (
        ROW % "match: ['slo=\"a']",
        """one.yaml:2: [down] match: value "a has no closing quote""",
    ),
    "matcher_with_open_quote_inside": (
        ROW % 'match: [\'slo="a"b"\']',
        """one.yaml:2: [down] match: value "a"b" holds a quote that is not escaped""",
    ),
    "matcher_in_braces": (
        ROW % "match: ['{slo=\"a\"}']",
        """one.yaml:2: [down] match: '{slo="a"}' has braces around it: """
        "write one matcher, and quote a value that ends in one",
    ),
    "pattern_with_backreference": (
        ROW % "match: ['slo=~\"(a)\\1\"']",
        r"one.yaml:2: [down] match: pattern '(a)\\1' is not RE2: invalid escape sequence: \1",
    ),
    "pattern_with_lookahead": (
        ROW % "match: ['slo=~\"(?=a)b\"']",
        "one.yaml:2: [down] match: pattern '(?=a)b' is not RE2: invalid perl operator: (?=",
    ),
    "pattern_unclosed": (
        ROW % "match: ['slo=~\"[\"']",
        "one.yaml:2: [down] match: pattern '[' is not RE2: missing ]: [",
    ),
    "condition_without_number": (
        ROW % "when: [value < much]",
        "one.yaml:2: [down] when: 'much' in 'value < much' is no number",
    ),
    "condition_percent": (ROW % 'when: ["value < 5%"]', "one.yaml:2: [down] when: '5%' in 'value < 5%' is no number"),
    "condition_not_equal": (
        ROW % 'when: ["value != 5"]',
        "one.yaml:2: [down] when: 'value != 5' is no condition: value or a label, one of < <= > >= =, a number",
    ),
    "policy_unknown": (
        ROW % "policy: defualt",
        "one.yaml:2: [down] policy 'defualt' is unknown: did you mean 'default'?",
    ),
    "destination_unknown": (
        ROW % "destinations: [rooms]",
        "one.yaml:2: [down] destinations names 'rooms', which is no destination: did you mean 'room'?",
    ),
    "destination_of_a_row_pages": (
        ROW % "destinations: [page]",
        "one.yaml:2: [down] destinations names 'page', which pages: pages belong to levels",
    ),
    "scope_of_one_region": (
        ROW % "scope: {minimum: P1, regions: 1, tier: P0}",
        "one.yaml:2: [down] regions '1' is no whole number from 2 to 1000",
    ),
    "scope_without_rise": (
        ROW % "scope: {minimum: P1, regions: 2, tier: P1}",
        "one.yaml:2: [down] the scope's tier P1 is no more urgent than its minimum P1",
    ),
    "scope_without_regions": (
        ROW % "scope: {minimum: P1, tier: P0}",
        "one.yaml:2: [down] regions is missing: from how many on",
    ),
    "scope_rule_without_objectives": (
        "scopes:\n  - {minimum: P1, regions: 2, tier: P0}\n" + ROW % 'match: [a="b"]',
        "one.yaml:2: slos must name the objectives that the rule is for",
    ),
    "any_objective_of_none": (
        ROW % "any_objective: true",
        "one.yaml:2: [down] any_objective: the file lists no objectives",
    ),
    "any_objective_maybe": (ROW % "any_objective: maybe", "one.yaml:2: [down] any_objective 'maybe' is unknown"),
    "example_of_unknown_row": (
        ROW % 'match: [a="b"]' + "examples:\n  - {row: donw, tier: P0}\n",
        "one.yaml:4: [example of donw] row 'donw' is not in this file: did you mean 'down'?",
    ),
    "example_without_tier": (
        ROW % 'match: [a="b"]' + "examples:\n  - {row: down}\n",
        "one.yaml:4: tier is missing",
    ),
    "example_label_is_list": (
        ROW % 'match: [a="b"]' + "examples:\n  - {row: down, tier: P0, labels: {a: [b]}}\n",
        "one.yaml:4: [example of down] a must be text",
    ),
}

ESCALATION_FAULTS = {
    "paging_tier_reaches_nobody": (
        ESCALATION.replace("levels: [{lasts: 15m, tell: [page]}]", "levels: []"),
        "escalation.yaml:8: [default P1] level 1 of a paging tier reaches nobody",
    ),
    "paging_tier_reaches_nobody_at_level_1": (
        POLICY % "tiers: {P2: {levels: [{lasts: 1h, tell: []}, {lasts: 1h, tell: [page]}]}}",
        "escalation.yaml:12: [odd P2] level 1 of a paging tier reaches nobody",
    ),
    "level_destination_unknown": (
        POLICY % "tiers: {P1: {levels: [{lasts: 1h, tell: [pgae]}]}}",
        "escalation.yaml:12: [odd P1 level 1] tell names 'pgae', which is no destination: did you mean 'page'?",
    ),
    "level_lasts_no_time": (
        POLICY % "tiers: {P1: {levels: [{lasts: 0s, tell: [page]}]}}",
        "escalation.yaml:12: [odd P1 level 1] lasts '0s' is too short",
    ),
    "level_lasts_words": (
        POLICY % "tiers: {P1: {levels: [{lasts: five minutes, tell: [page]}]}}",
        "escalation.yaml:12: [odd P1 level 1] lasts 'five minutes' is no duration such as 30s, 5m, 1h30m or 2d",
    ),
    "level_of_nobody": (
        POLICY % "tiers: {P1: {levels: [{lasts: 1h, tell: [page]}, {lasts: 1h}, {lasts: 1h, tell: [room]}]}}",
        "escalation.yaml:12: [odd P1 level 3] nobody stands at level 3 under people",
    ),
    "opening_pages": (
        POLICY % "tiers: {P1: {opening: [page]}}",
        "escalation.yaml:12: [odd P1] opening names 'page', which pages: pages belong to levels",
    ),
    "calendar_unknown": (
        POLICY % "tiers: {P1: {calendar: dais}}",
        "escalation.yaml:12: [odd P1] calendar 'dais' is unknown: did you mean 'days'?",
    ),
    "grace_too_long": (POLICY % "grace: 31m", "escalation.yaml:12: [odd] grace is longer than reopen_window"),
    "extends_nothing": (
        ESCALATION + "  odd: {extends: defaul}\n",
        "escalation.yaml:12: [odd] extends 'defaul', which is no policy: did you mean 'default'?",
    ),
    "extends_in_a_circle": (
        ESCALATION + "  a: {extends: b}\n  b: {extends: a}\n",
        "escalation.yaml:13: [b] extends 'a', which extends it in turn",
    ),
    "policy_without_tier": (
        ESCALATION.replace("      P3: {opening: [room], calendar: days}\n", ""),
        "escalation.yaml:7: [default] P3 is missing",
    ),
    "internal_missing": (
        ESCALATION.replace("  internal: {extends: default, hold_down: 0s}\n", ""),
        "escalation.yaml:5: policy 'internal' is missing",
    ),
    "rounds_none": (POLICY % "rounds: 0", "escalation.yaml:12: [odd] rounds '0' is no whole number from 1 to 100"),
    "response_words": (
        POLICY % "tiers: {P1: {response: soon}}",
        "escalation.yaml:12: [odd P1] response 'soon' is no time such as 15m or 1 business day, nor none",
    ),
    "people_out_of_order": (
        ESCALATION.replace("  2: {name: manager}", "  3: {name: manager}"),
        "escalation.yaml:3: [3] people are numbered by level: 1, 2, 3, …, in order",
    ),
    "mention_is_markup": (
        ESCALATION.replace("{name: engineer}", '{name: engineer, slack: "<https://example.com|x>"}'),
        """escalation.yaml:2: [1] slack is not a Slack mention such as "<!subteam^S0123456>" or "<@U0123456>", """
        "or a name without < > &",
    ),
}

DESTINATION_FAULTS = {
    "kind_unknown": (
        DESTINATIONS + "more: {kind: slak, channel: '#a'}\n",
        "destinations.yaml:3: [more] kind 'slak' is unknown: did you mean 'slack'?",
    ),
    "secret_in_the_file": (
        DESTINATIONS + "more: {kind: pagerduty, routing_key: 0123456789abcdef0123456789abcdef}\n",
        "destinations.yaml:3: [more] routing_key must name a variable INCIDENTD_…, never hold the secret",
    ),
    "secret_missing": (
        DESTINATIONS + "more: {kind: pagerduty}\n",
        "destinations.yaml:3: [more] routing_key is missing",
    ),
    "channel_missing": (DESTINATIONS + "more: {kind: slack}\n", "destinations.yaml:3: [more] channel is missing"),
    "channel_without_mark": (
        DESTINATIONS + "more: {kind: slack, channel: room}\n",
        """destinations.yaml:3: [more] channel 'room' is not a channel such as "#incidents" or C0123456789""",
    ),
    "option_of_another_kind": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', routing_key: INCIDENTD_A}\n",
        "destinations.yaml:3: [more] unknown field 'routing_key'",
    ),
    "fallback_unknown": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', fallback: rom}\n",
        "destinations.yaml:3: [more] fallback 'rom' is no destination: did you mean 'room'?",
    ),
    "fallback_to_itself": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', fallback: more}\n",
        "destinations.yaml:3: [more] fallback is the destination itself",
    ),
    "fallback_pages": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', fallback: page}\n",
        "destinations.yaml:3: [more] fallback 'page' pages: a fallback is a place where people read",
    ),
    "name_with_spaces": (
        DESTINATIONS + "two words: {kind: slack, channel: '#a'}\n",
        "destinations.yaml:3: [two words] a destination's name is of small letters, digits and - _ .",
    ),
    "one_by_one_negative": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', per_minute: 60, one_by_one: -1}\n",
        "destinations.yaml:3: [more] one_by_one '-1' is no whole number from 0 to 100",
    ),
    "one_by_one_is_text": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', per_minute: 60, one_by_one: all}\n",
        "destinations.yaml:3: [more] one_by_one 'all' is no whole number from 0 to 100",
    ),
    "one_by_one_too_many": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', per_minute: 60, one_by_one: 1000000}\n",
        "destinations.yaml:3: [more] one_by_one '1000000' is no whole number from 0 to 100",
    ),
    "one_by_one_without_a_limit": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', one_by_one: 20}\n",
        "destinations.yaml:3: [more] one_by_one counts only together with per_minute",
    ),
    "rate_negative": (
        DESTINATIONS + "more: {kind: slack, channel: '#a', per_minute: -1}\n",
        "destinations.yaml:3: [more] per_minute '-1' is no whole number from 0 to 1000000",
    ),
}

CALENDAR_FAULTS = {
    "zone_unknown": (
        CALENDARS + "more: {zone: Mars/Olympus, weekdays: [mon]}\n",
        "calendars.yaml:2: [more] zone 'Mars/Olympus' is no zone of the tz database, such as Europe/Warsaw",
    ),
    "zone_is_a_path": (
        CALENDARS + "more: {zone: ../../etc/passwd, weekdays: [mon]}\n",
        "calendars.yaml:2: [more] zone '../../etc/passwd' is no zone of the tz database, such as Europe/Warsaw",
    ),
    "no_weekday": (
        CALENDARS + "more: {zone: UTC, weekdays: []}\n",
        "calendars.yaml:2: [more] weekdays names no day: it would never open",
    ),
    "weekday_unknown": (
        CALENDARS + "more: {zone: UTC, weekdays: [mon, thur]}\n",
        "calendars.yaml:2: [more] weekdays: 'thur' is none of mon, tue, wed, thu, fri, sat, sun",
    ),
    "closes_first": (
        CALENDARS + 'more: {zone: UTC, weekdays: [mon], opens: "17:00", closes: "09:00"}\n',
        "calendars.yaml:2: [more] closes before it opens; the end of the day is 24:00",
    ),
    "time_of_day": (
        CALENDARS + 'more: {zone: UTC, weekdays: [mon], opens: "25:00"}\n',
        "calendars.yaml:2: [more] opens '25:00' is no time of day such as \"09:00\"",
    ),
    "country_unknown": (
        CALENDARS + "more: {zone: UTC, weekdays: [mon], holidays: {country: XX}}\n",
        "calendars.yaml:2: [more] country 'XX' is not known to the holidays library",
    ),
    "date_unknown": (
        CALENDARS + "more: {zone: UTC, weekdays: [mon], holidays: {dates: [2026-02-30]}}\n",
        "calendars.yaml:2: [more] dates: '2026-02-30' is no date such as 2026-12-24",
    ),
    "always_defined": (
        CALENDARS + "always: {zone: UTC, weekdays: [mon]}\n",
        "calendars.yaml:2: [always] always is built in: no calendar may be named so",
    ),
}

TIER_FAULTS = {
    "table_without_file": (
        TIERS.replace("[one]", "[one, tow]"),
        "tiers.yaml:1: tables names 'tow': there is no tow.yaml",
    ),
    "no_tables": (
        TIERS.replace("tables: [one]\n", ""),
        "tiers.yaml:1: tables must name the table files in their order",
    ),
    "table_twice": (TIERS.replace("[one]", "[one, one]"), "tiers.yaml:1: tables names 'one' twice"),
    "tier_missing": (
        TIERS.replace("  P3: {description: none, response: 1 business day, acknowledgement: never}\n", ""),
        "tiers.yaml:3: P3 is missing",
    ),
    "acknowledgement_missing": (
        TIERS.replace(", acknowledgement: 30m", ""),
        "tiers.yaml:3: [P0] acknowledgement is missing",
    ),
    "severity_without_otherwise": (
        TIERS.replace(", otherwise: P2", ""),
        "tiers.yaml:7: otherwise is missing: the tier of any other severity, and of none",
    ),
    "severity_of_no_tier": (
        TIERS.replace("critical: P1", "critical: high"),
        "tiers.yaml:7: critical 'high' is none of P0, P1, P2, P3",
    ),
    "key_without_system": (
        TIERS.replace("system: [system, service, job]", "system: []"),
        "tiers.yaml:8: system must name at least one label",
    ),
}

ALL = [
    (stem, name, text, expected)
    for stem, cases in (
        ("one", TABLE_FAULTS),
        ("escalation", ESCALATION_FAULTS),
        ("destinations", DESTINATION_FAULTS),
        ("calendars", CALENDAR_FAULTS),
        ("tiers", TIER_FAULTS),
    )
    for name, (text, expected) in cases.items()
]


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


@pytest.mark.parametrize(
    ("stem", "text", "expected"), [case[:1] + case[2:] for case in ALL], ids=[f"{c[0]}-{c[1]}" for c in ALL]
)
def test_fault_is_named_exactly(stem: str, text: str, expected: str) -> None:
    assert expected in faults(texts(**{stem: text}))


@pytest.mark.parametrize(
    ("stem", "text", "expected"), [case[:1] + case[2:] for case in ALL], ids=[f"{c[0]}-{c[1]}" for c in ALL]
)
def test_one_fault_brings_few_others(stem: str, text: str, expected: str) -> None:
    assert len(faults(texts(**{stem: text}))) <= 2


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
