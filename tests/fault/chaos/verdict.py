"""Whether all that was promised held: judged from what was sent in, what came out, and what is stored.

Source: ``faults.md``, "The oracle for every row"; what a duplicate may come from: docs/architecture.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from incidentd.incident.apply import fold
from incidentd.timeline import Entry, PagedDirectly
from tests.fault.chaos.evidence import Evidence, Found
from tests.fault.chaos.happened import Happened, during
from tests.fault.chaos.page import Page
from tests.fault.chaos.story import Plot, Story
from tests.fault.chaos.upstream import Answered
from tests.machine import Span, stood_still

_QUIETER = {"acknowledged": "answered", "recovering": "over", "resolved": "over"}
_LOUDER = {"firing_again": {"over"}, "round": {"answered"}, "opened": {"answered", "over"}}
_ANSWERED = (Plot.BY_API, Plot.BY_SLACK)
_ECHO = timedelta(seconds=10)
_SLACK_TIME = timedelta(seconds=5)
_CLOCKS_APART = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A run as it was. ``answers`` are the instants at which a person's answer was confirmed, by place.

    ``standstills``: from when to when the machine gave nobody time.
    """

    stories: Sequence[Story]
    heard: Mapping[str, Answered]
    answers: Mapping[str, datetime]
    faults: Sequence[Happened]
    level: timedelta
    lease: timedelta
    in_flight: timedelta
    standstills: Sequence[Span] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Something that came twice. ``cause`` empty: nothing explains it."""

    what: str
    cause: str


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a page took from the instant at which it was due, and the faults of that time."""

    place: str
    level: int
    seconds: float
    faults: tuple[str, ...]


def owed(case: Case) -> list[tuple[Story, int]]:
    """The pages that must come: for each alert that was answered with 2xx, level by level.

    Of one that somebody answers it is the first that comes, at whatever level: the others are not sent any more.
    """
    found = []
    for story in case.stories:
        heard = case.heard.get(story.place)
        last = max(notice.number for notice in story.notices)
        if heard is None or story.plot is Plot.OVER or last not in heard.first_answered:
            continue
        levels = (1, 2, 3) if story.plot in (Plot.LEFT, Plot.FLAPPING) else (1,)
        found += [(story, level) for level in levels]
    return found


def seen(case: Case, evidence: Evidence) -> dict[tuple[str, int], datetime]:
    """When each owed page came, by place and level; those that did not come are absent."""
    found: dict[tuple[str, int], datetime] = {}
    first: dict[str, datetime] = {}
    for page in evidence.pages:
        found.setdefault((page.place, page.level), page.at)
        first.setdefault(page.place, page.at)
    for story in case.stories:
        if story.plot in _ANSWERED and story.place in first:
            found[story.place, 1] = first[story.place]
    wanted = {(story.place, level) for story, level in owed(case)}
    return {key: at for key, at in found.items() if key in wanted}


def lacks(case: Case, evidence: Evidence) -> list[str]:
    """What is promised and did not happen yet; empty when all has come to rest."""
    paged = seen(case, evidence)
    missing = [
        f"level {level} of {s.place} ({s.plot}) was not paged"
        for s, level in owed(case)
        if (s.place, level) not in paged
    ]
    carded = {incident for _, incident, _ in evidence.cards}
    for story in case.stories:
        missing += _lacks(story, case, evidence.found.get(story.place), carded)
    missing += _strays(evidence)
    missing += _unsettled(evidence)
    missing += [
        f"{b.destination} does not know all of {b.incident} ({b.slot})" for b in evidence.behind if not b.given_up
    ]
    return missing


def _lacks(story: Story, case: Case, found: Found | None, carded: set[str]) -> Iterator[str]:
    heard = case.heard.get(story.place)
    if heard is None or not any(number % 2 == 0 for number in heard.first_answered):
        return
    if found is None:
        if not _was_over_first(story, heard):
            yield f"{story.place} was answered with 2xx and there is no incident"
        return
    if found.incident.id not in carded:
        yield f"{story.place} has no card"
    if story.plot in _ANSWERED:
        if story.place not in case.answers:
            yield f"nobody could answer {story.place}"
        elif not any(entry.kind == "acknowledged" for entry in found.timeline):
            yield f"the answer to {story.place} was confirmed and is not there"
    over = story.plot is Plot.OVER and 1 in heard.first_answered and not _may_fire_last(heard)
    if over and found.incident.resolved_at is None:
        yield f"{story.place} is over and was not resolved"


def _strays(evidence: Evidence) -> Iterator[str]:
    """Pages that left without the database, for what was over before it was stored: they must not stay open."""
    for page in evidence.pages:
        if page.place not in evidence.found and evidence.ended.get(page.key, page.at) <= page.at:
            yield f"{page.place} is open at PagerDuty and nowhere else"


