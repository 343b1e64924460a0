"""Alert episodes: the latest of each fingerprint is found at once, older ones stay for history (model 4)."""

import re
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy import event

from incidentd.errors import ConflictError
from incidentd.incident.state import Incident
from incidentd.store import alerts, incidents
from incidentd.store.alerts import READINGS_KEPT, Episode
from incidentd.store.engine import Store
from incidentd.store.tables import ALERTS
from incidentd.timeline import Resolved
from tests.store.row import FINGERPRINT, NOW, alert, episode, minutes, open_incident, then


def test_the_latest_episode_says_whether_its_incident_is_open(store: Store) -> None:
    before = open_incident(store)
    _write(store, episode(alert()))
    known = _latest(store)
    assert (known.starts_at, known.incident_id, known.firing, known.digest, known.open) == (NOW, "core", True, 7, True)
    _resolve(store, before)
    assert not _latest(store).open


def test_an_alert_of_no_incident_belongs_to_none(store: Store) -> None:
    _write(store, episode(alert(firing=False), None))
    assert (_latest(store).incident_id, _latest(store).open, _latest(store).closed_at) == (None, False, NOW)


def test_a_newer_episode_takes_the_fingerprint_and_the_older_stays(store: Store) -> None:
    _write(store, episode(alert()))
    _write(store, episode(alert(starts_at=minutes(3)), replaces=NOW))
    assert _latest(store).starts_at == minutes(3)
    assert store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(ALERTS))) == 2


def test_an_episode_that_comes_back_is_stored_once(store: Store) -> None:
    _write(store, episode(alert()))
    _write(store, episode(alert(starts_at=minutes(3)), replaces=NOW))
    _write(store, episode(alert(), replaces=minutes(3)))
    _write(store, episode(alert(starts_at=minutes(3)), replaces=NOW))
    assert _latest(store).starts_at == minutes(3)
    assert store.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(ALERTS))) == 2


def test_another_episode_stored_meanwhile_is_not_written_over(store: Store) -> None:
    _write(store, episode(alert(starts_at=minutes(3))))
    with pytest.raises(ConflictError):
        _write(store, episode(alert()))
    assert _latest(store).starts_at == minutes(3)


def test_an_earlier_episode_outlives_two_writers_that_replace_it_at_once(store: Store) -> None:
    _write(store, episode(alert()))
    _write(store, episode(alert(starts_at=minutes(3)), replaces=NOW))
    with pytest.raises(ConflictError):
        _write(store, episode(alert(starts_at=minutes(3)), replaces=NOW))
    assert _starts(store) == [NOW, minutes(3)]


@pytest.mark.parametrize("beside", [0, 30])
def test_who_takes_an_episode_for_the_first_writes_over_nothing(store: Store, beside: int) -> None:
    _write(store, episode(alert(), first=True))
    others = [episode(alert(f"{number:016x}"), first=True) for number in range(beside)]
    with pytest.raises(ConflictError):
        _write(store, episode(alert(firing=False), None, first=True), *others)
    assert _latest(store).firing
    assert _starts(store) == [NOW]


def test_an_episode_that_another_interrupts_within_one_batch_is_stored_once(store: Store) -> None:
    _write(store, episode(alert(starts_at=minutes(3))))
    _write(store, episode(alert(), replaces=minutes(3)), episode(alert(starts_at=minutes(3))))
    assert _latest(store).starts_at == minutes(3)
    assert _starts(store) == [NOW, minutes(3)]


def test_of_two_episodes_in_one_batch_the_one_heard_last_is_the_latest(store: Store) -> None:
    _write(store, episode(alert(firing=False)), episode(alert(starts_at=minutes(3))))
    assert _latest(store).starts_at == minutes(3)


def test_an_episode_whose_start_is_earlier_can_take_the_place_of_a_later_one(store: Store) -> None:
    _write(store, episode(alert(starts_at=minutes(10))))
    _write(store, episode(alert(starts_at=minutes(3)), replaces=minutes(10)))
    assert _latest(store).starts_at == minutes(3)


