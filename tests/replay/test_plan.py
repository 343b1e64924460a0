"""What is simulated is what happens: the same story in both, and who was told what when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from incidentd.alert import Alert
from incidentd.classify import classify, load
from incidentd.clock import ManualClock
from incidentd.incident.command import Acknowledge
from incidentd.replay.plan import Story, plan
from incidentd.replay.telling import How
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from tests.classify.ground import ESCALATION, rules
from tests.lifecycle.bench import MINUTE, RULES, Bench, alert, lesser, open_bench

HOUR = 60 * MINUTE
Told = tuple[datetime, str, How]
"""When, the level that is paged or the channel, and how."""

MONDAY_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
FRIDAY_EVENING = datetime(2026, 1, 9, 16, 50, tzinfo=UTC)
BEFORE_THE_CLOCKS_GO_BACK = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def of(system: str, **labels: str) -> dict[str, str]:
    return {"system": system, **labels}


STORIES = {
    "P0 that nobody answers": (alert(), MONDAY_NOON, None, 4 * HOUR),
    "P0 that is answered before level 2": (alert(), MONDAY_NOON, 3 * MINUTE, HOUR),
    "P0 of agentmesh that is answered too late, and lapses": (
        alert(labels=of("agentmesh", slo="availability", sli="outage", environment="production")),
        BEFORE_THE_CLOCKS_GO_BACK,
        12 * MINUTE,
        2 * HOUR,
    ),
    "P1 of astudio on a Friday evening": (
        alert(labels=of("astudio", slo="mcp-availability", sli="availability"), annotations={"value": "99.1"}),
        FRIDAY_EVENING,
        None,
        70 * HOUR,
    ),
    "P2 that is answered after the weekend": (
        alert(labels=of("astudio", slo="mcp-availability", sli="availability"), annotations={"value": "99.6"}),
        FRIDAY_EVENING,
        66 * HOUR + 7 * MINUTE,
        80 * HOUR,
    ),
    "P1 by its severity alone": (lesser("disk", "critical"), MONDAY_NOON, 20 * MINUTE, 5 * HOUR),
    "P3, a ticket": (lesser("disk", "info"), MONDAY_NOON, None, 30 * HOUR),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_plan_tells_whom_what_when_as_it_really_happens(name: str, tmp_path: Path) -> None:
    fires, at, answered, lasts = STORIES[name]
    begun = Alert(fires.fingerprint, fires.labels, fires.annotations, at, None, firing=True)
    url = f"sqlite:///{tmp_path}/it.db"
    migrate(open_engine(url))
    with open_bench(url, clock=ManualClock(at)) as bench:
        live(bench, begun, answered, lasts)
        lived = really_told(bench)
    assert lived
    assert planned(begun, at, answered, lasts) == lived


def live(bench: Bench, fires: Alert, answered: timedelta | None, lasts: timedelta) -> None:
    bench.hear(fires)
    if answered is not None:
        bench.forward(answered)
        bench.act(Acknowledge("Anna"))
    bench.forward(lasts - (answered or timedelta()))


def really_told(bench: Bench) -> list[Told]:
    slack = bench.sandbox.slack
    names = {each.id: f"#{each.name}" for each in slack.channels}
    pages = [
        (_to_the_millisecond(each.at), f"level {_level(bench, each.routing_key)}", How.PAGE)
        for each in bench.events("trigger")
    ]
    messages = [
        (
            _instant(each.ts),
            names[each.channel],
            (How.CALL if each.broadcast else How.UPDATE) if each.is_reply else How.FIRST,
        )
        for each in slack.messages()
    ]
    return sorted([*pages, *messages])


def _level(bench: Bench, routing_key: str) -> int:
    return next(n for n in (1, 2, 3) if any(each.routing_key == routing_key for each in bench.events("trigger", n)))


def _instant(ts: str) -> datetime:
    seconds, _, fraction = ts.partition(".")
    return _to_the_millisecond(datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(fraction)))


def _to_the_millisecond(at: datetime) -> datetime:
    """No two messages at Slack have one ts, and a deadline is missed a microsecond after it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def planned(fires: Alert, at: datetime, answered: timedelta | None, lasts: timedelta) -> list[Told]:
    shipped = load(RULES)
    found = plan(Story(fires, classify(fires, shipped), at, answered, lasts + timedelta(microseconds=1)), shipped)
    return sorted(
        (
            _to_the_millisecond(moment.at),
            f"level {each.level}"
            if each.how is How.PAGE
            else shipped.destinations[each.destination].options["channel"],
            each.how,
        )
        for moment in found.moments
        for each in moment.told
        # The bench has set up none of these.
        if not shipped.destinations[each.destination].optional
    )


def test_updates_are_said_once_and_do_not_keep_a_plan_from_its_end() -> None:
    often = rules(escalation=ESCALATION.replace("calendar: days}", "calendar: days, updates: 1m}"))
    ticket = lesser("disk", "info")
    found = plan(Story(ticket, classify(ticket, often), MONDAY_NOON, 5 * MINUTE), often)
    assert [each.kinds for each in found.moments] == [("opened",), ("acknowledged", "update")]
    assert (found.updates, found.next_at) == (MINUTE, None)


def test_of_updates_only_threads_hear() -> None:
    shipped = load(RULES)
    fires = alert(labels=of("agentmesh", slo="db-errors", sli="error_rate"), annotations={"value": "0.3"})
    found = plan(Story(fires, classify(fires, shipped), MONDAY_NOON, lasts=20 * MINUTE), shipped)
    (told,) = [each.told for each in found.moments if each.kinds == ("update",)]
    assert [each.destination for each in told] == ["alerts", "devops"]