def _unsettled(evidence: Evidence) -> Iterator[str]:
    """Pages that left without the database: each ends as one too many, or is its incident's own, and ends with it."""
    last = {page.key: page for page in evidence.pages if page.direct and page.place in evidence.found}
    for key, page in last.items():
        found = evidence.found[page.place]
        own = any(fact.dedup_key == key and fact.took_over for fact, _ in _noted(found))
        if evidence.ended.get(key, page.at) <= page.at and (not own or found.incident.resolved_at):
            yield f"{page.place} is open at PagerDuty, paged without the database, and nobody will end it"


def _was_over_first(story: Story, heard: Answered) -> bool:
    """Whether its resolved may have been stored before its firing: nobody needs to hear of that.

    It may have been as soon as it was on its way while the firing was: answers say nothing of the order.
    """
    posted, answered = heard.first_posted, heard.first_answered
    return story.plot is Plot.OVER and 1 in answered and posted[1] <= answered.get(0, answered[1])


def _may_fire_last(heard: Answered) -> bool:
    """Whether a copy of its firing was on its way when its resolved was sent: stored last, it counts (model 23)."""
    posted, ended = heard.first_posted, heard.last_ended
    return 0 in ended and ended[0] >= posted[1]


def wrongs(case: Case, evidence: Evidence) -> list[str]:
    """What must never happen and did, duplicates and error lines left out."""
    by_place: dict[str, list[Page]] = {}
    for page in evidence.pages:
        by_place.setdefault(page.place, []).append(page)
    told = {story.place: story for story in case.stories}
    complaints = [f"two incidents for {key}" for key in evidence.doubled]
    complaints += [f"an unexpected request: {request}" for request in evidence.refused]
    complaints += [
        f"{b.destination} was given up for {b.incident}: {b.given_up}" for b in evidence.behind if b.given_up
    ]
    for place, found in evidence.found.items():
        complaints += _of_timeline(found)
        pages = [page for page in by_place.get(place, []) if not _was_of_before(page, found, case, evidence)]
        complaints += _of_pages(told[place], found, pages, case, evidence.ended)
    return complaints


def _was_of_before(page: Page, found: Found, case: Case, evidence: Evidence) -> bool:
    """Whether it left without the database for an episode that was over before it was stored, and was taken back."""
    since = found.incident.opened_at
    over = any(posted < since for number, posted in case.heard[page.place].first_posted.items() if number % 2)
    return page.direct and over and page.at < since and page.at < evidence.ended.get(page.key, page.at)


def _of_timeline(found: Found) -> Iterator[str]:
    key, timeline = found.incident.key, found.timeline
    if [entry.number for entry in timeline] != list(range(1, len(timeline) + 1)):
        yield f"the timeline of {key} has gaps or duplicates"
    elif fold(timeline) != found.incident:
        yield f"the timeline of {key} does not fold to its stored state"


def _of_pages(
    story: Story, found: Found, pages: Sequence[Page], case: Case, ended: Mapping[str, datetime]
) -> Iterator[str]:
    if any(entry.kind == "level" for entry in _said_in_quiet(found.timeline)):
        yield f"{story.place} climbed although it was answered or over"
    quiet = list(_quiet(found.timeline))
    for page in pages:
        due = found.incident.opened_at + case.level * (page.level - 1)
        if page.level > 1 and (page.at < due or not story.climbs):
            yield f"level {page.level} of {story.place} was paged {due - page.at} too early"
        for since, until in quiet:
            late = since + case.in_flight < page.at < until
            if late and not _frozen(case.faults, since, page.at) and not _was_direct(page, found, case, ended):
                yield f"level {page.level} of {story.place} was paged {page.at - since} after it was answered or over"
    for level in {page.level for page in pages}:
        keys = {page.key for page in pages if page.level == level}
        if len(keys) > _rounds(found.timeline, level):
            yield f"level {level} of {story.place} has {len(keys)} alerts at PagerDuty"


def _reasons(timeline: Sequence[Entry]) -> Iterator[tuple[Entry, datetime, bool]]:
    """Each entry, the latest instant up to it, and whether nobody is to be paged after it.

    The order of decisions is that of their numbers: an answer bears the instant at which it was received.
    """
    why: set[str] = set()
    latest = timeline[0].at
    for entry in timeline:
        latest = max(latest, entry.at)
        why = (why | {_QUIETER[entry.kind]} if entry.kind in _QUIETER else why) - _LOUDER.get(entry.kind, set())
        yield entry, latest, bool(why)


def _said_in_quiet(timeline: Sequence[Entry]) -> Iterator[Entry]:
    quiet = False
    for entry, _, is_quiet in _reasons(timeline):
        if quiet:
            yield entry
        quiet = is_quiet


def _quiet(timeline: Sequence[Entry]) -> Iterator[tuple[datetime, datetime]]:
    """When nobody was to be paged any more."""
    since: datetime | None = None
    for entry, latest, is_quiet in _reasons(timeline):
        if is_quiet:
            since = since or latest
        elif since:
            yield since, entry.at
            since = None
    if since:
        yield since, datetime.max.replace(tzinfo=since.tzinfo)


