"""What people do to pages at PagerDuty itself: acknowledge one, resolve one, or let an acknowledgement time out."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from incidentd.sandbox.answer import Answer
from incidentd.sandbox.herald import Herald
from incidentd.sandbox.ledger import Ledger, Recorded
from incidentd.sandbox.message import USERS, User
from incidentd.sandbox.pagerduty import POSSIBLE, Event, HandlingError, PagerDuty, PagerDutyAlert

_BY_ITSELF = "unacknowledge"


class Handler:
    """Does what people ask and has the herald tell of it, and of what the app itself sends."""

    def __init__(
        self,
        pagerduty: PagerDuty,
        herald: Herald,
        ledger: Ledger,
        clock: Callable[[], datetime],
        users: Sequence[User] = USERS,
    ) -> None:
        self._pagerduty = pagerduty
        self._herald = herald
        self._ledger = ledger
        self._clock = clock
        self._users = {user.id: user for user in users}
        if herald.secret:
            pagerduty.watcher = self._tell

    def possible(self, alert: PagerDutyAlert) -> tuple[str, ...]:
        """What can be done to an alert now; nothing where nobody would be told."""
        return POSSIBLE[alert.state] if self._herald.secret else ()

    def handle(self, alert: PagerDutyAlert | int, action: str, user: User | str = "") -> None:
        """Do one of ``possible``. ``user`` is a person, an id or a name; the first one where it is empty.

        Raises:
            HandlingError: there is no such alert or person, or that can't be done to it now.
        """
        number = alert if isinstance(alert, int) else alert.number
        by = "" if action == _BY_ITSELF else self._user(user).id
        now = self._clock()
        with self._ledger.changed:
            effect = self._pagerduty.handled(number, action, by, now)
            recorded = self._ledger.begin(
                Recorded(0, self._pagerduty.name, "POST", "", f"{action} here", (), b"", now, time.monotonic())
            )
            self._pagerduty.apply(effect)
            self._ledger.settle(recorded, Answer(200, {}, effect=effect))

    def _user(self, user: User | str) -> User:
        if isinstance(user, User):
            return user
        for person in self._users.values():
            if user in ("", person.id, person.name, person.real_name):
                return person
        raise HandlingError("nobody has this ID")

    def _tell(self, alert: PagerDutyAlert, event: Event) -> None:
        self._herald.tell(alert, event, self._users.get(event.by))
