"""What Alertmanagers list, held against what incidentd believes: a pure function.

Nobody's word is taken at once. That an alert is over counts only if whoever had it says so for a while, and nobody who
answers says otherwise; that one was never told only if it could have been told for a while.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from incidentd.channels.view import ACTIVE, Listed, Silence, View
from incidentd.store.alerts import Known
from incidentd.store.sightings import Sighting

AGREES = timedelta(milliseconds=1)
"""The API tells milliseconds, notifications as much as there is."""

MOST_AHEAD = timedelta(minutes=1)
"""An Alertmanager whose clock is further from ours ends alerts too early or too late."""


class Believed(NamedTuple):
    """An alert that fires, as far as incidentd was told, in an incident that is open."""

    fingerprint: str
    starts_at: datetime
    incident_id: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what was seen must last. ``settled``: up for less, an Alertmanager may not have been told all again."""

    gone: timedelta
    untold: timedelta
    settled: timedelta


@dataclass(frozen=True, slots=True)
class Comparison:
    """What follows from one look.

    ``over``: with when each was first found gone. ``untold``: with when each was first seen. ``quiet``: why, by
    fingerprint of a believed alert; empty where it is not quiet; absent where nobody lists it.
    ``seen``: the sightings from now on, all that there are.
    """

    over: Mapping[Believed, datetime]
    untold: Sequence[tuple[Listed, datetime]]
    quiet: Mapping[str, str]
    seen: Mapping[tuple[str, str], Sighting]

    @property
    def listed(self) -> Collection[str]:
        """Believed alerts that somebody lists."""
        return self.quiet.keys()


def compare(
    views: Sequence[View],
    believed: Iterable[Believed],
    heard: Mapping[str, Known],
    ours: Collection[str],
    sightings: Mapping[tuple[str, str], Sighting],
    now: datetime,
    patience: Patience,
) -> Comparison:
    """``ours``: the fingerprints of what is to be told to us, ``heard``: the latest episode of those that was.

    ``sightings``: by fingerprint and Alertmanager.
    """
    names = {view.name for view in views}
    shown = {fingerprint for view in views for fingerprint in view.listed}
    # Of who doesn't answer what was known stays; that it was gone there counts no more once somebody has it.
    seen = {
        key: each._replace(gone_since=None) if key[0] in shown else each
        for key, each in sightings.items()
        if key[1] not in names
    }
    over: dict[Believed, datetime] = {}
    quiet: dict[str, str] = {}
    for alert in believed:
        there = [view for view in views if alert.fingerprint in view.listed]
        if there:
            quiet[alert.fingerprint] = why_quiet(alert.fingerprint, there)
        marks = _marks(alert, views, sightings, now, gone=not there, quiet=quiet.get(alert.fingerprint))
        seen |= marks
        if since := _over_since(alert, views, marks, now, patience):
            over[alert] = since
    untold = []
    waiting = _waiting(sightings.values())
    for listed in untold_of(views, heard, ours):
        since = min(waiting.get((listed.fingerprint, listed.starts_at), now), now)
        seen |= {(listed.fingerprint, name): _untold_mark(listed, view, since) for name, view in _with(listed, views)}
        if now - since >= patience.untold:
            untold.append((listed, since))
    return Comparison(over, untold, quiet, seen)


def untold_of(views: Iterable[View], heard: Mapping[str, Known], ours: Collection[str]) -> list[Listed]:
    """What of ours is active, quiet on no Alertmanager, and news to incidentd. Once for each fingerprint."""
    quiet: set[str] = set()
    found: dict[str, Listed] = {}
    for view in views:
        for each in view.listed.values():
            if each.is_quiet:
                quiet.add(each.fingerprint)
            elif each.state == ACTIVE and each.fingerprint in ours and not is_told(each, heard.get(each.fingerprint)):
                found.setdefault(each.fingerprint, each)
    return [each for name, each in sorted(found.items()) if name not in quiet]


