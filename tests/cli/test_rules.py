"""The commands by which a team trusts its rules: check, test and explain."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from incidentd.cli.main import app
from incidentd.lifecycle.work import Complaint
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from tests.classify.ground import FILES
from tests.lifecycle.bench import alert, open_bench

PROJECT = Path(__file__).parents[2]
RULES, SLO = PROJECT / "rules", PROJECT / "slo"
UNCOVERED = """\
groups:
  - name: shop
    rules:
      - alert: Unforeseen
        expr: shop_errors > 5
        labels: {severity: critical}
"""


def rules(*arguments: object, stdin: str = "", folder: Path = RULES) -> Result:
    return CliRunner().invoke(
        app, ["rules", str(arguments[0]), "--rules", str(folder), *map(str, arguments[1:])], stdin
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The rules that ship, with an example that doesn't hold and a row that has none."""
    folder = tmp_path / "rules"
    shutil.copytree(RULES, folder)
    table = folder / "user-metadata.yaml"
    text = table.read_text("utf-8").replace("{row: outage, tier: P0,", "{row: outage, tier: P1,")
    text = text.replace("rows:\n", 'rows:\n  - {name: "odd\\u0001", match: [slo="odd", sli="odd"], tier: P3}\n', 1)
    table.write_text(text, "utf-8")
    return folder


def test_every_alert_of_the_five_systems_gets_to_people() -> None:
    said = rules("check", "--objectives", SLO, "--alerts", SLO)
    assert said.exit_code == 0, said.output
    assert "Alerts: 89 in 11 files. 88 have a row, a tier, a runbook and somebody at every level." in said.output
    warnings = [line for line in said.output.splitlines() if line.startswith("warning: ") and "stated" not in line]
    (watchdog,) = warnings
    assert "[Watchdog] always fires, and nothing expects it in heartbeats.yaml" in watchdog, "it ships switched off"


def test_the_rules_of_the_five_systems_alone_are_proven_without_any_warning() -> None:
    files = [str(path) for path in sorted(SLO.glob("*/*.rules.yml"))]
    said = rules("check", "--strict", "--json", "--alerts", *files)
    assert said.exit_code == 0, said.output
    content = json.loads(said.output)
    assert (content["sound"], content["faults"], content["warnings"]) == (True, [], [])
    assert len(content["alerts"]) == 88
    assert all(each["rows"] and each["tiers"] for each in content["alerts"])


def test_a_pattern_names_files_too() -> None:
    assert "Alerts: 88 in 10 files." in rules("check", "--alerts", f"{SLO}/*/*.rules.yml").output


def test_an_alert_that_gets_to_nobody_fails_the_check_and_says_where(tmp_path: Path) -> None:
    file = tmp_path / "shop.yml"
    file.write_text(UNCOVERED, "utf-8")
    said = rules("check", "--alerts", file)
    assert said.exit_code == 1
    assert (
        f"fault: {file}:4: [Unforeseen] no row takes it: its severity alone decides, P1 by severity critical"
        in said.output
    )
    content = json.loads(rules("check", "--json", "--alerts", file).output)
    assert content["sound"] is False
    assert [(each["kind"], each["line"], each["row"]) for each in content["faults"]] == [
        ("uncovered", 4, "Unforeseen"),
        ("no-runbook", 4, "Unforeseen"),
    ]


def test_a_label_that_prometheus_adds_is_named_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "shop.yml"
    file.write_text(UNCOVERED, "utf-8")
    assert "uncovered" in rules("check", "--json", "--alerts", file).output
    said = rules("check", "--json", "--alerts", file, "--label", "prometheus=monitoring/k8s")
    assert "uncovered" not in said.output
    assert rules("check", "--alerts", file, "--label", "nonsense").exit_code == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_that_cannot_be_used_is_another_status(tmp_path: Path, as_json: bool) -> None:
    file = tmp_path / "shop.yml"
    file.write_text(UNCOVERED.replace("shop_errors > 5", "shop_errors >"), "utf-8")
    said = rules("check", "--alerts", file, *(["--json"] if as_json else []))
    assert said.exit_code == 2
    cause = "expr: it ends where a metric, a number or a bracket was expected"
    if as_json:
        (fault,) = json.loads(said.output)["faults"]
        assert fault == {"kind": "alert rules", "file": str(file), "line": 5, "row": "Unforeseen", "cause": cause}
    else:
        assert f"{file}:5: [Unforeseen] {cause}" in said.output
        assert "The alert rules can't be used." in said.output
    assert rules("check", "--alerts", tmp_path / "none.yml").exit_code == 2
    assert rules("check", file).exit_code == 2, "files are named after --alerts"


def test_each_row_is_shown_with_the_lines_of_its_examples() -> None:
    said = rules("test")
    assert said.exit_code == 0
    (outage,) = [line for line in said.output.splitlines() if line.strip().startswith("user-metadata/outage ")]
    number = next(
        number for number, line in enumerate((RULES / "user-metadata.yaml").read_text("utf-8").splitlines(), 1)
        if "row: outage" in line
    )  # fmt: skip
    assert outage.split() == ["user-metadata/outage", "P0", str(number)]
    assert "examples hold." in said.output.splitlines()[-1]


def test_an_example_that_fails_and_a_row_without_one_stand_out(broken: Path) -> None:
    said = rules("test", folder=broken)
    assert said.exit_code == 1
    (outage,) = [line for line in said.output.splitlines() if line.strip().startswith("user-metadata/outage ")]
    assert "✗" in outage
    assert "Without an example: user-metadata/odd" in said.output
    assert "expected user-metadata/outage P1, got user-metadata/outage P0" in said.output


