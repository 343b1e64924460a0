"""Each file here has one fault, which its name names, and which is answered exactly as its last line says."""

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from incidentd.classify import load
from incidentd.classify.schema import schemas
from incidentd.coverage import parse_rule_files, query_faults
from incidentd.errors import RulesError
from incidentd.objective import parse_objectives
from incidentd.objective.plain import documents
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from tests.classify.ground import FILES, faults
from tests.lifecycle.bench import open_bench

HERE = Path(__file__).parent
MARK = "# expected: "
RULES = sorted((HERE / "rules").glob("*/*.yaml"))
OBJECTIVES = sorted((HERE / "objectives").glob("*.yaml"))
ALERTS = sorted((HERE / "alerts").glob("*.yaml"))
UNKNOWN_TO_THE_SCHEMA = (HERE / "unknown_to_the_schema.txt").read_text("utf-8").split()
"""What depends on another file, on another part of the file, or on more than a pattern can say."""


def named(path: Path) -> str:
    return str(path.relative_to(HERE).with_suffix(""))


def expected(path: Path) -> str:
    last = path.read_text("utf-8").splitlines()[-1]
    assert last.startswith(MARK)
    return last.removeprefix(MARK)


def files(path: Path) -> dict[str, str]:
    """Sound rules with this file in the place of the one that its folder names."""
    return {**FILES, f"{path.parent.name}.yaml": path.read_text("utf-8")}


each_rules_file = pytest.mark.parametrize("path", RULES, ids=named)


def test_there_are_examples_of_each_kind() -> None:
    assert len(RULES) > 80
    assert min(len(OBJECTIVES), len(ALERTS)) > 15
    assert {path.parent.name for path in RULES} == {*schemas()} - {"table"} | {"one"}


@each_rules_file
def test_a_broken_rules_file_is_answered_exactly(path: Path) -> None:
    found = faults(files(path))
    assert expected(path) in found
    assert len(found) <= 2, "one fault brings few others"


@pytest.mark.parametrize("path", OBJECTIVES, ids=named)
def test_a_broken_objective_is_answered_exactly(path: Path) -> None:
    with pytest.raises(RulesError) as raised:
        found = parse_objectives({"objectives.yaml": path.read_text("utf-8")})
        raise RulesError(list(query_faults(found)))
    said = [str(fault) for fault in raised.value.faults]
    assert expected(path) in said
    assert len(said) <= 2, "one fault brings few others"


@pytest.mark.parametrize("path", ALERTS, ids=named)
def test_a_broken_alert_file_is_answered_exactly(path: Path) -> None:
    with pytest.raises(RulesError) as raised:
        parse_rule_files({"alerts.yml": path.read_text("utf-8")})
    assert expected(path) in [str(fault) for fault in raised.value.faults]


@each_rules_file
def test_what_a_schema_can_know_of_a_broken_rules_file_it_tells_an_editor(path: Path) -> None:
    kind = "table" if path.parent.name == "one" else path.parent.name
    unread: list[str] = []
    found = list(documents(path.read_text("utf-8"), lambda _line, cause: unread.append(cause)))
    schema = Draft7Validator(schemas()[kind])
    told = bool(unread) or not all(schema.is_valid(document.value) for document in found)
    assert told == (named(path) not in UNKNOWN_TO_THE_SCHEMA)


def test_a_reload_of_any_broken_rules_file_leaves_the_table_in_force(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    write(rules, FILES)
    url = f"sqlite:///{tmp_path}/incidentd.db"
    migrate(open_engine(url))
    with open_bench(url, rules) as bench:
        before = bench.runtime.rules
        for path in RULES:
            write(rules, files(path))
            with pytest.raises(RulesError):
                bench.runtime.reload()
            assert bench.runtime.rules is before, named(path)
            write(rules, FILES)
            (rules / f"{path.parent.name}.yaml").unlink() if f"{path.parent.name}.yaml" not in FILES else None
        assert bench.runtime.rulebook.refresh() is False, "nothing of it was stored"
        assert bench.runtime.reload().version == before.version == load(rules).version


def write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