def is_for(listed: Listed, receivers: Collection[str]) -> bool:
    """Whether this is told to one of these receivers."""
    return listed.state == ACTIVE and listed.alert is not None and not listed.receivers.isdisjoint(receivers)


def why_quiet(fingerprint: str, views: Iterable[View]) -> str:
    """Why an alert is kept from receivers, as the first Alertmanager has it that says so; empty: it isn't."""
    for view in views:
        listed = view.listed.get(fingerprint)
        if listed and listed.silenced_by:
            silences = [view.silences[each] for each in sorted(listed.silenced_by) if each in view.silences]
            return _silence(silences)
        if listed and listed.inhibited_by:
            return "inhibited by another alert"
    return ""


def _silence(silences: Sequence[Silence]) -> str:
    if not silences:
        return "silenced"
    first = max(silences, key=lambda each: (each.until is not None, each.until))
    by = f" by {first.by}" if first.by else ""
    until = f" until {first.until:%Y-%m-%d %H:%M} UTC" if first.until else ""
    return f"silenced{by}{until}{f': {first.comment}' if first.comment else ''}"


def is_told(listed: Listed, heard: Known | None) -> bool:
    """A person may have resolved over what was told as firing: then it is for its repeats to open it again."""
    return heard is not None and heard.firing and listed.starts_at < heard.starts_at + AGREES


def _marks(
    alert: Believed,
    views: Iterable[View],
    sightings: Mapping[tuple[str, str], Sighting],
    now: datetime,
    *,
    gone: bool,
    quiet: str | None,
) -> dict[tuple[str, str], Sighting]:
    """What each Alertmanager that answers is known to have shown of a believed alert from now on."""
    marks = {}
    for view in views:
        key = (alert.fingerprint, view.name)
        before = sightings.get(key)
        known = before if before and abs(before.starts_at - alert.starts_at) < AGREES else None
        if alert.fingerprint in view.listed:
            marks[key] = Sighting(*key, alert.starts_at, view.started_at, None, None, quiet or "")
        elif known:
            since = (known.gone_since or now) if gone else None
            marks[key] = known._replace(starts_at=alert.starts_at, gone_since=since, untold_since=None)
    return marks


def _over_since(
    alert: Believed,
    views: Sequence[View],
    marks: Mapping[tuple[str, str], Sighting],
    now: datetime,
    patience: Patience,
) -> datetime | None:
    """Since when it is over, if it is: some Alertmanager that had it has none of it any more, and all others agree."""
    if any(alert.fingerprint in view.listed for view in views):
        return None
    witnesses = []
    for view in views:
        mark = marks.get((alert.fingerprint, view.name))
        had_it = mark is not None and mark.started_at == view.started_at
        if fault_of(view) or not (had_it or view.up_for >= patience.settled):
            return None
        # Empty since it started: nobody may have told it anything.
        if mark and mark.gone_since and (had_it or view.listed):
            witnesses.append(mark.gone_since)
    since = min(witnesses, default=None)
    return since if since is not None and now - since >= patience.gone else None


def fault_of(view: View) -> str:
    """Why its word that an alert is over doesn't count; empty where it does."""
    if not view.is_whole:
        return "some of its alerts can't be understood"
    if abs(view.ahead) > MOST_AHEAD:
        return f"its clock is over {MOST_AHEAD.total_seconds():.0f} s off ours"
    return ""


def _waiting(sightings: Iterable[Sighting]) -> dict[tuple[str, datetime], datetime]:
    """Since when each episode was seen that nobody told, by fingerprint and start."""
    found: dict[tuple[str, datetime], datetime] = {}
    for each in sightings:
        if each.untold_since:
            place = (each.fingerprint, each.starts_at)
            found[place] = min(found.get(place, each.untold_since), each.untold_since)
    return found


def _untold_mark(listed: Listed, view: View, since: datetime) -> Sighting:
    return Sighting(listed.fingerprint, view.name, listed.starts_at, view.started_at, None, since, "")


def _with(listed: Listed, views: Iterable[View]) -> list[tuple[str, View]]:
    return [(view.name, view) for view in views if listed.fingerprint in view.listed]
