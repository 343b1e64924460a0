"""What the web needs of the runtime."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

from incidentd.admission import Admission
from incidentd.channels.channel import Destination
from incidentd.classify import DestinationSpec, Rules
from incidentd.clock import Clock
from incidentd.incident.state import Incident
from incidentd.lifecycle.degraded import Degraded
from incidentd.lifecycle.drillmaster import Order
from incidentd.lifecycle.shadow import Reloaded
from incidentd.lifecycle.socket_standing import SocketStanding
from incidentd.lifecycle.work import Action, ActionResult, Webhook
from incidentd.meter import Meter
from incidentd.reaction import Reaction
from incidentd.settings import Settings
from incidentd.store.drills import Drill
from incidentd.store.engine import Store
from incidentd.timeline import Entry


class Runtime(Protocol):
    """The use cases, wired. Methods that may block are called in threads."""

    @property
    def settings(self) -> Settings:
        """The environment."""
        ...

    @property
    def admission(self) -> Admission:
        """Who may send webhooks."""
        ...

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        ...

    @property
    def store(self) -> Store:
        """The database."""
        ...

    @property
    def meter(self) -> Meter:
        """What this process counts."""
        ...

    @property
    def slack_socket(self) -> SocketStanding:
        """Whether Slack's Socket Mode is connected here."""
        ...

    @property
    def rules(self) -> Rules:
        """The table in force."""
        ...

    @property
    def session_secret(self) -> bytes:
        """What sessions and sign-in links are signed with; empty: nobody can sign in."""
        ...

    def submit_webhook(self, webhook: Webhook) -> "Future[bool]":
        """Done when it is stored.

        Raises:
            StoreUnavailableError: it can't be stored now.
        """
        ...

    def page_directly(self, webhook: Webhook) -> None:
        """Page the P0s of a notification that can't be stored. Never blocks."""
        ...

    def submit_heartbeat(self, name: str, source: str) -> "Future[bool]":
        """Done when a job's sign of life is stored.

        Raises:
            NotFoundError: the rules expect no job of this name to report.
            StoreUnavailableError: it can't be stored now.
        """
        ...

    def submit_action(self, action: Action) -> "Future[ActionResult]":
        """Done when it is stored.

        Raises:
            RefusedError: the model refuses it.
            NotFoundError: there is no such incident.
            StoreUnavailableError: it can't be stored now.
        """
        ...

    def submit_reaction(self, reaction: Reaction) -> "Future[bool]":
        """Keep what was done to a page, to be carried out then. False: it was told before.

        Raises:
            StoreUnavailableError: too much waits already. The future raises it when the database can't be written.
        """
        ...

    def destination(self, spec: DestinationSpec) -> Destination | None:
        """As ``incidentd.runtime.Runtime``."""
        ...

    def begin_drill(self, order: Order) -> Drill:
        """Keep a drill that a person begins; a timekeeper runs it.

        Raises:
            RefusedError: another one goes on.
            StoreUnavailableError: it can't be stored now.
        """
        ...

    @property
    def shadow_rules(self) -> Rules | None:
        """The table that is tried beside the one in force; None without one."""
        ...

    def reload(self) -> Reloaded:
        """Put the rules as they stand on disk into force.

        Raises:
            RulesError: they are unsound; the ones in force stay.
        """
        ...

    def sentences(self, incident: Incident, entries: Sequence[Entry]) -> list[str]:
        """One sentence for each entry, in their order."""
        ...

    def level_names(self, incident: Incident) -> Mapping[int, str]:
        """Who stands at each level."""
        ...

    def is_storing(self) -> bool:
        """Whether a webhook could be stored now."""
        ...

    def is_delivering(self) -> tuple[bool, str]:
        """Whether what is due gets done, and if not, why. May take up to 3 s."""
        ...

    def degraded(self) -> tuple[Degraded, ...]:
        """What of all that is needed is missing now, the worst first. Never waits."""
        ...

    def whisper(self, channel: str, user: str, text: str) -> None:
        """Tell one Slack user something, as well as it goes. Returns at once."""
        ...
