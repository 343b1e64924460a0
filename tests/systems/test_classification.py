"""What the rules say of the five systems is what their documents ask, on both sides of each threshold."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from incidentd.classify import classify, load
from incidentd.policy import Policy
from incidentd.tier import Tier
from tests.classify.ground import alert
from tests.systems.catalogue import CATALOGUE, SYSTEMS, Line

RULES = load(Path(__file__).parents[2] / "rules")
NONE_OF_ITS_ROWS = "severity"

NUMBERED = [line for line in CATALOGUE if line.sli != "outage" and line.labels.get("environment") != "preview"]
"""Neither an outage nor preview asks for a number."""
WINDOWED = [line for line in CATALOGUE if "window" in line.labels and line.slo != "money-flow-latency"]
"""Money flows over 2000 ms are P0 in any window."""


def named(line: Line) -> str:
    return f"{line.alert}-{line.slo}-{line.tier}"


each_line = pytest.mark.parametrize("line", CATALOGUE, ids=named)


def labels(line: Line) -> dict[str, str]:
    return {"alertname": line.alert, "system": line.system, "slo": line.slo, "sli": line.sli, **line.labels}


@each_line
def test_at_or_beyond_its_threshold_an_alert_has_the_tier_of_the_document(line: Line) -> None:
    for value in line.fires:
        verdict = classify(alert(value, **labels(line), severity="none"), RULES)
        assert (verdict.tier, verdict.row.partition("/")[0]) == (line.tier, line.system), value


@pytest.mark.parametrize("line", NUMBERED, ids=named)
def test_within_its_threshold_an_alert_is_less_urgent(line: Line) -> None:
    for value in line.rests:
        verdict = classify(alert(value, **labels(line), severity="none"), RULES)
        assert verdict.tier > line.tier or verdict.row == NONE_OF_ITS_ROWS, value


@pytest.mark.parametrize("line", WINDOWED, ids=named)
def test_in_another_window_no_row_takes_it(line: Line) -> None:
    verdict = classify(alert(line.beyond, **{**labels(line), "window": "2d"}, severity="none"), RULES)
    assert (verdict.row, verdict.tier) == (NONE_OF_ITS_ROWS, Tier.P3)


@pytest.mark.parametrize("value", ["", "n/a", "NaN", "+Inf", "99,4", "99.4 %"])
@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_a_number_that_cannot_be_read_is_never_below_its_severity(value: str, severity: str) -> None:
    for line in CATALOGUE:
        if line.labels.get("environment") != "preview":
            verdict = classify(alert(value, **labels(line), severity=severity), RULES)
            assert verdict.tier <= RULES.grading.severities.tiers[severity], line


@pytest.mark.parametrize("severity", ["critical", "warning", "info", ""])
@pytest.mark.parametrize("value", ["250", "n/a"])
@pytest.mark.parametrize("sli", ["budget_consumed", "outage", "latency_p95", "error_rate", "unknown"])
def test_agentmesh_in_preview_is_never_above_p3(sli: str, value: str, severity: str) -> None:
    told = {"system": "agentmesh", "slo": "api-success", "sli": sli, "environment": "preview", "severity": severity}
    assert classify(alert(value, **told), RULES).tier is Tier.P3


def test_preview_and_production_are_two_incidents_and_fast_and_slow_burn_are_one() -> None:
    budget = {"system": "agentmesh", "slo": "api-success", "sli": "budget_consumed"}
    preview, production = (alert("100", **budget, environment=each) for each in ("preview", "production"))
    assert classify(preview, RULES).key != classify(production, RULES).key
    burn = {"system": "user-metadata", "slo": "availability", "sli": "budget_consumed"}
    fast, slow = (alert("9", **burn, window=each) for each in ("1h", "24h"))
    assert classify(fast, RULES).key == classify(slow, RULES).key


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_alert_that_no_row_knows_goes_by_its_severity(system: str) -> None:
    for severity, tier in (("critical", Tier.P1), ("warning", Tier.P2), ("info", Tier.P3), ("", Tier.P2)):
        verdict = classify(alert("1", system=system, slo="new", sli="new", severity=severity), RULES)
        assert (verdict.row, verdict.tier, verdict.system) == (NONE_OF_ITS_ROWS, tier, system)


# Who is told, and when the clocks run.


def policy(system: str) -> Policy:
    return RULES.policies[RULES.tables[system].policy]


@pytest.mark.parametrize("tier", [Tier.P0, Tier.P1])
def test_agentmesh_tells_levels_at_0_5_and_15_minutes_and_30_is_the_end(tier: Tier) -> None:
    levels = policy("agentmesh").tiers[tier].levels
    assert [level.name for level in levels] == ["on-call engineer", "engineering manager", "CTO"]
    ends = [sum((each.duration for each in levels[: n + 1]), timedelta()) for n in range(3)]
    assert ends == [timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=30)]
    assert [level.tell[0] for level in levels] == ["page-oncall", "page-manager", "page-cto"]
    assert all({"alerts", "devops"} <= set(level.tell) for level in levels)
    assert policy("agentmesh").tiers[tier].response.within == timedelta(minutes=5)


def test_agentmesh_is_told_in_alerts_and_devops_and_paged_for_p0_and_p1_alone() -> None:
    assert [RULES.destinations[name].options["channel"] for name in ("alerts", "devops")] == ["#alerts", "#devops"]
    for tier, asked in policy("agentmesh").tiers.items():
        told = {name for level in asked.levels for name in level.tell} | set(asked.opening)
        assert bool(told & policy("agentmesh").pages) == (tier <= Tier.P1)
        assert "alerts" in told


def test_chat_backend_pages_the_service_that_the_document_names() -> None:
    spec = RULES.destinations["chat-backend-phase0"]
    key = "INCIDENTD_PAGERDUTY_ROUTING_KEY"
    assert (spec.kind, spec.secret_names) == ("pagerduty", (f"{key}_CHAT_BACKEND", key))
    for tier in (Tier.P0, Tier.P1):
        own, default = policy("chat-backend").tiers[tier], RULES.policies["default"].tiers[tier]
        assert own.levels[0].tell == ("chat-backend-phase0", "incidents")
        assert own.levels[1:] == default.levels[1:]
        assert (own.response, own.levels[0].duration) == (default.response, default.levels[0].duration)


@pytest.mark.parametrize(("tier", "minutes"), [(Tier.P1, 15), (Tier.P2, 60)])
def test_astudios_clocks_stand_still_outside_business_hours(tier: Tier, minutes: int) -> None:
    asked = policy("astudio").tiers[tier]
    friday_evening = datetime(2026, 11, 20, 16, 55, tzinfo=UTC)
    monday = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    due = asked.response.deadline(friday_evening, asked.calendar)
    assert due == monday + timedelta(minutes=minutes - 5)
    assert asked.calendar.add(friday_evening, asked.levels[0].duration) == due


def test_user_metadata_pages_for_fast_burn_and_tells_of_slow_burn_without_a_page() -> None:
    told = {"system": "user-metadata", "slo": "availability", "sli": "budget_consumed"}
    fast, slow = (classify(alert("5", **told, window=window), RULES) for window in ("1h", "24h"))
    tiers = policy("user-metadata").tiers
    assert set(tiers[fast.tier].levels[0].tell) & policy("user-metadata").pages
    assert (slow.destinations, tiers[slow.tier].opening, tiers[slow.tier].levels) == (
        ("incidents",),
        ("tickets", "ticket-queue"),
        (),
    )


@pytest.mark.parametrize("value", ["-50", "200"])
def test_user_metadatas_traffic_calls_the_scaling_hook_and_pages_nobody(value: str) -> None:
    verdict = classify(alert(value, system="user-metadata", slo="traffic", sli="traffic_change"), RULES)
    assert (verdict.tier, verdict.destinations) == (Tier.P3, ("incidents", "scaling-hook"))
    hook = RULES.destinations["scaling-hook"]
    assert (hook.kind, hook.pages, hook.further["secret"]) == (
        "webhook", False, ("INCIDENTD_SCALING_HOOK_SECRET",)
    )  # fmt: skip


def test_agentmeshs_stakeholders_have_mail_and_its_status_page_is_called() -> None:
    kinds = {name: RULES.destinations[name].kind for name in ("stakeholders", "status-page")}
    assert kinds == {"stakeholders": "email", "status-page": "webhook"}
    tiers = policy("agentmesh").tiers
    assert {tier for tier in Tier if kinds.keys() <= set(tiers[tier].opening)} == {Tier.P0, Tier.P1, Tier.P2}
    assert not kinds.keys() & set(tiers[Tier.P3].opening)


def test_avalos_management_has_mail_of_a_p0_alone_and_a_p3_is_a_ticket() -> None:
    assert (RULES.destinations["management-mail"].kind, RULES.destinations["ticket-queue"].kind) == ("email", "webhook")
    tiers = policy("avalo").tiers
    assert [tier for tier in Tier if "management-mail" in tiers[tier].opening] == [Tier.P0]
    assert [tier for tier in Tier if "ticket-queue" in tiers[tier].opening] == [Tier.P3]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_objective_of_the_catalogue_is_named_in_its_table(system: str) -> None:
    known = set(RULES.tables[system].objectives)
    assert {line.slo for line in CATALOGUE if line.system == system} - {"security"} == known
