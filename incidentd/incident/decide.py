"""What happens: the one place where commands become entries."""

from datetime import datetime
from typing import assert_never

from incidentd.incident import answer
from incidentd.incident.command import (
    Acknowledge,
    AlertsHeard,
    ChangeTier,
    Command,
    CorrectDeadlines,
    Delivered,
    Enforce,
    Escalate,
    Note,
    Observed,
    Resolve,
    StartOver,
    TakeOver,
    Tick,
)
from incidentd.incident.correct import correct
from incidentd.incident.draft import Draft
from incidentd.incident.enforce import enforce
from incidentd.incident.hear import hear
from incidentd.incident.levels import climb
from incidentd.incident.observe import observe
from incidentd.incident.settle import settle
from incidentd.incident.state import Incident
from incidentd.incident.update import update
from incidentd.policy import Policy
from incidentd.timeline import Entry


def decide(incident: Incident | None, command: Command, policy: Policy, now: datetime) -> list[Entry]:
    """The entries that follow.

    Raises:
        RefusedError: as ``decision``.
    """
    return decision(incident, command, policy, now).entries


def decision(incident: Incident | None, command: Command, policy: Policy, now: datetime) -> Draft:
    """What follows, with the state it leads to: first what time has brought, then the command, then at most one level,
    and last what holds, where that is to be said again.

    So an answer at the deadline beats the page (model 11).

    Raises:
        RefusedError: the model refuses the command in this state. What time alone has brought is then
            left to the next tick.
    """
    draft = Draft(incident, policy.observing if incident and incident.observed else policy, now)
    if incident is not None:
        settle(draft)
    _carry_out(draft, command)
    if draft.entries or incident is not None:
        climb(draft)
        update(draft)
    return draft


def _carry_out(draft: Draft, command: Command) -> None:
    match command:
        case AlertsHeard():
            hear(draft, command)
        case Acknowledge():
            answer.acknowledge(draft, command)
        case TakeOver():
            answer.take_over(draft, command)
        case Resolve():
            answer.resolve(draft, command)
        case Escalate():
            answer.escalate(draft, command)
        case ChangeTier():
            answer.change_tier(draft, command)
        case Note():
            answer.note(draft, command)
        case StartOver():
            answer.start_over(draft, command)
        case Delivered(fact=fact):
            draft.add(fact)
        case CorrectDeadlines():
            correct(draft, command)
        case Observed(fact=found):
            observe(draft, found)
        case Enforce():
            enforce(draft)
        case Tick():
            pass
        case _ as never:
            assert_never(never)
