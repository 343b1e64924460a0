"""What a backtest says: nothing where nothing changes, and exactly what does."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.backtest import changed, recorded
from incidentd.classify import Rules, load, parse
from incidentd.classify.kind import KINDS
from incidentd.intake import fingerprint
from incidentd.replay import Answer, Did, Hearing, Outcome, RecordedAlert, Recording, compare, outcome_of, side_by_side
from incidentd.replay.difference import Pages
from incidentd.replay.judge import judge
from incidentd.replay.outcome import Played
from incidentd.replay.regrouping import Regrouping
from incidentd.tier import Tier
from tests.classify import ground
from tests.incident.profile import effort

ROOT = Path(__file__).parents[2]
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)

ONE = """\
rows:
  - {name: down, match: [sli="outage"], tier: P0}
  - {name: slow, match: [sli="latency"], when: [value > 300], tier: P2}
  - {name: minor, match: [sli="latency"], tier: P3}
"""
RULES = ground.rules(one=ONE)
NUMBERS = ("200", "400")
"""Without one the least urgent row that fits is taken: which that is, a change of a row's tier changes too."""
STILL_OPEN = (Did.ACKNOWLEDGED, Did.TAKEN_OVER, Did.NOTED)
"""Whom a row takes after somebody has resolved the incident, it doesn't decide any more."""


def with_tier(row: str, before: Tier, after: Tier) -> Rules:
    lines = ONE.splitlines(keepends=True)
    one = "".join(
        line.replace(f"tier: {before}", f"tier: {after}") if f"name: {row}," in line else line for line in lines
    )
    return ground.rules(one=one)


@st.composite
def recordings(
    draw: st.DrawFn, values: Sequence[str | None] = (None, "200", "400", "n/a"), answers_are: Sequence[Did] = tuple(Did)
) -> Recording:
    """Alerts of few problems, so that they meet; each fires once and may end; some are answered."""
    alerts, answers = [], []
    for number in range(draw(st.integers(1, 12))):
        at = BEGIN + timedelta(seconds=draw(st.integers(0, 4 * 86400)))
        labels = {
            "slo": draw(st.sampled_from(["api", "web"])),
            "sli": draw(st.sampled_from(["outage", "latency", "other"])),
            "severity": draw(st.sampled_from(["critical", "warning", "info"])),
            "instance": f"i{number}",
        }
        value = draw(st.sampled_from(values))
        heard = [Hearing(at, True, value)]
        if draw(st.booleans()):
            later = at + timedelta(seconds=draw(st.integers(1, 3600)))
            heard.append(Hearing(later, True, draw(st.sampled_from(["200", "400"]))))
        if draw(st.booleans()):
            heard.append(Hearing(heard[-1].at + timedelta(seconds=draw(st.integers(1, 86400))), False, heard[-1].value))
        alerts.append(RecordedAlert(fingerprint(labels), at, labels, f"was {number % 4}", tuple(heard)))
        if draw(st.booleans()):
            after = timedelta(seconds=draw(st.integers(1, 7200)))
            did = draw(st.sampled_from(answers_are))
            answers.append(Answer(at + after, f"was {number % 4}", did, draw(st.sampled_from(["a", "b"]))))
    return Recording(BEGIN, BEGIN + WEEK, tuple(alerts), tuple(answers))


@effort(30)
@given(recordings())
def test_the_same_table_changes_nothing(recording: Recording) -> None:
    # A table of its own: with the kinds that come with incidentd the same texts give the same one.
    again = parse(RULES.files, dict(KINDS))
    assert again is not RULES
    found = compare(recording, outcome_of(recording, RULES), outcome_of(recording, again))
    assert found.is_empty
    assert (found.changes, found.tiers, found.more_pages, found.regrouping) == ((), (), 0, Regrouping((), (), ()))
    assert found.pages[0] == found.pages[1]


@effort(30)
@given(recordings(NUMBERS, STILL_OPEN), st.sampled_from([("slow", Tier.P2, Tier.P1), ("minor", Tier.P3, Tier.P0)]))
def test_a_row_that_becomes_more_urgent_changes_exactly_the_incidents_that_it_decides(
    recording: Recording, move: tuple[str, Tier, Tier]
) -> None:
    row, old, new = move
    before = outcome_of(recording, RULES)
    found = compare(recording, before, outcome_of(recording, with_tier(row, old, new)))
    taken = taken_by(f"one/{row}", recording)
    expected = {
        (played.key, played.opened_at, played.tier)
        for id_, played in before.incidents.items()
        if played.tier > new and any(before.of_alert.get(number) == id_ for number in taken)
    }
    rose = {(c.before.key, c.opened_at, c.before.tier) for c in found.changes if c.tier_changes}
    assert rose == expected
    assert {c.after.tier for c in found.changes if c.after and c.tier_changes} <= {new}


