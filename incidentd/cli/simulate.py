"""``incidentd simulate``: who would be told what and when."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from incidentd.alert import Alert
from incidentd.classify import DEFAULT_POLICY, Rules, Verdict, classify, load, taken_by
from incidentd.classify.report import show_faults
from incidentd.classify.section import closest
from incidentd.classify.span import parse_span
from incidentd.classify.table import Table
from incidentd.classify.wording import span_in_words
from incidentd.cli.sample import alerts_in
from incidentd.clock import SystemClock
from incidentd.errors import ConfigurationError, IntakeError, RulesError, SettingsError
from incidentd.intake import fingerprint
from incidentd.lifecycle.reception import place
from incidentd.replay.local import LocalTime, parse_local, shown
from incidentd.replay.plan import Moment, Plan, Story, plan
from incidentd.replay.telling import How, Telling
from incidentd.settings import names_set, rules_folder
from incidentd.tier import Tier

BROKEN = 2
_VERBS = {How.PAGE: "pages", How.FIRST: "tells", How.CALL: "calls in", How.UPDATE: "updates"}


@dataclass(frozen=True, slots=True)
class _Told:
    """What is simulated, with what should be known of it. Those ``in_doubt`` are told only if they are set up."""

    rules: Rules
    when: LocalTime
    plan: Plan
    notes: tuple[str, ...]
    in_doubt: frozenset[str] = frozenset()


def simulate_command(
    at: Annotated[
        str, typer.Option(help="When it begins, such as '2026-10-25T02:30 Europe/Berlin'; by default now.")
    ] = "",
    tier: Annotated[str, typer.Option(help="P0 to P3.", show_default=False)] = "",
    system: Annotated[str, typer.Option(help="A system that has a table, such as avalo.", show_default=False)] = "",
    label: Annotated[
        list[str] | None, typer.Option("--label", "--labels", help="A label as name=value: the table says the tier.")
    ] = None,
    alert: Annotated[
        Path | None, typer.Option(help="A file with an alert or a webhook body, as JSON, in place of labels.")
    ] = None,
    acknowledge_after: Annotated[
        str, typer.Option(help="Somebody answers after this time, such as 12m; by default nobody.", show_default=False)
    ] = "",
    lasts: Annotated[
        str, typer.Option("--for", help="How long the alert fires; by default until nothing new would come.")
    ] = "",
    rules: Annotated[
        Path | None, typer.Option("--rules", help="The rules directory; by default INCIDENTD_RULES.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print who would be told what and when, minute by minute. Tells nobody, and needs no database."""
    try:
        table = load(rules or rules_folder(os.environ))
        when = parse_local(at) if at else LocalTime(SystemClock().now().replace(microsecond=0), UTC)
        spans = _span("--acknowledge-after", acknowledge_after), _span("--for", lasts)
        told = _told(table, when, _alert(tier, system, label or (), alert, when.at), tier, spans)
    except RulesError as error:
        typer.echo(show_faults(error.faults), err=True)
        raise typer.Exit(BROKEN) from None
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BROKEN) from None
    typer.echo(_as_json(told) if as_json else "\n".join(_lines(told)))


def _told(
    rules: Rules, when: LocalTime, alert: Alert, tier: str, spans: tuple[timedelta | None, timedelta | None]
) -> _Told:
    if signs := taken_by(alert, rules.heartbeats):
        raise SettingsError(f"a sign of life of {', '.join(signs)} in heartbeats.yaml: never an incident of its own")
    notes: tuple[str, ...] = ()
    if tier:
        verdict, notes = _of_tier(rules, Tier(tier), alert.labels.get("system", ""))
    else:
        verdict = classify(alert, rules)
    verdict = verdict.at(when.at)
    answer_after, lasts = spans
    noted = ((when.note,) if when.note else ()) + notes
    planned = plan(Story(alert, verdict, when.at, answer_after, lasts), rules)
    told = {each.destination for moment in planned.moments for each in moment.told}
    in_doubt = rules.in_doubt(names_set(os.environ)) & told
    return _Told(rules, when, planned, (*noted, *_doubt(in_doubt)), in_doubt)


def _doubt(names: Collection[str]) -> Iterator[str]:
    """Nobody misses what is optional: without its variables nobody is told there."""
    if names:
        yield f"optional, without their variables here, and told only where they are set up: {', '.join(sorted(names))}"


def _alert(tier: str, system: str, labels: Sequence[str], file: Path | None, at: datetime) -> Alert:
    """What fires: an alert from a file, one of labels, or one of which only tier and system count."""
    if tier and tier not in tuple(Tier):
        raise SettingsError(f"--tier {tier[:20]!r} is none of {', '.join(Tier)}")
    if bool(tier) + bool(labels) + bool(file) != 1:
        raise SettingsError("give one of --tier, --label and --alert")
    if file is not None:
        return _from_file(file, at)
    pairs = [text.partition("=") for text in labels]
    for text, (name, equals, _) in zip(labels, pairs, strict=True):
        if not (name and equals):
            raise SettingsError(f"--label {text[:60]!r} is not name=value")
    said = {name: value for name, _, value in pairs}
    value = {"value": said.pop("value")} if "value" in said else {}
    found = {**({"system": system} if system else {}), **said}
    return Alert(fingerprint(found), found, value, at, None, firing=True)


