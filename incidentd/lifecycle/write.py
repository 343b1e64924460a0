"""The one writer of a web process: all that waits at one moment becomes one transaction (group commit)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain

from sqlalchemy.engine import Connection

from incidentd.errors import NotFoundError, RefusedError
from incidentd.jobs import Work
from incidentd.lifecycle.act import act
from incidentd.lifecycle.heard import Heard, heard
from incidentd.lifecycle.ledger import Ledger
from incidentd.lifecycle.pulse import Pulse, Signs
from incidentd.lifecycle.receive import NewId, receive
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Action, ActionResult, Webhook
from incidentd.meter import Meter
from incidentd.meter.meter import NEWS, NOT_UNDERSTOOD, REPEAT
from incidentd.process.failpoint import failpoint
from incidentd.store import alerts, intake
from incidentd.store.engine import Store
from incidentd.tier import Tier
from incidentd.timeline import MACHINE

Item = Webhook | Action
Answer = ActionResult | RefusedError | NotFoundError | bool | None
"""Of an action what it came to, of a webhook whether it brought any news."""

HEAVIEST = 2000
"""Alerts that are enough for one transaction; a notification of more has one of its own."""
_STORM = 100
# So many alerts that were news in one batch: the next ones are not searched for repeats before the lock is taken, as
# that would only read everything twice.


@dataclass(frozen=True, slots=True)
class _Written:
    """What one transaction came to. ``news`` is how many alerts were, those of our own counted."""

    answers: list[Answer]
    work: Work
    news: int
    opened: list[Tier]
    observed: list[Tier]


def weight(item: Item) -> int:
    """How many alerts there are in it."""
    return len(item.alerts) if isinstance(item, Webhook) else 0


class Writer:
    """Takes batches of webhooks and actions, in the order in which they came."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        now: Callable[[], datetime],
        new_id: NewId,
        mark: timedelta,
        hand_over: Callable[[Work], None],
        meter: Meter,
        remember: Callable[[Iterable[Heard]], None],
        pulse: Pulse,
        compare: Callable[[Iterable[Heard]], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._now = now
        self._new_id = new_id
        self._mark = mark
        self._hand_over = hand_over
        self._meter = meter
        self._remember = remember
        self._pulse = pulse
        self._compare = compare
        self._is_storm = False

    def together(self, items: list[Item]) -> list[Answer]:
        """One answer for each item, after one commit. An item that the model refuses harms no other.

        Raises:
            StoreUnavailableError: nothing of this batch is stored.
        """
        now = self._now()
        notifications = everything = [self._heard(item, now) for item in items]
        if not self._is_storm:
            notifications = self._without_repeats(notifications)
        signs = self._pulse.due(now)
        if not any(notifications) and not signs and not any(isinstance(item, Action) for item in items):
            self._remember(chain.from_iterable(everything))
            self._count(items, 0)
            return [False] * len(items)
        written = self._store.write(lambda tx: self._write(tx, items, notifications, signs, now))
        self._pulse.stored(signs, now)
        self._is_storm = written.news >= _STORM and 2 * written.news > sum(map(len, notifications))
        failpoint("web.after_commit")
        self._remember(chain.from_iterable(everything))
        self._hand_over(written.work)
        self._compare(chain.from_iterable(notifications))
        self._count(items, written.news)
        for tier in written.opened:
            self._meter.opened.add(tier)
        for tier in written.observed:
            self._meter.observed.add(tier)
        return written.answers

    def _heard(self, item: Item, now: datetime) -> list[Heard]:
        if isinstance(item, Action):
            return []
        others = self._pulse.take(item, now)
        return heard(replace(item, alerts=tuple(others)), self._rulebook.classifier, now)

    def _without_repeats(self, notifications: Sequence[Sequence[Heard]]) -> list[list[Heard]]:
        """What has to be written, found out by one read and without a lock."""
        fingerprints = {each.alert.fingerprint for notification in notifications for each in notification}
        if not fingerprints:
            return [[] for _ in notifications]
        known = self._store.read(lambda tx: alerts.latest(tx, fingerprints))
        return [[h for h in each if not h.is_repeat_of(known.get(h.alert.fingerprint))] for each in notifications]

    def _count(self, items: list[Item], news: int) -> None:
        webhooks = [item for item in items if isinstance(item, Webhook)]
        outside = news - sum(len(webhook.complaints) for webhook in webhooks)
        self._meter.alerts.add(NEWS, amount=outside)
        self._meter.alerts.add(REPEAT, amount=sum(len(webhook.alerts) for webhook in webhooks) - outside)
        complaints = sum(len(webhook.complaints) for webhook in webhooks if webhook.source != MACHINE)
        self._meter.alerts.add(NOT_UNDERSTOOD, amount=complaints)

    def _write(
        self, tx: Connection, items: list[Item], heard: list[list[Heard]], signs: Signs, now: datetime
    ) -> _Written:
        ended = self._pulse.write(tx, signs, now)
        ledger = Ledger(tx, self._rulebook, now, self._mark)
        if ended:
            receive(ledger, [ended], self._new_id)
        answers: list[Answer] = []
        pending: list[list[Heard]] = []
        news: list[int] = []

        def take_pending() -> None:
            found = receive(ledger, pending, self._new_id)
            news.extend(found)
            answers.extend(map(bool, found))
            pending.clear()

        for item, notification in zip(items, heard, strict=True):
            if isinstance(item, Action):
                take_pending()
                answers.append(_answer(ledger, item))
            else:
                intake.set_aside(tx, [(item.source, c.reason, c.body) for c in item.complaints], now)
                pending.append(notification)
        take_pending()
        work = ledger.flush()
        failpoint("web.before_commit")
        return _Written(answers, work, sum(news), ledger.opened, ledger.observed)


def _answer(ledger: Ledger, action: Action) -> Answer:
    try:
        return act(ledger, action)
    except (RefusedError, NotFoundError) as refusal:
        return refusal
