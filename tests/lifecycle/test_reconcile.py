"""Truth from Alertmanager: what was lost on the way is brought in line, and nothing is believed too soon."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from incidentd.alert import Alert
from incidentd.clock import ManualClock
from incidentd.incident.command import Acknowledge, Resolve
from incidentd.incident.state import State
from incidentd.sandbox.server import SandboxServer
from incidentd.store import heartbeats
from incidentd.timeline import Reconciled, Silenced, Stale
from tests.alertmanager import Listing, listing
from tests.lifecycle.bench import BEGIN, MINUTE, Bench, alert, environment, lesser
from tests.lifecycle.table import copy_rules
from tests.lifecycle.twin import twin

LOOK = timedelta(seconds=30)
HOUR = timedelta(hours=1)


class Scene:
    """A bench beside two Alertmanagers, which it is to be compared with."""

    def __init__(self, bench: Bench, first: Listing, second: Listing) -> None:
        self.bench = bench
        self.first = first
        self.second = second

    def look(self, times: int = 1, by: timedelta = LOOK) -> None:
        """Let time pass and compare, so many times; each look then has its consequences."""
        for _ in range(times):
            self.bench.clock.advance(by)
            self.bench.runtime.truth.look()
        self.bench.settle()

    def show(self, *alerts: Alert, **more: str) -> None:
        for upstream in (self.first, self.second):
            upstream.show(*alerts, **more)

    def hide(self, *alerts: Alert) -> None:
        for upstream in (self.first, self.second):
            upstream.hide(*alerts)


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    clock = ManualClock(BEGIN)
    with ExitStack() as stack:
        first, second = (stack.enter_context(listing(clock.now)) for _ in range(2))
        sandbox = stack.enter_context(SandboxServer(clock=clock.now, keep=None))
        settings = environment(database_url, sandbox) | {
            "INCIDENTD_ALERTMANAGER_URL": f"{first.url},\n{second.url}",
            "INCIDENTD_ALERTMANAGER_TOKEN": "canary-token-of-alertmanager",
        }
        bench = Bench(database_url, sandbox, clock, settings)
        stack.callback(bench.close)
        yield Scene(bench, first, second)


def found(bench: Bench) -> list[Reconciled | Silenced | Stale]:
    return [e.data for e in bench.timeline() if isinstance(e.data, Reconciled | Silenced | Stale)]


def opened(scene: Scene) -> Alert:
    """An incident's alert that both Alertmanagers have been seen to list."""
    fires = alert()
    scene.bench.hear(fires)
    scene.show(fires)
    scene.look()
    return fires


def test_a_lost_resolved_is_found_out_and_the_incident_recovers_as_by_a_notification(scene: Scene) -> None:
    fires, bench = opened(scene), scene.bench
    scene.hide(fires)
    scene.look(2)
    assert bench.incident().state is State.TRIGGERED, "one minute in which it is gone has not passed"
    gone_since = bench.now - LOOK
    with capture_logs() as logs:
        scene.look()
    assert bench.incident().state is State.RECOVERING
    assert found(bench) == [Reconciled(True, (fires.fingerprint,), gone_since)]
    kinds = bench.kinds()
    begin = kinds.index("reconciled")
    assert kinds[begin : begin + 3] == ["reconciled", "alerts", "recovering"]
    (line,) = [each for each in logs if each["event"] == "reconciled"]
    assert (line["action"], line["alerts"]) == ("closed", [fires.fingerprint])
    sentences = bench.runtime.sentences(bench.incident(), bench.timeline())
    assert any("Alertmanager has had 1 alert no more since" in each for each in sentences)
    bench.forward(6 * MINUTE)
    assert bench.incident().state is State.RESOLVED
    assert bench.incident().resolved_by is None


def test_what_fires_again_before_it_counts_as_over_goes_on(scene: Scene) -> None:
    fires = opened(scene)
    scene.hide(fires)
    scene.look(2)
    scene.second.show(fires)
    scene.look()
    scene.hide(fires)
    scene.look(2)
    assert scene.bench.incident().state is State.TRIGGERED
    scene.look()
    assert scene.bench.incident().state is State.RECOVERING


