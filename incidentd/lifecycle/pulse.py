"""Signs of life, as a web process hears them: the first one is stored at once, repeats now and then."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from incidentd.alert import Alert
from incidentd.classify import HeartbeatSpec, taken_by
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.heartbeat import sound
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Webhook
from incidentd.store import heartbeats
from incidentd.store.heartbeats import Heartbeat

LONGEST_PAUSE = timedelta(seconds=10)
"""A heartbeat is stored no oftener than this, or ten times in the time that it may be silent."""

Signs = Mapping[str, datetime]
"""When each of some heartbeats was heard."""


class Pulse:
    """What was heard and is not stored yet. Used by the writer's thread; ``waits`` by any."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._heard: dict[str, datetime] = {}
        self._stored_at: dict[str, datetime] = {}

    def take(self, webhook: Webhook, now: datetime) -> Sequence[Alert]:
        """Note the signs of life of a notification. Returns its other alerts: the ones that may be incidents."""
        for name in webhook.signs:
            self._note(name, now)
        expected = self._rulebook.in_force.heartbeats
        if not any(spec.matchers for spec in expected.values()):
            return webhook.alerts
        others = []
        for alert in webhook.alerts:
            taken = taken_by(alert, expected)
            for name in taken:
                self._note(name, now)
            others += [] if taken else [alert]
        return others

    def without_signs(self, webhook: Webhook) -> Webhook:
        """The notification without its signs of life, which nobody takes note of."""
        expected = self._rulebook.in_force.heartbeats
        return replace(webhook, alerts=tuple(each for each in webhook.alerts if not taken_by(each, expected)))

    def waits(self, now: datetime) -> bool:
        """Whether anything is to be stored by now."""
        return bool(self._heard) and bool(self.due(now))

    def due(self, now: datetime) -> Signs:
        """What is to be stored by now."""
        expected = self._rulebook.in_force.heartbeats
        return {
            name: at
            for name, at in self._heard.copy().items()
            if name in expected and self._rested(expected[name], now)
        }

    def write(self, tx: Connection, signs: Signs, now: datetime) -> list[Heard]:
        """Store signs of life, before any incident is locked. Returns the end of each silence."""
        if not signs:
            return []
        rules = self._rulebook.in_force
        expected = {name: rules.heartbeats[name] for name in signs if name in rules.heartbeats}
        rows = heartbeats.lock(tx, expected)
        new = [Heartbeat.expected(n, s.every, signs[n]) for n, s in expected.items() if n not in rows]
        heartbeats.insert(tx, [row.heard(signs[row.name], row.every) for row in new])
        heartbeats.update(tx, [row.heard(signs[name], expected[name].every) for name, row in rows.items()])
        return [
            sound(expected[name], row.missing_since, now, rules.version)
            for name, row in rows.items()
            if row.missing_since
        ]

    def stored(self, signs: Signs, now: datetime) -> None:
        """These were committed."""
        for name, at in signs.items():
            self._stored_at[name] = now
            if self._heard.get(name) == at:
                del self._heard[name]

    def _note(self, name: str, now: datetime) -> None:
        self._heard[name] = now

    def _rested(self, spec: HeartbeatSpec, now: datetime) -> bool:
        """Whether it was stored long enough ago. A clock that was set back says nothing of that."""
        stored_at = self._stored_at.get(spec.name)
        pause = min(spec.every / 10, LONGEST_PAUSE)
        return stored_at is None or not timedelta(0) <= now - stored_at < pause
