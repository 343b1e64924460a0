"""``incidentd fire``: sample alerts, posted as Alertmanager would, and what came of them."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from incidentd.alert import Alert
from incidentd.classify import Rules, load
from incidentd.classify.condition import parse_number
from incidentd.cli.firing import Firing, remembered
from incidentd.cli.instance import Answer, Instance, instance_at
from incidentd.cli.notification import notification
from incidentd.cli.specimen import Specimen, Wanted, apart, specimens
from incidentd.cli.storm import Outcome, pages_of, storm
from incidentd.clock import Clock
from incidentd.errors import UsageError
from incidentd.settings import rules_folder
from incidentd.web.schema import EntryJson, IncidentJson

JOURNAL = "sandbox.jsonl"
_PAGING = ("P0", "P1")
_PAGE_SECONDS = 10.0
_QUIET_SECONDS = 3.0
_WATCH_SECONDS = 15.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line asks for. ``storm`` 0: one alert for each region."""

    objective: str
    value: str | None = None
    regions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    resolve: bool = False
    storm: int = 0
    url: str | None = None
    shown: bool = False


def run(order: Order, environ: Mapping[str, str], state: Path, clock: Clock) -> int:
    """Post what is ordered and say what happened. Returns the exit status: 1 where not all was stored.

    Raises:
        UsageError: the order makes no sense.
        ConfigurationError: rules or settings are unsound.
        InstanceError: incidentd can't be reached, or refused the token.
    """
    rules = load(rules_folder(environ))
    wanted = _wanted(order)
    found = specimens(rules, wanted)
    if order.shown:
        typer.echo(json.dumps(notification([each.alert(clock.now()) for each in found]), indent=2, ensure_ascii=False))
        return 0
    for each in found:
        typer.echo(f"expected   {_expected(each)}")
    if wanted.value is not None and not all(each.breaches for each in found):
        typer.echo(f"           {wanted.value} breaches nothing: it is sent all the same", err=True)
    instance = instance_at(order.url, environ, state)
    if order.storm:
        return _Storm(instance, state, clock).run(apart(found[0], rules, order.storm), resolve=order.resolve)
    return _Single(instance, state, clock).run(found, rules, resolve=order.resolve)


def _wanted(order: Order) -> Wanted:
    system, slash, slo = order.objective.partition("/")
    if not (system and slash and slo):
        raise UsageError(f"{order.objective!r} is no objective: give <system>/<slo>, such as avalo/core-api")
    if order.value is not None and parse_number(order.value) is None:
        raise UsageError(f"--value {order.value!r} is no number: give a plain decimal such as 99.4")
    if order.storm < 0:
        raise UsageError("--storm is a number of alerts, 1 or more")
    labels, annotations = _pairs("--label", order.labels), _pairs("--annotation", order.annotations)
    return Wanted(system, slo, order.value, order.regions, labels, annotations)


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, _) in zip(texts, pairs, strict=True):
        if not name or not equals:
            raise UsageError(f"{option} {text!r} is not name=value")
    return {name: value for name, _, value in pairs}


def _expected(specimen: Specimen) -> str:
    verdict = specimen.verdict
    where = f" in {verdict.region}" if verdict.region else ""
    row = f"row {verdict.row}" if specimen.breaches else "no row"
    return f"{verdict.system}/{verdict.slo}{where}: {verdict.tier} by {row} ({verdict.reason})"


def _episodes(firing: Firing, found: Sequence[Specimen], now: datetime, *, resolve: bool) -> list[Alert]:
    """The alerts in the episodes that they fire in; new ones begin now."""
    prints = [each.fingerprint for each in found]
    firing.begin(prints, now)
    ends_at = now if resolve else None
    alerts = [each.alert(firing.since(each.fingerprint) or now, ends_at) for each in found]
    if resolve:
        firing.end(prints)
    return alerts


class _Single:
    """One webhook."""

    def __init__(self, instance: Instance, state: Path, clock: Clock) -> None:
        self._instance = instance
        self._state = state
        self._clock = clock

    def run(self, found: Sequence[Specimen], rules: Rules, *, resolve: bool) -> int:
        now = self._clock.now()
        verdict = found[0].verdict
        before = self._incident(verdict.key, verdict.system)
        told = len(self._instance.timeline(before.id)) if before else 0
        with remembered(self._state, self._instance.url) as firing:
            known = sum(firing.since(each.fingerprint) is not None for each in found)
            answer = self._instance.post(notification(_episodes(firing, found, now, resolve=resolve)))
        typer.echo(f"posted     {_posted(answer, len(found), known, resolve=resolve)}")
        if answer.problem:
            return 1
        self._say_what_follows(verdict.key, verdict.system, told, rules, resolve=resolve)
        return 0

    def _incident(self, key: str, system: str) -> IncidentJson | None:
        return self._instance.open_incident(key, system) if self._instance.has_api else None

    def _say_what_follows(self, key: str, system: str, told: int, rules: Rules, *, resolve: bool) -> None:
        if not self._instance.has_api:
            typer.echo("incident   not looked up: INCIDENTD_API_TOKEN is not known here")
            return
        incident = self._incident(key, system)
        if incident is None:
            typer.echo(f"incident   none is open: {'there was none to end' if resolve else 'it was resolved'}")
            return
        entries = self._news(incident, told)
        typer.echo(f"incident   {_shown(incident)}")
        typer.echo(f"page       {self._instance.url}/incidents/{incident.id}")
        for entry in entries:
            typer.echo(f"           {entry.sentence}")
        if not entries:
            typer.echo("           Nothing new: a repeat.")
        if incident.rule.version != rules.version and incident.rule.version:
            typer.echo(f"           Its rules are version {incident.rule.version}; those here are {rules.version}.")

    def _news(self, incident: IncidentJson, told: int) -> list[EntryJson]:
        """The new entries; where somebody is paged, with the receiver's answer, if that comes soon."""
        end = self._clock.monotonic() + _PAGE_SECONDS
        while True:
            entries = self._instance.timeline(incident.id)
            entries = entries[told:] if told else latest_episode(entries)
            paging = any(each.kind in ("opened", "level", "round") for each in entries) and incident.level
            answered = any(_is_answer(each, incident) for each in entries)
            if not paging or answered or self._clock.monotonic() > end:
                return entries
            time.sleep(_LOOK_SECONDS)