def test_an_alertmanager_that_started_anew_and_is_empty_closes_nothing(scene: Scene) -> None:
    opened(scene)
    for upstream in (scene.first, scene.second):
        upstream.restart()
    scene.look(60)
    assert scene.bench.incident().state is State.TRIGGERED
    assert found(scene.bench) == []


def test_what_ended_while_alertmanager_was_down_is_over_once_it_has_been_told_all_again(scene: Scene) -> None:
    fires = opened(scene)
    for upstream in (scene.first, scene.second):
        upstream.restart()
        upstream.show(lesser("other", "warning"), receiver="mail")
    scene.look(9)
    assert scene.bench.incident().state is State.TRIGGERED, "it has been up for less than five minutes"
    scene.look(3)
    assert scene.bench.incident().state is State.RECOVERING
    assert found(scene.bench)[0].alerts == (fires.fingerprint,)  # type: ignore[union-attr]


def test_a_young_replica_keeps_the_other_from_being_believed(scene: Scene) -> None:
    fires = opened(scene)
    scene.hide(fires)
    scene.second.started_at = scene.bench.now
    scene.look(9)
    assert scene.bench.incident().state is State.TRIGGERED
    scene.look(2)
    assert scene.bench.incident().state is State.RECOVERING


def test_a_replica_that_is_down_changes_nothing_and_all_down_closes_nothing(scene: Scene) -> None:
    fires = opened(scene)
    scene.second.down = True
    scene.look(4)
    assert scene.bench.incident().state is State.TRIGGERED
    scene.first.down = True
    scene.hide(fires)
    scene.look(20)
    assert scene.bench.incident().state is State.TRIGGERED
    scene.first.down = False
    scene.look(3)
    assert scene.bench.incident().state is State.RECOVERING


def test_an_alert_that_one_replica_has_is_not_over(scene: Scene) -> None:
    fires = opened(scene)
    scene.first.hide(fires)
    scene.look(20)
    assert scene.bench.incident().state is State.TRIGGERED


def test_an_alert_of_another_cluster_is_never_closed(scene: Scene) -> None:
    """Nobody we compare with ever had it; so nobody can say that it is over."""
    scene.bench.hear(alert())
    scene.show(lesser("other", "warning"), receiver="mail")
    scene.look(40)
    assert scene.bench.incident().state is State.TRIGGERED
    scene.second.alerts.clear()
    scene.second.show(alert())
    scene.look()
    scene.second.down = True
    scene.look(40)
    assert scene.bench.incident().state is State.TRIGGERED, "the one that had it doesn't answer"


def test_an_answer_that_is_not_all_understood_or_of_a_false_clock_ends_nothing(scene: Scene) -> None:
    fires = opened(scene)
    scene.hide(fires)
    scene.first.alerts["odd"] = {"fingerprint": 7}
    scene.look(10)
    assert scene.bench.incident().state is State.TRIGGERED
    scene.first.alerts.clear()
    scene.second.ahead = timedelta(minutes=10)
    scene.look(10)
    assert scene.bench.incident().state is State.TRIGGERED
    scene.second.ahead = timedelta(0)
    scene.look(3)
    assert scene.bench.incident().state is State.RECOVERING


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b"[1, 2", b"<html>", b"\xff", b'[{"fingerprint": NaN}]'])
def test_an_answer_that_is_none_is_a_fault_and_no_list(scene: Scene, raw: bytes) -> None:
    fires = opened(scene)
    scene.hide(fires)
    scene.second.down = True
    scene.first.raw = raw
    scene.look(10)
    assert scene.bench.incident().state is State.TRIGGERED


