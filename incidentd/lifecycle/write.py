"""The one writer of a web process: all that waits at one moment becomes one transaction (group commit)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.classify import classify
from incidentd.errors import NotFoundError, RefusedError
from incidentd.jobs import Work
from incidentd.lifecycle.act import act
from incidentd.lifecycle.heard import Heard, heard
from incidentd.lifecycle.ledger import Ledger
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


@dataclass(frozen=True, slots=True)
class _Written:
    """What one transaction came to. ``news`` is how many alerts were."""

    answers: list[Answer]
    work: Work
    news: int
    opened: list[Tier]


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
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._now = now
        self._new_id = new_id
        self._mark = mark
        self._hand_over = hand_over
        self._meter = meter

    def together(self, items: list[Item]) -> list[Answer]:
        """One answer for each item, after one commit. An item that the model refuses harms no other.

        Raises:
            StoreUnavailableError: nothing of this batch is stored.
        """
        now = self._now()
        notifications = [self._heard(item, now) for item in items]
        news = self._news(notifications)
        if not any(news) and not any(isinstance(item, Action) for item in items):
            self._count(items, 0)
            return [False] * len(items)
        written = self._store.write(lambda tx: self._write(tx, items, news, now))
        failpoint("web.after_commit")
        self._hand_over(written.work)
        self._count(items, written.news)
        for tier in written.opened:
            self._meter.opened.add(tier)
        return written.answers

    def _heard(self, item: Item, now: datetime) -> list[Heard]:
        if isinstance(item, Action):
            return []
        rules = self._rulebook.in_force
        return heard(item, lambda alert: classify(alert, rules), now)

    def _news(self, notifications: Sequence[Sequence[Heard]]) -> list[list[Heard]]:
        """Without the repeats, which cost one read and no lock."""
        fingerprints = {each.alert.fingerprint for notification in notifications for each in notification}
        if not fingerprints:
            return [[] for _ in notifications]
        known = self._store.read(lambda tx: alerts.latest(tx, fingerprints))
        return [[h for h in each if not h.is_repeat_of(known.get(h.alert.fingerprint))] for each in notifications]

    def _count(self, items: list[Item], news: int) -> None:
        webhooks = [item for item in items if isinstance(item, Webhook)]
        self._meter.alerts.add(NEWS, amount=news)
        self._meter.alerts.add(REPEAT, amount=sum(len(webhook.alerts) for webhook in webhooks) - news)
        complaints = sum(len(webhook.complaints) for webhook in webhooks if webhook.source != MACHINE)
        self._meter.alerts.add(NOT_UNDERSTOOD, amount=complaints)

    def _write(self, tx: Connection, items: list[Item], news: list[list[Heard]], now: datetime) -> _Written:
        ledger = Ledger(tx, self._rulebook, now, self._mark)
        answers: list[Answer] = []
        pending: list[list[Heard]] = []
        told = 0
        for item, notification in zip(items, news, strict=True):
            if isinstance(item, Action):
                told += receive(ledger, pending, self._new_id)
                pending = []
                answers.append(_answer(ledger, item))
            else:
                intake.set_aside(tx, [(item.source, c.reason, c.body) for c in item.complaints], now)
                pending.append(notification)
                answers.append(bool(notification))
        told += receive(ledger, pending, self._new_id)
        work = ledger.flush()
        failpoint("web.before_commit")
        return _Written(answers, work, told, ledger.opened)


def _answer(ledger: Ledger, action: Action) -> Answer:
    try:
        return act(ledger, action)
    except (RefusedError, NotFoundError) as refusal:
        return refusal
