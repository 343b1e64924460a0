"""Pages as PagerDuty got them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from incidentd.lifecycle.parcel import WITHOUT_MEMORY
from incidentd.sandbox.pagerduty import Event
from tests.lifecycle.bench import KEYS


@dataclass(frozen=True, slots=True)
class Page:
    """One accepted trigger: for which alert, at which level, under which key; ``direct``: without the database."""

    place: str
    level: int
    at: datetime
    key: str
    direct: bool = False


def pages_of(events: Iterable[Event], places: Mapping[str, str] | None = None) -> list[Page]:
    """The triggers among them that concern one of our alerts.

    ``places`` tells it by the dedup key: a page in its smallest form doesn't name its alert.
    """
    levels = {key: level for level, key in KEYS.items()}
    found = []
    for event in events:
        place = _named(event) or (places or {}).get(event.dedup_key, "")
        if event.action == "trigger" and place:
            direct = WITHOUT_MEMORY in event.payload["summary"]
            found.append(Page(place, levels[event.routing_key], event.at, event.dedup_key, direct))
    return found


def ended(events: Iterable[Event]) -> dict[str, datetime]:
    """When each key was last resolved by us and had been open until then."""
    return {event.dedup_key: event.at for event in events if event.action == "resolve" and not event.dropped}


def _named(event: Event) -> str:
    for alert in event.payload.get("custom_details", {}).get("alerts", [])[:1]:
        return str(alert.get("labels", {}).get("environment", ""))
    return ""
