"""What is recorded replays as it was: the same entries at the same instants, and nobody's name on the way out."""

from incidentd.classify import parse
from incidentd.drill import DrillMark, labels_of
from incidentd.incident.command import Acknowledge, Note, Resolve, TakeOver
from incidentd.lifecycle.work import Complaint
from incidentd.replay import Recording, extract, play, read_export, write_export
from incidentd.tier import Tier
from incidentd.timeline import Accepted, DeliveryFailed, Entry, FellBack, GaveUp
from tests import canary
from tests.lifecycle.bench import BEGIN, MINUTE, SECOND, Bench, alert, lesser

_DELIVERED = {kind.kind for kind in (Accepted, DeliveryFailed, FellBack, GaveUp)}
HOUR = 60 * MINUTE


def live(bench: Bench) -> None:
    """A day in which much of what can happen to alerts does."""
    eu, us = alert(), alert(region="us")
    bench.hear(eu)
    bench.forward(2 * MINUTE)
    bench.act(Acknowledge("Anna Berg"))
    bench.forward(6 * MINUTE)
    # Another region voids the acknowledgement; then the value changes.
    bench.hear(us)
    bench.forward(MINUTE)
    bench.hear(alert(annotations={"value": "97.2"}))
    bench.act(Acknowledge("Ben Okoro"))
    bench.act(TakeOver("Anna Berg"))
    bench.act(Note("Anna Berg", "the database is at fault"))
    bench.forward(MINUTE)
    # Over, again within the hold-down, over; and the same episode once more, long after.
    bench.hear(alert(firing=False), alert(region="us", firing=False))
    bench.forward(2 * MINUTE)
    bench.hear(us)
    bench.forward(20 * MINUTE)
    bench.hear(alert(region="us", firing=False))
    bench.forward(15 * MINUTE)
    bench.hear(alert(starts_at=bench.now - SECOND))
    bench.forward(3 * MINUTE)
    bench.act(Resolve("Ben Okoro"))
    # Others, whom nobody answers, and one that ends before it was told of.
    disk = lesser("disk", "warning", starts_at=bench.now)
    bench.hear(disk, lesser("noise", "info", firing=False, starts_at=bench.now))
    bench.forward(3 * HOUR + 7 * SECOND)
    bench.hear(lesser("disk", "warning", firing=False, starts_at=disk.starts_at))
    bench.forward(HOUR)


def recorded(bench: Bench) -> Recording:
    return extract(bench.store, BEGIN, bench.now + SECOND)


def facts(entries: list[Entry]) -> list[tuple[object, ...]]:
    """When what happened, by what level and tier; deliveries and the numbers of entries apart."""
    return [
        (e.at, e.kind, getattr(e.data, "tier", None), getattr(e.data, "level", None), getattr(e.data, "next_at", None))
        for e in entries
        if e.kind not in _DELIVERED
    ]


def test_a_replay_under_the_same_table_is_what_happened(bench: Bench) -> None:
    live(bench)
    lived = {bench.incident(id_).key: facts(bench.timeline(id_)) for id_ in bench.incident_ids()}
    recording = recorded(bench)
    assert recording.rules is not None
    played: dict[str, list[Entry]] = {}
    for step in play(recording, parse(recording.rules)):
        played.setdefault(step.after.key, []).extend(step.entries)
    assert {key: facts(entries) for key, entries in played.items()} == lived
    assert len(lived) == 2


def test_an_export_holds_the_same_and_no_name_no_text_and_no_secret(bench: Bench) -> None:
    live(bench)
    recording = recorded(bench)
    lines = list(write_export(recording))
    assert read_export(f"{line}\n".encode() for line in lines) == recording
    text = "\n".join(lines)
    assert not canary.leaks(text)
    assert not [said for said in ("Anna", "Ben", "database is at fault", "Too many requests fail") if said in text]


def test_what_was_heard_of_earlier_is_left_out_with_its_answers(bench: Bench) -> None:
    bench.hear(alert())
    bench.act(Acknowledge("Anna Berg"))
    bench.forward(HOUR)
    since = bench.now
    bench.hear(lesser("disk", "warning", starts_at=since))
    recording = extract(bench.store, since, bench.now + SECOND)
    assert [each.labels["slo"] for each in recording.alerts] == ["disk"]
    assert recording.answers == ()


def test_incidentds_own_alerts_and_drills_are_left_out(bench: Bench) -> None:
    mark = DrillMark("0193f1a0-0000-7000-8000-000000000000", Tier.P1, "avalo")
    bench.hear(alert(labels=dict(labels_of(mark, None))), complaints=(Complaint("truncated", "some are missing"),))
    assert len(bench.incident_ids()) == 2
    assert recorded(bench).alerts == ()