def test_junit_has_a_case_for_each_example_and_each_failure(broken: Path, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    assert rules("test", "--junit", file, folder=broken).exit_code == 1
    root = ET.fromstring(file.read_text("utf-8"))
    assert root.tag == "testsuites"
    suites = root.findall("testsuite")
    for each in (root, *suites):
        assert int(each.attrib["tests"]) == len(each.findall(".//testcase"))
        assert int(each.attrib["failures"]) == len(each.findall(".//testcase/failure"))
    assert root.attrib["failures"] == "1"
    cases = root.findall(".//testcase")
    assert all(each.attrib["name"] and each.attrib["classname"] and each.attrib["line"].isdigit() for each in cases)
    (failure,) = root.findall(".//failure")
    assert failure.attrib["message"] == "got P0 by user-metadata/outage"
    assert "user-metadata.yaml:" in str(failure.text)


def test_junit_can_hold_whatever_an_example_can(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    odd = 'rows:\n  - {name: a, tier: P0, match: [x!=""]}\nexamples:\n'
    odd += '  - {row: a, tier: P0, labels: {alertname: "<&>\\"\\u0007\\uFFFE]]>", x: "\\e[31m"}}\n'
    for name, text in {**FILES, "one.yaml": odd}.items():
        (folder / name).write_text(text, "utf-8")
    file = tmp_path / "junit.xml"
    assert rules("test", "--junit", file, folder=folder).exit_code == 0
    (case,) = ET.fromstring(file.read_text("utf-8")).iter("testcase")
    assert case.attrib["name"].startswith('<&>"\N{REPLACEMENT CHARACTER}')
    assert rules("test", "--junit", tmp_path, folder=folder).exit_code == 2


def test_an_alert_is_explained_from_a_file_and_from_standard_input() -> None:
    body = PROJECT / "examples/alert.json"
    from_file = rules("explain", body)
    assert from_file.exit_code == 0
    assert rules("explain", "-", stdin=body.read_text("utf-8")).output == from_file.output
    assert "avalo/core-api-below-99.5 (P0): takes it" in from_file.output
    assert "less urgent:  P1 with 99.5 <= value < 99.8 (avalo/core-api-below-99.8)" in from_file.output
    assert "after 5 min   level 2 (engineering manager): page-manager, incidents" in from_file.output


def test_an_optional_destination_without_its_variables_is_told_only_if_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    body = PROJECT / "examples/alert.json"
    assert "at once       incidents, management, management-mail (if set up)\n" in rules("explain", body).output
    monkeypatch.setenv("INCIDENTD_SMTP_URL", "smtp://mail.example.org")
    assert "at once       incidents, management, management-mail\n" in rules("explain", body).output


def test_of_an_incident_that_incidentd_raised_itself_no_row_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/incidentd.db"
    migrate(open_engine(url))
    with open_bench(url) as bench:
        bench.hear(complaints=(Complaint("json", "a webhook is no JSON"),))
        incident = bench.incident()
    monkeypatch.setenv("INCIDENTD_DATABASE_URL", url)
    said = CliRunner().invoke(app, ["rules", "explain", "1"])
    assert said.exit_code == 0, said.output
    assert f"{incident.tier} by incidentd: " in said.output
    assert "by severity" not in said.output


def test_an_incident_is_explained_by_the_table_that_decided_on_it(
    tmp_path: Path, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/incidentd.db"
    migrate(open_engine(url))
    with open_bench(url) as bench:
        bench.hear(alert())
        incident = bench.incident()
    monkeypatch.setenv("INCIDENTD_DATABASE_URL", url)
    runner = CliRunner()
    for reference in ("1", "#1", incident.id):
        said = runner.invoke(app, ["rules", "explain", reference])
        assert said.exit_code == 0, said.output
        assert said.output.startswith(f"#1 {incident.title}: {incident.tier}, triggered, 1 alert\n")
        assert f"{incident.tier} by {incident.row}: {incident.reason}" in said.output
        assert f"version:      {incident.version}" in said.output
    other = rules("explain", "1", folder=broken)
    assert f"version:      {incident.version}" not in other.output
    assert other.exit_code == 0


def test_what_is_neither_a_file_nor_an_incident_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nowhere.json: No such file or directory" in rules("explain", "nowhere.json").output
    monkeypatch.setenv("INCIDENTD_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    said = CliRunner().invoke(app, ["rules", "explain", "7"])
    assert (said.exit_code, "no database in" in said.output) == (2, True)
    assert not (tmp_path / "none.db").exists(), "looking makes none"
    migrate(open_engine(f"sqlite:///{tmp_path}/none.db"))
    said = CliRunner().invoke(app, ["rules", "explain", "7"])
    assert (said.exit_code, "7: there is no such file, and no such incident" in said.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "--alerts", "slo/***"], "slo/***: is no pattern for files: ** stands between two /"),
        (["check", "--objectives", "nowhere"], "nowhere: there is no such folder"),
        (["explain", "half.json"], "half.json: the body is no JSON from line 2, column 10 on"),
        (["explain", "42", "--state", "half.json"], "42: there is no such file, and no database in "),
    ],
)
def test_what_is_no_file_or_folder_is_said_with_its_name(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half.json").write_text('{\n"labels":', "utf-8")
    found = rules(*arguments)
    assert found.exit_code == 2, found.output
    assert found.stderr.startswith(said), found.stderr


def test_a_state_folder_that_is_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    found = CliRunner().invoke(app, ["rules", "history", "--state", str(tmp_path / "var")])
    assert (found.exit_code, found.exception.__class__) == (2, SystemExit)
    assert "can't be used: it is a file" in found.stderr