def _rounds(timeline: Sequence[Entry], level: int) -> int:
    """How often it was decided that this level be paged; once more for each page that left without the database."""
    decided: int = sum(
        getattr(entry.data, "level", None) == level for entry in timeline if entry.kind in ("level", "opened")
    )
    strange = sum(isinstance(entry.data, PagedDirectly) and not entry.data.took_over for entry in timeline)
    return decided + strange * (level == 1)


def _was_direct(page: Page, found: Found, case: Case, ended: Mapping[str, datetime]) -> bool:
    """Whether it left without the database, and rightly.

    Either under the key of the incident's own, before that one knew of it, as the receiver wakes nobody again; or for
    what was on its way to be stored, as one too many that was taken back. The entry bears incidentd's time, which is
    the database's as far as it is known: it may be a moment behind ours.
    """
    if not page.direct:
        return False
    noted = [(fact, at) for fact, at in _noted(found) if fact.dedup_key == page.key]
    taken_back = ended.get(page.key, page.at) > page.at and _is_on_its_way(page, case)
    return any(page.at < at + _CLOCKS_APART if fact.took_over else taken_back for fact, at in noted)


def _noted(found: Found) -> Iterator[tuple[PagedDirectly, datetime]]:
    """The pages without the database that its incident knows of, and since when."""
    return ((entry.data, entry.at) for entry in found.timeline if isinstance(entry.data, PagedDirectly))


def _is_on_its_way(page: Page, case: Case) -> bool:
    """Whether it came while a notification that its alert fires, or a copy of one, was sent and not answered yet."""
    heard = case.heard[page.place]
    return any(
        posted <= page.at <= max(heard.first_answered.get(n, page.at), heard.last_ended.get(n, posted)) + case.in_flight
        for n, posted in heard.first_posted.items()
        if n % 2 == 0
    )


def _frozen(faults: Sequence[Happened], since: datetime, until: datetime) -> bool:
    """Whether a process stood still on the way: what it had claimed before leaves when it wakes."""
    return any("frozen" in fault.name for fault in during(faults, since - _SLACK_TIME, until))


def duplicates(case: Case, evidence: Evidence) -> list[Duplicate]:
    """Pages accepted more than once under one key, and second cards of one episode."""
    found = []
    last: dict[str, Page] = {}
    direct = {page.key for page in evidence.pages if page.direct}
    for page in evidence.pages:
        if page.key in last:
            since = last[page.key].at - case.lease - _ECHO - _SLACK_TIME
            if page.key in direct:
                # Kept from before it was stored: sent again by the next web part, and once more as the incident's own.
                since = min(since, *case.heard[page.place].first_posted.values())
            what = f"level {page.level} of {page.place}"
            found.append(Duplicate(what, _cause(case, since, page.at, "PagerDuty")))
        last[page.key] = page
    for (channel, incident, slot), count in evidence.cards.items():
        cause = _cause(case, case.faults[0].began_at, case.faults[-1].began_at, "Slack") if case.faults else ""
        found += [Duplicate(f"the card of {incident} ({slot}) in {channel}", cause)] * (count - 1)
    return found


_PROCESS = ("kill -9", "frozen", "exit at", "no answer", "reply lost", "a byte a second", "PostgreSQL", "SQLite")


def _cause(case: Case, since: datetime, until: datetime, receiver: str) -> str:
    """The last fault before it from which a duplicate may come: a death, a freeze, a lost reply, an absent database."""
    other = {"PagerDuty": "Slack", "Slack": "PagerDuty"}[receiver]
    fit = [
        fault
        for fault in during(case.faults, since, until)
        if any(word in fault.name for word in _PROCESS)
        and not any(word in fault.name for word in (other, "Redis", "web part"))
    ]
    if not fit and stood_still(case.standstills, since, until) > case.in_flight / 2:
        return "machine stood still"
    return max(fit, key=lambda fault: fault.began_at).name if fit else ""


def delays(case: Case, evidence: Evidence) -> list[Delay]:
    """Of each page that was owed and came. A climb is due by the clock of its opening, so that lateness adds up."""
    first, found = seen(case, evidence), []
    for story, level in owed(case):
        at = first.get((story.place, level))
        if at is None or (story.plot is Plot.FLAPPING and level > 1):
            continue
        due = _due(story, level, case, evidence)
        names = {fault.name for fault in during(case.faults, due, max(due, at))}
        found.append(Delay(story.place, level, max(0.0, (at - due).total_seconds()), tuple(sorted(names))))
    return found


def _due(story: Story, level: int, case: Case, evidence: Evidence) -> datetime:
    if level == 1:
        return min(case.heard[story.place].first_answered.values())
    return evidence.found[story.place].incident.opened_at + case.level * (level - 1)
