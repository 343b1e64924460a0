"""What a timeline entry says, in a sentence for people: one source for pages, threads and reports."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_never

from incidentd.timeline import (
    MACHINES,
    Accepted,
    Acknowledged,
    AlertsChanged,
    ClockSetBack,
    DeliveryFailed,
    Ended,
    Entry,
    Fact,
    FellBack,
    FiringAgain,
    GaveUp,
    LevelReached,
    Noted,
    Observation,
    Opened,
    PagedDirectly,
    Prolonged,
    Reconciled,
    Recovering,
    Reminded,
    Resolved,
    ResponseMissed,
    RoundBegan,
    Silenced,
    Stale,
    TakenOver,
    TierRose,
    TierSet,
    Unanswered,
    Unknown,
    Updated,
)

_WHY = {
    Ended.LAPSED: "The acknowledgement lapsed without a sign of work",
    Ended.VOIDED: "The acknowledgement no longer covers this",
    Ended.UNANSWERED: "Nobody answered",
    Ended.WITHDRAWN: "The acknowledgement was withdrawn",
    Ended.RESOLVED_BY_AUTOMATION: "The page was resolved by automation while alerts still fire",
    Ended.ENFORCED: "Observing has ended",
}


def sentence(entry: Entry, people: Mapping[int, str]) -> str:
    """One or two plain English sentences. ``people`` names who stands at each level. Instants are in UTC."""
    match entry.data:
        case Updated():
            return _update(entry, entry.data, people)
        case Opened() | AlertsChanged() | Prolonged() | Recovering() | FiringAgain() | Resolved():
            return _of_alerts(entry, entry.data, people)
        case RoundBegan() | LevelReached() | Unanswered() | Reminded() | ResponseMissed() | ClockSetBack():
            return _of_levels(entry, entry.data, people)
        case Acknowledged() | TakenOver() | TierSet() | TierRose() | Noted():
            return _of_work(entry, entry.data)
        case Accepted() | DeliveryFailed() | GaveUp() | FellBack() | PagedDirectly():
            return _of_deliveries(entry, entry.data)
        case Reconciled() | Silenced() | Stale():
            return _of_observations(entry, entry.data)
        case Unknown(kind=kind):
            return f"An entry of a newer version of incidentd: {kind}."
        case _ as never:
            assert_never(never)


def _of_alerts(
    entry: Entry,
    data: Opened | AlertsChanged | Prolonged | Recovering | FiringAgain | Resolved,
    people: Mapping[int, str],
) -> str:
    match data:
        case Opened():
            return _opened(data, people)
        case AlertsChanged():
            return _alerts_changed(entry, data)
        case Prolonged():
            return f"Still reported: {_count(len(data.alerts), 'alert')}."
        case Recovering():
            return f"No alert fires any more; resolved at {_time(data.hold_until, entry.at)} unless one fires again."
        case FiringAgain():
            return "An alert fires again; all goes on as before."
        case Resolved():
            return _resolved(entry, data)
        case _ as never:
            assert_never(never)


def _opened(data: Opened, people: Mapping[int, str]) -> str:
    begin = "Opened" if data.episode == 1 else "Opened again"
    alerts = _count(sum(alert.firing for alert in data.alerts), "alert")
    told = f" Told {_level(data.level, people)}." if data.level else ""
    told = " Only observed: nobody is told." if data.observed else told
    return f"{begin} as {data.tier} by {alerts}: {data.reason}.{told}{_skipped(data.skipped)}"


def _alerts_changed(entry: Entry, data: AlertsChanged) -> str:
    firing = sum(alert.firing for alert in data.alerts)
    waiting = [alert.counts_at for alert in data.alerts if not alert.firing and alert.counts_at]
    ended = len(data.alerts) - firing - len(waiting)
    parts = [f"{_count(firing, 'alert')} firing"] if firing else []
    parts += [_not_yet(entry, waiting)] if waiting else []
    parts += [f"{_count(ended, 'alert')} no longer firing"] if ended else []
    joined = f"; now also in {_and(data.joined)}" if data.joined else ""
    return f"Alerts changed: {', '.join(parts) or 'none'}{joined}."


def _not_yet(entry: Entry, waiting: list[datetime]) -> str:
    """They fire, but within a grace, or so soon after their end that it may be a late copy (model 23, 24)."""
    does = "does" if len(waiting) == 1 else "do"
    return f"{_count(len(waiting), 'alert')} firing that {does} not count before {_time(min(waiting), entry.at)}"


def _update(entry: Entry, data: Updated, people: Mapping[int, str]) -> str:
    told = f"; told last: {_level(data.level, people)}" if data.level else ""
    snoozed = f", snoozed{_until(data.snoozed_until, entry.at)}" if data.snoozed_until else ""
    has = f"{data.by} has it{snoozed}" if data.by else f"Nobody has answered{told}"
    where = f" in {_and(data.regions)}" if data.regions else ""
    fires = f"{_count(data.alerts, 'alert')} {'fires' if data.alerts == 1 else 'fire'}{where}: {data.reason}."
    still = fires if data.alerts else "No alert fires any more."
    return f"Open for {_long(entry.at - data.since)} as {data.tier}. {has}. {still}"


def _resolved(entry: Entry, data: Resolved) -> str:
    in_time = {True: " Answered in time.", False: " Not answered in time.", None: ""}[data.in_time]
    if not data.by_person:
        return f"Resolved: no alert has fired again.{in_time}"
    grace = ""
    if data.grace_until:
        grace = f" Alerts still fire; opened again if they do after {_time(data.grace_until, entry.at)}."
    return f"{_who(entry)} resolved it{_via(data.via)}.{grace}{in_time}"


def _of_levels(
    entry: Entry,
    data: RoundBegan | LevelReached | Unanswered | Reminded | ResponseMissed | ClockSetBack,
    people: Mapping[int, str],
) -> str:
    match data:
        case RoundBegan():
            return _round_began(data, people)
        case LevelReached():
            return _level_reached(entry, data, people)
        case Unanswered():
            after = "Reminders follow." if data.last else "The levels begin anew."
            return f"Nobody answered at any level. {after}{_skipped(data.skipped)}"
        case Reminded():
            return f"Reminder {data.count}: still nobody has answered."
        case ResponseMissed():
            due = f", due {_time(entry.due_at, entry.at)}" if entry.due_at else ""
            return f"Nobody answered within the response time{due}."
        case ClockSetBack():
            return _clock_set_back(entry, data)
        case _ as never:
            assert_never(never)


def _clock_set_back(entry: Entry, data: ClockSetBack) -> str:
    following = f" The next level is due at {_time(data.next_at, entry.at)}." if data.next_at else ""
    ahead = _took(data.seconds * _SECOND)
    return f"The clock had been {ahead} ahead: the deadlines that it had set come as much earlier.{following}"


def _round_began(data: RoundBegan, people: Mapping[int, str]) -> str:
    difference = f": {data.difference}" if data.difference else ""
    told = f"told {_level(data.level, people)}" if data.level else "nobody is told yet"
    return f"{_WHY[data.why]}{difference}. Round {data.round} begins; {told}.{_skipped(data.skipped)}"


def _level_reached(entry: Entry, data: LevelReached, people: Mapping[int, str]) -> str:
    who = _level(data.level, {data.level: data.name} if data.name else people)
    more = f"{_held(entry, data)}{_skipped(data.skipped)}"
    if data.by_person:
        return f"{_who(entry)} escalated to {who}{' again' if data.repeat else ''}.{more}"
    due = f" by {_time(entry.due_at, entry.at)}" if entry.due_at else ""
    return f"Nobody had answered{due}: told {who}.{more}"


def _of_work(entry: Entry, data: Acknowledged | TakenOver | TierSet | TierRose | Noted) -> str:
    match data:
        case Acknowledged():
            return _acknowledged(entry, data)
        case TakenOver():
            return f"{_who(entry)} took it over from {data.before}{_until(data.until, entry.at)}."
        case TierSet():
            reason = f": {data.reason}" if data.reason else ""
            changed = f"{_who(entry)} changed it from {data.before} to {data.tier}{reason}."
            return f"{changed}{_held(entry, data)}{_skipped(data.skipped)}"
        case TierRose():
            rose = f"Rose from {data.before} to {data.tier}: {data.reason}."
            return f"{rose}{_held(entry, data)}{_skipped(data.skipped)}"
        case Noted():
            return f"{_who(entry)} noted: {data.text}"
        case _ as never:
            assert_never(never)


def _acknowledged(entry: Entry, data: Acknowledged) -> str:
    verb = "snoozed it" if data.snoozed else "acknowledged"
    in_time = {True: ", in time", False: ", too late", None: ""}[data.in_time]
    return f"{_who(entry)} {verb}{_via(data.via)}{_until(data.until, entry.at)}{in_time}."


def _of_deliveries(entry: Entry, data: Fact) -> str:
    match data:
        case Accepted():
            tries = f" at try {data.attempts}" if data.attempts > 1 else ""
            what = "page" if data.paged else "message"
            verb = f"accepted the {what}" if not data.digest else f"accepted a {what} that many incidents share,"
            return f"{data.destination} {verb} after {_took(data.took_ms)}{tries}."
        case DeliveryFailed():
            return f"{data.destination} could not be told: {data.cause}. It is tried again."
        case GaveUp():
            return f"{data.destination} was given up: {data.cause}."
        case FellBack():
            return f"{data.destination} can't be told ({data.cause}); {data.fallback} stands in for it."
        case PagedDirectly():
            after = "this incident's own page" if data.took_over else "one page too many, and is resolved"
            when = _time(data.at, entry.at)
            paged = f"may have been paged at {when}, no answer came" if data.uncertain else f"was paged at {when}"
            return f"While the database was away, {data.destination} {paged}: {after}."
        case _ as never:
            assert_never(never)


def _of_observations(entry: Entry, data: Observation) -> str:
    match data:
        case Reconciled(over=True):
            what = (
                f"Alertmanager has had {_count(len(data.alerts), 'alert')} no more since {_time(data.since, entry.at)}"
            )
            return f"{what}, though no notification said so: taken as no longer firing."
        case Reconciled():
            what = (
                f"Alertmanager has had {_count(len(data.alerts), 'alert')} firing since {_time(data.since, entry.at)}"
            )
            return f"{what}, or longer, and no notification said so: taken in from there."
        case Silenced(alerts=()):
            return "Alertmanager no longer keeps any firing alert quiet."
        case Silenced():
            which = f"{_count(len(data.alerts), 'alert')} that still {'fires' if len(data.alerts) == 1 else 'fire'}"
            return f"Alertmanager keeps {which} quiet: {data.why}. Levels go on until somebody acknowledges."
        case Stale():
            return f"Nothing has been heard of its alerts since {_time(data.heard_at, entry.at)}. Do they still fire?"
        case _ as never:
            assert_never(never)


def _who(entry: Entry) -> str:
    return "incidentd" if entry.actor in MACHINES else entry.actor


def _level(level: int, people: Mapping[int, str]) -> str:
    name = people.get(level, "")
    return f"level {level}, {name}" if name else f"level {level}"


def _held(entry: Entry, data: LevelReached | TierRose | TierSet) -> str:
    opens = f" at {_time(data.next_at, entry.at)}" if data.next_at else ""
    return f" Pages wait until business hours begin{opens}." if data.held else ""


def _skipped(levels: tuple[int, ...]) -> str:
    if not levels:
        return ""
    named = _and(tuple(str(level) for level in levels))
    return f" Skipped {'level' if len(levels) == 1 else 'levels'} {named}: nobody stands there."


def _via(via: str) -> str:
    return f" {_PLACES.get(via, f'in {via}')}" if via and via != "api" else ""


_PLACES = {"slack": "in Slack", "pagerduty": "in PagerDuty", "page": "on the incident's page"}


def _until(until: datetime | None, now: datetime) -> str:
    return f" until {_time(until, now)}" if until else ""


def _time(at: datetime, now: datetime) -> str:
    """With its date where that isn't the entry's own."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _took(milliseconds: int) -> str:
    if milliseconds < _SECOND:
        return f"{milliseconds} ms"
    if milliseconds < _MINUTE:
        return f"{milliseconds / _SECOND:.1f} s"
    return f"{milliseconds // _MINUTE} min {milliseconds % _MINUTE // _SECOND} s"


def _long(length: timedelta) -> str:
    """In whole minutes: ``45 min``, ``1 h 30 min``, ``2 d``."""
    hours, minutes = divmod(int(length / timedelta(minutes=1)), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "less than a minute"


_SECOND = 1000
_MINUTE = 60 * _SECOND


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _and(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
