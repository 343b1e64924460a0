"""What people do where they were paged counts (model 28): kept when it is told, carried out in the order it was done.

Whoever tells is answered once it is kept. What is missing in it, such as the keys of the page's alerts or the name by
which the person is known here, is asked for afterwards, so that nobody waits for it.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from random import random

import structlog

from incidentd.channels.backoff import next_try
from incidentd.errors import DeliveryError, IncidentdError, NotFoundError, PermanentError, RefusedError
from incidentd.incident.command import Acknowledge, Command, Note, Resolve, StartOver
from incidentd.incident.slot import parse_page_slot
from incidentd.lifecycle.people import People
from incidentd.lifecycle.work import Action, ActionResult
from incidentd.meter import Meter
from incidentd.meter.meter import DONE, FOREIGN, GAVE_UP, IGNORED, LATE, REFUSED, UNCHANGED
from incidentd.process.group_commit import GroupCommit
from incidentd.reaction import STATES, Did, Reaction
from incidentd.store import cursors, reactions
from incidentd.store.engine import Store
from incidentd.store.reactions import Pending

VIA = "pagerduty"
OUR_KEYS = "incidentd:"
"""What all of our pages' keys begin with."""
LOOK_SECONDS = 1.0
LEASE = timedelta(seconds=15)
UNKNOWN_FOR = timedelta(minutes=10)
"""Somebody may react before we have written down that their page was accepted, or know whose page it is."""

_STORE_SECONDS = 5.0
_ASK_SECONDS = 3.0
_AT_ONCE = 50
_TOGETHER = 100
_MOST_ATTEMPTS = 30

log = structlog.get_logger("incidentd.react")


