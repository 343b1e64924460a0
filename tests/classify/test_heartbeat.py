"""``heartbeats.yaml``: what it says, and each of its faults by its name."""

from datetime import timedelta

import pytest

from incidentd.classify import check, explain, taken_by
from incidentd.classify.report import show_check, show_explanation
from incidentd.tier import Tier
from tests.classify.ground import FILES, alert, faults, rules, texts

WATCHDOG = 'watchdog: {match: [alertname="Watchdog"], every: 15m, tier: P1}\n'
BACKUP = """\
backup:
  every: 25h
  tier: P2
  title: "No backup since {heartbeat}"
  runbook: https://runbooks.example.com/backup
  policy: internal
  destinations: [room]
"""

FAULTS = {
    "file_is_list": ("- a\n", "heartbeats.yaml:1: the file must be a mapping of names to values"),
    "heartbeat_is_text": ("a: b\n", "heartbeats.yaml:1: [a] a must be a mapping of names to values"),
    "name_in_capitals": (
        "Backup: {every: 1h, tier: P1}\n",
        "heartbeats.yaml:1: [Backup] a heartbeat's name is of small letters, digits and - _ .",
    ),
    "every_missing": ("a: {tier: P1}\n", "heartbeats.yaml:1: [a] every is missing"),
    "every_is_no_duration": (
        "a:\n  every: daily\n  tier: P1\n",
        "heartbeats.yaml:2: [a] every 'daily' is no duration such as 30s, 5m, 1h30m or 2d",
    ),
    "every_is_nothing": ("a: {every: 0s, tier: P1}\n", "heartbeats.yaml:1: [a] every '0s' is too short"),
    "every_is_years": ("a: {every: 500d, tier: P1}\n", "heartbeats.yaml:1: [a] every is longer than 400d"),
    "tier_missing": ("a: {every: 1h}\n", "heartbeats.yaml:1: [a] tier is missing"),
    "tier_unknown": ("a: {every: 1h, tier: P9}\n", "heartbeats.yaml:1: [a] tier 'P9' is none of P0, P1, P2, P3"),
    "field_misspelt": (
        "a: {evry: 1h, every: 1h, tier: P1}\n",
        "heartbeats.yaml:1: [a] unknown field 'evry': did you mean 'every'?",
    ),
    "policy_unknown": (
        "a: {every: 1h, tier: P1, policy: defualt}\n",
        "heartbeats.yaml:1: [a] policy 'defualt' is unknown: did you mean 'default'?",
    ),
    "destination_unknown": (
        "a: {every: 1h, tier: P1, destinations: [rom]}\n",
        "heartbeats.yaml:1: [a] destinations names 'rom', which is no destination: did you mean 'room'?",
    ),
    "destination_pages": (
        "a: {every: 1h, tier: P1, destinations: [page]}\n",
        "heartbeats.yaml:1: [a] destinations names 'page', which pages: pages belong to levels",
    ),
    "matcher_broken": (
        "a: {match: [alertname], every: 1h, tier: P1}\n",
        "heartbeats.yaml:1: [a] match: 'alertname' is no matcher: label, one of = != =~ !~, value",
    ),
    "match_empty": (
        "a: {match: [], every: 1h, tier: P1}\n",
        "heartbeats.yaml:1: [a] match must ask for one label by =, as what it takes never becomes an incident",
    ),
    "match_takes_everything": (
        "a: {match: ['alertname=~\".*\"'], every: 1h, tier: P1}\n",
        "heartbeats.yaml:1: [a] match must ask for one label by =, as what it takes never becomes an incident",
    ),
    "match_takes_the_absent": (
        "a: {match: ['alertname=\"\"'], every: 1h, tier: P1}\n",
        "heartbeats.yaml:1: [a] match must ask for one label by =, as what it takes never becomes an incident",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_file_line_row_and_cause(name: str) -> None:
    text, expected = FAULTS[name]
    assert faults(texts(heartbeats=text)) == [expected]


def test_a_matcher_that_would_silence_a_page_is_refused() -> None:
    one = FILES["one.yaml"] + "examples:\n  - {row: down, tier: P0, labels: {sli: outage, alertname: Down}}\n"
    text = 'a: {match: [sli="outage"], every: 1h, tier: P1}\n'
    assert faults(texts(one=one, heartbeats=text)) == [
        "heartbeats.yaml:1: [a] match takes the alert of an example of one/down (P0), which would never page again"
    ]


def test_a_heartbeat_says_how_long_silence_may_last_and_what_it_means() -> None:
    found = rules(heartbeats=WATCHDOG + BACKUP).heartbeats
    watchdog, backup = found["watchdog"], found["backup"]
    assert (watchdog.every, watchdog.tier, watchdog.policy) == (timedelta(minutes=15), Tier.P1, "default")
    assert (backup.every, backup.tier, backup.matchers) == (timedelta(hours=25), Tier.P2, ())
    assert (backup.policy, backup.destinations) == ("internal", ("room",))
    assert backup.runbook == "https://runbooks.example.com/backup"


def test_the_file_need_not_be_there_and_may_hold_comments_alone() -> None:
    assert rules().heartbeats == {}
    assert rules(heartbeats="# watchdog:\n\n  # every: 15m\n").heartbeats == {}


def test_another_file_is_another_version() -> None:
    assert len({rules().version, rules(heartbeats=WATCHDOG).version, rules(heartbeats=BACKUP).version}) == 3


def test_only_a_firing_alert_that_fits_is_a_sign_of_life() -> None:
    expected = rules(heartbeats=WATCHDOG + BACKUP).heartbeats
    assert taken_by(alert(alertname="Watchdog", severity="none"), expected) == ["watchdog"]
    assert taken_by(alert(alertname="Watchdogs"), expected) == []
    assert taken_by(alert(), expected) == []


def test_an_alert_that_is_a_sign_of_life_is_explained_as_one() -> None:
    table = rules(heartbeats=WATCHDOG)
    assert show_explanation(explain(alert(alertname="Watchdog"), table)) == (
        "A sign of life of watchdog in heartbeats.yaml: never an incident of its own."
    )
    assert "severity" in show_explanation(explain(alert(alertname="Other"), table))


def test_the_check_lists_them() -> None:
    assert "Heartbeats: watchdog, backup." in show_check(check(rules(heartbeats=WATCHDOG + BACKUP)))