def test_what_was_never_told_is_taken_in_after_it_could_have_been_told(scene: Scene) -> None:
    fires, bench = alert(), scene.bench
    scene.show(fires)
    scene.look(14)
    assert bench.incident_ids() == []
    scene.look()
    assert bench.incident().state is State.TRIGGERED
    assert bench.kinds()[:2] == ["opened", "reconciled"]
    assert found(bench) == [Reconciled(False, (fires.fingerprint,), BEGIN + LOOK)]
    assert len(bench.events("trigger", level=1)) == 1
    bench.hear(fires)
    scene.look(20)
    assert len(bench.incident_ids()) == 1
    assert len(found(bench)) == 1


def test_what_was_told_as_over_and_fires_again_is_taken_in(scene: Scene) -> None:
    fires, bench = opened(scene), scene.bench
    bench.hear(alert(firing=False))
    bench.forward(6 * MINUTE)
    assert bench.incident().state is State.RESOLVED
    scene.look(16)
    assert bench.incident().state is State.TRIGGERED
    assert found(bench)[-1].alerts == (fires.fingerprint,)  # type: ignore[union-attr]


def test_what_is_silenced_inhibited_muted_or_for_others_pages_nobody(scene: Scene) -> None:
    scene.show(lesser("others", "critical"), receiver="mail")
    scene.first.silence(lesser("silenced", "critical"))
    scene.second.show(lesser("silenced", "critical"))
    scene.show(lesser("inhibited", "critical"))
    scene.first.show(lesser("inhibited", "critical"), state="suppressed", inhibitedBy=["abc"])
    scene.show(lesser("new", "critical"))
    scene.second.show(lesser("new", "critical"), state="unprocessed")
    scene.first.show(lesser("new", "critical"), state="unprocessed")
    muted = lesser("muted", "critical")
    scene.show(muted)
    for upstream in (scene.first, scene.second):
        upstream.config = "route: {receiver: incidentd, mute_time_intervals: [nights]}"
        upstream.muted = {muted.fingerprint}
    scene.look(40)
    assert scene.bench.incident_ids() == []
    scene.first.muted = None
    scene.look()
    assert scene.bench.incident_ids() == [], "one that doesn't say what it mutes is not believed"
    for upstream in (scene.first, scene.second):
        upstream.muted = set()
    scene.look()
    assert [each.slo for each in map(scene.bench.incident, scene.bench.incident_ids())] == ["muted"]


def test_a_watchdog_that_only_a_look_sees_is_no_sign_of_life(scene: Scene, tmp_path: Path) -> None:
    """Heartbeats prove that notifications arrive."""
    rules = copy_rules(tmp_path)
    (rules / "heartbeats.yaml").write_text('watchdog: {match: [slo="watchdog"], every: 10m, tier: P2}\n')
    with twin(scene.bench, {"INCIDENTD_RULES": str(rules)}) as other:
        other.reload()
        scene.bench.runtime.rulebook.refresh()
        scene.show(lesser("watchdog", "none"))
        for _ in range(40):
            scene.bench.clock.advance(LOOK)
            other.truth.look()
            other.due()
    assert scene.bench.incident_ids() == []
    (watchdog,) = scene.bench.store.read(heartbeats.all_of_them)
    assert watchdog.heard_at is None


def test_what_a_person_resolved_over_is_not_opened_by_a_look(scene: Scene) -> None:
    opened(scene)
    scene.bench.act(Resolve("ann"))
    scene.look(60)
    assert scene.bench.incident().state is State.RESOLVED


def test_a_silence_is_written_down_shown_and_stops_no_level(scene: Scene) -> None:
    fires, bench = opened(scene), scene.bench
    scene.first.silence(fires, by="ann", comment="deploy\nof today")
    scene.look(3)
    incident = bench.incident()
    assert incident.silenced == {fires.fingerprint}
    assert incident.silence.startswith("silenced by ann until 2026-01-05 14:")
    assert incident.silence.endswith(": deploy of today")
    assert [type(each) for each in found(bench)] == [Silenced]
    bench.forward(5 * MINUTE)
    assert len(bench.events("trigger", level=2)) == 1
    scene.show(fires)
    scene.look(2)
    assert bench.incident().silenced == frozenset()
    assert [len(each.alerts) for each in found(bench) if isinstance(each, Silenced)] == [1, 0]


