"""People's commands, and time's: one incident at a time, or many that are due."""

from collections.abc import Sequence
from datetime import timedelta

from incidentd.errors import NotFoundError
from incidentd.incident.command import Enforce, Tick
from incidentd.incident.wake import wake_at
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.unobserved import no_longer_observed
from incidentd.lifecycle.work import Action, ActionResult
from incidentd.store import intake


def act(ledger: Ledger, action: Action) -> ActionResult:
    """Carry out one command.

    Raises:
        NotFoundError: there is no such incident.
        RefusedError: the model refuses it; nothing is changed.
    """
    ledger.load(ids=[action.incident_id])
    incident = ledger.get(action.incident_id)
    if incident is None:
        raise NotFoundError("there is no such incident")
    if action.signature and intake.is_seen(ledger.tx, action.signature):
        return ActionResult(incident, changed=False)
    changed = bool(ledger.decide(action.incident_id, action.command))
    if action.signature:
        intake.remember(ledger.tx, action.signature, ledger.now)
    return ActionResult(ledger.get(action.incident_id) or incident, changed)


def tick(ledger: Ledger, ids: Sequence[str]) -> list[timedelta]:
    """Tell incidents that time has passed; early, late and twice are all harmless.

    Returns how late it was for each that time changed.
    """
    ledger.load(ids=ids)
    enforced = no_longer_observed(ledger, ids)
    lateness = []
    for incident_id in ids:
        incident = ledger.get(incident_id)
        if incident is None:
            continue
        due_at = wake_at(incident)
        command = Enforce() if incident_id in enforced else Tick()
        if ledger.decide(incident_id, command) and due_at is not None:
            lateness.append(ledger.now - due_at)
    return lateness
