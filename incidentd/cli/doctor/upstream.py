"""Alertmanagers: do they answer, do they know our receiver, do they go by the same time."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

from incidentd.channels.alertmanager import Alertmanager
from incidentd.cli.doctor.dependency import clock_of
from incidentd.cli.doctor.finding import Check, Finding, fault, ok, warning
from incidentd.cli.doctor.patient import Patient
from incidentd.clock import SystemClock
from incidentd.errors import DeliveryError
from incidentd.lifecycle.comparison import fault_of

_SECONDS = 8.0
_HEADERS_APART = timedelta(seconds=2)
_DOC = "docs/operating.md says how to compare with Alertmanager"


def alertmanagers(patient: Patient) -> Iterator[Check]:
    """One check for each address; one that says so where there is none."""
    addresses = patient.settings.alertmanagers()
    if not addresses:
        yield Check("Alertmanager", _without)
    for address in addresses:
        yield Check("Alertmanager", lambda address=address: _one(patient, address))  # type: ignore[misc]


def _without() -> Iterator[Finding]:
    says = "INCIDENTD_ALERTMANAGER_URL is not set: a lost notification is not found out, only asked about after hours"
    yield warning("Alertmanager", says, _DOC)


def _one(patient: Patient, address: str) -> Iterator[Finding]:
    settings, now = patient.settings, SystemClock().now
    token = settings.alertmanager_token.get_secret_value() if settings.alertmanager_token else None
    with closing(Alertmanager(address, token, now)) as upstream:
        try:
            view = upstream.view(_SECONDS / 2)
            known = upstream.receivers(_SECONDS / 2)
        except DeliveryError as error:
            mend = "look at INCIDENTD_ALERTMANAGER_URL, its user and password or INCIDENTD_ALERTMANAGER_TOKEN, and TLS"
            yield fault("Alertmanager", f"{upstream.name}: {error}", mend)
            return
        yield ok("Alertmanager", f"{upstream.name}: version {view.version}, lists {_many(len(view.listed), 'alert')}")
        if wrong := fault_of(view):
            yield warning("Alertmanager", f"{upstream.name}: {wrong}", "until then nothing is closed on its word")
        if abs(view.ahead) > _HEADERS_APART:
            yield clock_of(f"{upstream.name}'s", view.ahead)
        yield _receivers(upstream.name, settings.receivers(), known)


def _receivers(name: str, ours: tuple[str, ...], known: frozenset[str]) -> Finding:
    missing = [each for each in ours if each not in known]
    if missing:
        mend = "set INCIDENTD_ALERTMANAGER_RECEIVER to the names in alertmanager.yml whose webhook leads here"
        says = f"{name} has no receiver {', '.join(missing)}: what it didn't tell is not found out"
        return fault("Alertmanager", says, mend)
    return ok("Alertmanager", f"{name} has the receiver {', '.join(ours)}")


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
