"""The rules no longer only observe: who is to be told of an incident is told, while its alerts still fire."""

from incidentd.incident.draft import Draft
from incidentd.incident.levels import begin_round
from incidentd.incident.state import State
from incidentd.timeline import Ended


def enforce(draft: Draft) -> None:
    """As if it opened now. One that recovers is left alone: should it fire again, it is asked again."""
    incident = draft.incident
    if incident.observed and incident.state in (State.TRIGGERED, State.ACKNOWLEDGED):
        begin_round(draft, Ended.ENFORCED)
