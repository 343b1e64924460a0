"""The rules that come with incidentd hold what the documents ask."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from incidentd.alert import Alert
from incidentd.classify import check, classify, load, run_examples
from incidentd.classify.report import show_examples
from incidentd.policy import ResponseTime
from incidentd.tier import Tier
from incidentd.timeline import Scope
from tests.classify.ground import alert

ROOT = Path(__file__).parents[2]
RULES = load(ROOT / "rules")
PAYLOADS = sorted(
    path for path in (ROOT / "tests" / "payloads").glob("*.json") if not path.name.endswith("headers.json")
)
OBJECTIVES = {
    "core-api", "secondary-api", "api-latency", "money-flow-latency", "realtime-latency", "firestore-latency",
    "wallet-success", "chat-delivery", "call-connection", "ai-response", "safety-response", "data-export",
}  # fmt: skip
FIRST_KEY = "INCIDENTD_PAGERDUTY_ROUTING_KEY"


def heard(path: Path) -> list[Alert]:
    body = json.loads(path.read_text(encoding="utf-8"))
    return [
        Alert(each["fingerprint"], each["labels"], each["annotations"], datetime(2026, 1, 1, tzinfo=UTC), None, True)
        for each in body["alerts"]
    ]


def test_every_example_holds() -> None:
    results = run_examples(RULES)

    assert all(result.holds for result in results), show_examples(results)


def test_every_row_has_an_example() -> None:
    shown = {example.row for table in RULES.tables.values() for example in table.examples}

    assert {row.name for row in RULES.rows} <= shown


def test_nothing_is_warned_of() -> None:
    assert RULES.warnings == ()


def test_levels_that_fall_back_to_one_routing_key_are_warned_of() -> None:
    own = {FIRST_KEY, f"{FIRST_KEY}_MANAGER", f"{FIRST_KEY}_CTO"}

    assert not check(RULES, own).warnings
    assert len(check(RULES, {FIRST_KEY}).warnings) == 5


def test_secrets_are_variables_of_their_own() -> None:
    assert RULES.secret_names == {
        FIRST_KEY,
        f"{FIRST_KEY}_MANAGER",
        f"{FIRST_KEY}_CTO",
        f"{FIRST_KEY}_CHAT_BACKEND",
        "INCIDENTD_SLACK_BOT_TOKEN",
        "INCIDENTD_SMTP_URL",
        *(f"INCIDENTD_{name}" for name in ("STATUS_PAGE_URL", "STATUS_PAGE_SECRET")),
        *(f"INCIDENTD_{name}" for name in ("TICKETS_URL", "TICKETS_LOGIN")),
        *(f"INCIDENTD_{name}" for name in ("SCALING_HOOK_URL", "SCALING_HOOK_SECRET")),
    }


def test_nobody_misses_mail_and_webhooks_that_are_not_set_up() -> None:
    kinds = {spec.kind for spec in RULES.destinations.values() if spec.optional}
    assert kinds == {"email", "webhook"} == {s.kind for s in RULES.destinations.values()} - {"pagerduty", "slack"}


def test_avalo_names_its_objectives() -> None:
    assert set(RULES.tables["avalo"].objectives) == OBJECTIVES
    assert RULES.objective("avalo", "wallet-success") == "99.95 % succeed, 30 d"
    assert RULES.objective("avalo", "nothing") == ""


@pytest.mark.parametrize("slo", sorted(OBJECTIVES))
def test_scope_is_for_four_objectives(slo: str) -> None:
    scope = classify(alert(system="avalo", slo=slo, sli="burn_rate", region="eu"), RULES).scope

    assert scope == (
        Scope(Tier.P1, 2, Tier.P0) if slo in {"core-api", "chat-delivery", "call-connection", "secondary-api"} else None
    )


@pytest.mark.parametrize("slo", sorted(OBJECTIVES))
@pytest.mark.parametrize(
    ("sli", "value", "tier"),
    [("outage", "1", "P0"), ("budget_consumed", "50.1", "P1"), ("budget_consumed", "50", "P2"),
     ("daily_budget_consumed", "100", "P0"), ("daily_budget_consumed", "25", "P1"),
     ("daily_budget_consumed", "10", "P2"), ("burn_rate", "2.5", "P2"), ("breach_eta", "24", "P2")],
)  # fmt: skip
def test_every_objective_has_the_rows_for_any(slo: str, sli: str, value: str, tier: str) -> None:
    verdict = classify(alert(value, system="avalo", slo=slo, sli=sli), RULES)

    assert (verdict.tier, verdict.row.startswith("avalo/")) == (tier, True)


@pytest.mark.parametrize("slo", sorted(OBJECTIVES))
def test_outage_in_one_region_is_p1_but_for_core_money_and_database(slo: str) -> None:
    verdict = classify(alert("1", system="avalo", slo=slo, sli="outage", region="eu"), RULES)

    assert verdict.tier == ("P0" if slo in {"core-api", "money-flow-latency", "firestore-latency"} else "P1")


def test_operators_label_does_not_draw_known_systems_to_generic_rows() -> None:
    labels = {"system": "avalo", "slo": "core-api", "sli": "availability", "prometheus": "monitoring/k8s"}

    assert classify(alert("?", **labels, severity="info"), RULES).row == "avalo/core-api-below-99.8"
    assert classify(alert("99.9", **labels, severity="info"), RULES).row == "severity"


EXPECTED = {
    "am025_firing": [("generic/sloth-page", "P1", "checkout/requests-availability")],
    "am025_groupby_all": [("generic/sloth-page", "P1", "svc/avail")],
    "am025_resolved": [("generic/sloth-ticket", "P2", "checkout/requests-availability")],
    "am025_utf8": [("generic/sloth-page", "P1", 'zahlung-ü/requests "quoted"\\/slash')],
    "am034_shape_NOT_CAPTURED_from_source": [
        ("generic/sloth-page", "P1", "checkout/requests-availability/cluster=eu1")
    ],
    "prom242_pyrra_firing": [("generic/pyrra-fast-burn", "P1", "app/http/cluster=eu1")],
    "prom242_pyrra_resolved": [("generic/pyrra-fast-burn", "P1", "app/http/cluster=eu1")],
    "prom242_sloth_firing": [("generic/sloth-page", "P1", "checkout/requests-availability/cluster=eu1")],
}


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_captured_webhooks_are_classified(path: Path) -> None:
    verdicts = [classify(alert, RULES) for alert in heard(path)]

    assert verdicts
    assert all(verdict.row.startswith("generic/") for verdict in verdicts)
    if path.stem in EXPECTED:
        assert [(verdict.row, verdict.tier, verdict.key) for verdict in verdicts] == EXPECTED[path.stem]


def test_page_and_ticket_of_one_objective_are_one_incident() -> None:
    verdicts = [classify(each, RULES) for each in heard(ROOT / "tests/payloads/am025_grouped_two_firing.json")]

    assert {verdict.row for verdict in verdicts} == {"generic/sloth-page", "generic/sloth-ticket"}
    assert len({verdict.key for verdict in verdicts}) == 1


LEVELS = {
    "P0": [(5, {"page-oncall", "incidents"}), (10, {"page-manager", "incidents"}),
           (15, {"page-cto", "incidents", "management", "management-mail"})],
    "P1": [(15, {"page-oncall", "incidents"}), (15, {"page-manager", "incidents"}), (30, {"page-cto", "incidents"})],
    "P2": [(60, {"incidents"}), (60, {"incidents"})],
    "P3": [],
}  # fmt: skip
OPENING = {
    "P0": {"incidents", "management", "management-mail"},
    "P1": {"incidents"},
    "P2": {"incidents"},
    "P3": {"tickets", "ticket-queue"},
}
RESPONSE = {
    "P0": ResponseTime(timedelta(minutes=5)),
    "P1": ResponseTime(timedelta(minutes=15)),
    "P2": ResponseTime(timedelta(hours=1)),
    "P3": ResponseTime(days=1),
}
LAPSE = {"P0": timedelta(minutes=30), "P1": timedelta(hours=1), "P2": timedelta(hours=8), "P3": None}


@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("policy", ["default", "internal"])
def test_tiers_ask_what_the_model_says(policy: str, tier: Tier) -> None:
    found = RULES.policies[policy].tiers[tier]

    assert [(level.duration.total_seconds() / 60, set(level.tell)) for level in found.levels] == LEVELS[tier]
    assert [level.name for level in found.levels] == ["on-call engineer", "engineering manager", "CTO"][
        : len(found.levels)
    ]
    assert set(found.opening) == OPENING[tier]
    assert found.response == RESPONSE[tier]
    assert found.acknowledgement == LAPSE[tier]
    assert found.calendar.name == ("business-days" if tier == "P3" else "always")


def test_agentmesh_alone_has_updates_every_15_minutes_but_of_p3() -> None:
    found = {
        (name, tier): each.updates
        for name, policy in RULES.policies.items()
        for tier, each in policy.tiers.items()
        if each.updates
    }
    assert found == {("agentmesh", Tier(tier)): timedelta(minutes=15) for tier in ("P0", "P1", "P2")}


def test_clocks_are_those_of_the_model() -> None:
    default, internal = RULES.policies["default"], RULES.policies["internal"]

    assert (default.rounds, default.reminder, default.hold_down) == (3, timedelta(hours=1), timedelta(minutes=5))
    assert (default.reopen_window, default.grace) == (timedelta(minutes=30), timedelta(minutes=10))
    assert (default.late_copy, default.closest) == (timedelta(seconds=60), timedelta(seconds=60))
    assert internal.hold_down == timedelta(0)
    assert default.pages == {"page-oncall", "page-manager", "page-cto", "chat-backend-phase0"}
    assert default.version == RULES.version
