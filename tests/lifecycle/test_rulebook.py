"""Tables in force: one for all processes, and each round keeps the one it began with (model 37, 38)."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from incidentd.errors import RulesError
from incidentd.follower import FOLLOW_SECONDS
from incidentd.incident.command import Acknowledge
from incidentd.incident.state import State
from incidentd.lifecycle.work import Webhook
from incidentd.sandbox.fault import FaultKind
from incidentd.store.tables import RULES
from tests.lifecycle.bench import BEGIN, MINUTE, Bench, alert, open_bench
from tests.lifecycle.table import copy_rules, replace_in
from tests.lifecycle.twin import twin
from tests.servers import wait_until

FASTER = ("{lasts: 5m, tell: [page-oncall, incidents]}", "{lasts: 2m, tell: [page-oncall, incidents]}")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder of rules that the test may change."""
    return copy_rules(tmp_path)


@pytest.fixture
def own(database_url: str, rules: Path) -> Iterator[Bench]:
    """A bench on that folder."""
    with open_bench(database_url, rules) as opened:
        yield opened


def test_a_reload_is_in_force_for_another_process_within_a_second(own: Bench, rules: Path) -> None:
    with twin(own) as other:
        replace_in(rules, "escalation.yaml", FASTER)
        own.runtime.reload()
        version = own.runtime.rulebook.in_force.version
        assert FOLLOW_SECONDS < 1
        wait_until(lambda: other.rulebook.in_force.version == version, "the other process to follow")


def test_an_unsound_table_is_refused_and_the_one_in_force_stays(own: Bench, rules: Path) -> None:
    before = own.runtime.rulebook.in_force.version
    replace_in(rules, "escalation.yaml", ("tell: [page-oncall, incidents]", "tell: [nobody-knows]"))
    with pytest.raises(RulesError, match=r"escalation\.yaml:\d+"):
        own.runtime.reload()
    assert own.runtime.rulebook.in_force.version == before


def test_examples_that_do_not_hold_are_warned_of_and_stop_no_reload(own: Bench, rules: Path) -> None:
    assert own.runtime.reload().warnings == ()
    replace_in(rules, "avalo.yaml", ("- {row: security, tier: P0,\n", "- {row: security, tier: P1,\n"))
    (warning,) = own.runtime.reload().warnings
    assert re.fullmatch(r"avalo\.yaml:\d+: expected avalo/security P1, got avalo/security P0 \(.+\)", warning)


def test_a_stored_table_that_this_version_cannot_read_stops_nothing(own: Bench) -> None:
    own.hear(alert())
    own.store.write(lambda tx: tx.execute(sa.update(RULES).values(files='{"tiers.yaml": "what: is this"}')))
    with twin(own) as other:
        assert other.rulebook.in_force.version == own.runtime.rulebook.in_force.version
        other.submit_webhook(Webhook((alert(firing=False),), "10.0.0.1")).result(120)
    assert own.incident().state is State.RECOVERING


def test_a_process_that_starts_takes_the_table_in_force_and_not_its_folders(own: Bench, rules: Path) -> None:
    before = own.runtime.rulebook.in_force.version
    replace_in(rules, "escalation.yaml", FASTER)
    with twin(own) as other:
        assert other.rulebook.in_force.version == before


def test_a_round_keeps_the_table_that_it_began_with(own: Bench, rules: Path) -> None:
    own.hear(alert())
    replace_in(
        rules, "escalation.yaml", ("{lasts: 10m, tell: [page-manager", "{lasts: 1m, tell: [page-manager"), FASTER
    )
    own.runtime.reload()
    own.forward(5 * MINUTE)
    assert own.incident().next_at == BEGIN + 15 * MINUTE


def test_the_next_round_takes_the_table_in_force(own: Bench, rules: Path) -> None:
    own.hear(alert())
    before = own.incident().version
    own.act(Acknowledge("anna"))
    replace_in(rules, "escalation.yaml", FASTER)
    own.runtime.reload()
    own.forward(30 * MINUTE)
    incident = own.incident()
    assert incident.version == own.runtime.rulebook.in_force.version != before
    assert incident.next_at == BEGIN + 32 * MINUTE


def test_a_new_incident_takes_the_table_in_force(own: Bench, rules: Path) -> None:
    replace_in(rules, "escalation.yaml", FASTER)
    own.runtime.reload()
    own.hear(alert())
    assert own.incident().next_at == BEGIN + 2 * MINUTE


def test_a_destination_that_a_newer_table_no_longer_has_is_served_from_the_stored_one(own: Bench, rules: Path) -> None:
    own.hear(alert())
    replace_in(rules, "escalation.yaml", (", management, ", ", "))
    _drop(rules / "destinations.yaml", "management")
    own.runtime.reload()
    own.settle()
    assert len(own.sandbox.slack.cards("#management")) == 1


def test_so_it_is_by_a_process_that_never_saw_that_table_in_force(own: Bench, rules: Path) -> None:
    own.hear(alert())
    replace_in(rules, "escalation.yaml", (", management, ", ", "))
    _drop(rules / "destinations.yaml", "management")
    own.runtime.reload()
    with twin(own) as other:
        other.deliver_tells(own.incident_ids())
    assert len(own.sandbox.slack.cards("#management")) == 1


def test_a_destination_of_the_table_in_force_is_used_as_that_one_has_it(own: Bench, rules: Path) -> None:
    own.hear(alert())
    replace_in(rules, "destinations.yaml", ('"#management"', '"#bosses"'))
    own.runtime.reload()
    own.settle()
    assert [len(own.sandbox.slack.cards(name)) for name in ("#management", "#bosses")] == [0, 1]


def test_a_destination_whose_secret_is_gone_is_given_up_with_an_alarm(own: Bench) -> None:
    own.hear(alert())
    with twin(own, {"INCIDENTD_PAGERDUTY_ROUTING_KEY": None}) as other:
        other.deliver_pages(own.incident_ids())
    (alarm,) = own.with_key("incidentd/delivery")
    (core,) = own.with_key("avalo/core-api")
    assert "page-oncall" in alarm.title
    assert "gave_up" in own.kinds(core.id)


def test_what_was_refused_for_good_is_tried_again_after_a_reload(own: Bench) -> None:  # model 35
    own.sandbox.fail("slack", FaultKind.ERROR, error="channel_not_found", times=1, target="#management")
    own.hear(alert())
    own.settle()
    assert own.cursor(destination="management").given_up
    own.runtime.reload()
    own.forward(timedelta(seconds=1))
    assert len(own.sandbox.slack.cards("#management")) == 1


def test_sentences_name_people_as_the_incidents_own_table_does(own: Bench, rules: Path) -> None:
    own.hear(alert())
    own.forward(timedelta(minutes=5))
    replace_in(rules, "escalation.yaml", ("name: engineering manager", "name: head of engineering"))
    own.runtime.reload()
    said = " ".join(own.runtime.sentences(own.incident(), own.timeline()))
    assert "engineering manager" in said
    assert "head of engineering" not in said


def _drop(path: Path, name: str) -> None:
    """Take one destination out of the file."""
    blocks = path.read_text().split("\n\n")
    path.write_text("\n\n".join(block for block in blocks if not block.startswith(f"{name}:")))
