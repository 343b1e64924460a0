"""The objectives of the five systems are OpenSLO, measured by PromQL that works, and their budgets add up."""

import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from incidentd.classify import load
from incidentd.cli.main import app
from incidentd.errors import RulesError
from incidentd.objective import compare, load_objectives, parse_objectives
from slo.source import ROOT
from tests.servers import program
from tests.systems.catalogue import SYSTEMS

OBJECTIVES = load_objectives(ROOT)
RULES = load(ROOT.parent / "rules")
SCHEMA = ROOT.parent / "incidentd/objective/openslo.schema.json"
NOT_A_SHARE = {("user-metadata", "traffic")}
"""Told of, but promised by nobody."""
SOUND = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: checkout
  annotations:
    budget-minutes.30d: "43.2"
spec:
  service: shop
  timeWindow:
    - duration: 30d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - targetPercent: 99.9
  indicator:
    metadata:
      name: checkout
    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource:
            type: Prometheus
            spec:
              query: sum(rate(failed[5m]))
        total:
          metricSource:
            type: Prometheus
            spec:
              query: sum(rate(asked[5m]))
"""


def test_every_objective_of_the_rules_tables_is_there() -> None:
    named = {(system, slo) for system in SYSTEMS for slo in RULES.tables[system].objectives}
    assert {(each.service, each.name) for each in OBJECTIVES} == named - NOT_A_SHARE


@pytest.mark.parametrize("each", OBJECTIVES, ids=lambda each: f"{each.service}-{each.name}")
def test_target_and_window_are_those_that_the_rules_table_tells_people(each: object) -> None:
    text = RULES.tables[each.service].objectives[each.name]  # type: ignore[attr-defined]
    percent = re.search(r"([\d.]+) %", text)
    at_most = "at most" in text or text.startswith("under")
    if percent and "p95" not in text and "reviewed" not in text:
        promised = 100 - float(percent[1]) if at_most else float(percent[1])
        assert each.target * 100 == pytest.approx(promised)  # type: ignore[attr-defined]
    elif "reviewed" in text:
        assert (each.target, "90 % of P1" in text) == (0.9, True)  # type: ignore[attr-defined]
    else:
        assert each.target == 0.95  # type: ignore[attr-defined]
    window = re.search(r", (\d+) (d|h)\b", text)
    if window and "over" not in text:
        assert each.written == f"{window[1]}{window[2]}"  # type: ignore[attr-defined]


def test_the_three_budgets_that_are_stated_wrongly_are_found_and_no_other() -> None:
    found = {(each.objective.service, each.objective.name, each.period, each.stated) for each in compare(OBJECTIVES)}
    assert found == {
        ("chat-backend", "handshake-success", timedelta(days=28), 120),
        ("agentmesh", "api-success", timedelta(days=1), 8.64),
        ("agentmesh", "availability", timedelta(days=1), 5.04),
    }
    assert sorted(round(each.computed, 4) for each in compare(OBJECTIVES)) == [0.72, 1.44, 40.32]
    assert sum(len(each.stated) for each in OBJECTIVES) == 12


def test_checking_the_rules_names_each_difference() -> None:
    said = CliRunner().invoke(app, ["rules", "check", "--rules", str(ROOT.parent / "rules"), "--objectives", str(ROOT)])
    assert said.exit_code == 0, said.output
    assert "Objectives: 29. Stated budgets: 12, of which 3 differ from target and window." in said.output
    assert "[handshake-success] 120 min in 28 d are stated as its error budget; 99.9 % leave 40.32 min" in said.output
    assert "[api-success] 8.64 min in 1 d are stated as its error budget; 99.9 % leave 1.44 min" in said.output
    assert "[availability] 5.04 min in 1 d are stated as its error budget; 99.95 % leave 0.72 min" in said.output


def test_a_folder_without_objectives_is_no_success(tmp_path: Path) -> None:
    rules = str(ROOT.parent / "rules")
    said = CliRunner().invoke(app, ["rules", "check", "--rules", rules, "--objectives", str(tmp_path)])
    assert said.exit_code == 2
    (tmp_path / "objectives.yaml").write_text(SOUND.replace("99.9", "100"), "utf-8")
    said = CliRunner().invoke(app, ["rules", "check", "--rules", rules, "--objectives", str(tmp_path)])
    assert said.exit_code == 2
    assert "objectives.yaml:14: [checkout] spec.objectives.0.targetPercent: 100.0 is not below 100" in said.output


def test_every_query_parses(tmp_path: Path) -> None:
    queries = [query for each in OBJECTIVES for query in (each.good, each.bad, each.total) if query]
    assert len(queries) == 2 * len(OBJECTIVES)
    assert all("[5m]" in query for query in queries)
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}), "utf-8")
    subprocess.run([program("promtool"), "check", "rules", str(file)], check=True, capture_output=True)


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(json.loads(SCHEMA.read_text("utf-8")))


def test_a_sound_objective_is_read() -> None:
    (each,) = parse_objectives({"objectives.yaml": SOUND})
    assert (each.name, each.service, each.target, each.window) == ("checkout", "shop", 0.999, timedelta(days=30))
    assert each.budget(timedelta(days=30)) == timedelta(minutes=43.2)
    assert list(compare([each])) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("openslo/v1", "openslo/v2", ":1: [checkout] apiVersion: must be openslo/v1"),
        ("kind: SLO", "kind: Service", ":2: [checkout] kind: must be SLO"),
        ("name: checkout\n  ann", "name: Check out\n  ann", ":4: [Check out] metadata.name: 'Check out' is not a name"),
        ("targetPercent: 99.9", "targetPercent: 100", ":14: [checkout] spec.objectives.0.targetPercent: 100.0"),
        ("targetPercent: 99.9", "targetPercent: 99.9\n      target: 0.999", ":14: [checkout] spec.objectives.0: "),
        ("targetPercent: 99.9", 'targetPercent: "99.9"', ":14: [checkout] spec.objectives.0.targetPercent: must be a"),
        ("duration: 30d", "duration: a month", ":10: [checkout] spec.timeWindow.0.duration: 'a month' is not a"),
        ("isRolling: true", "isRolling: false", ":11: [checkout] spec.timeWindow.0: must be a window that rolls"),
        ("Occurrences", "Guesses", ":12: [checkout] spec.budgetingMethod: 'Guesses' is none of"),
        ("Occurrences", "Timeslices", ":14: [checkout] spec.objectives.0: timeSliceWindow is missing"),
        ("        total:", "        whole:", "spec.indicator.spec.ratioMetric: "),
        ("  service: shop\n", "", ":8: [checkout] spec: service is missing"),
        ('"43.2"', '"forty"', ":6: [checkout] budget-minutes.30d: 'forty' is no number of minutes"),
        ("minutes.30d", "minutes.month", ":6: [checkout] budget-minutes.month: what follows budget-minutes. must be"),
        ("kind: SLO", "kind: SLO\nkind: SLO", ":3: key 'kind' stands twice in the same place"),
        ("isRolling: true", "isRolling: yes", ":11: yes means true or false in YAML"),
        ("spec:\n  service", "spec: &one\n  service", ":7: anchors are not allowed"),
    ],
)  # fmt: skip
def test_a_faulty_objective_is_named_with_its_line(old: str, new: str, said: str) -> None:
    assert old in SOUND
    with pytest.raises(RulesError) as error:
        parse_objectives({"objectives.yaml": SOUND.replace(old, new, 1)})
    assert said in str(error.value)


def test_of_several_documents_each_fault_has_the_line_of_the_file() -> None:
    broken = SOUND.replace("Occurrences", "Guesses")
    with pytest.raises(RulesError) as error:
        parse_objectives({"objectives.yaml": f"# two\n---\n{SOUND}---\n{broken}"})
    (fault,) = [each for each in error.value.faults if "Guesses" in each.cause]
    assert fault.line == 2 + len(SOUND.splitlines()) + 1 + 12


def test_two_objectives_of_one_name_are_refused() -> None:
    with pytest.raises(RulesError, match=r"another objective of shop has this name, in a\.yaml:14"):
        parse_objectives({"a.yaml": SOUND, "b.yaml": SOUND})
