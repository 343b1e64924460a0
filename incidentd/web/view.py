"""How pages put things: durations, instants, and what an incident waits for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from incidentd.channels.link import dashboard, safe_href
from incidentd.incident.slot import parse_episode, parse_page_slot
from incidentd.incident.state import Incident, State
from incidentd.store.query import AlertShown, Following
from incidentd.timeline import Entry, Opened, Updated

_ON_TIME = timedelta(seconds=1)
_DAY = 86_400
_HOUR = 3_600
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next by itself, and when."""

    what: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline. ``since`` counts from its episode's opening; ``late`` is set where it came late.

    ``earlier`` are updates that this one, the last before something else happened, stands for.
    """

    entry: Entry
    sentence: str
    since: str
    late: str
    earlier: tuple["Moment", ...] = ()


@dataclass(frozen=True, slots=True)
class Day:
    """The moments of one day, UTC."""

    date: str
    moments: tuple[Moment, ...]


def next_step(incident: Incident, names: Mapping[int, str]) -> Step | None:
    """The clock that runs: None when the incident waits for people alone, or is over. ``names`` are by level."""
    answer = incident.acknowledgement
    match incident.state:
        case State.RESOLVED:
            return None
        case State.RECOVERING:
            what, at = "resolved", incident.hold_until
        case State.ACKNOWLEDGED:
            what, at = "lapses", answer.until if answer else None
        case State.TRIGGERED:
            if incident.next_at is None and incident.responded_in_time is None:
                what, at = "answer due", incident.respond_by
            else:
                what, at = _climbs_to(incident, names), incident.next_at
    return Step(what, at) if at else None


def days(incident: Incident, entries: Iterable[Entry], sentences: Iterable[str]) -> list[Day]:
    """The timeline, newest day last."""
    opened_at, moments = incident.opened_at, []
    for entry, sentence in zip(entries, sentences, strict=True):
        opened_at = entry.at if isinstance(entry.data, Opened) else opened_at
        moments.append(Moment(entry, sentence, since(entry.at - opened_at), _lateness(entry)))
    by_day = groupby(moments, lambda m: f"{m.entry.at:%A, %d %B %Y}")
    return [Day(date, tuple(_gathered(same))) for date, same in by_day]


def _gathered(moments: Iterable[Moment]) -> Iterator[Moment]:
    """Updates in a row become one line."""
    for is_update, run in groupby(moments, lambda m: isinstance(m.entry.data, Updated)):
        some = list(run)
        if is_update:
            yield replace(some[-1], earlier=tuple(some[:-1]))
        else:
            yield from some


def open_for(incident: Incident, now: datetime) -> timedelta:
    """How long the present episode has lasted, or did: what came before it was over (model 5)."""
    return (incident.resolved_at or now) - incident.episode_at


def openings(incident: Incident, entries: Iterable[Entry]) -> Mapping[int, datetime]:
    """When each episode began, by its number."""
    begun = {entry.data.episode: entry.at for entry in entries if isinstance(entry.data, Opened)}
    return {1: incident.opened_at, incident.episode: incident.episode_at} | begun


def accepted_after(following: Following, openings: Mapping[int, datetime]) -> timedelta | None:
    """How long after the opening of its episode a destination first accepted."""
    begun_at = openings.get(parse_episode(following.slot))
    return following.accepted_at - begun_at if following.accepted_at and begun_at else None


def duration(length: timedelta) -> str:
    """``45 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``; what is negative counts as nothing."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return _two(seconds, _MINUTE, "min", 1, "s")
    if seconds < _DAY:
        return _two(seconds, _HOUR, "h", _MINUTE, "min")
    return _two(seconds, _DAY, "d", _HOUR, "h")


def exactly(length: timedelta) -> str:
    """As ``duration``, but for what machines do: ``240 ms``, ``3.2 s``."""
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{max(0, length // timedelta(milliseconds=1))} ms"
    return f"{seconds:.1f} s" if seconds < _MINUTE else duration(length)


def took(milliseconds: int) -> str:
    """As ``exactly``, of milliseconds."""
    return exactly(timedelta(milliseconds=milliseconds))


def lasting(seconds: int) -> str:
    """As ``duration``, of seconds."""
    return duration(timedelta(seconds=seconds))


def since(length: timedelta) -> str:
    """``+0:05:00``; ``+2d 3:04:05`` after days."""
    whole, rest = divmod(max(0, int(length.total_seconds())), _DAY)
    clock = f"{rest // _HOUR}:{rest % _HOUR // _MINUTE:02}:{rest % _MINUTE:02}"
    return f"+{whole}d {clock}" if whole else f"+{clock}"


def instant(at: datetime) -> str:
    """``2026-11-21 03:04:05 UTC``."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def slot_name(slot: str) -> str:
    """``e1.r2.l3`` in words."""
    episode = parse_episode(slot)
    first = "" if episode == 1 else f", episode {episode}"
    if "." not in slot:
        return f"follows along{first}"
    page = parse_page_slot(slot)
    again = f", told again ({page.repeat})" if page.repeat else ""
    return f"round {page.round}, level {page.level}{again}{first}"


def standing(following: Following, incident: Incident) -> str:
    """Whether a destination is up to date."""
    if following.given_up:
        return f"given up: {following.given_up}"
    if following.told >= incident.news or following.due_at is None:
        return "up to date" if following.accepted_at else "nothing to tell"
    return f"being told (attempt {following.attempts + 1})"


def links(alert: AlertShown) -> list[tuple[str, str]]:
    """Where one alert leads, as far as that is http or https."""
    named: Mapping[str, str] = {
        "Runbook": alert.runbook or alert.annotations.get("runbook_url", ""),
        "Dashboard": dashboard(alert.annotations),
        "Prometheus": alert.generator_url,
    }
    return [(text, href) for text, url in named.items() if (href := safe_href(url))]


def by_name(pairs: Mapping[str, str]) -> list[tuple[str, str]]:
    """Labels in one order."""
    return sorted(pairs.items())


def firing(alerts: Iterable[AlertShown]) -> int:
    """How many fire."""
    return sum(map(attrgetter("firing"), alerts))


def regions(incident: Incident) -> tuple[str, ...]:
    """Where it fires; where it fired in this episode, once it doesn't any more."""
    return incident.scope or tuple(sorted(incident.seen_regions))


def level(incident: Incident, names: Mapping[int, str]) -> str:
    """How far it has climbed, and who stands there."""
    if not incident.level:
        return "no level"
    name = names.get(incident.level, "")
    again = f", round {incident.attempt}" if incident.attempt > 1 else ""
    return f"level {incident.level}{': ' + name if name else ''}{again}"


def _climbs_to(incident: Incident, names: Mapping[int, str]) -> str:
    if incident.exhausted:
        return "reminder"
    return names.get(incident.level + 1, "next step")


def _lateness(entry: Entry) -> str:
    if entry.due_at is None or entry.at - entry.due_at < _ON_TIME:
        return ""
    return f"due {entry.due_at:%H:%M:%S}, {duration(entry.at - entry.due_at)} late"


def _two(seconds: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = seconds % large // small
    return f"{seconds // large} {large_name} {rest} {small_name}" if rest else f"{seconds // large} {large_name}"