def _from_file(file: Path, at: datetime) -> Alert:
    try:
        alerts = alerts_in(file.read_bytes(), at)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except IntakeError as error:
        raise SettingsError(f"{file}: {error}") from None
    firing = [each for each in alerts if each.firing]
    if len(firing) != 1:
        raise SettingsError(f"{file} holds {len(firing)} firing alerts; one is simulated at a time")
    return firing[0]


def _of_tier(rules: Rules, tier: Tier, system: str) -> tuple[Verdict, tuple[str, ...]]:
    """What most rows of that tier say; the notes name those of its rows that tell others."""
    table = _table(rules, system) if system else None
    verdict = Verdict(
        tier=tier,
        key=f"{system or 'any'}/simulated",
        system=system or "any",
        slo="simulated",
        row="simulated",
        reason="simulated",
        title=f"{tier} of {system or 'any system'}, simulated",
        policy=table.policy if table else DEFAULT_POLICY,
        version=rules.version,
        destinations=table.destinations if table else (),
        observing=table.observing if table else None,
    )
    others = [row for row in table.rows if row.tier is tier] if table else []
    differ = [row.name for row in others if (row.policy, row.destinations) != (verdict.policy, verdict.destinations)]
    note = f"rows that tell others, or by another policy: {', '.join(differ)}; simulate those by --label"
    return verdict, (note,) if differ else ()


def _table(rules: Rules, system: str) -> Table:
    table = rules.table_for({"system": system})
    if table is None:
        known = [each.system for each in rules.tables.values() if each.system]
        raise SettingsError(f"--system {system[:60]!r} has no table{closest(system, known)}; known: {', '.join(known)}")
    return table


def _span(option: str, text: str) -> timedelta | None:
    if not text:
        return None
    span = parse_span(text)
    if span is None:
        raise SettingsError(f"{option} {text[:40]!r} is no time such as 12m or 1h30m")
    return span


def _lines(told: _Told) -> list[str]:
    found, zone = told.plan, told.when.zone
    verdict = found.verdict
    lines = [
        f"{verdict.tier} of {verdict.system}, by policy {verdict.policy}, from {_both(told.when.at, zone)} on.",
        *([] if verdict.row == "simulated" else [f"Row {verdict.row}: {verdict.reason}."]),
        *(f"Note: {note}." for note in told.notes),
    ]
    if found.opens_at:
        lines.append(f"Calendar {found.calendar}: closed. Clocks and pages wait until {_both(found.opens_at, zone)}.")
    if found.respond_by:
        lines.append(f"Answer due by {_both(found.respond_by, zone)}.")
    if found.updates:
        lines.append(f"Every {span_in_words(found.updates)} while it is open: an update in Slack's threads.")
    for moment in found.moments:
        lines += ["", f"{_both(moment.at, zone)}   {_after(moment.at - told.when.at)}"]
        lines += [f"    {each}" for each in moment.sentences]
        lines += [f"      {_words(each, told)}" for each in moment.told]
    return [*lines, "", _end(found, zone)]


def _end(found: Plan, zone: tzinfo) -> str:
    if found.next_at is None:
        but = " but updates" if found.updates else ""
        return f"Nothing more{but} happens by itself while the alert fires."
    return f"And so on: next at {_both(found.next_at, zone)}."


def _words(telling: Telling, told: _Told) -> str:
    where = place(told.rules.destinations[telling.destination])
    person = _person(telling, told.rules)
    doubt = ", if set up" if telling.destination in told.in_doubt else ""
    if telling.how is How.PAGE:
        return f"pages {person} through {where}{doubt}"
    concerned = f", for {person}" if person and telling.how is How.CALL else ""
    return f"{_VERBS[telling.how]} {where}{concerned}{doubt}"


def _person(telling: Telling, rules: Rules) -> str:
    person = rules.people.get(telling.level)
    return person.name if person else ""


def _after(passed: timedelta) -> str:
    minutes, seconds = divmod(int(passed.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"+{hours}:{minutes:02}:{seconds:02}"


def _both(at: datetime, zone: tzinfo) -> str:
    local, utc = shown(at, zone), shown(at, UTC)
    return local if local == utc else f"{local} ({utc})"


def _as_json(told: _Told) -> str:
    found, zone = told.plan, told.when.zone
    said = {
        "version": told.rules.version,
        "tier": found.verdict.tier,
        "system": found.verdict.system,
        "row": None if found.verdict.row == "simulated" else found.verdict.row,
        "policy": found.verdict.policy,
        "calendar": found.calendar,
        "at": _instant(told.when.at, zone),
        "notes": list(told.notes),
        "opens_at": _instant(found.opens_at, zone),
        "respond_by": _instant(found.respond_by, zone),
        "updates_seconds": int(found.updates.total_seconds()) if found.updates else None,
        "moments": [_moment(each, told) for each in found.moments],
        "next_at": _instant(found.next_at, zone),
    }
    return json.dumps(said, indent=2, ensure_ascii=False)


def _moment(moment: Moment, told: _Told) -> dict[str, object]:
    return {
        **{"at": _instant(moment.at, told.when.zone), "kinds": moment.kinds, "sentences": moment.sentences},
        "told": [
            {
                "destination": each.destination,
                "place": place(told.rules.destinations[each.destination]),
                "how": each.how,
                "level": each.level,
                "who": _person(each, told.rules),
                "if_set_up": each.destination in told.in_doubt,
            }
            for each in moment.told
        ],
    }


def _instant(at: datetime | None, zone: tzinfo) -> dict[str, str] | None:
    return None if at is None else {"utc": at.isoformat(), "local": at.astimezone(zone).isoformat()}