def test_an_episode_that_a_fast_clock_dates_ahead_began_when_it_was_first_heard_of(store: Store) -> None:
    _write(store, episode(alert(starts_at=minutes(10))))
    assert (_latest(store).starts_at, _latest(store).begun_at) == (minutes(10), NOW)


def test_episodes_are_written_in_one_order_whatever_order_they_came_in(store: Store) -> None:
    names = [f"{number:016x}" for number in (3, 1, 2)]
    written: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.startswith("INSERT INTO alerts"):
            written.extend(re.findall("0{15}[123]", repr(parameters)))

    event.listen(store.engine, "before_cursor_execute", note)
    _write(store, *(episode(alert(name)) for name in names))
    assert list(dict.fromkeys(written)) == sorted(names)


def test_labels_and_first_receipt_stay_while_the_rest_follows(store: Store) -> None:
    _write(store, episode(alert()))
    again = alert(labels={"alertname": "Other"}, annotations={"value": "98.0"}, firing=False, ends_at=minutes(9))
    store.write(lambda tx: alerts.write(tx, [episode(again)], minutes(9)))
    row = store.read(lambda tx: tx.execute(sa.select(ALERTS)).one())
    assert (row.labels, row.received_at) == ('{"alertname":"CoreApi"}', NOW)
    assert (row.firing, row.ends_at, row.closed_at, row.annotations) == (
        False,
        minutes(9),
        minutes(9),
        '{"value":"98.0"}',
    )


def test_each_change_of_the_value_is_kept_and_nothing_else(store: Store) -> None:
    for number, value in enumerate(("99.4", "99.4", "99.1", "99.4")):
        known = store.read(lambda tx: alerts.latest(tx, [FINGERPRINT])).get(FINGERPRINT)
        of = alert(annotations={"value": value})
        heard = episode(of, readings=alerts.readings(of, known, minutes(number)))
        store.write(partial(alerts.write, episodes=[heard], now=minutes(number)))
    seen = from_json(_latest(store).readings)
    assert [(at, value) for at, value in seen] == [
        (minutes(0).isoformat(), "99.4"),
        (minutes(2).isoformat(), "99.1"),
        (minutes(3).isoformat(), "99.4"),
    ]


def test_only_the_newest_readings_are_kept() -> None:
    text, known = "[]", None
    for number in range(READINGS_KEPT + 20):
        known = alerts.Known(FINGERPRINT, NOW, NOW, "core", True, None, 7, True, text)
        text = alerts.readings(alert(annotations={"value": str(number)}), known, NOW)
    kept = from_json(text)
    assert (len(kept), kept[-1][1]) == (READINGS_KEPT, str(READINGS_KEPT + 19))


def test_alerts_are_shown_firing_and_most_urgent_first_and_no_more_than_asked(store: Store) -> None:
    heard = [
        episode(alert(f"{number:016x}", firing=firing, annotations={"note": "x" * number}))
        for number, firing in ((1, False), (2, True), (3, True))
    ]
    _write(store, *heard)
    shown = store.read(lambda tx: alerts.of_incidents(tx, ["core", "nobody"], 2))
    assert [each.fingerprint[-1] for each in shown["core"]] == ["2", "3"]
    assert shown["core"][0].annotations == {"note": "xx"}


def test_ten_thousand_alerts_are_written_and_found_within_a_webhooks_time(store: Store) -> None:
    many = [episode(alert(f"{number:016x}", starts_at=NOW + timedelta(seconds=number))) for number in range(10_000)]
    _write(store, *many)
    found = store.read(lambda tx: alerts.latest(tx, [each.alert.fingerprint for each in many]))
    assert len(found) == len(many)


def _write(store: Store, *episodes: Episode) -> None:
    store.write(lambda tx: alerts.write(tx, list(episodes), NOW))


def _latest(store: Store) -> alerts.Known:
    return store.read(lambda tx: alerts.latest(tx, [FINGERPRINT]))[FINGERPRINT]


def _starts(store: Store) -> list[datetime]:
    return store.read(lambda tx: list(tx.scalars(sa.select(ALERTS.c.starts_at).order_by(ALERTS.c.starts_at))))


def _resolve(store: Store, before: Incident) -> None:
    store.write(lambda tx: incidents.update(tx, [(1, then(before, Resolved(by_person=False))[0])]))