class Reactor:
    """Belongs to a web process; any number may work side by side. ``keys_of`` asks which alerts a page has."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime],
        submit: "Callable[[Action], Future[ActionResult]]",
        people: People,
        keys_of: Callable[[str, float], tuple[str, ...]] | None,
        meter: Meter,
    ) -> None:
        self._store = store
        self._now = now
        self._submit = submit
        self._people = people
        self._keys_of = keys_of
        self._meter = meter
        self._keeper: GroupCommit[Reaction, bool] = GroupCommit(self._keep, name="reactions")
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Carry out what is kept from now on; there may be some of an earlier process."""
        self._thread = threading.Thread(target=self._run, name="react", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the one that is under way; the rest is kept."""
        self._keeper.close()
        self._stopping.set()
        self._news.set()
        if self._thread:
            self._thread.join()

    def submit(self, reaction: Reaction) -> "Future[bool]":
        """Keep it, to be carried out then; the future's result is False where it was told before.

        Raises:
            StoreUnavailableError: too much waits already. The future raises it when the database can't be written.
        """
        return self._keeper.submit(reaction)

    def _keep(self, told: list[Reaction]) -> list[bool]:
        fresh = self._store.write(lambda tx: [reactions.keep(tx, each, self._now()) for each in told])
        self._news.set()
        return fresh

    def look(self) -> None:
        """Carry out what is due, until nothing is.

        Raises:
            StoreError: the database can't be used; what was taken is due again when its lease is over.
        """
        while not self._stopping.is_set() and self._store.read(lambda tx: reactions.any_due(tx, self._now())):
            now = self._now()
            taken = self._store.write(lambda tx: reactions.take(tx, now, now + LEASE, _AT_ONCE))  # noqa: B023
            if not taken:
                return
            for pending in taken:
                self._settle(pending)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait(LOOK_SECONDS)
            self._news.clear()
            try:
                self.look()
            except IncidentdError as error:
                log.warning("reactions_wait", cause=type(error).__name__)
                self._stopping.wait(LOOK_SECONDS)
            except Exception:
                log.exception("reactions_wait")
                self._stopping.wait(LOOK_SECONDS)

    def _settle(self, pending: Pending) -> None:
        reaction = pending.reaction
        try:
            keys = self._keys(reaction)
            outcome = self._react(pending, keys)
        except DeliveryError as error:
            keys, outcome = reaction.keys, self._again(pending, str(error), final=isinstance(error, PermanentError))
        except IncidentdError:
            raise
        except Exception:
            log.exception("reaction_failed", page=reaction.page)
            keys, outcome = reaction.keys, self._again(pending, "it failed", final=pending.attempts >= _MOST_ATTEMPTS)
        if outcome is None:
            return
        self._store.write(lambda tx: reactions.settle(tx, reaction.id, outcome, keys))
        self._meter.reactions.add(outcome)
        log.info("reaction", did=reaction.did.value, outcome=outcome, page=reaction.page)

    def _keys(self, reaction: Reaction) -> tuple[str, ...]:
        """The keys of the page's alerts: as told now, as told before, or asked for."""
        if any(key.startswith(OUR_KEYS) for key in reaction.keys):
            return reaction.keys
        known = self._store.read(lambda tx: reactions.keys_of(tx, reaction.page))
        if known or self._keys_of is None:
            return known or reaction.keys
        return self._keys_of(reaction.page, _ASK_SECONDS) or reaction.keys

    def _react(self, pending: Pending, keys: Sequence[str]) -> str | None:
        """What came of it; None where it is tried again."""
        reaction = pending.reaction
        if not any(key.startswith(OUR_KEYS) for key in keys):
            return FOREIGN
        if not _matters(reaction):
            return IGNORED
        if reaction.did in STATES and self._store.read(lambda tx: reactions.is_late(tx, reaction)):
            return LATE
        carried = self._store.read(lambda tx: cursors.carrying(tx, keys))
        if not carried:
            return self._again(pending, "no page has its key", final=False)
        actor = self._people.name(reaction.who, reaction.name) if reaction.by_person else VIA
        outcomes = self._carry_out(reaction, actor, _rounds(carried))
        return next((each for each in (DONE, REFUSED) if each in outcomes), UNCHANGED)

    def _carry_out(self, reaction: Reaction, actor: str, rounds: Mapping[str, int | None]) -> set[str]:
        """What came of it at each incident. A page may stand for thousands: many are written in one transaction."""
        outcomes: set[str] = set()
        waiting = sorted(rounds)
        while waiting:
            some, waiting = waiting[:_TOGETHER], waiting[_TOGETHER:]
            told = {
                each: self._submit(_action(each, _command(reaction, actor, rounds[each]), reaction)) for each in some
            }
            came = {each: self._outcome(each, reaction, future) for each, future in told.items()}
            self._say_taken(reaction, actor, [each for each, (_, reason) in came.items() if reason == "taken"])
            outcomes |= {outcome for outcome, _ in came.values()}
            if waiting:
                # Nobody else is to begin it anew meanwhile, and what was done to this page later still waits for it.
                self._store.write(lambda tx: reactions.lease(tx, reaction.id, self._now() + LEASE))
        return outcomes

    def _outcome(self, incident_id: str, reaction: Reaction, future: "Future[ActionResult]") -> tuple[str, str]:
        """What came of it at one incident, and why it was refused."""
        try:
            return (DONE if future.result(_STORE_SECONDS).changed else UNCHANGED), ""
        except RefusedError as refusal:
            log.info("reaction_refused", incident=incident_id, did=reaction.did.value, reason=refusal.reason)
            return REFUSED, refusal.reason
        except NotFoundError:
            return UNCHANGED, ""

    def _say_taken(self, reaction: Reaction, actor: str, taken: Sequence[str]) -> None:
        """Who was first stays so; the others see in the thread that somebody else is there too."""
        note = Note(actor, "acknowledged it in PagerDuty too", reaction.at)
        told = {each: self._submit(_action(each, note, reaction, " too")) for each in taken}
        for incident_id, future in told.items():
            self._outcome(incident_id, reaction, future)

    def _again(self, pending: Pending, cause: str, *, final: bool) -> str | None:
        """It is tried again later and later; given up where that is of no use any more."""
        reaction, now = pending.reaction, self._now()
        if final or now >= pending.received_at + UNKNOWN_FOR:
            log.warning("reaction_given_up", did=reaction.did.value, page=reaction.page, cause=cause)
            return GAVE_UP
        due_at = next_try(pending.attempts + 1, None, now, random)
        self._store.write(lambda tx: reactions.postpone(tx, reaction.id, due_at))
        return None


def _matters(reaction: Reaction) -> bool:
    """What we acknowledge ourselves comes back as an echo, by no person; what was triggered only tells its keys."""
    return reaction.did is not Did.TRIGGERED and (reaction.by_person or reaction.did is not Did.ACKNOWLEDGED)


def _command(reaction: Reaction, actor: str, round_: int | None) -> Command:
    match reaction.did:
        case Did.ACKNOWLEDGED:
            return Acknowledge(actor, VIA, dated_at=reaction.at, round=round_)
        case Did.RESOLVED if reaction.by_person:
            return Resolve(actor, VIA, dated_at=reaction.at, round=round_)
        case Did.NOTED:
            return Note(actor, reaction.text, reaction.at)
    by = actor if reaction.by_person else "PagerDuty"
    return StartOver(by, reaction.did is Did.RESOLVED, reaction.at, round_)


def _rounds(carried: Sequence[cursors.Name]) -> dict[str, int | None]:
    """Each incident that the page tells of, with the latest of its rounds there."""
    found: dict[str, int | None] = {}
    for incident_id, _, slot in carried:
        found[incident_id] = max(_round(slot) or 0, found.get(incident_id) or 0) or None
    return found


def _round(slot: str) -> int | None:
    """None for a slot that tells of more than one round."""
    try:
        return parse_page_slot(slot).round
    except (ValueError, IndexError):
        return None


def _action(incident_id: str, command: Command, reaction: Reaction, more: str = "") -> Action:
    return Action(incident_id, command, _signature(reaction, f"{incident_id}{more}"))


def _signature(reaction: Reaction, about: str) -> str:
    """What has its effect on this incident only once."""
    return f"{VIA}:{hashlib.sha256(f'{reaction.id} {about}'.encode()).hexdigest()}"
