"""What the outside asks for, and what it gets."""

from dataclasses import dataclass

from incidentd.alert import Alert
from incidentd.incident.command import Command
from incidentd.incident.state import Incident


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that came in and can't be understood: kept, and made an internal incident (model 39).

    ``reason`` is a short fixed word; ``detail`` says more in a sentence, without echoing the input.
    """

    reason: str
    detail: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One notification: its sound alerts, and what had to be set aside. ``source`` names the sender.

    ``signs`` are the heartbeats that reported by themselves.
    """

    alerts: tuple[Alert, ...]
    source: str
    complaints: tuple[Complaint, ...] = ()
    signs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """A command for one incident. ``signature`` names a signed request, which has its effect only once."""

    incident_id: str
    command: Command
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The incident after the action. ``changed`` False: it was so already, or the request is a repetition."""

    incident: Incident
    changed: bool
