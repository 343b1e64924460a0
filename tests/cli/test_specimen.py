"""Sample alerts match as those of Prometheus would, because the table itself says how."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from incidentd.classify import Rules, load
from incidentd.cli import demo
from incidentd.cli.firing import Firing, FiringError, remembered
from incidentd.cli.notification import notification
from incidentd.cli.sample import alerts_in
from incidentd.cli.specimen import UnknownObjectiveError, Wanted, apart, objectives, specimens
from incidentd.intake import parse
from incidentd.tier import Tier

ROOT = Path(__file__).parents[2]
DEMO_RULES = Path(demo.__file__).parent / "rules"
NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
RULES = load(ROOT / "rules")


def fired(slo: str, value: str | None = None, *regions: str, **labels: str) -> tuple[str, Tier, str]:
    (found,) = specimens(RULES, Wanted("avalo", slo, value, regions, labels))
    return found.verdict.row, found.verdict.tier, found.labels.get("severity", "")


@pytest.mark.parametrize(
    ("slo", "value", "row", "tier"),
    [
        ("core-api", "99.4", "avalo/core-api-below-99.5", Tier.P0),
        ("core-api", "99.6", "avalo/core-api-below-99.8", Tier.P1),
        ("core-api", None, "avalo/core-api-below-99.5", Tier.P0),
        ("money-flow-latency", "2400", "avalo/money-flow-over-2000", Tier.P0),
        ("money-flow-latency", "900", "avalo/money-flow-over-800", Tier.P1),
        ("money-flow-latency", "500", "avalo/money-flow-over-target", Tier.P2),
        ("firestore-latency", "250", "avalo/firestore-read-over-target", Tier.P2),
        ("security", None, "avalo/security", Tier.P0),
        ("support", "7", "avalo/ticket-backlog", Tier.P2),
    ],
)
def test_the_most_urgent_row_that_the_value_breaches_takes_it(
    slo: str, value: str | None, row: str, tier: Tier
) -> None:
    assert fired(slo, value)[:2] == (row, tier)


def test_a_label_chooses_another_measure() -> None:
    assert fired("core-api", "60", sli="budget_consumed") == ("avalo/budget-over-50", Tier.P1, "critical")
    assert fired("chat-delivery", None, "eu", sli="outage") == ("avalo/outage-in-region", Tier.P1, "critical")


def test_a_value_that_breaches_nothing_pages_nobody() -> None:
    assert fired("core-api", "99.9") == ("severity", Tier.P2, "warning")


@pytest.mark.parametrize("slo", objectives(RULES.tables["avalo"]))
def test_every_objective_of_the_table_can_be_fired(slo: str) -> None:
    assert fired(slo)[0].startswith("avalo/")


def test_the_unknown_is_named_with_what_is_known_nearest_first() -> None:
    with pytest.raises(UnknownObjectiveError, match="no system 'avallo'; known: avalo"):
        specimens(RULES, Wanted("avallo", "core-api"))
    with pytest.raises(UnknownObjectiveError, match="no objective 'chat-delivry'; known: chat-delivery, "):
        specimens(RULES, Wanted("avalo", "chat-delivry"))


def test_the_body_is_what_the_webhook_understands() -> None:
    found = specimens(RULES, Wanted("avalo", "core-api", "99.4", ("eu", "us")))
    body = notification([each.alert(NOW) for each in found])
    alerts, aside = parse(json.dumps(body).encode(), NOW)
    assert aside == ()
    assert [(each.fingerprint, each.starts_at, each.ends_at, each.firing) for each in alerts] == [
        (each.fingerprint, NOW, None, True) for each in found
    ]
    assert [each.labels["region"] for each in alerts] == ["eu", "us"]
    assert body["groupLabels"] == {"alertname": "AvaloCoreApiBelow995", "slo": "core-api", "system": "avalo"}
    assert "region" not in body["commonLabels"]


def test_the_example_is_the_alert_that_fire_makes() -> None:
    """Whoever posts one after the other sends a repeat."""
    (example,) = alerts_in((ROOT / "examples" / "alert.json").read_bytes(), NOW)
    (made,) = specimens(RULES, Wanted("avalo", "core-api", "99.4", ("eu",)))
    assert (example.fingerprint, example.labels) == (made.fingerprint, made.labels)
    assert made.annotations.items() <= example.annotations.items()


def test_a_storm_has_distinct_alerts_of_distinct_incidents_and_is_the_same_each_time() -> None:
    (one,) = specimens(RULES, Wanted("avalo", "wallet-success", "12"))
    found = apart(one, RULES, 250)
    assert len({each.fingerprint for each in found}) == 250
    assert len({each.verdict.key for each in found}) == 250
    assert {each.verdict.row for each in found} == {"avalo/wallet-failures-10m"}
    assert [each.fingerprint for each in apart(one, RULES, 250)] == [each.fingerprint for each in found]


def test_an_alert_fires_since_it_began_until_it_is_ended(tmp_path: Path) -> None:
    later = NOW.replace(hour=11)
    with remembered(tmp_path, "here") as firing:
        firing.begin(["a"], NOW)
    with remembered(tmp_path, "here") as firing:
        firing.begin(["a", "b"], later)
        assert (firing.since("a"), firing.since("b")) == (NOW, later)
        firing.end(["a"])
    with remembered(tmp_path, "elsewhere") as firing:
        assert firing.since("b") is None
    with remembered(tmp_path, "here") as firing:
        assert (firing.since("a"), firing.since("b")) == (None, later)


def test_what_fires_is_not_noted_where_posting_failed(tmp_path: Path) -> None:
    def post() -> None:
        with remembered(tmp_path, "here") as firing:
            firing.begin(["a"], NOW)
            raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        post()
    with remembered(tmp_path, "here") as firing:
        assert firing.since("a") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"here": 1}', '{"here": {"a": "yesterday"}}'])
def test_a_damaged_note_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "fired.json").write_text(text)
    with pytest.raises(FiringError, match=r"fired\.json can't be read"), remembered(tmp_path, "here"):
        pass


def test_nothing_is_noted_at_first() -> None:
    assert Firing({}).since("a") is None


def test_the_demos_rows_are_the_shipped_ones() -> None:
    def shown(rules: Rules) -> dict[str, tuple[list[str], list[str], Tier]]:
        return {
            row.name: (
                [str(each) for each in row.matchers],
                [str(each) for each in row.conditions],
                row.tier,
            )
            for row in rules.tables["avalo"].rows
        }

    own, shipped = shown(load(DEMO_RULES)), shown(RULES)
    assert own == {name: shipped[name] for name in own}
