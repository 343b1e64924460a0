"""Stories: alerts are posted, buttons pressed, time passes; what people get is expected, and nothing else happens.

Everything is real but the clock and the receivers: web, store, the rules in ``rules/``, channels, the sandbox.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests

from incidentd.channels.slack_card import ACKNOWLEDGE, ESCALATE, RESOLVE, TAKE_OVER
from incidentd.clock import ManualClock
from incidentd.incident.state import Incident, State
from incidentd.intake import fingerprint
from incidentd.sandbox.message import Message
from incidentd.sandbox.pagerduty import AlertState, PagerDutyAlert
from incidentd.store.cursors import DIGEST_SLOT
from incidentd.web.app import create_app
from incidentd.web.server import bind, serving
from tests.lifecycle.bench import KEYS, RULES, Bench, open_bench
from tests.servers import wait_until

INCIDENTS, MANAGEMENT, TICKETS = "#incidents", "#management", "#tickets"

_OPEN_END = "0001-01-01T00:00:00Z"
_SLI = {"core-api": "availability", "api-latency": "latency_p95"}


@dataclass
class Story:
    """What a test tells. Each step does at once all that is due at its instant."""

    bench: Bench
    url: str
    _since: dict[str, datetime] = field(default_factory=dict)
    _pages_seen: int = 0

    # What happens.

    def fire(self, what: str, value: float | None = None, region: str = "", **labels: str) -> None:
        """Alertmanager says that ``system/slo`` is in breach; again, it repeats the same."""
        self.post([self.alert(what, value, region, firing=True, **labels)])
        self.bench.settle()

    def resolve(self, what: str, region: str = "", **labels: str) -> None:
        """Alertmanager says that it is over."""
        self.post([self.alert(what, None, region, firing=False, **labels)])
        self.bench.settle()

    def post(self, alerts: list[dict[str, Any]]) -> None:
        """One notification, answered with 200."""
        assert self.posted_to(self.url, alerts) == requests.codes.ok

    def posted_to(self, url: str, alerts: list[dict[str, Any]], sender: int = 0) -> int:
        """What one notification of one replica of Alertmanager is answered with by a web part."""
        body = {"version": "4", "status": "firing", "receiver": "incidentd", "alerts": alerts, "truncatedAlerts": 0}
        body["externalURL"] = f"http://alertmanager-{sender}:9093"
        bearer = f"Bearer {self.bench.environ['INCIDENTD_WEBHOOK_TOKEN']}"
        headers = {"Authorization": bearer}
        return requests.post(f"{url}/api/v1/alertmanager", json=body, headers=headers, timeout=20).status_code

    def alert(
        self, what: str, value: float | None = None, region: str = "", *, firing: bool = True, **labels: str
    ) -> dict[str, Any]:
        """One alert as Alertmanager sends it, in the episode that it is in now."""
        system, slo = what.split("/")
        all_labels = {"alertname": f"{system} {slo}", "system": system, "slo": slo, "sli": _SLI.get(slo, "minor")}
        all_labels |= {"region": region} if region else {}
        all_labels |= labels
        name = fingerprint(all_labels)
        starts_at = self._since.setdefault(name, self.bench.now)
        if not firing:
            del self._since[name]
        return {
            "status": "firing" if firing else "resolved",
            "labels": all_labels,
            "annotations": {"summary": f"{what} is in breach"} | ({} if value is None else {"value": str(value)}),
            "startsAt": starts_at.isoformat(),
            "endsAt": _OPEN_END if firing else self.bench.now.isoformat(),
            "generatorURL": "https://prometheus.example/graph",
            "fingerprint": name,
        }

    def acknowledge(self, by: str = "anna.berg", channel: str = INCIDENTS) -> None:
        """Somebody presses the button on the newest card."""
        self._press(ACKNOWLEDGE, by, channel)
        self.bench.settle()

    def acknowledge_together(self, *people: str) -> None:
        """Several press it, each before they can see that another has."""
        for person in people:
            self._press(ACKNOWLEDGE, person)
        self.bench.settle()

    def take_over(self, by: str) -> None:
        """Somebody else takes it."""
        self._press(TAKE_OVER, by)
        self.bench.settle()

    def escalate(self, by: str = "anna.berg") -> None:
        """Somebody wants the next level told."""
        self._press(ESCALATE, by)
        self.bench.settle()

    def end(self, by: str = "anna.berg") -> None:
        """Somebody says that it is over."""
        self._press(RESOLVE, by)
        self.bench.settle()

    def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Time passes; what falls due on the way is done when it is due."""
        self.bench.forward(timedelta(hours=hours, minutes=minutes, seconds=seconds))

    def off(self, *, hours: float) -> None:
        """Time passes while nothing of incidentd runs, and then it is there again, but for its web part."""
        self.bench.restart(timedelta(hours=hours))
        self.bench.settle()

    def answer_page(self, page: PagerDutyAlert, action: str = "acknowledge", by: str = "anna.berg") -> None:
        """Somebody acts at PagerDuty itself, and all that follows from it, echoes too, has been heard."""
        self.bench.sandbox.handle(page, action, by)
        self.listen()

    def listen(self) -> None:
        """Everything that PagerDuty tells has been heard, and has had its effect."""
        herald, heard = self.bench.sandbox.sandbox.herald, -1
        while heard < len(herald.tellings):
            heard = len(herald.tellings)
            wait_until(lambda: all(told.over for told in herald.tellings), "webhooks to be answered")
            assert {told.status for told in herald.tellings} <= {202}
            self.bench.runtime.reactor.look()
            self.bench.settle()

    # What people get.

    def expect_page(self, *, level: int) -> PagerDutyAlert:
        """The next new alert at PagerDuty is one for this level, and it is not answered yet."""
        alerts = self.bench.sandbox.pagerduty.alerts
        assert len(alerts) > self._pages_seen, f"nobody was paged: level {level} should have been"
        page = alerts[self._pages_seen]
        self._pages_seen += 1
        assert page.routing_key == KEYS[level], f"another level was paged: {page.latest.payload['summary']}"
        assert f"level {level}" in page.latest.payload["summary"]
        return page

    def expect_no_page(self) -> None:
        """There is no alert at PagerDuty that was not expected."""
        unexpected = self.bench.sandbox.pagerduty.alerts[self._pages_seen :]
        assert [alert.latest.payload["summary"] for alert in unexpected] == []

    def expect_alert(self, page: PagerDutyAlert, state: AlertState, severity: str | None = None) -> None:
        """An alert of before now is in this state, with this severity."""
        now = next(alert for alert in self.bench.sandbox.pagerduty.alerts if alert.number == page.number)
        assert now.state is state
        assert severity in (None, now.latest.payload["severity"])

    def expect_card(self, *says: str, channel: str = INCIDENTS, count: int = 1) -> Message:
        """The newest of ``count`` cards in a channel says all this."""
        cards = self.bench.sandbox.slack.cards(channel)
        assert len(cards) == count, f"{len(cards)} cards in {channel}"
        _expect_in(cards[-1], says)
        return cards[-1]

    def expect_no_card(self, channel: str = INCIDENTS) -> None:
        """A channel is left in peace."""
        assert self.bench.sandbox.slack.cards(channel) == []

    def expect_thread(self, *says: str, loud: bool | None = None, channel: str = INCIDENTS) -> Message:
        """The newest reply to the newest card says all this; ``loud``: it was also sent to the channel."""
        card = self.bench.sandbox.slack.cards(channel)[-1]
        replies = self.bench.sandbox.slack.replies(card)
        assert replies, "nothing was said in the thread"
        _expect_in(replies[-1], says)
        assert loud in (None, replies[-1].broadcast)
        return replies[-1]

    def expect_whisper(self, *says: str) -> None:
        """Somebody was told something that only they see."""
        assert self.bench.sandbox.slack.wait(lambda slack: bool(slack.ephemeral())), "nothing was whispered"
        _expect_in(self.bench.sandbox.slack.ephemeral()[-1], says)

    def expect(self, state: State, **facts: object) -> Incident:
        """The only incident is in this state, and these attributes of it are so."""
        incident = self.bench.incident()
        assert incident.state is state
        assert {name: getattr(incident, name) for name in facts} == facts
        return incident

    def comes_to_its_end(self) -> None:
        """Nothing unexpected happened: no further page, timelines fold, and everybody knows all."""
        self.expect_no_page()
        for incident_id in self.bench.incident_ids():
            timeline = self.bench.timeline(incident_id)
            assert [entry.number for entry in timeline] == list(range(1, len(timeline) + 1))
        for cursor in self.bench.cursors():
            if cursor.slot == DIGEST_SLOT:
                continue
            news = self.bench.incident(cursor.incident_id).news
            assert cursor.told >= news or cursor.due_at or cursor.given_up, f"{cursor.destination} was not told"
        assert [r.path for r in self._requests() if not r.accepted and r.method != "conversations.history"] == []

    def _requests(self) -> tuple[Any, ...]:
        sandbox = self.bench.sandbox
        reads = {"users.lookupByEmail", "chat.getPermalink", "conversations.list", "conversations.replies"}
        return tuple(r for r in (*sandbox.pagerduty.requests, *sandbox.slack.requests) if r.method not in reads)

    def _press(self, button: str, by: str, channel: str = INCIDENTS) -> None:
        card = self.bench.sandbox.slack.cards(channel)[-1]
        press = self.bench.sandbox.press(card, button, by)
        assert press.status == requests.codes.ok, press.problem


def _expect_in(message: Message, says: tuple[str, ...]) -> None:
    shown = f"{message.text} {message.blocks}"
    missing = [text for text in says if text not in shown]
    assert missing == [], shown


@contextmanager
def telling(
    database_url: str, *, webhooks: bool = False, clock: ManualClock | None = None, **changes: str
) -> Iterator[Story]:
    """A story on this database, from its beginning to its end. ``webhooks``: PagerDuty tells what people do there."""
    with open_bench(database_url, RULES, telling=webhooks, clock=clock, **changes) as bench:
        listener = bind("127.0.0.1", 0)
        with serving(create_app(bench.runtime), listener) as url:
            bench.sandbox.product_url = url
            story = Story(bench, url)
            yield story
            story.comes_to_its_end()
