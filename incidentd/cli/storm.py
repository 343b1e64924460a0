"""Many alerts at once: posted side by side, counted, and their pages watched."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from incidentd.alert import Alert
from incidentd.cli.instance import Instance, InstanceError
from incidentd.cli.notification import notification
from incidentd.clock import Clock
from incidentd.sandbox.answer import JsonObject
from incidentd.sandbox.journal import Journal
from incidentd.sandbox.ledger import Ledger
from incidentd.sandbox.pagerduty import PagerDuty

A_WEBHOOK = 100
AT_ONCE = 8
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a storm. ``answers`` counts webhooks by HTTP status, ``stored`` alerts."""

    answers: Counter[str]
    stored: int
    seconds: float

    @property
    def a_second(self) -> float:
        """Alerts stored per second."""
        return self.stored / self.seconds if self.seconds else 0.0


def storm(instance: Instance, alerts: Sequence[Alert], clock: Clock, advanced: Callable[[int], None]) -> Outcome:
    """Post them all, a hundred a webhook, eight webhooks at once. ``advanced`` hears of each so many that were sent.

    A webhook that finds no answer is counted as such and not sent again: Alertmanager would.
    """
    parts = [alerts[start : start + A_WEBHOOK] for start in range(0, len(alerts), A_WEBHOOK)]
    answers: Counter[str] = Counter()
    stored = 0
    began = clock.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part, (answer, taken) in zip(parts, pool.map(lambda each: _posted(instance, each), parts), strict=True):
            answers[answer] += 1
            stored += taken
            advanced(len(part))
    return Outcome(answers, stored, clock.monotonic() - began)


def pages_of(journal: Path, instances: Collection[str], since: datetime) -> int | None:
    """How many incidents of these instances the sandbox has accepted a page of since then; None without a sandbox.

    A page that many share counts for each of them.
    """
    if not journal.exists():
        return None
    pagerduty = PagerDuty(ledger := Ledger(Journal(journal), keep=1), keep=None)
    ledger.replay(lambda service, effect: pagerduty.apply(effect) if service == pagerduty.name else None)
    pages = [event for event in pagerduty.events if event.action == "trigger" and event.at >= since]
    wanted = set(instances)
    shared = {each.dedup_key: _shared(each.payload) for each in pages}
    return sum(1 for each in pages if wanted & set(_instances(each.payload))) + sum(shared.values())


def _instances(payload: JsonObject) -> Iterator[str]:
    for alert in payload.get("custom_details", {}).get("alerts", ()):
        yield alert.get("labels", {}).get("instance", "")


def _shared(payload: JsonObject) -> int:
    """How many incidents share this page; 0 where it is of one."""
    return int(payload.get("custom_details", {}).get("incidents_in_all", 0))


def _posted(instance: Instance, alerts: Sequence[Alert]) -> tuple[str, int]:
    try:
        answer = instance.post(notification(alerts))
    except InstanceError:
        return NO_ANSWER, 0
    return str(answer.status), answer.stored
