"""A recording from the database: the episodes of alerts, and from the timelines when each was heard of.

An episode's row holds when it was first heard of, each change of its value, and its last end. That it ended and fired
again in between stands only in the timelines of its incidents.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from incidentd.drill import DRILL_SYSTEM
from incidentd.replay.recording import Answer, Did, Hearing, RecordedAlert, Recording
from incidentd.store import recording as stored
from incidentd.store import rules
from incidentd.store.engine import Store
from incidentd.store.recording import StoredEntry, StoredEpisode
from incidentd.timeline import (
    MACHINE,
    MACHINES,
    Acknowledged,
    AlertsChanged,
    Ended,
    Member,
    Noted,
    Opened,
    Resolved,
    RoundBegan,
    TakenOver,
)

_BY_PEOPLE = {Acknowledged: Did.ACKNOWLEDGED, TakenOver: Did.TAKEN_OVER, Noted: Did.NOTED, Resolved: Did.RESOLVED}
_BY_PAGERS = {Ended.WITHDRAWN: Did.WITHDRAWN, Ended.RESOLVED_BY_AUTOMATION: Did.ENDED_BY_AUTOMATION}
_Name = tuple[str, datetime]


def extract(store: Store, since: datetime, until: datetime) -> Recording:
    """What is stored of alerts that were first heard of at or after ``since``. Drills and incidentd's own are left out.

    Raises:
        StoreUnavailableError: the database can't be read now.
    """
    seen = _Seen()
    for entry in _entries(store, since):
        seen.take(entry)
    alerts = [
        RecordedAlert(each.fingerprint, each.starts_at, each.labels, each.incident_id, seen.hearings(each))
        for each in _episodes(store, since)
        if each.labels.get("system") != DRILL_SYSTEM
    ]
    alerts.sort(key=lambda each: (each.hearings[0].at, each.fingerprint))
    known = {each.incident for each in alerts}
    answers = [each for each in seen.answers if each.incident in known]
    return Recording(since, until, tuple(alerts), tuple(sorted(answers, key=lambda each: each.at)), _in_force(store))


def _in_force(store: Store) -> dict[str, str] | None:
    version = store.read(rules.in_force)
    texts = store.read(lambda tx: rules.files(tx, version)) if version else None
    return dict(texts) if texts is not None else None


def _episodes(store: Store, since: datetime) -> Iterator[StoredEpisode]:
    after: stored.Place | None = stored.FIRST
    while after is not None:
        found, after = store.read(partial(stored.episodes, since=since, after=after))
        yield from found


def _entries(store: Store, since: datetime) -> Iterator[StoredEntry]:
    after: int | None = 0
    while after is not None:
        found, after = store.read(partial(stored.entries, since=since, after=after))
        yield from found


@dataclass(slots=True)
class _Seen:
    """What the timelines tell of alerts and answers. People become numbers: who they are changes nothing."""

    answers: list[Answer] = field(default_factory=list)
    _heard: dict[_Name, dict[datetime, bool]] = field(default_factory=dict)
    _people: dict[str, str] = field(default_factory=dict)

    def take(self, entry: StoredEntry) -> None:
        """Note one entry."""
        match entry.data:
            case Opened(alerts=alerts) | AlertsChanged(alerts=alerts) if entry.actor != MACHINE:
                for member in alerts:
                    self._note(entry.at, member)
            case RoundBegan(why=why) if why in _BY_PAGERS:
                self.answers.append(Answer(entry.at, entry.incident_id, _BY_PAGERS[why], "PagerDuty"))
            case Acknowledged() | TakenOver() | Noted() | Resolved() if entry.actor not in MACHINES:
                self._answered(entry, entry.data)

    def hearings(self, episode: StoredEpisode) -> tuple[Hearing, ...]:
        """All that is known of when this episode was heard of, in order."""
        heard = dict(self._heard.get((episode.fingerprint, episode.starts_at), {}))
        is_end_only = episode.closed_at == episode.received_at
        heard.setdefault(episode.received_at, not is_end_only)
        if episode.closed_at is not None:
            heard.setdefault(episode.closed_at, False)
        return tuple(_with_values(sorted(heard.items()), episode.readings))

    def _note(self, at: datetime, member: Member) -> None:
        """One that waits was heard firing. One that was closed at another instant only stands beside the news."""
        if member.firing or member.counts_at or member.closed_at == at:
            fires = member.firing or member.counts_at is not None
            self._heard.setdefault((member.fingerprint, member.starts_at), {})[at] = fires

    def _answered(self, entry: StoredEntry, data: Acknowledged | TakenOver | Noted | Resolved) -> None:
        by = self._people.setdefault(entry.actor, f"person {len(self._people) + 1}")
        until = data.until if isinstance(data, Acknowledged) and data.snoozed else None
        self.answers.append(Answer(entry.at, entry.incident_id, _BY_PEOPLE[type(data)], by, until))


def _with_values(heard: list[tuple[datetime, bool]], readings: list[tuple[datetime, str]]) -> Iterator[Hearing]:
    """Each hearing with the value as it then was; a change of it while the alert fired is a hearing of its own."""
    values, value, fires = iter([*readings]), None, False
    pending = next(values, None)
    for at, firing in heard:
        while pending is not None and pending[0] <= at:
            value = pending[1]
            if fires and pending[0] < at:
                yield Hearing(pending[0], firing=True, value=value)
            pending = next(values, None)
        yield Hearing(at, firing, value)
        fires = firing
    while pending is not None:
        if fires:
            yield Hearing(pending[0], firing=True, value=pending[1])
        pending = next(values, None)
