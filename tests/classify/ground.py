"""The smallest sound rules, to be broken or extended one fault at a time."""

from collections.abc import Mapping
from datetime import UTC, datetime

from incidentd.alert import Alert
from incidentd.classify import Rules, parse
from incidentd.errors import RulesError

TIERS = """\
tables: [one]
tiers:
  P0: {description: all, response: 5m, acknowledgement: 30m}
  P1: {description: some, response: 15m, acknowledgement: 1h}
  P2: {description: few, response: 1h, acknowledgement: 8h}
  P3: {description: none, response: 1 business day, acknowledgement: never}
severity: {critical: P1, warning: P2, info: P3, none: P3, otherwise: P2}
key: {system: [system, service, job], slo: [slo, alertname], also: [environment], generic: [cluster, namespace]}
"""
DESTINATIONS = """\
page: {kind: pagerduty, routing_key: INCIDENTD_PAGERDUTY_ROUTING_KEY, fallback: room}
room: {kind: slack, channel: "#room"}
"""
CALENDARS = """\
days: {zone: UTC, weekdays: [mon, tue, wed, thu, fri]}
"""
ESCALATION = """\
people:
  1: {name: engineer}
  2: {name: manager}
policies:
  default:
    tiers:
      P0: {opening: [room], levels: [{lasts: 5m, tell: [page]}, {lasts: 10m, tell: [room]}]}
      P1: {opening: [room], levels: [{lasts: 15m, tell: [page]}]}
      P2: {opening: [room], levels: [{lasts: 1h, tell: [room]}]}
      P3: {opening: [room], calendar: days}
  internal: {extends: default, hold_down: 0s}
"""
ONE = """\
rows:
  - {name: down, match: [sli="outage"], tier: P0}
"""
FILES = {
    "tiers.yaml": TIERS,
    "destinations.yaml": DESTINATIONS,
    "calendars.yaml": CALENDARS,
    "escalation.yaml": ESCALATION,
    "one.yaml": ONE,
}
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def rules(one: str = ONE, **files: str) -> Rules:
    """Sound rules with this table; other files by stem."""
    return parse(texts(one=one, **files))


def texts(**files: str) -> Mapping[str, str]:
    """The sound texts, some of them replaced by stem."""
    return {**FILES, **{f"{stem}.yaml": text for stem, text in files.items()}}


def faults(files: Mapping[str, str]) -> list[str]:
    """The faults of these texts as people read them; empty when they are sound."""
    try:
        parse(files)
    except RulesError as error:
        return [str(fault) for fault in error.faults]
    return []


def alert(value: str | None = None, **labels: str) -> Alert:
    """A firing alert; ``value`` is the annotation."""
    annotations = {} if value is None else {"value": value}
    return Alert("00000000000000a1", labels, annotations, NOW, None, firing=True)
