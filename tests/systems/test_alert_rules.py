"""The alert rules of the five systems fire at their documents' thresholds, and what fires has the document's tier."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from incidentd.alert import Alert
from incidentd.classify import classify, load
from incidentd.tier import Tier
from slo.__main__ import generated
from slo.source import ROOT
from tests.classify.ground import alert as firing
from tests.servers import program
from tests.systems.catalogue import CATALOGUE, SYSTEMS, Line, plain

RULES = load(ROOT.parent / "rules")
TESTS = sorted(ROOT.glob("*/*.test.yml"))
CASES: dict[str, list[Mapping[str, Any]]] = {
    system: yaml.load((ROOT / system / "alerts.test.yml").read_text("utf-8"), yaml.CSafeLoader)["tests"]
    for system in SYSTEMS
}
_SERIES = re.compile(r"([\w:]+)\{(.*)\}")

each_system = pytest.mark.parametrize("system", SYSTEMS)
each_line = pytest.mark.parametrize("line", CATALOGUE, ids=lambda line: f"{line.alert}-{line.slo}-{line.tier}")


def rules(system: str) -> list[Mapping[str, Any]]:
    (group,) = yaml.safe_load((ROOT / system / "alerts.rules.yml").read_text("utf-8"))["groups"]
    found: list[Mapping[str, Any]] = group["rules"]
    return found


def case(line: Line) -> Mapping[str, Any]:
    """promtool's test of a line: the alert's, with a series that has the line's labels."""
    found = [each for each in CASES[line.system] if _is_of(each, line) and len(each["alert_rule_test"]) > 1]
    assert len(found) == 1, [each["name"] for each in found]
    return found[0]


def _is_of(test: Mapping[str, Any], line: Line) -> bool:
    first = series(test["input_series"][0]["series"])
    named = {"slo": line.slo, "sli": line.sli, **line.labels}
    named.pop("window") if line.lasts else None
    return test["alert_rule_test"][0]["alertname"] == line.alert and named.items() <= first.items()


def series(text: str) -> dict[str, str]:
    """The labels of a series as promtool writes it."""
    found = _SERIES.fullmatch(text)
    assert found
    return dict(re.findall(r'(\w+)="([^"]*)"', found[2]))


def expected(test: Mapping[str, Any]) -> Iterator[tuple[int, Alert | None]]:
    """For each minute that promtool is asked about: the alert that fires then, as Alertmanager would send it."""
    for asked in test["alert_rule_test"]:
        minute = int(asked["eval_time"].removesuffix("m"))
        if not asked["exp_alerts"]:
            yield minute, None
        for each in asked["exp_alerts"]:
            labels = {"alertname": asked["alertname"], **each["exp_labels"]}
            yield minute, Alert("a1", labels, each["exp_annotations"], firing().starts_at, None, firing=True)


def begins(test: Mapping[str, Any], value: str) -> int:
    """The minute at which the first series takes a value."""
    minute = 0
    for phase in test["input_series"][0]["values"].split():
        number, times = re.fullmatch(r"(-?[\d.]+)\+0x(\d+)", phase).groups()  # type: ignore[union-attr]
        if number == value:
            return minute
        minute += int(times) + 1
    raise AssertionError(value)


@each_system
def test_what_is_made_of_a_source_is_up_to_date(system: str) -> None:
    for path, text in generated(system).items():
        assert path.read_text("utf-8") == text, f"{path.name}: run `python -m slo`"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_promtool_sees_every_alert_fire_and_every_indicator_measured(path: Path) -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", path.name], cwd=path.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_system
