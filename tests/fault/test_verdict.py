"""The judge of a chaos run is tested too: each promise that is broken by hand must be noticed, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from incidentd.incident.command import Delivered
from incidentd.tier import Tier
from incidentd.timeline import PagedDirectly
from tests.fault.chaos.error_line import unexpected
from tests.fault.chaos.evidence import Behind, Evidence, Found
from tests.fault.chaos.happened import Happened
from tests.fault.chaos.page import Page
from tests.fault.chaos.story import Notice, Plot, Story
from tests.fault.chaos.upstream import Answered
from tests.fault.chaos.verdict import Case, delays, duplicates, lacks, owed, wrongs
from tests.incident import build

BEGIN = build.MONDAY_NOON
MINUTE, SECOND = build.MINUTE, build.SECOND
LEVEL = 5 * MINUTE
_P0 = replace(build.tiers()[Tier.P0], levels=build.levels((5, 5, 15)))
KILL = Happened("kill -9 of a worker", BEGIN + SECOND, BEGIN + SECOND)


def life() -> build.Story:
    """A P0 that nobody answers for eleven minutes, so that all of its levels are told; then somebody writes a note."""
    lived = build.Story(build.policy({Tier.P0: _P0}))
    lived.fire(tier=Tier.P0)
    lived.forward(minutes=11)
    lived.note()
    return lived


def case(plot: Plot = Plot.LEFT, *faults: Happened) -> Case:
    heard = Answered({0: BEGIN}, {0: BEGIN})
    story = Story("p1", plot, 0, [Notice(0, 0, 0, True, 0, 0)], 1)
    return Case([story], {"p1": heard}, {}, faults, LEVEL, 30 * SECOND, 11 * SECOND)


def page(level: int, after: timedelta, key: str = "", *, direct: bool = False) -> Page:
    return Page("p1", level, BEGIN + after, key or f"key {level}", direct)


PAGES = (page(1, SECOND), page(2, LEVEL + SECOND), page(3, 2 * LEVEL + SECOND))


def evidence(lived: build.Story | None = None, pages: tuple[Page, ...] = PAGES) -> Evidence:
    lived = lived or life()
    found = {"p1": Found(lived.incident, lived.entries)}
    return Evidence(found, pages, {}, {("#incidents", lived.incident.id, "e1"): 1}, (), (), (), (), ())


def answered(after: timedelta) -> tuple[Case, build.Story]:
    """Somebody answers after a time."""
    lived = build.Story(build.policy({Tier.P0: _P0}))
    lived.fire(tier=Tier.P0)
    lived.until(BEGIN + after)
    lived.acknowledge()
    return replace(case(Plot.BY_API), answers={"p1": BEGIN + after}), lived


def test_a_run_in_which_all_was_kept_has_nothing_to_complain_of() -> None:
    assert lacks(case(), evidence()) == []
    assert wrongs(case(), evidence()) == []
    assert duplicates(case(), evidence()) == []
    assert [delay.seconds for delay in delays(case(), evidence())] == [1, 1, 1]


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_page_that_did_not_come_is_missing(level: int) -> None:
    pages = tuple(each for each in PAGES if each.level != level)
    assert lacks(case(), evidence(pages=pages)) == [f"level {level} of p1 (left to climb) was not paged"]


ENDED = {each.key: each.at + SECOND for each in PAGES}

BROKEN: list[tuple[str, Callable[[Evidence], Evidence]]] = [
    ("p1 was answered with 2xx and there is no incident", lambda e: replace(e, found={}, ended=ENDED)),
    ("p1 has no card", lambda e: replace(e, cards={})),
    ("incidents does not know all of k (e1)", lambda e: replace(e, behind=[Behind("k", "incidents", "e1", "")])),
    ("incidents was given up for k: why", lambda e: replace(e, behind=[Behind("k", "incidents", "e1", "why")])),
    ("two incidents for k", lambda e: replace(e, doubled=["k"])),
    ("an unexpected request: slack x 404", lambda e: replace(e, refused=["slack x 404"])),
    ("the timeline of avalo/core-api has gaps or duplicates", lambda e: _with_timeline(e, 2, 3)),
    ("the timeline of avalo/core-api does not fold to its stored state", lambda e: _with_timeline(e, -1, None)),
]


def _with_timeline(seen: Evidence, begin: int, end: int | None) -> Evidence:
    """Some entries are gone."""
    timeline = list(seen.found["p1"].timeline)
    del timeline[begin:end]
    return replace(seen, found={"p1": replace(seen.found["p1"], timeline=timeline)})


@pytest.mark.parametrize(("complaint", "breaking"), BROKEN, ids=[complaint for complaint, _ in BROKEN])
def test_what_is_broken_is_said(complaint: str, breaking: Callable[[Evidence], Evidence]) -> None:
    broken = breaking(evidence())
    assert lacks(case(), broken) + wrongs(case(), broken) == [complaint]


def test_an_alert_that_nobody_took_is_owed_nothing() -> None:
    unheard = replace(case(), heard={"p1": Answered({0: BEGIN}, {})})
    assert owed(unheard) == []
    assert lacks(unheard, replace(evidence(pages=()), found={})) == []


@pytest.mark.parametrize("posted", [-2, 0, 2], ids=["before", "while", "after"])
def test_an_end_that_may_have_been_stored_before_its_beginning_needs_no_incident(posted: int) -> None:
    """The beginning was first sent a second before it was answered, the end is answered last of all."""
    begun, ended = BEGIN + posted * SECOND, BEGIN + 3 * SECOND
    heard = Answered({0: BEGIN - SECOND, 1: begun}, {0: BEGIN, 1: ended})
    over = Story("p1", Plot.OVER, 0, [Notice(0, 0, 0, True, 0, 0), Notice(1, 1, 0, False, 0, 1)], 1)
    asked = replace(case(), stories=[over], heard={"p1": heard})
    untold = replace(evidence(pages=()), found={}, cards={})
    missing = ["p1 was answered with 2xx and there is no incident"] if posted > 0 else []
    assert lacks(asked, untold) == missing


@pytest.mark.parametrize(("firing_ended", "complaints"), [(0, 1), (2, 0)], ids=["before", "after"])
def test_an_end_counts_unless_a_copy_of_the_beginning_was_on_its_way(firing_ended: int, complaints: int) -> None:
    """The end is sent a second after the beginning."""
    posted = {0: BEGIN, 1: BEGIN + SECOND}
    heard = Answered(posted, {0: BEGIN, 1: BEGIN + SECOND}, last_ended={0: BEGIN + firing_ended * SECOND})
    over = Story("p1", Plot.OVER, 0, [Notice(0, 0, 0, True, 0, 0), Notice(1, 1, 0, False, 0, 1)], 1)
    asked = replace(case(), stories=[over], heard={"p1": heard})
    assert lacks(asked, evidence()) == complaints * ["p1 is over and was not resolved"]


def test_a_page_of_what_was_over_before_it_was_stored_must_be_taken_back() -> None:
    heard = Answered({0: BEGIN, 1: BEGIN}, {0: BEGIN, 1: BEGIN})
    over = Story("p1", Plot.OVER, 0, [Notice(0, 0, 0, True, 0, 0), Notice(1, 1, 0, False, 0, 1)], 1)
    asked = replace(case(), stories=[over], heard={"p1": heard})
    left = replace(evidence(pages=(page(1, SECOND, "direct"),)), found={}, cards={})
    assert lacks(asked, left) == ["p1 is open at PagerDuty and nowhere else"]
    assert lacks(asked, replace(left, ended={"direct": BEGIN + 2 * SECOND})) == []


def test_a_page_of_an_episode_before_is_no_second_one_where_it_was_taken_back() -> None:
    pages = (page(1, -SECOND, "direct", direct=True), *PAGES)
    begun_anew = Answered({0: BEGIN - 3 * SECOND, 1: BEGIN - 2 * SECOND, 2: BEGIN}, {2: BEGIN})
    asked = replace(case(), heard={"p1": begun_anew})
    assert wrongs(asked, evidence(pages=pages)) == ["level 1 of p1 has 2 alerts at PagerDuty"]
    taken_back = replace(evidence(pages=pages), ended={"direct": BEGIN + MINUTE})
    assert wrongs(asked, taken_back) == []
    assert wrongs(case(), taken_back) != []
    assert wrongs(asked, replace(taken_back, pages=(replace(pages[0], direct=False), *PAGES))) != []


@pytest.mark.parametrize(
    ("key", "direct", "noted", "excused"),
    [
        ("key 1", True, 130, True),
        ("key 1", True, 59.5, True),
        ("key 1", True, 50, False),
        ("key 1", False, 130, False),
        ("another", True, 130, False),
    ],
    ids=["as it was", "by a clock that is behind", "the incident knew", "by the incident", "another key"],
)
def test_a_page_after_the_answer_is_none_where_it_left_without_the_database_before_the_incident_knew(
    key: str, direct: bool, noted: float, excused: bool
) -> None:
    """Sent a minute after the beginning: a copy, or a try whose answer was lost. ``noted``: when the incident knew."""
    asked, lived = answered(2 * SECOND)
    lived.until(BEGIN + noted * SECOND)
    lived.do(Delivered(PagedDirectly("page-oncall", key, BEGIN + MINUTE, took_over=True)))
    found = wrongs(asked, evidence(lived, (PAGES[0], page(1, MINUTE, "key 1", direct=direct))))
    assert found == ([] if excused else ["level 1 of p1 was paged 0:00:58 after it was answered or over"])


@pytest.mark.parametrize(
    ("own", "over", "ended", "complaints"),
    [(True, False, False, 0), (True, True, False, 1), (True, True, True, 0), (False, False, False, 1),
     (False, False, True, 0), (None, False, False, 1), (None, False, True, 0)],
)  # fmt: skip
def test_a_page_without_the_database_must_be_ended_unless_its_incident_goes_on_with_it(
    own: bool | None, over: bool, ended: bool, complaints: int
) -> None:
    """``own`` None: the incident knows nothing of it."""
    lived = life()
    if own is not None:
        lived.do(Delivered(PagedDirectly("page-oncall", "direct", BEGIN, took_over=own)))
    if over:
        lived.resolve_alert()
        lived.forward(minutes=60)
    seen = evidence(lived, (page(1, SECOND, "direct", direct=True), *PAGES))
    found = lacks(case(), replace(seen, ended={"direct": BEGIN + MINUTE} if ended else {}))
    assert found == complaints * ["p1 is open at PagerDuty, paged without the database, and nobody will end it"]


@pytest.mark.parametrize(
    ("posted", "stored", "copied", "taken_back", "noted", "excused"),
    [
        (-3, 2, 2, True, True, True),
        (-3, 90, 90, True, True, True),
        (-3, 2, 2, False, True, False),
        (-3, 2, 2, True, False, False),
        (1, 2, 2, True, True, False),
        (-300, -60, -60, True, True, False),
        (-300, -60, 1, True, True, True),
    ],
    ids=["as it was", "stored late", "never taken back", "not noted", "not sent yet", "stored long before", "a copy"],
)
def test_a_page_without_the_database_for_what_began_anew_is_none_after_the_end(
    posted: int, stored: int, copied: int, taken_back: bool, noted: bool, excused: bool
) -> None:
    """``posted`` and ``stored``: when the alert was, in seconds from the page; ``copied``: when the last copy was."""
    lived = build.Story(build.policy({Tier.P0: _P0}))
    lived.fire(tier=Tier.P0)
    lived.until(BEGIN + 2 * SECOND)
    lived.resolve_alert()
    direct = page(1, 20 * MINUTE, "direct", direct=True)
    lived.until(direct.at + max(stored, 1) * SECOND)
    lived.fire(tier=Tier.P0)
    if noted:
        lived.do(Delivered(PagedDirectly("page-oncall", "direct", direct.at, took_over=False)))
    heard = Answered({0: BEGIN, 2: direct.at + posted * SECOND}, {0: BEGIN, 2: direct.at + stored * SECOND})
    heard.last_ended = {2: direct.at + copied * SECOND}
    pages = (PAGES[0], direct, page(1, 22 * MINUTE, "key 2"))
    given = replace(evidence(lived, pages), ended={"direct": direct.at + SECOND} if taken_back else {})
    found = [each for each in wrongs(replace(case(), heard={"p1": heard}), given) if "answered or over" in each]
    assert (found == []) is excused


def test_a_level_before_its_time_is_wrong() -> None:
    early = (PAGES[0], page(2, LEVEL - SECOND), PAGES[2])
    assert wrongs(case(), evidence(pages=early)) == ["level 2 of p1 was paged 0:00:01 too early"]


def test_a_page_after_the_answer_is_wrong_unless_it_was_on_its_way_or_its_sender_stood_still() -> None:
    asked, lived = answered(2 * SECOND)
    on_its_way = evidence(lived, (PAGES[0], page(1, 10 * SECOND, "key 1")))
    assert wrongs(asked, on_its_way) == []
    late = evidence(lived, (PAGES[0], page(1, MINUTE, "key 1")))
    assert wrongs(asked, late) == ["level 1 of p1 was paged 0:00:58 after it was answered or over"]
    frozen = Happened("sender frozen beyond its lease", BEGIN, BEGIN + MINUTE)
    assert wrongs(replace(asked, faults=[frozen]), late) == []


def test_a_climb_that_was_decided_after_the_answer_is_wrong_whatever_its_instant() -> None:
    asked, lived = answered(2 * SECOND)
    climb = next(entry for entry in life().entries if entry.kind == "level")
    timeline = list(lived.entries)
    before = [*timeline[:-1], replace(climb, number=len(timeline)), replace(timeline[-1], number=len(timeline) + 1)]
    after = [*timeline, replace(climb, number=len(timeline) + 1, at=BEGIN)]
    complaint = "p1 climbed although it was answered or over"
    for entries, is_wrong in ((before, False), (after, True)):
        seen = evidence(lived, PAGES[:1])
        seen = replace(seen, found={"p1": Found(lived.incident, entries)})
        assert (complaint in wrongs(asked, seen)) is is_wrong


def test_two_alerts_at_pagerduty_for_one_level_are_wrong() -> None:
    twice = (*PAGES, page(1, 2 * SECOND, "another key"))
    assert wrongs(case(), evidence(pages=twice)) == ["level 1 of p1 has 2 alerts at PagerDuty"]


def test_of_one_that_somebody_answers_whatever_page_comes_first_is_enough() -> None:
    asked, lived = answered(LEVEL + MINUTE)
    only_second = evidence(lived, (PAGES[1],))
    assert lacks(asked, only_second) == []
    assert lacks(asked, evidence(lived, ())) == ["level 1 of p1 (answered by the API) was not paged"]


def test_an_answer_that_was_confirmed_and_is_not_there_is_missing() -> None:
    asked = replace(case(Plot.BY_API), answers={"p1": BEGIN + MINUTE})
    assert lacks(asked, evidence()) == ["the answer to p1 was confirmed and is not there"]


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (KILL, "kill -9 of a worker"),
        (Happened("PagerDuty: reply lost", BEGIN, BEGIN + MINUTE), "PagerDuty: reply lost"),
        (Happened("Slack: reply lost", BEGIN, BEGIN + MINUTE), ""),
        (Happened("Redis killed", BEGIN, BEGIN + MINUTE), ""),
        (Happened("kill -9 of a worker", BEGIN - 10 * MINUTE, BEGIN - 10 * MINUTE), ""),
    ],
)
def test_a_page_that_comes_twice_needs_a_fault_that_explains_it(fault: Happened, cause: str) -> None:
    twice = evidence(pages=(*PAGES[:1], page(1, 20 * SECOND), *PAGES[1:]))
    (found,) = duplicates(case(Plot.LEFT, fault), twice)
    assert (found.what, found.cause) == ("level 1 of p1", cause)


@pytest.mark.parametrize(("name", "cause"), [("SQLite locked", "SQLite locked"), ("Redis killed", "")])
@pytest.mark.parametrize("direct", [True, False])
def test_a_page_without_the_database_comes_again_however_late_that_is_back(name: str, cause: str, direct: bool) -> None:
    lived = life()
    twice = evidence(lived, pages=(page(1, MINUTE, direct=direct), page(1, 2 * MINUTE), *PAGES[1:]))
    (found,) = duplicates(case(Plot.LEFT, Happened(name, BEGIN, BEGIN + SECOND)), twice)
    assert found.cause == (cause if direct else "")


@pytest.mark.parametrize(("seconds", "cause"), [(6, "machine stood still"), (5, "")])
def test_a_machine_that_stood_still_explains_what_came_twice_if_that_was_for_long_enough(
    seconds: int, cause: str
) -> None:
    twice = evidence(pages=(*PAGES, page(1, MINUTE, "key 1")))
    spans = [(BEGIN + 20 * SECOND, BEGIN + 21 * SECOND), (BEGIN + 30 * SECOND, BEGIN + (29 + seconds) * SECOND)]
    later = (BEGIN + MINUTE, BEGIN + 2 * MINUTE)
    (found,) = duplicates(replace(case(), standstills=[*spans, later]), twice)
    assert (found.what, found.cause) == ("level 1 of p1", cause)


def test_a_second_card_of_one_episode_is_a_duplicate() -> None:
    seen = evidence()
    (found,) = duplicates(case(), replace(seen, cards=dict.fromkeys(seen.cards, 2)))
    assert not found.cause


def test_a_delay_is_told_with_the_faults_of_its_time() -> None:
    later = Happened("Redis killed", BEGIN + 2 * LEVEL, BEGIN + 2 * LEVEL + SECOND)
    late = evidence(pages=(page(1, 20 * SECOND), *PAGES[1:]))
    first, second, third = delays(case(Plot.LEFT, KILL, later), late)
    assert (first.seconds, first.faults) == (20, ("kill -9 of a worker",))
    assert second.faults == ()
    assert third.faults == ("Redis killed",)


def _faults(*names: str) -> list[Happened]:
    return [Happened(name, BEGIN, datetime.max.replace(tzinfo=BEGIN.tzinfo)) for name in names]


def test_an_error_line_needs_a_fault_that_explains_it() -> None:
    lost = 'group-1: {"event": "store_unavailable", "level": "error"}'
    strange = 'web: {"event": "request_failed", "level": "error", "exception": "Traceback\\nKeyError: 1"}'
    assert unexpected([lost, strange, strange], _faults("PostgreSQL stopped")) == [
        "web: request_failed KeyError: 1 (2 times)"
    ]
    assert unexpected([lost], _faults("Slack: 5xx")) == ["group-1: store_unavailable (1 times)"]