def taken_by(row: str, recording: Recording) -> set[int]:
    """The alerts that a row takes at any time while they fire, in an incident that they are still part of."""
    judged = judge(recording, RULES)
    return {
        number
        for number, alert in enumerate(recording.alerts)
        if any(judged[number].verdicts[heard.value].row == row for heard in alert.hearings if heard.firing)
    }


@cache
def shipped() -> Rules:
    return load(ROOT / "rules")


CHANGES = {
    "nothing": ("tiers.yaml", "generic: [cluster, namespace]", "generic: [cluster, namespace]"),
    "tiers of one system": ("astudio.yaml", "tier: P2", "tier: P1"),
    "keys": ("tiers.yaml", "also: [environment]", "also: [stage]"),
    "a policy": ("escalation.yaml", "opening: [tickets, ticket-queue]", "opening: []"),
    "opening hours": ("calendars.yaml", 'opens: "09:00"', 'opens: "11:00"'),
    "people": ("escalation.yaml", "{name: CTO}", "{name: CTO, zone: Asia/Tokyo}"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_sharing_what_is_the_same_and_processes_change_nothing(name: str) -> None:
    recording = recorded(400, shipped(), seed=7)
    other = changed(shipped(), *CHANGES[name])
    whole = compare(recording, outcome_of(recording, shipped()), outcome_of(recording, other))
    assert compare(recording, *side_by_side(recording, (shipped(), other), cores=3)) == whole
    assert whole.is_empty is (name == "nothing")


@pytest.mark.parametrize("cores", [1, 2])
def test_progress_ends_at_all_there_is(cores: int) -> None:
    seen: list[tuple[int, int]] = []
    tables = (shipped(), shipped())
    side_by_side(recorded(300, shipped()), tables, lambda done, total: seen.append((done, total)), cores)
    assert seen[-1][0] == seen[-1][1] > 300
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_what_a_process_did_that_was_killed_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recording, other = recorded(100, shipped()), changed(shipped(), *CHANGES["tiers of one system"])
    whole = compare(recording, *side_by_side(recording, (shipped(), other), cores=1))
    module = sys.modules["incidentd.replay.side_by_side"]
    monkeypatch.setattr(module, "_send", lambda *_: os._exit(9))
    assert compare(recording, *side_by_side(recording, (shipped(), other), cores=3)) == whole


def alert(sli: str, at: datetime, over: timedelta | None = timedelta(minutes=3), **labels: str) -> RecordedAlert:
    found = {"slo": "api", "sli": sli, "severity": "info", **labels}
    heard = [Hearing(at, True, "200")] + ([Hearing(at + over, False, "200")] if over else [])
    return RecordedAlert(fingerprint(found), at, found, "was", tuple(heard))


def played(rules: Rules, *alerts: RecordedAlert, answers: Sequence[Answer] = ()) -> tuple[Recording, Outcome]:
    recording = Recording(BEGIN, BEGIN + WEEK, alerts, tuple(answers))
    return recording, outcome_of(recording, rules)


def test_pages_at_night_are_those_from_22_to_7_where_the_person_lives() -> None:
    tokyo = ground.ESCALATION.replace("{name: engineer}", "{name: engineer, zone: Asia/Tokyo}")
    nights = {}
    for hour in range(24):
        at = datetime(2026, 3, 3, hour, tzinfo=UTC)
        recording, outcome = played(ground.rules(one=ONE, escalation=tokyo), alert("outage", at))
        found = compare(recording, outcome, outcome)
        (woken,) = found.woken
        assert (woken.person, woken.zone) == ("engineer", "Asia/Tokyo")
        nights[(hour + 9) % 24] = woken.after == Pages(1, 1)
    assert {hour for hour, is_night in nights.items() if is_night} == {22, 23, *range(7)}


def test_an_answer_counts_for_each_incident_that_its_own_became_while_it_is_open() -> None:
    """One incident that nobody answers pages engineer and manager's room for three rounds; an answer ends that."""
    long = alert("outage", BEGIN, timedelta(hours=2))
    _, alone = played(RULES, long)
    answer = Answer(BEGIN + timedelta(minutes=4), "was", Did.ACKNOWLEDGED, "person 1")
    snoozed = replace(answer, until=BEGIN + timedelta(hours=3))
    _, answered = played(RULES, long, answers=[snoozed])
    _, late = played(RULES, long, answers=[replace(answer, at=BEGIN + timedelta(hours=3))])
    assert [len(only(each).pages) for each in (alone, answered, late)] == [3, 1, 3]


def only(outcome: Outcome) -> Played:
    (found,) = outcome.incidents.values()
    return found


def test_alerts_that_nobody_would_get_are_named_and_whether_that_is_new() -> None:
    silent = ground.rules(one=ONE, escalation=ground.ESCALATION.replace("P3: {opening: [room],", "P3: {opening: [],"))
    recording, before = played(RULES, alert("latency", BEGIN, alertname="Slow"), alert("outage", BEGIN, slo="web"))
    found = compare(recording, before, outcome_of(recording, silent))
    assert [(each.alertname, each.row, each.alerts, each.of_them_new) for each in found.unheard] == [
        ("Slow", "one/minor", 1, 1)
    ]
    assert not found.is_empty
    known = compare(recording, outcome_of(recording, silent), outcome_of(recording, silent))
    assert [each.of_them_new for each in known.unheard] == [0]


def test_an_alert_that_becomes_a_sign_of_life_is_nobodys_any_more() -> None:
    beats = 'watchdog: {match: [alertname="Slow"], every: 10m, tier: P1}\n'
    recording, before = played(RULES, alert("latency", BEGIN, alertname="Slow"))
    after = outcome_of(recording, ground.rules(one=ONE, heartbeats=beats))
    found = compare(recording, before, after)
    assert [(each.row, each.of_them_new) for each in found.unheard] == [("sign of life", 1)]
    assert [(each.before.tier, each.after) for each in found.changes] == [(Tier.P3, None)]


def test_a_key_that_is_wider_joins_incidents_and_a_narrower_one_splits_them() -> None:
    wide = ONE.replace("tier: P0}", "tier: P0, key: [sli]}")
    recording, apart = played(RULES, alert("outage", BEGIN), alert("outage", BEGIN + timedelta(minutes=1), slo="web"))
    together = outcome_of(recording, ground.rules(one=wide))
    joined, split = compare(recording, apart, together), compare(recording, together, apart)
    assert (joined.incidents, joined.regrouping.merged, joined.regrouping.split) == ((2, 1), 1, 0)
    assert (split.incidents, split.regrouping.merged, split.regrouping.split) == ((1, 2), 0, 1)
    (join,), (parts,) = joined.regrouping.joins, split.regrouping.splits
    (one,) = together.incidents.values()
    assert (join.after.key, parts.before.key) == (one.key, one.key)
    slos = ["api", "web"]
    assert [each.slo for each in join.before] == slos
    assert [each.slo for each in (parts.after, *parts.off) if each] == slos
    assert [each.opened_at for each in join.before] == [BEGIN, BEGIN + timedelta(minutes=1)]


@effort(30)
@given(recordings(NUMBERS))
def test_every_incident_of_another_table_is_what_one_became_or_is_listed_as_split_off_or_new(
    recording: Recording,
) -> None:
    wide = ONE.replace("tier: P0}", "tier: P0, key: [sli]}").replace("tier: P3}", "tier: P3, key: [instance]}")
    beats = 'watchdog: {match: [severity="info"], every: 10m, tier: P1}\n'
    before = outcome_of(recording, ground.rules(one=ONE, heartbeats=beats))
    after = outcome_of(recording, ground.rules(one=wide))
    for first, second in ((before, after), (after, before)):
        found = compare(recording, first, second)
        groups, gone = found.regrouping, sum(change.after is None for change in found.changes)
        assert len(first.incidents) - gone - groups.merged + groups.split + len(groups.new) == len(second.incidents)


def test_an_incident_of_alerts_that_were_a_sign_of_life_is_new() -> None:
    beats = 'watchdog: {match: [alertname="Slow"], every: 10m, tier: P1}\n'
    quiet = ground.rules(one=ONE, heartbeats=beats)
    recording, before = played(quiet, alert("latency", BEGIN, alertname="Slow"))
    found = compare(recording, before, outcome_of(recording, RULES))
    assert [(each.tier, each.slo) for each in found.regrouping.new] == [(Tier.P3, "api")]
    assert not found.is_empty


def test_who_would_be_told_follows_the_end_of_observing_as_it_does_in_the_product() -> None:
    """By label system, as people are told: at once of what comes after it, and at the end of what fires on."""
    end = BEGIN + timedelta(hours=6)
    shop = f"system: shop\nobserve: true\nobserve_until: {end.isoformat()}\n{ONE}"
    over = alert("outage", BEGIN, slo="over", system="shop")
    on = alert("outage", BEGIN, timedelta(hours=6, minutes=3), slo="on", system="shop")
    after = alert("outage", end + timedelta(hours=1), slo="after", system="shop")
    _, outcome = played(ground.rules(one=shop), over, on, after)
    pages = {each.slo: [page.at for page in each.pages] for each in outcome.incidents.values()}
    assert pages == {"over": [], "on": [end], "after": [end + timedelta(hours=1)]}
