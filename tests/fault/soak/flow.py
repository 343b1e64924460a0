"""A steady flow: new alerts, repeats of those that fire, and the end of those that have fired long enough."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import requests

from incidentd.intake import fingerprint

TICK_SECONDS = 0.5
REPEATS = (20, 40, 60)
END = 80
"""In ticks."""
PER_TICK = len(REPEATS) + 2
_SECONDS = 30.0
_WIDTH = 8
_PATH = "/api/v1/alertmanager"


class Flow:
    """``per_second`` alerts, in webhooks of a few."""

    def __init__(self, url: str, token: str, per_second: float, now: Callable[[], datetime]) -> None:
        self._url = f"{url}{_PATH}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._fresh = max(1, round(per_second * TICK_SECONDS / PER_TICK))
        self._now = now
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._stopping = threading.Event()
        self.alerts = 0
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        """Send until told to stop."""
        began_at, began, tick = self._now(), time.monotonic(), 0
        with ThreadPoolExecutor(_WIDTH, "flow") as pool:
            self._connect(pool)
            while not self._stopping.wait(max(0.0, began + tick * TICK_SECONDS - time.monotonic())):
                for alerts in self.webhooks(tick, began_at):
                    pool.submit(self._post, alerts)
                tick += 1

    def stop(self) -> None:
        """No more."""
        self._stopping.set()

    def webhooks(self, tick: int, began_at: datetime) -> Iterator[list[dict[str, Any]]]:
        """What a tick sends: those that begin, those that are said again, those that end."""
        for age in (0, *REPEATS, END):
            born = tick - age
            if born >= 0:
                numbers = range(born * self._fresh, (born + 1) * self._fresh)
                since = began_at + timedelta(seconds=born * TICK_SECONDS)
                until = since + timedelta(seconds=END * TICK_SECONDS) if age == END else None
                yield [alert(number, since, until) for number in numbers]

    def _connect(self, pool: ThreadPoolExecutor) -> None:
        """Open all connections first: those opened by need would look like something of incidentd's that grows."""
        together = threading.Barrier(_WIDTH)
        for greeting in [pool.submit(self._greet, together) for _ in range(_WIDTH)]:
            greeting.result()

    def _greet(self, together: threading.Barrier) -> None:
        self._mine.session = requests.Session()
        self._mine.session.get(f"{self._url.removesuffix(_PATH)}/-/live", timeout=_SECONDS)
        together.wait(_SECONDS)

    def _post(self, alerts: list[dict[str, Any]]) -> None:
        try:
            session: requests.Session = self._mine.session
            body = {"version": "4", "alerts": alerts}
            status = session.post(self._url, json=body, headers=self._headers, timeout=_SECONDS).status_code
        except requests.RequestException:
            status = 0
        with self._lock:
            self.statuses[status] += 1
            self.alerts += len(alerts)


def alert(number: int, since: datetime, until: datetime | None) -> dict[str, Any]:
    """One of an incident of its own."""
    slo = ("core-api", "chat-delivery")[number % 2]
    labels = {"alertname": "Outage", "system": "avalo", "slo": slo, "sli": "outage", "region": "eu"}
    labels["environment"] = f"s{number}"
    return {
        "status": "resolved" if until else "firing",
        "labels": labels,
        "annotations": {"summary": f"number {number}", "value": "99.1"},
        "startsAt": since.isoformat(),
        "endsAt": until.isoformat() if until else "0001-01-01T00:00:00Z",
        "fingerprint": fingerprint(labels),
    }
