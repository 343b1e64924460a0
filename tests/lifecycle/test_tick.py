"""Time's own command: on time, late, twice, early, and from many processes (model 11, 14)."""

from datetime import timedelta

import sqlalchemy as sa

from incidentd.incident.state import State
from incidentd.lifecycle.work import Webhook
from incidentd.store.tables import INCIDENTS
from tests.lifecycle.bench import BEGIN, MINUTE, SECOND, Bench, alert, lesser
from tests.lifecycle.twin import tick_together
from tests.servers import wait_until


def test_an_early_tick_does_nothing(bench: Bench) -> None:
    bench.hear(alert())
    bench.clock.advance(5 * MINUTE - SECOND)
    bench.runtime.tick(bench.incident_ids())
    assert bench.kinds() == ["opened"]


def test_a_tick_on_time_reaches_the_next_level_and_says_when_it_was_due(bench: Bench) -> None:
    bench.hear(alert())
    bench.clock.advance(5 * MINUTE + timedelta(milliseconds=700))
    bench.runtime.tick(bench.incident_ids())
    level = next(entry for entry in bench.timeline() if entry.kind == "level")
    assert (level.due_at, level.at) == (BEGIN + 5 * MINUTE, bench.now)
    assert bench.incident().next_at == BEGIN + 15 * MINUTE


def test_a_second_tick_does_nothing(bench: Bench) -> None:
    bench.hear(alert())
    bench.clock.advance(6 * MINUTE)
    bench.runtime.tick(bench.incident_ids())
    before = bench.timeline()
    bench.runtime.tick(bench.incident_ids() * 2)
    assert bench.timeline() == before


def test_a_tick_for_what_does_not_exist_harms_nobody(bench: Bench) -> None:
    bench.hear(alert())
    bench.clock.advance(5 * MINUTE)
    bench.runtime.tick(["0193-none", *bench.incident_ids()])
    assert bench.incident().level == 2


def test_several_processes_tick_a_hundred_due_incidents_once_each(bench: Bench) -> None:
    bench.hear(*(lesser(f"slo-{number}", "critical") for number in range(100)))
    ids = bench.incident_ids()
    bench.clock.advance(15 * MINUTE)
    tick_together(bench, ids)
    assert [bench.kinds(each).count("level") for each in ids] == [1] * 100


def test_what_is_due_is_found_and_marked_for_a_second(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.clock.advance(5 * MINUTE)
    assert list(bench.runtime.due()) == ["escalate"]
    assert bench.runtime.due() == {}
    bench.clock.advance(SECOND)
    assert bench.runtime.due() == {"escalate": bench.incident_ids()}


def test_deliveries_whose_job_was_lost_are_found_three_seconds_later(bench: Bench) -> None:
    bench.hear(alert())
    assert bench.runtime.due() == {}
    bench.clock.advance(3 * SECOND)
    assert set(bench.runtime.due()) == {"page", "tell"}


def test_levels_that_a_long_pause_left_behind_follow_a_minute_apart(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.clock.advance(timedelta(hours=2))
    bench.settle()
    assert bench.incident().level == 2
    bench.forward(59 * SECOND)
    assert bench.incident().level == 2
    bench.forward(SECOND)
    assert bench.incident().level == 3


def test_the_most_urgent_of_what_is_due_comes_first(bench: Bench) -> None:
    bench.runtime.submit_webhook(Webhook((lesser("calm", "critical"),), "am")).result(120)
    bench.runtime.submit_webhook(Webhook((alert(),), "am")).result(120)
    calm, urgent = bench.incident_ids()
    bench.clock.advance(timedelta(minutes=15))
    assert list(bench.runtime.due()["escalate"]) == [urgent, calm]


def test_hold_down_over_resolves_without_anybody(bench: Bench) -> None:
    bench.hear(alert())
    bench.hear(alert(firing=False))
    assert bench.incident().state is State.RECOVERING
    bench.clock.advance(5 * MINUTE)
    bench.runtime.tick(bench.incident_ids())
    assert bench.incident().state is State.RESOLVED


def test_an_incident_that_cannot_be_decided_keeps_no_other_from_climbing(bench: Bench) -> None:
    bench.hear(alert())
    bench.hear(lesser("checkout", "critical"))
    broken, sound = (bench.with_key(key)[0].id for key in ("avalo/core-api", "other/checkout"))
    bench.store.write(
        lambda tx: tx.execute(
            sa.update(INCIDENTS)
            .where(INCIDENTS.c.id == broken)
            .values(body=sa.func.replace(INCIDENTS.c.body, '"P0"', '"P?"'))
        )
    )
    bench.clock.advance(20 * MINUTE)
    bench.runtime.tick(bench.runtime.due()["escalate"])
    assert "level" in bench.kinds(sound)
    about = sa.select(INCIDENTS.c.id).where(INCIDENTS.c.key.startswith("incidentd/undecidable"))
    wait_until(lambda: bench.store.read(lambda tx: tx.scalar(about)) is not None, "the incident about it")
    assert broken not in bench.runtime.due().get("escalate", ())
