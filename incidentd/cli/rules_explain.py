"""``incidentd rules explain``: an alert of a file, or those of an incident that the database has."""

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from incidentd.alert import Alert
from incidentd.classify import Rules, explain, parse
from incidentd.classify.report import show_explanation
from incidentd.cli.rules_folder import UNUSABLE, Folder, rules_in
from incidentd.cli.sample import alerts_in
from incidentd.cli.start import inherited_settings
from incidentd.cli.state import with_database
from incidentd.clock import SystemClock
from incidentd.errors import ConfigurationError, IntakeError, StoreError
from incidentd.settings import names_set
from incidentd.store import query
from incidentd.store import rules as stored
from incidentd.store.engine import Store
from incidentd.store.migrate import check
from incidentd.store.query import AlertShown, Listed
from incidentd.store.sightings import is_own
from incidentd.store.survey import open_reader, sqlite_file

_MOST = 1_000
"""Alerts of one incident that are explained."""

What = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        help="A webhook body, or an alert, as JSON; - reads standard input. Or an incident's id or number, such as 42.",
    ),
]
State = Annotated[Path, typer.Option(help="The folder that `up` keeps its database in.")]


def explain_command(what: What, rules: Folder = None, state: State = Path("var")) -> None:
    """Say which row takes each alert, what every row before it said, what another tier needed, and who is told when.

    An incident's alerts are explained by the table that decided on it, unless --rules names another.
    """
    if what == "-" or Path(what).exists() or not query.is_reference(what):
        table, alerts = rules_in(rules), _alerts(what)
    else:
        table, alerts = _incident(what, rules, state)
    in_doubt = table.in_doubt(names_set(os.environ))
    for alert in alerts:
        typer.echo(show_explanation(explain(alert, table), in_doubt) + "\n")


def _alerts(file: str) -> list[Alert]:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return alerts_in(raw, SystemClock().now())
    except (OSError, IntakeError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise _unusable(f"{file}: {cause}") from None


def _incident(reference: str, folder: Path | None, state: Path) -> tuple[Rules, list[Alert]]:
    try:
        url = inherited_settings(with_database(os.environ, state)).database_url
        file = sqlite_file(url)
        if file and not file.exists():
            raise _unusable(f"{reference}: there is no such file, and no database in {file} to look for an incident in")
        with closing(Store(open_reader(url))) as store:
            check(store.engine)
            return _read(store, reference, folder)
    except (ConfigurationError, StoreError) as error:
        raise _unusable(str(error)) from None


def _read(store: Store, reference: str, folder: Path | None) -> tuple[Rules, list[Alert]]:
    found = store.read(lambda tx: query.find(tx, reference))
    if found is None:
        raise _unusable(f"{reference}: there is no such file, and no such incident")
    incident = found.incident
    alerts = store.read(lambda tx: query.alerts(tx, [incident.id], _MOST)).get(incident.id, [])
    typer.echo(f"#{found.number} {incident.title}: {incident.tier}, {incident.state}, {_count(alerts)}\n")
    # What incidentd raises itself no row decides on: a table would say something else of it.
    for own in (each for each in alerts if is_own(each.row)):
        name = own.labels.get("alertname", "")
        typer.echo(f"{own.tier} by {own.row}: {name} is raised by incidentd itself, and no row decides on it.\n")
    return _table(store, found, folder), [_alert(each) for each in alerts if not is_own(each.row)]


def _table(store: Store, found: Listed, folder: Path | None) -> Rules:
    if folder is not None:
        return rules_in(folder)
    version = found.incident.version
    texts = store.read(lambda tx: stored.files(tx, version))
    if texts is None:
        raise _unusable(f"the table {version}, which decided on it, is no longer stored: name one by --rules")
    return parse(texts)


def _alert(shown: AlertShown) -> Alert:
    return Alert(
        shown.fingerprint,
        shown.labels,
        shown.annotations,
        shown.starts_at,
        shown.ends_at,
        shown.firing,
        shown.generator_url,
    )


def _count(alerts: list[AlertShown]) -> str:
    return f"{len(alerts)} alert{'' if len(alerts) == 1 else 's'}"


def _unusable(cause: str) -> typer.Exit:
    typer.echo(cause, err=True)
    return typer.Exit(UNUSABLE)
