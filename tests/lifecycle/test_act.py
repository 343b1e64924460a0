"""People's commands: each has its effect once, and what is refused leaves nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from incidentd.errors import NotFoundError, RefusedError
from incidentd.incident.command import Acknowledge, ChangeTier, Command, Escalate, Note, Resolve, TakeOver
from incidentd.incident.state import State
from incidentd.lifecycle.work import Action, Webhook
from incidentd.tier import Tier
from tests.lifecycle.bench import MINUTE, Bench, alert


def test_an_acknowledgement_is_stored_with_who_gave_it_and_where(bench: Bench) -> None:
    bench.hear(alert())
    result = bench.act(Acknowledge("anna", "slack"))
    assert (result.changed, result.incident.state) == (True, State.ACKNOWLEDGED)
    assert result.incident == bench.incident()
    assert bench.timeline()[-1].actor == "anna"


def test_the_same_persons_again_changes_nothing(bench: Bench) -> None:
    bench.hear(alert())
    bench.act(Acknowledge("anna"))
    assert not bench.act(Acknowledge("anna")).changed
    assert bench.kinds() == ["opened", "acknowledged"]


def test_a_replayed_signature_has_no_second_effect(bench: Bench) -> None:
    bench.hear(alert())
    assert bench.act(Escalate("anna"), signature="v0=abc").changed
    assert not bench.act(Escalate("anna"), signature="v0=abc").changed
    assert bench.kinds() == ["opened", "level"]
    assert bench.act(Escalate("anna"), signature="v0=def").changed


def test_a_signature_sent_twice_at_once_has_one_effect(bench: Bench) -> None:
    bench.hear(alert())
    action = Action(bench.incident().id, Note("anna", "looking"), "v0=abc")
    both = [bench.runtime.submit_action(action) for _ in range(2)]
    assert sorted(each.result(120).changed for each in both) == [False, True]
    assert bench.kinds() == ["opened", "note"]


def test_an_incident_that_does_not_exist_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFoundError):
        bench.act(Acknowledge("anna"), incident_id="0193-none")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Acknowledge("ben"), "taken"),
        (Acknowledge("anna", episode=7), "stale"),
        (Resolve("anna", episode=0), "stale"),
        (TakeOver("ben", episode=9), "stale"),
    ],
)
def test_what_the_model_refuses_leaves_nothing(bench: Bench, command: Command, reason: str) -> None:
    bench.hear(alert())
    bench.act(Acknowledge("anna"))
    before = bench.timeline()
    with pytest.raises(RefusedError) as refused:
        bench.act(command, signature="v0=abc")
    assert refused.value.reason == reason
    assert bench.timeline() == before


def test_a_refused_action_harms_nobody_of_its_batch(bench: Bench) -> None:
    bench.hear(alert())
    incident_id = bench.incident().id
    stale = [bench.runtime.submit_action(Action(incident_id, Acknowledge("ben", episode=9))) for _ in range(5)]
    webhook = bench.runtime.submit_webhook(Webhook((alert("preview"),), "am"))
    good = bench.runtime.submit_action(Action(incident_id, Acknowledge("anna")))
    assert good.result(120).changed
    webhook.result(120)
    assert all(isinstance(each.exception(20), RefusedError) for each in stale)
    assert len(bench.incident_ids()) == 2


def test_an_answer_at_the_deadline_beats_the_page(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.clock.advance(5 * MINUTE)
    assert bench.act(Acknowledge("anna")).incident.responded_in_time is True
    bench.settle()
    assert bench.events("trigger", level=2) == []


def test_an_answer_that_nobody_ticked_for_first_settles_what_time_has_brought(bench: Bench) -> None:
    bench.hear(alert())
    bench.act(Acknowledge("anna"))
    bench.clock.advance(timedelta(minutes=31))
    bench.act(Acknowledge("ben"))
    assert bench.kinds() == ["opened", "acknowledged", "round", "acknowledged"]


def test_a_tier_set_by_a_person_is_told(bench: Bench) -> None:
    bench.hear(alert())
    bench.settle()
    bench.act(ChangeTier("anna", Tier.P2, "only the canary"))
    bench.settle()
    assert bench.incident().tier is Tier.P2
    assert bench.cursor(destination="incidents").told == bench.incident().news


def test_many_people_at_once_and_the_first_wins(bench: Bench) -> None:
    bench.hear(alert())
    incident_id = bench.incident().id
    start = threading.Barrier(8)

    def answer(person: int) -> Exception | None:
        start.wait()
        outcome: BaseException | None = bench.runtime.submit_action(
            Action(incident_id, Acknowledge(f"person {person}"))
        ).exception(20)
        assert outcome is None or isinstance(outcome, RefusedError)
        return outcome

    with ThreadPoolExecutor(8) as pool:
        refused = [each for each in pool.map(answer, range(8)) if each]
    acknowledgement = bench.incident().acknowledgement
    assert len(refused) == 7
    assert acknowledgement
    assert all(acknowledgement.by in str(each) for each in refused)