def latest_episode(entries: Sequence[EntryJson]) -> list[EntryJson]:
    """Those since it opened last: pages before that were for what is over."""
    began = max((each.number for each in entries if each.kind == "opened"), default=0)
    return [each for each in entries if each.number >= began]


def _is_answer(entry: EntryJson, incident: IncidentJson) -> bool:
    """Whether a receiver has answered: of a tier that pages, the one that pages."""
    if entry.kind == "accepted":
        return bool(entry.data.get("paged")) or incident.tier not in _PAGING
    return entry.kind == "delivery_failed"


class _Storm:
    """Many webhooks side by side."""

    def __init__(self, instance: Instance, state: Path, clock: Clock) -> None:
        self._instance = instance
        self._state = state
        self._clock = clock

    def run(self, found: Sequence[Specimen], *, resolve: bool) -> int:
        incidents = len({each.verdict.key for each in found})
        typer.echo(f"storm      {_count(len(found), 'alert')} of {_count(incidents, 'incident')}")
        began = self._clock.now()
        with remembered(self._state, self._instance.url) as firing:
            new = sum(firing.since(each.fingerprint) is None for each in found)
            alerts = _episodes(firing, found, began, resolve=resolve)
            # What can't be reached, and a wrong token, are told before the storm begins.
            self._instance.post(notification(alerts[:1]))
            with _progress() as progress:
                task = progress.add_task("posting", total=len(alerts))
                outcome = storm(self._instance, alerts, self._clock, lambda sent: progress.advance(task, sent))
        typer.echo(f"posted     {_sum(outcome)}")
        if not new and not resolve:
            typer.echo("pages      none is due: all of them fire already")
        elif not resolve:
            self._watch_pages([each.labels["instance"] for each in found], incidents, began)
        return 0 if outcome.stored == len(found) else 1

    def _watch_pages(self, instances: Sequence[str], wanted: int, since: datetime) -> None:
        """Until every incident has its page, none came for a while, or people have waited enough."""
        began = last = self._clock.monotonic()
        paged = -1
        while True:
            found = pages_of(self._state / JOURNAL, instances, since)
            now = self._clock.monotonic()
            if found is None and now - began > _QUIET_SECONDS:
                typer.echo("pages      can't be told: there is no sandbox in the folder of --state")
                return
            last = now if found is not None and found > paged else last
            paged = max(paged, found or 0)
            if paged >= wanted or now - last > _QUIET_SECONDS or now - began > _WATCH_SECONDS:
                break
            time.sleep(_LOOK_SECONDS)
        more = "" if paged >= wanted else f"; {wanted - paged} more may follow, as the destinations' limits allow"
        typer.echo(f"pages      {paged} accepted by the sandbox within {last - began:.1f} s{more}")


def _posted(answer: Answer, count: int, known: int, *, resolve: bool) -> str:
    if answer.problem:
        return f"{answer.status}: {answer.problem}"
    what = "no longer firing" if resolve else "firing"
    again = " again" if known == count and not resolve else ""
    vain = "; it didn't fire before" if resolve and not known else ""
    return f"{answer.status} in {_milliseconds(answer.seconds)}: {_count(count, 'alert')} {what}{again}{vain}"


def _shown(incident: IncidentJson) -> str:
    where = f" in {', '.join(incident.scope)}" if incident.scope else ""
    level = f", level {incident.level}" if incident.level else ""
    return f"#{incident.number} {incident.tier} {incident.title}: {incident.state}{level}{where}"


def _sum(outcome: Outcome) -> str:
    answers = ", ".join(f"{count} × {status}" for status, count in sorted(outcome.answers.items()))
    stored = f"{_count(outcome.stored, 'alert')} stored in {outcome.seconds:.2f} s, {outcome.a_second:,.0f} a second"
    return f"{stored}; answers: {answers}"


def _progress() -> Progress:
    columns = (TextColumn("posting   "), BarColumn(), MofNCompleteColumn(), TextColumn("alerts"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not Console(stderr=True).is_terminal)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
