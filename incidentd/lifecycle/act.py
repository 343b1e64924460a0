"""People's commands, and time's: one incident at a time, or many that are due."""

from collections.abc import Sequence

from incidentd.errors import NotFoundError
from incidentd.incident.command import Tick
from incidentd.lifecycle.ledger import Ledger
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


def tick(ledger: Ledger, ids: Sequence[str]) -> None:
    """Tell incidents that time has passed; early, late and twice are all harmless."""
    ledger.load(ids=ids)
    for incident_id in ids:
        if ledger.get(incident_id) is not None:
            ledger.decide(incident_id, Tick())
