"""What was found out of an incident's alerts without a notification: written down, as far as it is news."""

from incidentd.incident.draft import Draft
from incidentd.incident.state import State
from incidentd.timeline import MACHINE, Observation, Silenced, Stale

_ALERTMANAGER = "alertmanager"


def observe(draft: Draft, fact: Observation) -> None:
    """Nothing of it changes levels, clocks or answers: what follows from it comes as alerts, or from people."""
    incident = draft.incident
    if incident.state is State.RESOLVED:
        return
    match fact:
        case Silenced(alerts=alerts, why=why):
            if (frozenset(alerts), why) != (incident.silenced, incident.silence):
                draft.add(fact, _ALERTMANAGER)
        case Stale():
            if incident.firing:
                draft.add(fact, MACHINE)
        case _:
            draft.add(fact, _ALERTMANAGER)
