"""Incidents, episodes and cursors to put into a database."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from incidentd.alert import Alert
from incidentd.classify import Verdict
from incidentd.incident.apply import apply, fold
from incidentd.incident.slot import Slot
from incidentd.incident.state import Incident
from incidentd.store import cursors, entries, incidents
from incidentd.store.alerts import Episode, readings
from incidentd.store.engine import Store
from incidentd.tier import Tier
from incidentd.timeline import Data, Entry, Member, Noted, Opened

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MARK = timedelta(seconds=3)
SECOND = timedelta(seconds=1)
FINGERPRINT = "a1b2c3d4e5f60718"


def minutes(number: float) -> datetime:
    """That many minutes after the beginning."""
    return NOW + timedelta(minutes=number)


def opening(name: str, **changes: Any) -> Entry:
    """The first entry of an incident named ``name``, whose key is ``avalo/<name>``."""
    member = Member(FINGERPRINT, NOW, True, Tier.P0, "avalo/row", "99.4 < 99.5", "Core API", region="eu")
    plain = Opened(
        incident=name,
        key=f"avalo/{name}",
        title="Core API",
        system="avalo",
        slo=name,
        tier=Tier.P0,
        row="avalo/row",
        reason="99.4 < 99.5",
        policy="default",
        version="v1",
        episode=1,
        round=1,
        origin=NOW,
        alerts=(member,),
        level=1,
        next_at=minutes(5),
        respond_by=minutes(5),
    )
    return Entry(1, NOW, "alertmanager", replace(plain, **changes))


def incident(name: str = "core", **changes: Any) -> Incident:
    """An incident as its opening leaves it."""
    return fold([opening(name, **changes)])


def open_incident(store: Store, name: str = "core", **changes: Any) -> Incident:
    """Store an incident with its opening."""
    made = incident(name, **changes)

    def work(tx: Any) -> None:
        incidents.insert(tx, [made])
        entries.insert(tx, [(made.id, opening(name, **changes))])

    store.write(work)
    return made


def note(before: Incident, text: str = "looking") -> tuple[Incident, Entry]:
    """The incident one entry on, and that entry."""
    return then(before, Noted(text), "anna")


def then(before: Incident, data: Data, actor: str = "incidentd") -> tuple[Incident, Entry]:
    """The incident after one more entry, and that entry."""
    entry = Entry(before.last + 1, NOW, actor, data)
    return apply(before, entry), entry


def slot(destination: str = "incidents", name: str = "e1", *, paging: bool = False) -> Slot:
    """A place that follows an incident."""
    return Slot(destination, name, paging)


PAGE_SLOT = slot("page-oncall", "e1.r1.l1", paging=True)


def open_cursors(
    store: Store, names: Iterable[str], where: Slot = PAGE_SLOT, tier: Tier = Tier.P0, due_at: datetime = NOW + MARK
) -> None:
    """New cursors, as an opening leaves them."""
    store.write(lambda tx: cursors.open_slots(tx, [(name, tier, where) for name in names], due_at))


def alert(fingerprint: str = FINGERPRINT, **changes: Any) -> Alert:
    """A firing alert."""
    plain = Alert(fingerprint, {"alertname": "CoreApi"}, {"value": "99.4"}, NOW, None, firing=True)
    return replace(plain, **changes)


def episode(of: Alert, incident_id: str | None = "core", **changes: Any) -> Episode:
    """What is stored of an alert that was just heard."""
    verdict = Verdict(Tier.P0, "avalo/core", "avalo", "core", "avalo/row", "99.4 < 99.5", "Core API", "default", "v1")
    return Episode(of, verdict, 7, incident_id, readings(of, None, NOW))._replace(**changes)
