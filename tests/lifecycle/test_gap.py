"""Time that was lost, or never was: found once by each process, and crossed once by each heartbeat."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from incidentd.lifecycle.gap import LEAST, SETTLED, Gap, Look, gap_between, gap_since
from incidentd.store.heartbeats import Heartbeat
from tests.lifecycle.bench import BEGIN, MINUTE, SECOND

HOUR = 60 * MINUTE
BEFORE = Look(BEGIN, 100.0)

spans = st.integers(1, 10**7).map(lambda seconds: seconds * SECOND)
gaps = st.integers(20, 10**7).map(lambda seconds: Gap(BEGIN, BEGIN + seconds * SECOND))


def heartbeat(silent: timedelta, every: timedelta) -> Heartbeat:
    """One that has been silent for so long when the gap begins."""
    return Heartbeat("backup", every, BEGIN - silent, BEGIN - silent, BEGIN - silent + every)


def test_looks_in_their_time_leave_no_gap() -> None:
    assert gap_between(BEFORE, Look(BEGIN + SECOND, 101.0), None) is None
    assert gap_between(BEFORE, Look(BEGIN + LEAST, 100.0 + LEAST.total_seconds()), None) is None


def test_a_process_that_stood_still_lost_what_no_other_kept() -> None:
    after = Look(BEGIN + HOUR, 3700.0)
    assert gap_between(BEFORE, after, None) == Gap(BEGIN, BEGIN + HOUR)
    assert gap_between(BEFORE, after, BEGIN + 20 * MINUTE) == Gap(BEGIN + 20 * MINUTE, BEGIN + HOUR)
    assert gap_between(BEFORE, after, BEGIN + HOUR - SECOND) is None


def test_a_leap_is_a_gap_whatever_others_have_seen() -> None:
    after = Look(BEGIN + HOUR, 101.0)
    assert gap_between(BEFORE, after, BEGIN + HOUR) == Gap(BEGIN, BEGIN + HOUR)
    assert gap_between(BEFORE, Look(BEGIN - HOUR, 101.0), None) == Gap(BEGIN, BEGIN - HOUR)


def test_a_start_loses_what_no_other_kept_and_the_first_of_all_loses_nothing() -> None:
    assert gap_since(BEGIN, BEGIN + HOUR) == Gap(BEGIN, BEGIN + HOUR)
    assert gap_since(BEGIN, BEGIN + SECOND) is None
    assert gap_since(None, BEGIN) is None


@given(gap=gaps, silent=spans, every=spans)
def test_silence_lasts_as_long_behind_a_gap_as_before_it(gap: Gap, silent: timedelta, every: timedelta) -> None:
    before = heartbeat(silent, every)
    after = gap.across(before)
    assert after.counts_from == gap.end - silent
    assert after.due_at == max(before.due_at + gap.lasted, gap.is_settled_at)
    assert after.heard_at == before.heard_at


@given(gap=gaps, silent=spans, every=spans, apart=st.integers(-2000, 2000))
def test_a_gap_is_crossed_once_whoever_has_seen_it(gap: Gap, silent: timedelta, every: timedelta, apart: int) -> None:
    after = gap.across(heartbeat(silent, every))
    seen = Gap(gap.begin + timedelta(milliseconds=apart), gap.end + timedelta(milliseconds=apart))
    assert seen.across(after) == gap.across(after) == after


@given(gap=gaps, every=spans)
def test_what_was_heard_by_the_time_before_it_crosses_though_the_rest_has(gap: Gap, every: timedelta) -> None:
    heard = gap.across(heartbeat(SECOND, every)).heard(BEGIN + SECOND, every)
    after = gap.across(heard)
    assert after.counts_from == gap.end + SECOND
    assert after.due_at >= gap.end + SECOND + every


@given(gap=gaps, every=spans)
def test_what_was_heard_behind_it_stays(gap: Gap, every: timedelta) -> None:
    heard = heartbeat(SECOND, every).heard(gap.end + SECOND, every)
    assert gap.across(heard) == heard


@given(silent=spans, every=spans)
def test_after_a_leap_back_nothing_counts_from_a_time_to_come(silent: timedelta, every: timedelta) -> None:
    gap = Gap(BEGIN, BEGIN - HOUR)
    after = gap.across(heartbeat(silent, every))
    assert after.counts_from <= gap.end + LEAST
    assert gap.across(after) == after
    if after.counts_from == gap.end:
        assert after.due_at == max(gap.end + every, gap.end + SETTLED)


def test_what_is_missing_stays_missing() -> None:
    missing = replace(heartbeat(HOUR, MINUTE), missing_since=BEGIN)
    assert Gap(BEGIN, BEGIN + HOUR).across(missing) == missing
