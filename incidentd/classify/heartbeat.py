"""``heartbeats.yaml``: who must be heard from, and how long silence may last."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from incidentd.alert import Alert
from incidentd.classify.matcher import Matcher, MatcherError, parse_matcher
from incidentd.classify.section import Ledger, Section, as_section, is_blank, open_file
from incidentd.classify.table import DEFAULT_POLICY, Shelf, Table, followers
from incidentd.tier import Tier

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_SECOND = timedelta(seconds=1)
_LONGEST = timedelta(days=400)
_FIELDS = ("match", "every", "tier", "title", "runbook", "policy", "destinations")
_PAGING = (Tier.P0, Tier.P1)


@dataclass(frozen=True, slots=True)
class HeartbeatSpec:
    """One expected heartbeat. Without ``matchers`` it is a job that reports by itself.

    ``every`` is how long silence may last; after it the silence is an incident of ``tier``.
    """

    name: str
    every: timedelta
    tier: Tier
    matchers: tuple[Matcher, ...] = ()
    title: str = ""
    runbook: str = ""
    policy: str = DEFAULT_POLICY
    destinations: tuple[str, ...] = ()

    def takes(self, alert: Alert) -> bool:
        """Whether this firing alert is its sign of life, and nothing else."""
        return bool(self.matchers) and all(matcher.matches(alert.labels) for matcher in self.matchers)


def read_heartbeats(text: str, ledger: Ledger, shelf: Shelf, tables: Iterable[Table]) -> dict[str, HeartbeatSpec]:
    """All heartbeats of the file, by name; none, where it holds comments only."""
    if is_blank(text):
        return {}
    found: dict[str, HeartbeatSpec] = {}
    tables = tuple(tables)
    for name, node in open_file(text, ledger).fields.items():
        section = as_section(node, name, ledger, name)
        if not NAME.fullmatch(name):
            ledger.add(node.line, "a heartbeat's name is of small letters, digits and - _ .", name)
        elif section and (spec := _heartbeat(name, section, shelf)):
            _check_greed(spec, section, tables)
            found[name] = spec
    return found


def taken_by(alert: Alert, heartbeats: Mapping[str, HeartbeatSpec]) -> list[str]:
    """The heartbeats of which this alert is a sign of life. One that ended is a sign of none."""
    return [name for name, spec in heartbeats.items() if alert.firing and spec.takes(alert)]


def _heartbeat(name: str, section: Section, shelf: Shelf) -> HeartbeatSpec | None:
    section.only(*_FIELDS)
    tier = section.tier("tier")
    every = section.span("every", least=_SECOND)
    if every > _LONGEST:
        section.complain(f"every is longer than {_LONGEST.days}d", "every")
    matchers = _matchers(section)
    if tier is None:
        return None
    return HeartbeatSpec(
        name=name,
        every=every,
        tier=tier,
        matchers=matchers,
        title=section.text("title", ""),
        runbook=section.text("runbook", ""),
        policy=section.choice("policy", shelf.policies, DEFAULT_POLICY) or DEFAULT_POLICY,
        destinations=followers(section, shelf, ()),
    )


def _matchers(section: Section) -> tuple[Matcher, ...]:
    found: list[Matcher] = []
    faults = len(section.ledger.faults)
    for line, text in section.lines("match"):
        try:
            found.append(parse_matcher(text))
        except MatcherError as error:
            section.ledger.add(line, f"match: {error}", section.row)
    sound = faults == len(section.ledger.faults)
    if section.has("match") and sound and not any(each.operator == "=" and each.value for each in found):
        section.complain("match must ask for one label by =, as what it takes never becomes an incident", "match")
    return tuple(found)


def _check_greed(spec: HeartbeatSpec, section: Section, tables: Iterable[Table]) -> None:
    """A matcher that is too wide would silence alerts that have to wake somebody."""
    for example in (example for table in tables for example in table.examples):
        if example.tier in _PAGING and spec.matchers and all(each.matches(example.labels) for each in spec.matchers):
            cause = f"takes the alert of an example of {example.row} ({example.tier}), which would never page again"
            section.complain(f"match {cause}", "match")
            return