def test_what_ends_under_a_silence_is_closed_though_alertmanager_tells_nobody(scene: Scene) -> None:
    fires = opened(scene)
    scene.first.silence(fires)
    scene.second.silence(fires)
    scene.look()
    scene.hide(fires)
    scene.look(3)
    incident = scene.bench.incident()
    assert (incident.state, incident.silenced) == (State.RECOVERING, frozenset())


def test_two_processes_look_in_turn_and_find_everything_once(scene: Scene) -> None:
    fires = opened(scene)
    scene.hide(fires)
    with twin(scene.bench) as other:
        for _ in range(10):
            scene.bench.clock.advance(LOOK)
            asked = len(scene.first.asked)
            for runtime in (other, scene.bench.runtime):
                runtime.truth.look()
            assert sum(path == "/api/v2/alerts" for path, _ in scene.first.asked[asked:]) == 1
    assert len(found(scene.bench)) == 1


def test_a_look_that_finds_nothing_new_writes_nothing_but_its_turn(scene: Scene) -> None:
    opened(scene)
    scene.look()
    seen: list[str] = []
    event.listen(scene.bench.store.engine, "before_cursor_execute", lambda *said: seen.append(said[2]))
    for _ in range(5):
        scene.bench.clock.advance(LOOK)
        scene.bench.runtime.truth.look()
    tables = ("incidents", "entries", "alerts", "sightings", "cursors")
    assert not [each for each in seen if re.match(rf"(INSERT INTO|UPDATE|DELETE FROM) ({'|'.join(tables)})\\b", each)]


def test_the_credential_goes_to_alertmanager_and_nowhere_else(scene: Scene) -> None:
    with capture_logs() as logs:
        scene.look()
        scene.first.down = True
        scene.look()
    assert {each["Authorization"] for _, each in scene.first.asked} == {"Bearer canary-token-of-alertmanager"}
    assert "canary" not in str(logs)
    assert [each["event"] for each in logs].count("alertmanager_unusable") == 1


# Without an answer: stale.


def hold_out(bench: Bench, hours: int) -> None:
    for _ in range(hours * 6):
        bench.clock.advance(10 * MINUTE)
        bench.runtime.truth.look()
        bench.settle()


def test_an_alert_that_nothing_is_heard_of_is_asked_about_and_never_closed(bench: Bench) -> None:
    bench.hear(alert())
    bench.act(Acknowledge("ann"))
    hold_out(bench, 9)
    assert found(bench) == []
    hold_out(bench, 1)
    assert found(bench) == [Stale(BEGIN)]
    replies = [each for card in bench.sandbox.slack.cards() for each in bench.sandbox.slack.replies(card)]
    reply = next(each for each in replies if "Do they still fire?" in str(each))
    assert {"incidentd_still_on", "incidentd_resolve"} <= set(re.findall(r"incidentd_\w+", str(reply)))
    assert bench.incident().state is not State.RESOLVED
    hold_out(bench, 20)
    assert 2 <= len(found(bench)) <= 3
    assert bench.incident().resolved_at is None


def test_a_repeat_keeps_an_alert_from_being_asked_about_and_writes_no_entry(bench: Bench) -> None:
    bench.hear(alert())
    bench.act(Acknowledge("ann"))
    for _ in range(8):
        hold_out(bench, 4)
        bench.hear(alert())
    assert found(bench) == []


def test_what_alertmanager_lists_is_not_asked_about(scene: Scene) -> None:
    opened(scene)
    for _ in range(30):
        scene.look(1, HOUR / 2)
    assert found(scene.bench) == []
    scene.first.down = scene.second.down = True
    for _ in range(21):
        scene.look(1, HOUR / 2)
    assert [type(each) for each in found(scene.bench)] == [Stale]
