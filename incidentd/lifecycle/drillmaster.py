"""Runs drills: those of the rules when they are due, and every one that goes on. Any number of timekeepers may.

What is due is a row, and one conditional update decides who acts; whoever takes it over goes on where it stands.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy.engine import Connection

from incidentd.channels.drill_alert import DrillAlert
from incidentd.classify import DrillSpec, Rules
from incidentd.drill import DrillMark, labels_of, whose
from incidentd.errors import DeliveryError, IncidentdError, PermanentError
from incidentd.intake import fingerprint
from incidentd.jobs import Work
from incidentd.lifecycle.drill import BY_ALERTMANAGER, BY_WEBHOOK, Deed, failed, judged, observed
from incidentd.lifecycle.evidence import look
from incidentd.lifecycle.heard import internal
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.receive import NewId, receive
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Complaint
from incidentd.meter import Meter
from incidentd.store import drill_schedules, drills
from incidentd.store import rules as stored
from incidentd.store.drill_schedules import Planned
from incidentd.store.drills import Drill, Outcome, Step, Taken
from incidentd.store.engine import Store
from incidentd.tier import Tier

LOOK_SECONDS = 0.5
LEASE = timedelta(seconds=60)
"""Longer than sending to several addresses may take."""
AGAIN = timedelta(seconds=0.5)
LATE = timedelta(hours=1)
"""A drill that is due for longer was missed: nobody would expect it any more."""
MOST = 10
"""Times of one schedule that are recorded after a long absence; drills that are looked at in one go."""

log = structlog.get_logger("incidentd.drill")


class Sender(Protocol):
    """Who brings a drill's alert on its way."""

    @property
    def by_alertmanager(self) -> bool:
        """Whether by way of Alertmanager."""
        ...

    def send(self, alert: DrillAlert, seconds: float) -> None:
        """Send it.

        Raises:
            DeliveryError: nobody has taken it.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What a drill by hand is to be. ``name`` is that of one of the rules' own, None for another."""

    tier: Tier
    system: str
    within: timedelta
    answer: timedelta | None
    name: str | None = None


def begun(order: Order, drill_id: str, now: datetime) -> Drill:
    """The drill that is begun now, by a person."""
    return Drill(
        id=drill_id,
        name=order.name,
        by_hand=True,
        tier=order.tier,
        system=order.system,
        due_at=now,
        within=order.within,
        answer=order.answer,
        started_at=now,
        next_at=now,
    )


