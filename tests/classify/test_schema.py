"""The schemas that editors read say what the loader reads: the same fields, and the shipped files suit them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from incidentd.classify import KINDS, Kind, load
from incidentd.classify.schema import schemas
from incidentd.classify.section import Section
from incidentd.cli.main import app
from incidentd.cli.rules_schema import written
from incidentd.objective.plain import documents
from tests.classify.ground import CALENDARS, ESCALATION, rules

FOLDER = Path(__file__).parents[2] / "rules"
FILES = sorted(FOLDER.glob("*.yaml"))
EVERY_SECTION = """\
system: shop
key: {system: [system], slo: [slo], also: [environment]}
objectives: {a: all of it}
scopes: [{slos: [a], minimum: P1, regions: 2, tier: P0}]
rows:
  - {name: a, tier: P1, match: [slo="a"], scope: {minimum: P1, regions: 2, tier: P0}}
examples: [{row: a, tier: P1, labels: {slo: a}}]
"""


def kind_of(path: Path) -> str:
    return path.stem if path.stem in schemas() else "table"


def objects(schema: Any) -> Iterator[frozenset[str]]:
    """The fields of each mapping that takes no others."""
    if isinstance(schema, dict):
        if schema.get("additionalProperties") is False and "properties" in schema:
            yield frozenset(schema["properties"])
        for each in schema.values():
            yield from objects(each)
    if isinstance(schema, list):
        for each in schema:
            yield from objects(each)


@pytest.mark.parametrize("name", schemas())
def test_each_is_a_schema_and_the_file_that_ships_is_up_to_date(name: str) -> None:
    Draft7Validator.check_schema(schemas()[name])
    file = FOLDER / "schema" / f"{name}.json"
    assert file.read_text("utf-8") == written(schemas()[name]), "run `incidentd rules schema --write rules/schema`"


def test_every_schema_that_ships_is_one_of_them() -> None:
    assert {path.stem for path in (FOLDER / "schema").iterdir()} == set(schemas())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_rules_file_names_its_schema_and_suits_it(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith(f"# yaml-language-server: $schema=schema/{kind_of(path)}.json\n")
    faults: list[str] = []
    found = list(documents(text, lambda _line, cause: faults.append(cause)))
    Draft7Validator(schemas()[kind_of(path)]).validate(found[0].value if found else None)
    assert [fault for fault in faults if "empty" not in fault] == []


def test_the_schemas_have_each_field_that_the_loader_reads_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[frozenset[str]] = set()
    only = Section.only

    def noted(section: Section, *known: str) -> Section:
        read.add(frozenset(known))
        return only(section, *known)

    monkeypatch.setattr(Section, "only", noted)
    load(FOLDER)
    calendars = CALENDARS + "more: {zone: UTC, weekdays: [mon], holidays: {country: PL}}\n"
    rules(
        EVERY_SECTION,
        calendars=calendars,
        escalation=ESCALATION,
        heartbeats="nightly: {every: 1h, tier: P2}\n",
        drills='weekly: {tier: P1, weekdays: [wed], at: "10:00", zone: UTC}\n',
    )
    described = {fields for schema in schemas().values() for fields in objects(schema)}
    kinds_in_use = {spec.kind for spec in load(FOLDER).destinations.values()}
    unused = {fields for fields in described if "kind" in fields and len(kinds_in_use) < len(KINDS)} - read
    assert described - unused == read
    assert len(unused) == len(KINDS) - len(kinds_in_use)


def test_a_new_kind_of_destination_is_in_the_schema_by_itself() -> None:
    kinds = {**KINDS, "pigeon": Kind(pages=True, held_by="loft")}
    schema = Draft7Validator(schemas(kinds)["destinations"])
    assert schema.is_valid({"a": {"kind": "pigeon", "loft": "INCIDENTD_LOFT"}})
    assert not schema.is_valid({"a": {"kind": "pigeon"}})
    assert not schema.is_valid({"a": {"kind": "pigeon", "loft": "0123456789abcdef"}})
    assert not schema.is_valid({"a": {"kind": "owl", "loft": "INCIDENTD_LOFT"}})


def test_the_command_prints_one_or_all_and_writes_them(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["rules", "schema", "table"])
    assert json.loads(said.output) == schemas()["table"]
    assert set(json.loads(CliRunner().invoke(app, ["rules", "schema"]).output)) == set(schemas())
    assert CliRunner().invoke(app, ["rules", "schema", "--write", str(tmp_path / "new")]).exit_code == 0
    assert {path.stem for path in (tmp_path / "new").iterdir()} == set(schemas())
    assert CliRunner().invoke(app, ["rules", "schema", "tabel"]).exit_code == 2
