"""People who are paged, and answer: by the API or by the button in Slack, again and again until it is confirmed."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

import requests

from incidentd.channels.slack_card import ACKNOWLEDGE
from incidentd.sandbox.interaction import PressError
from tests.fault.chaos.page import pages_of
from tests.fault.chaos.station import Station
from tests.fault.chaos.story import Plot, Story

_SECONDS = 5.0
_WIDTH = 8


class People:
    """``answers`` are the instants at which an answer was confirmed, by place."""

    def __init__(self, station: Station, stories: Iterable[Story], now: Callable[[], datetime]) -> None:
        self._station = station
        self._waiting = {story.place: story for story in stories if story.plot in (Plot.BY_API, Plot.BY_SLACK)}
        self._now = now
        self._pool = ThreadPoolExecutor(_WIDTH, "person")
        self._stopping = threading.Event()
        self.answers: dict[str, datetime] = {}

    def run(self) -> None:
        """Until told to stop, see who is paged, and let them answer."""
        seen = 0
        while not self._stopping.wait(0.2):
            events = self._station.sandbox.pagerduty.events
            for page in pages_of(events[seen:]):
                if page.place in self._waiting:
                    self._pool.submit(self._answer, self._waiting.pop(page.place))
            seen = len(events)

    def stop(self) -> None:
        """Nobody answers any more."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _answer(self, story: Story) -> None:
        time.sleep(story.waits)
        while not self._stopping.is_set():
            incident_id = self._incident_of(story.place)
            if incident_id and self._try(story, incident_id):
                self.answers[story.place] = self._now()
                return
            time.sleep(0.3)

    def _try(self, story: Story, incident_id: str) -> bool:
        if story.plot is Plot.BY_API:
            answer = self._call("POST", f"/api/v1/incidents/{incident_id}/acknowledge", {"actor": "anna"})
            return answer is not None and answer.ok
        for card in self._station.sandbox.slack.cards("#incidents"):
            if (card.metadata or {}).get("event_payload", {}).get("incident") == incident_id:
                # The card has no button any more, or not yet.
                with suppress(PressError):
                    self._station.sandbox.press(card, ACKNOWLEDGE)
        found = self._call("GET", f"/api/v1/incidents/{incident_id}")
        return found is not None and found.ok and found.json()["acknowledged_at"] is not None

    def _incident_of(self, place: str) -> str | None:
        """A page that was sent while the database was away names no incident; people look for it on the page."""
        answer = self._call("GET", f"/api/v1/incidents?q={place}&limit=50")
        if answer is None or not answer.ok:
            return None
        found = [each for each in answer.json()["incidents"] if each["key"].endswith(f"={place}")]
        return found[0]["id"] if found else None

    def _call(self, method: str, path: str, body: object = None) -> requests.Response | None:
        bearer = {"Authorization": f"Bearer {self._station.environ['INCIDENTD_API_TOKEN']}"}
        try:
            return requests.request(method, self._station.url + path, json=body, headers=bearer, timeout=_SECONDS)
        except requests.RequestException:
            return None