class Drillmaster:
    """What one timekeeper does about drills, in a thread of its own: a request that hangs holds up nothing else."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        new_id: NewId,
        mark: timedelta,
        sender: Sender,
        seconds: float,
        base_url: str,
        hand_over: Callable[[Work], None],
        meter: Meter,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._now = now
        self._monotonic = monotonic
        self._new_id = new_id
        self._mark = mark
        self._sender = sender
        self._seconds = seconds
        self._base_url = base_url
        self._hand_over = hand_over
        self._meter = meter
        self._version = ""
        self._failing = ""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """A timekeeper goes round in this process: run drills from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="drillmaster", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Begin nothing new. What goes on is taken over by another timekeeper, or at the next start."""
        self._stopping.set()
        if self._thread is None:
            self._sender.close()

    def look(self) -> None:
        """Begin what is due, and bring on what goes on. Costs two reads while there is nothing.

        Raises:
            StoreError: the database can't be asked or written; what is due stays so.
        """
        now, rules = self._now(), self._rulebook.in_force
        if rules.version != self._version:
            self._plan(rules, now)
        if rules.version == self._version and self._store.read(lambda tx: drill_schedules.any_due(tx, now)):
            self._note(self._store.write(lambda tx: self._begin_due(tx, rules, now)))
        for drill in self._store.read(lambda tx: drills.due(tx, now, MOST)):
            self._bring_on(drill)

    def _plan(self, rules: Rules, now: datetime) -> None:
        """Follow the table in force: new drills are due from now on, those that it doesn't have any more are not."""

        def write(tx: Connection) -> bool:
            if stored.in_force(tx) != rules.version:
                return False
            wanted = {
                name: next_at for name, each in rules.drills.items() if (next_at := each.schedule.next_after(now))
            }
            plans = {name: Planned(name, _fixed(rules.drills[name]), next_at) for name, next_at in wanted.items()}
            drill_schedules.replace_all(tx, plans)
            return True

        if self._is_planned(rules) or self._store.write(write):
            self._version = rules.version

    def _is_planned(self, rules: Rules) -> bool:
        """Whether all is planned as these rules have it: then nothing has to be written."""
        if self._store.read(stored.in_force) != rules.version:
            return False
        planned = {each.name: each.schedule for each in self._store.read(drill_schedules.all_of_them)}
        return planned == {name: _fixed(each) for name, each in rules.drills.items()}

    def _begin_due(self, tx: Connection, rules: Rules, now: datetime) -> "_Ended":
        if stored.in_force(tx) != rules.version:
            return _Ended()
        over: list[Drill] = []
        for planned in drill_schedules.due(tx, now):
            spec = rules.drills.get(planned.name)
            next_at = spec.schedule.next_after(now) if spec else None
            if spec is None or next_at is None:
                drill_schedules.delete(tx, planned.name)
                continue
            drill_schedules.move_on(tx, planned.name, next_at)
            times = spec.schedule.within(planned.next_at, now, MOST)
            new = [_scheduled(spec, self._new_id(), due_at, now, last=due_at == times[-1]) for due_at in times]
            over += [each for each in new if drills.insert(tx, each) and each.outcome]
        return _Ended(self._complain(tx, over, now), over)

    def _bring_on(self, drill: Drill) -> None:
        lease = self._now() + LEASE
        if not self._store.write(lambda tx: drills.take(tx, drill, lease)):
            return
        seen = self._store.read(lambda tx: look(tx, drill))
        after, deed = judged(observed(drill, seen), seen, self._now())
        if deed in (Deed.SEND, Deed.END):
            after = self._send(after, over=deed is Deed.END)
        if deed is Deed.SEND and after.step(Step.SENT):
            log.info("drill_begun", drill=after.id, name=after.name, of=whose(after.tier, after.system))
        settled = replace(after, next_at=None if after.ended_at else self._now() + AGAIN)
        self._note(self._store.write(lambda tx: self._settle(tx, drill, settled, lease)))

    def _send(self, drill: Drill, *, over: bool) -> Drill:
        step = Step.ENDED if over else Step.SENT
        began = self._monotonic()
        try:
            self._sender.send(self._alert(drill, over=over), self._seconds)
        except DeliveryError as error:
            if over and drill.step(Step.SENT) is None:
                return replace(drill, ended_at=self._now())
            final = isinstance(error, PermanentError) and drill.outcome is None
            return failed(drill, step, str(error)) if final else replace(drill, why=drill.why or str(error))
        took = timedelta(seconds=self._monotonic() - began)
        way = BY_ALERTMANAGER if self._sender.by_alertmanager else BY_WEBHOOK
        why = drill.why if drill.outcome else ""
        return replace(drill, why=why, steps=(*drill.steps, Taken(step, self._now(), took, way)))

    def _alert(self, drill: Drill, *, over: bool) -> DrillAlert:
        labels = labels_of(DrillMark(drill.id, drill.tier, drill.system), drill.name)
        begun_at = drill.started_at or drill.due_at
        # Should nobody end it, Alertmanager takes it for over then.
        lasts = 4 * drill.within + (drill.answer or timedelta(0)) + LEASE
        ends_at = self._now() if over else begun_at + lasts
        return DrillAlert(
            fingerprint(labels), labels, _annotations(drill), begun_at, ends_at, over, f"{self._base_url}/drills"
        )

    def _settle(self, tx: Connection, before: Drill, after: Drill, lease: datetime) -> "_Ended":
        if not drills.settle(tx, after, lease):
            return _Ended()
        decided = [after] if after.outcome and before.outcome is None else []
        return _Ended(self._complain(tx, decided, self._now()), decided)

    def _complain(self, tx: Connection, over: Sequence[Drill], now: datetime) -> Work:
        """A drill of the rules that was not accepted is an incident of our own, in the same transaction."""
        bad = [each for each in over if each.name and each.outcome is not Outcome.ACCEPTED]
        if not bad:
            return {}
        ledger = Ledger(tx, self._rulebook, now, self._mark)
        heard = [internal(Complaint("drill", _said(each)), each.name or "", now) for each in bad]
        receive(ledger, [[each] for each in heard], self._new_id)
        return ledger.flush()

    def _note(self, ended: "_Ended") -> None:
        self._hand_over(ended.work)
        for drill in ended.drills:
            outcome = drill.outcome or Outcome.MISSED
            said = {"drill": drill.id, "name": drill.name, "outcome": outcome.value, "cause": drill.why}
            if outcome is Outcome.ACCEPTED:
                log.info("drill_ended", **said)
            else:
                log.warning("drill_ended", **said)
            self._meter.drills.add(outcome.value)
            for each in drill.steps:
                self._meter.drill_steps.observe(each.took.total_seconds(), each.step.value)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
                self._failing = ""
            except IncidentdError as error:
                if self._failing != type(error).__name__:
                    log.warning("drills_wait", cause=type(error).__name__)
                self._failing = type(error).__name__
            except Exception:
                log.exception("drills_failed")
                self._stopping.wait(LEASE.total_seconds())
        self._sender.close()


@dataclass(frozen=True, slots=True)
class _Ended:
    """Drills whose outcome one transaction has made known, and the work that followed."""

    work: Work = field(default_factory=dict)
    drills: Sequence[Drill] = ()


def _scheduled(spec: DrillSpec, drill_id: str, due_at: datetime, now: datetime, *, last: bool) -> Drill:
    """The drill of one of its times: it begins now, or it was missed."""
    drill = Drill(drill_id, spec.name, False, spec.tier, spec.system, due_at, spec.within, spec.answer)
    if last and now - due_at < LATE:
        return replace(drill, started_at=now, next_at=now)
    why = "incidentd did not run when it was due" if last else "incidentd did not run then, nor for a day after"
    return replace(drill, outcome=Outcome.MISSED, ended_at=now, why=why)


def _fixed(spec: DrillSpec) -> str:
    """What its next time is reckoned by, as one text. Holidays change with the library, and are looked up anew."""
    return spec.shown


def _annotations(drill: Drill) -> dict[str, str]:
    asked = "Please acknowledge it" if drill.answer else "Nobody has to do anything"
    return {
        "summary": f"This is a drill: nothing is wrong. {asked}; it ends by itself.",
        "description": f"A drill of {whose(drill.tier, drill.system)}, {drill.name or 'begun by hand'}: it goes to "
        "those whom a real incident would go to.",
    }


def _said(drill: Drill) -> str:
    if drill.outcome is Outcome.MISSED:
        return f"the drill {drill.name} was missed: {drill.why}"
    step = drill.failed.value if drill.failed else "?"
    return f"the drill {drill.name} failed at the step {step}: {drill.why}"
