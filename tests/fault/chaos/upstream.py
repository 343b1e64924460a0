"""Alertmanager, three replicas of it: sends, and sends again what met 5xx, silence or a refused connection."""

import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import requests

from incidentd.intake import fingerprint
from tests.fault.chaos.story import Notice, Story

_SECONDS = 5.0
_WIDTH = 24
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_COPIES = 20


@dataclass
class Answered:
    """What was said about one alert, by the number of its state. ``newest``: the latest that a replica has begun.

    ``last_ended``: when a request that says so was last answered, or given up.
    """

    first_posted: dict[int, datetime] = field(default_factory=dict)
    first_answered: dict[int, datetime] = field(default_factory=dict)
    newest: dict[int, float] = field(default_factory=dict)
    last_ended: dict[int, datetime] = field(default_factory=dict)


class Upstream:
    """``began_at`` is the instant from which stories count."""

    def __init__(self, url: str, token: str, now: Callable[[], datetime], began_at: datetime) -> None:
        self._url = f"{url}/api/v1/alertmanager"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._now, self._began_at = now, began_at
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._recent: list[tuple[Answered, int, dict[str, Any]]] = []
        self.statuses: Counter[int] = Counter()
        self.answered: dict[str, Answered] = {}
        self._queue: list[tuple[float, int, Story, Notice, float]] = []
        self._order = itertools.count()
        self._under_way = 0
        self._stopping = threading.Event()

    def run(self, stories: Sequence[Story]) -> None:
        """Send all that they say, each at its time; returns when all is answered, or when told to stop."""
        began = time.monotonic()
        for story in stories:
            self.answered[story.place] = Answered()
            for notice in story.notices:
                self._put(began + story.at + notice.at, story, notice, _FIRST_WAIT)
        with ThreadPoolExecutor(_WIDTH, "alertmanager") as pool:
            while not self._stopping.is_set():
                due = self._take(time.monotonic())
                for story, notice, wait in due:
                    pool.submit(self._try, story, notice, wait)
                if self.is_done:
                    return
                if not due:
                    time.sleep(0.02)

    @property
    def is_done(self) -> bool:
        """Whether all that was to be sent is answered."""
        with self._lock:
            return not self._queue and not self._under_way

    def stop(self) -> None:
        """Whatever is left is not sent."""
        self._stopping.set()

    def copy(self, random: Random) -> None:
        """What was sent lately, again, in any order, from every replica."""
        with self._lock:
            copies = list(self._recent[-_COPIES:])
        random.shuffle(copies)
        for known, number, body in copies:
            self._count(self._post(body))
            known.last_ended[number] = self._now()

    def _put(self, at: float, story: Story, notice: Notice, wait: float) -> None:
        with self._lock:
            heapq.heappush(self._queue, (at, next(self._order), story, notice, wait))

    def _take(self, now: float) -> list[tuple[Story, Notice, float]]:
        due = []
        with self._lock:
            while self._queue and self._queue[0][0] <= now:
                _, _, story, notice, wait = heapq.heappop(self._queue)
                due.append((story, notice, wait))
            self._under_way += len(due)
        return due

    def _try(self, story: Story, notice: Notice, wait: float) -> None:
        try:
            self._send(story, notice, wait)
        finally:
            with self._lock:
                self._under_way -= 1

    def _send(self, story: Story, notice: Notice, wait: float) -> None:
        known = self.answered[story.place]
        body = self._body(story, notice)
        with self._lock:
            self._recent = [*self._recent[-2 * _COPIES :], (known, notice.number, body)]
            known.first_posted.setdefault(notice.number, self._now())
            known.newest[notice.replica] = max(known.newest.get(notice.replica, 0.0), notice.at)
        status = self._post(body)
        known.last_ended[notice.number] = self._now()
        self._count(status)
        if 200 <= status < 300:
            with self._lock:
                known.first_answered.setdefault(notice.number, self._now())
        # A flush sends the present state: what a replica has said anew meanwhile is not sent any more.
        elif (status == 0 or status >= 500) and known.newest[notice.replica] <= notice.at:
            self._put(time.monotonic() + wait, story, notice, min(2 * wait, _LONGEST_WAIT))

    def _count(self, status: int) -> None:
        with self._lock:
            self.statuses[status] += 1

    def _post(self, body: dict[str, Any]) -> int:
        """The status; 0 where there is no answer."""
        if not hasattr(self._mine, "session"):
            self._mine.session = requests.Session()
        try:
            session: requests.Session = self._mine.session
            return session.post(self._url, json=body, headers=self._headers, timeout=_SECONDS).status_code
        except requests.RequestException:
            return 0

    def _body(self, story: Story, notice: Notice) -> dict[str, Any]:
        labels = {
            "alertname": "Outage", "system": "avalo", "slo": "core-api" if story.climbs else "chat-delivery",
            "sli": "outage", "region": "eu", "environment": story.place,
        }  # fmt: skip
        starts_at = self._began_at + timedelta(seconds=story.at + notice.since)
        ends_at = self._began_at + timedelta(seconds=story.at + notice.until)
        alert = {
            "status": "firing" if notice.firing else "resolved",
            "labels": labels,
            "annotations": {"summary": story.place},
            "startsAt": starts_at.isoformat(),
            "endsAt": "0001-01-01T00:00:00Z" if notice.firing else ends_at.isoformat(),
            "fingerprint": fingerprint(labels),
        }
        return {"version": "4", "alerts": [alert]}
