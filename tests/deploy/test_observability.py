"""The alerts about incidentd and its dashboard: they hold, and ask for nothing that incidentd doesn't export."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from incidentd.channels.registry import KINDS
from incidentd.clock import SystemClock
from incidentd.lifecycle.socket_standing import SocketStanding
from incidentd.meter import Meter
from incidentd.meter.exposition import text
from incidentd.store.standing import OPEN_STATES, Standing
from incidentd.tier import Tier
from incidentd.web.metrics import degraded_gauge, gauges, socket_gauge
from tests.deploy.dockerfile import ROOT
from tests.deploy.selector import Matcher, grouping, selectors
from tests.servers import program
from tests.test_docs import anchors

PROMETHEUS = ROOT / "deploy/prometheus"
RULES = PROMETHEUS / "incidentd.rules.yml"
TESTS = PROMETHEUS / "incidentd.rules.test.yml"
DASHBOARD = json.loads((ROOT / "deploy/grafana/incidentd.json").read_text("utf-8"))
COLUMNS = 24

OF_THE_TARGET = {"job", "instance", "part"}
"""Labels that Prometheus adds."""
OPEN_ENDED = {"version", "le", "heartbeat", "source", "drill", "alertmanager"}
"""Labels whose values nobody knows beforehand."""


def rules() -> list[Mapping[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


ALERTS = {str(rule["alert"]): rule for rule in rules() if "alert" in rule}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]

each_alert = pytest.mark.parametrize("name", ALERTS)
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])


def expressions() -> list[str]:
    """Every expression of the rules and of the dashboard."""
    annotations = [each["expr"] for each in DASHBOARD["annotations"]["list"] if "expr" in each]
    return [*(rule["expr"] for rule in rules()), *(target["expr"] for _, target in QUERIES), *annotations]


def exported() -> dict[str, dict[str, set[str]]]:
    """The values of each label by metric, as a scrape of a web part shows them."""
    standing = Standing(
        open={(tier, state): 0 for tier in Tier for state in OPEN_STATES},
        page_waits=timedelta(0),
        overdue=0,
        cycle_age=timedelta(0),
        rules_version="1",
        silences={"watchdog": timedelta(0)},
        drills={"weekly": True},
        since_accepted={"weekly": timedelta(0)},
        alertmanagers={"am:9093": True},
        comparison_age=timedelta(0),
    )
    socket = SocketStanding(SystemClock().now)
    socket.expect()
    raw = text([*Meter().collect(), degraded_gauge(()), *socket_gauge(socket), *gauges(standing)]).decode()
    found: dict[str, dict[str, set[str]]] = {}
    for sample in (sample for family in text_string_to_metric_families(raw) for sample in family.samples):
        labels = found.setdefault(sample.name, {})
        for label, value in sample.labels.items():
            labels.setdefault(label, set()).add(value)
    return found


EXPORTED = exported()
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


# Rules.


def test_the_rules_are_sound() -> None:
    promtool("check", "rules", str(RULES))


def test_every_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", str(TESTS))


@each_alert
def test_an_alert_is_seen_to_fire_with_the_labels_that_its_words_name(name: str) -> None:
    samples = [labels for labels in _expected() if f'alertname="{name}"' in labels and 'alertstate="firing"' in labels]
    assert samples, f"{TESTS.name} has no test in which it fires"
    named = set(re.findall(r"\$labels\.(\w+)", str(ALERTS[name]["annotations"])))
    for labels in samples:
        assert named <= set(re.findall(r"(\w+)=", labels))


def _expected() -> Iterator[str]:
    for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"]:
        yield from (sample["labels"] for each in test["promql_expr_test"] for sample in each["exp_samples"])


@each_alert
def test_an_alert_says_how_bad_it_is_what_it_means_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert 20 < len(alert["annotations"]["summary"]) < 120
    assert 80 < len(alert["annotations"]["description"]) < 500
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert (page, anchor) == ("docs/troubleshooting.md", name.lower())
    assert anchor in anchors((ROOT / page).read_text("utf-8"))


def test_rules_look_at_the_job_incidentd_alone() -> None:
    """Else a second installation that the same Prometheus scrapes would be mixed with the first."""
    for rule in rules():
        for selector in selectors(rule["expr"]):
            assert Matcher("job", "=", "incidentd") in selector.matchers, rule["expr"]


def test_whatever_pages_somebody_is_critical_when_it_is_given_up_and_the_rest_is_told() -> None:
    for kind, critical in [(kind, has.pages) for kind, has in KINDS.items()]:
        watched = [name for name in ("IncidentdPageGivenUp", "IncidentdDeliveryGivenUp") if _watches(name, kind)]
        assert [ALERTS[name]["labels"]["severity"] for name in watched] == ["critical" if critical else "warning"], kind


def _watches(alert: str, channel: str) -> bool:
    (selector,) = selectors(ALERTS[alert]["expr"])
    (matcher,) = [each for each in selector.matchers if each.label == "channel"]
    assert matcher.operator in ("=", "!=")
    return (matcher.value == channel) == (matcher.operator == "=")


# Names.


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_nothing_that_is_not_exported(expression: str) -> None:
    for selector in selectors(expression):
        assert selector.metric in EXPORTED
        for matcher in selector.matchers:
            _assert_can_match(matcher, EXPORTED[selector.metric])
    assert set(re.findall(r"\w+:incidentd_\w+:\w+", expression)) <= RECORDED


def _assert_can_match(matcher: Matcher, labels: Mapping[str, set[str]]) -> None:
    if matcher.label in OF_THE_TARGET:
        return
    assert matcher.label in labels
    for value in matcher.values():
        assert any(re.fullmatch(value, known) for known in labels[matcher.label]), matcher


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_groups_by_labels_that_are_there(expression: str) -> None:
    labels = {label for selector in selectors(expression) for label in EXPORTED[selector.metric]}
    assert grouping(expression) <= labels | OF_THE_TARGET


def test_every_metric_is_looked_at_on_the_dashboard() -> None:
    shown = {selector.metric for _, target in QUERIES for selector in selectors(target["expr"])}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in EXPORTED}
    assert families == {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}


# The dashboard.


def test_every_expression_of_the_dashboard_parses(tmp_path: Path) -> None:
    records = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m").replace("$job", "incidentd")}
        for number, expression in enumerate(target["expr"] for _, target in QUERIES)
    ]
    assert not [record for record in records if "$" in record["expr"]]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": records}]}), "utf-8")
    assert f"{len(QUERIES)} rules found" in promtool("check", "rules", str(file))


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: Mapping[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 30
    assert panel["fieldConfig"]["defaults"]["unit"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(references) == len(set(references)) > 0


@each_panel
def test_a_legend_names_labels_that_its_query_keeps(panel: Mapping[str, Any]) -> None:
    for target in panel["targets"]:
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) == grouping(target["expr"]) - {"le"}


def test_panels_are_told_apart_and_none_covers_another() -> None:
    panels = DASHBOARD["panels"]
    for part in ("id", "title"):
        assert [value for value, count in Counter(panel[part] for panel in panels).items() if count > 1] == []
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] >= 0 and at["x"] + at["w"] <= COLUMNS and at["h"] > 0, panel["title"]
    for one, other in combinations(panels, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_the_source_of_data_is_chosen_on_the_dashboard_and_named_nowhere() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert (DASHBOARD["id"], DASHBOARD["uid"]) == (None, None)
    sources = [source for source in _sources(DASHBOARD) if source["type"] != "grafana"]
    assert len(sources) >= 2 * len(PANELS)
    assert {(source["type"], source["uid"]) for source in sources} == {("prometheus", "${datasource}")}


def _sources(value: Any) -> Iterator[Mapping[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("datasource"), dict):
            yield value["datasource"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _sources(each)


def test_queries_look_at_the_chosen_job() -> None:
    for title, target in QUERIES:
        for selector in selectors(target["expr"]):
            assert Matcher("job", "=~", "$job") in selector.matchers, title


def promtool(*arguments: str) -> str:
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