def test_prometheus_takes_the_rules(system: str) -> None:
    files = [str(ROOT / system / name) for name in ("indicators.rules.yml", "alerts.rules.yml")]
    done = subprocess.run([program("promtool"), "check", "rules", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@each_line
def test_an_alert_is_tested_within_at_and_beyond_the_documents_threshold(line: Line) -> None:
    test = case(line)
    values = [phase.partition("+0x")[0] for phase in test["input_series"][0]["values"].split()]
    assert values == [*line.rests, *line.fires, line.rests[0]] or (line.sli == "outage" and values == ["0", "1", "0"])


@each_line
def test_an_alert_fires_when_the_documents_time_has_passed_and_not_a_minute_before(line: Line) -> None:
    test = case(line)
    asked = list(expected(test))
    begin, lasts = begins(test, line.fires[0]), line.lasts // 60
    (first, *_) = (minute for minute, alert in asked if alert)
    assert first == begin + lasts
    silent = {minute for minute, alert in asked if alert is None}
    assert {begin - 1, *([first - 1] if lasts else [])} <= silent
    assert begin > lasts, "what rests, rests for longer than the alert's time"
    assert max(silent) > max(minute for minute, alert in asked if alert), "it ends"


@each_line
def test_what_promtool_sees_firing_has_the_tier_of_the_document(line: Line) -> None:
    alerts = [alert for _, alert in expected(case(line)) if alert]
    assert [alert.annotations["value"] for alert in alerts] == ([plain(1)] * 2 if line.sli == "outage" else
        [line.fires[0], line.fires[-1]])  # fmt: skip
    for alert in alerts:
        assert line.labels.items() <= alert.labels.items()
        verdict = classify(alert, RULES)
        assert (verdict.tier, verdict.row.partition("/")[0]) == (line.tier, line.system)


@each_line
def test_an_alert_carries_what_people_and_rules_read(line: Line) -> None:
    for _, alert in expected(case(line)):
        if alert is None:
            continue
        assert alert.labels["severity"] == ("critical" if worst(line) <= Tier.P1 else "warning")
        assert set(alert.annotations) == {"summary", "description", "value", "runbook_url", "dashboard_url"}
        assert re.fullmatch(r"-?\d+(\.\d+)?", alert.annotations["value"])
        assert alert.annotations["value"] in alert.annotations["summary"] or line.sli == "outage"
        for name in ("runbook_url", "dashboard_url"):
            assert alert.annotations[name].startswith("https://")
            assert alert.annotations[name].endswith(line.slo)
        assert not re.search(r"[{}]", "".join(alert.annotations.values()))


def worst(line: Line) -> Tier:
    """The most urgent tier of an alert, of which preview may be another."""
    return min(each.tier for each in CATALOGUE if each.alert == line.alert)


@each_system
def test_each_threshold_is_an_alert_of_its_own_and_every_alert_is_in_the_catalogue(system: str) -> None:
    names = [rule["alert"] for rule in rules(system)]
    assert len(names) == len(set(names))
    assert set(names) == {line.alert for line in CATALOGUE if line.system == system}


@each_system
def test_every_series_that_an_alert_is_tested_with_is_one_that_is_recorded(system: str) -> None:
    """What indicators.test.yml sees recorded, by name and labels; values of labels that the systems give may differ."""
    (proof,) = yaml.safe_load((ROOT / system / "indicators.test.yml").read_text("utf-8"))["tests"]
    recorded = {shape(each["labels"]) for each in proof["promql_expr_test"][0]["exp_samples"]}
    if system == "user-metadata":
        recorded.add(shape('sli:traffic_change:percent{system="user-metadata",slo="traffic",sli="traffic_change"}'))
    for test in CASES[system]:
        for each in test["input_series"]:
            assert shape(each["series"]) in recorded, test["name"]


def shape(text: str) -> tuple[str, frozenset[tuple[str, str]]]:
    free = {"region", "endpoint", "environment", "widget", "incident_tier"}
    return text.partition("{")[0], frozenset((k, "" if k in free else v) for k, v in series(text).items())


def test_burn_alerts_of_user_metadata_need_the_short_window_as_well() -> None:
    for name in ("UserMetadataFastBurn", "UserMetadataSlowBurn"):
        found = [each for each in CASES["user-metadata"] if each["alert_rule_test"][0]["alertname"] == name]
        assert sorted(len([alert for _, alert in expected(each) if alert]) for each in found) == [0, 2]
