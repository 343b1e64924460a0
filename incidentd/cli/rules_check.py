"""``incidentd rules check``."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from incidentd.classify import Rules, check, load
from incidentd.classify.report import show_check, show_faults
from incidentd.cli.rules_folder import UNUSABLE, Folder
from incidentd.coverage import Proof, RuleFiles, load_rule_files, prove, query_faults
from incidentd.coverage.report import check_as_json, faults_as_json, show_proof
from incidentd.errors import Fault, RulesError, SettingsError
from incidentd.objective import Objective, compare, load_objectives, show_objectives
from incidentd.settings import names_set, rules_folder

Objectives = Annotated[
    Path | None, typer.Option(help="A folder of OpenSLO files, each named objectives.yaml, to be checked as well.")
]
Alerts = Annotated[
    list[str] | None,
    typer.Option(
        "--alerts",
        help="Prometheus rule files, patterns or folders: proves that each alert gets to people.",
        show_default=False,
    ),
]
More = Annotated[
    list[str] | None, typer.Argument(metavar="[FILE]...", help="Further files of --alerts.", show_default=False)
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="name=value: a label that Prometheus adds to every alert.", show_default=False),
]
Strict = Annotated[bool, typer.Option("--strict", help="Let warnings about alerts and rows fail it, too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for CI.")]


class _UnusableError(Exception):
    """Files that can't be used, and which."""

    def __init__(self, what: str, faults: list[Fault]) -> None:
        super().__init__(what)
        self.what = what
        self.faults = faults


def check_command(
    more: More = None,
    rules: Folder = None,
    objectives: Objectives = None,
    alerts: Alerts = None,
    label: Labels = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Load the whole table: every fault with file, line, row and cause. With --alerts: does each alert get to people.

    Exit status: 0 all is well, 1 an alert doesn't, 2 a file can't be used.
    """
    if more and not alerts:
        raise typer.BadParameter("files are named after --alerts")
    try:
        places, external = [*(alerts or ()), *(more or ())], _external(label or ())
        proof = _checked(rules, objectives, places, external, as_json=as_json)
    except _UnusableError as error:
        if as_json:
            _print(faults_as_json(error.faults, error.what))
        else:
            typer.echo(show_faults(error.faults, error.what), err=True)
        raise typer.Exit(UNUSABLE) from None
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNUSABLE) from None
    if proof and (not proof.holds or (strict and proof.findings)):
        raise typer.Exit(1)


def _checked(
    folder: Path | None, objectives: Path | None, alerts: list[str], external: Mapping[str, str], *, as_json: bool
) -> Proof | None:
    table = _rules(folder)
    found = check(table, names_set(os.environ))
    promised = _objectives(objectives) if objectives else ()
    files = _rule_files(alerts) if alerts else None
    proof = prove(table, files, promised, external) if files else None
    if as_json:
        _print(check_as_json(found, proof, [str(each) for each in compare(promised)]))
    else:
        typer.echo(show_check(found))
        if objectives:
            typer.echo(show_objectives(promised))
        if proof and files:
            typer.echo(show_proof(proof, len(files.files)))
    return proof


def _rules(folder: Path | None) -> Rules:
    try:
        return load(folder or rules_folder(os.environ))
    except RulesError as error:
        raise _UnusableError("rules", error.faults) from error


def _objectives(folder: Path) -> tuple[Objective, ...]:
    if not folder.is_dir():
        raise _UnusableError("objectives", [Fault(str(folder), 0, "", "there is no such folder")])
    try:
        found = load_objectives(folder)
    except RulesError as error:
        raise _UnusableError("objectives", error.faults) from error
    except OSError as error:
        raise _UnusableError("objectives", [Fault(str(folder), 0, "", str(error.strerror))]) from error
    if faults := list(query_faults(found)):
        raise _UnusableError("objectives", faults)
    return found


def _rule_files(places: list[str]) -> RuleFiles:
    try:
        return load_rule_files(places)
    except RulesError as error:
        raise _UnusableError("alert rules", error.faults) from error


def _external(texts: Iterable[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, separator, _ in pairs:
        if not (name and separator):
            raise typer.BadParameter("--label is written name=value")
    return {name: value for name, _, value in pairs}


def _print(content: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
