"""Each kind of entry says what happened in plain English."""

from datetime import UTC, datetime, timedelta

import pytest

from incidentd.sentence import sentence
from incidentd.tier import Tier
from incidentd.timeline import (
    KINDS,
    Accepted,
    Acknowledged,
    AlertsChanged,
    ClockSetBack,
    Data,
    DeliveryFailed,
    Ended,
    Entry,
    FellBack,
    FiringAgain,
    GaveUp,
    LevelReached,
    Member,
    Noted,
    Opened,
    PagedDirectly,
    Prolonged,
    Reconciled,
    Recovering,
    Reminded,
    Resolved,
    ResponseMissed,
    RoundBegan,
    Silenced,
    Stale,
    TakenOver,
    TierRose,
    TierSet,
    Unanswered,
    Unknown,
    Updated,
)

AT = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
TOMORROW = AT + timedelta(days=1)
PEOPLE = {1: "on-call engineer", 2: "engineering manager", 3: "CTO"}


def alert(fingerprint: str = "1", *, firing: bool = True, counts_at: datetime | None = None) -> Member:
    verdict = (Tier.P0, "avalo/x", "99.4 < 99.5", "Core API")
    return Member(fingerprint, AT, firing, *verdict, region="eu", counts_at=counts_at)


def opened(alerts: int = 1, *, episode: int = 1, level: int = 1, skipped: tuple[int, ...] = ()) -> Opened:
    members = (*(alert(str(number)) for number in range(alerts)), alert("over", firing=False))
    return Opened(
        incident="id",
        key="k",
        title="Core API",
        system="avalo",
        slo="api",
        tier=Tier.P0,
        row="avalo/x",
        reason="99.4 < 99.5",
        policy="default",
        version="v",
        episode=episode,
        round=1,
        origin=AT,
        alerts=members,
        level=level,
        skipped=skipped,
    )


def began(why: Ended, difference: str = "", level: int = 1) -> RoundBegan:
    return RoundBegan(why, 2, 1, "default", "v", level, (), LATER, difference)


SENTENCES: list[tuple[Data, str, str]] = [
    (opened(), "alertmanager", "Opened as P0 by 1 alert: 99.4 < 99.5. Told level 1, on-call engineer."),
    (opened(3, episode=2, level=0), "alertmanager", "Opened again as P0 by 3 alerts: 99.4 < 99.5."),
    (
        opened(level=2, skipped=(1,)),
        "alertmanager",
        "Opened as P0 by 1 alert: 99.4 < 99.5. Told level 2, engineering manager."
        " Skipped level 1: nobody stands there.",
    ),
    (AlertsChanged((alert(),)), "alertmanager", "Alerts changed: 1 alert firing."),
    (
        AlertsChanged((alert("1"), alert("2"), alert("3", firing=False)), ("eu", "us")),
        "alertmanager",
        "Alerts changed: 2 alerts firing, 1 alert no longer firing; now also in eu and us.",
    ),
    (
        AlertsChanged((alert(firing=False, counts_at=LATER),)),
        "alertmanager",
        "Alerts changed: 1 alert firing that does not count before 14:35:00 UTC.",
    ),
    (
        AlertsChanged(
            (
                alert("1"),
                alert("2", firing=False, counts_at=TOMORROW),
                alert("3", firing=False, counts_at=LATER),
                alert("4", firing=False),
            )
        ),
        "alertmanager",
        "Alerts changed: 1 alert firing, 2 alerts firing that do not count before 14:35:00 UTC,"
        " 1 alert no longer firing.",
    ),
    (TierRose(Tier.P2, Tier.P0, "r", "two regions", 1, LATER, LATER), "incidentd", "Rose from P2 to P0: two regions."),
    (
        TierRose(Tier.P2, Tier.P1, "r", "worse", 0, TOMORROW, LATER, held=True),
        "incidentd",
        "Rose from P2 to P1: worse. Pages wait until business hours begin at 2026-11-22 14:30:00 UTC.",
    ),
    (TierSet(Tier.P0, Tier.P2, "a test", 1, None, None), "Ann", "Ann changed it from P0 to P2: a test."),
    (TierSet(Tier.P2, Tier.P1, "", 1, None, None), "Ann", "Ann changed it from P2 to P1."),
    (
        Acknowledged("slack", LATER, True),
        "Ann",
        "Ann acknowledged in Slack until 14:35:00 UTC, in time.",
    ),
    (Acknowledged("api", None, None), "Ann", "Ann acknowledged."),
    (
        Acknowledged("page", TOMORROW, False, snoozed=True),
        "Ann",
        "Ann snoozed it on the incident's page until 2026-11-22 14:30:00 UTC, too late.",
    ),
    (TakenOver("Ann", None), "Bob", "Bob took it over from Ann."),
    (
        began(Ended.VOIDED, "region us joined"),
        "incidentd",
        "The acknowledgement no longer covers this: region us joined. Round 2 begins; told level 1, on-call engineer.",
    ),
    (
        began(Ended.LAPSED, level=0),
        "incidentd",
        "The acknowledgement lapsed without a sign of work. Round 2 begins; nobody is told yet.",
    ),
    (began(Ended.UNANSWERED), "incidentd", "Nobody answered. Round 2 begins; told level 1, on-call engineer."),
    (
        LevelReached(2, "engineering manager", 1, LATER),
        "incidentd",
        "Nobody had answered by 14:29:00 UTC: told level 2, engineering manager.",
    ),
    (
        LevelReached(3, "CTO", 1, LATER, skipped=(1, 2), by_person=True),
        "Ann",
        "Ann escalated to level 3, CTO. Skipped levels 1 and 2: nobody stands there.",
    ),
    (LevelReached(3, "", 1, None, repeat=1, by_person=True), "Ann", "Ann escalated to level 3, CTO again."),
    (Unanswered(1, last=False, next_at=None), "incidentd", "Nobody answered at any level. The levels begin anew."),
    (Unanswered(3, last=True, next_at=LATER), "incidentd", "Nobody answered at any level. Reminders follow."),
    (Reminded(2, LATER), "incidentd", "Reminder 2: still nobody has answered."),
    (
        Updated(1, LATER, Tier.P1, AT - timedelta(minutes=15), 2, alerts=2, regions=("eu", "us"), reason="99.4 < 99.5"),
        "incidentd",
        "Open for 15 min as P1. Nobody has answered; told last: level 2, engineering manager."
        " 2 alerts fire in eu and us: 99.4 < 99.5.",
    ),
    (
        Updated(5, LATER, Tier.P2, AT - timedelta(hours=49), 0, alerts=1, reason="99.4 < 99.5"),
        "incidentd",
        "Open for 2 d 1 h as P2. Nobody has answered. 1 alert fires: 99.4 < 99.5.",
    ),
    (
        Updated(2, LATER, Tier.P0, AT - timedelta(minutes=90), 3, by="Ann", snoozed_until=LATER),
        "incidentd",
        "Open for 1 h 30 min as P0. Ann has it, snoozed until 14:35:00 UTC. No alert fires any more.",
    ),
    (ResponseMissed(), "incidentd", "Nobody answered within the response time, due 14:29:00 UTC."),
    (Recovering(LATER), "incidentd", "No alert fires any more; resolved at 14:35:00 UTC unless one fires again."),
    (Prolonged((alert(), alert("2"))), "alertmanager", "Still reported: 2 alerts."),
    (
        ClockSetBack(3600, LATER, None, None, None, None),
        "incidentd",
        "The clock had been 60 min 0 s ahead: the deadlines that it had set come as much earlier."
        " The next level is due at 14:35:00 UTC.",
    ),
    (
        Reconciled(over=True, alerts=("a",), since=LATER),
        "incidentd",
        "Alertmanager has had 1 alert no more since 14:35:00 UTC, though no notification said so: taken as no longer"
        " firing.",
    ),
    (
        Reconciled(over=False, alerts=("a", "b"), since=LATER),
        "incidentd",
        "Alertmanager has had 2 alerts firing since 14:35:00 UTC, or longer, and no notification said so: taken in from"
        " there.",
    ),
    (
        Silenced(("a",), "silenced by Ann"),
        "incidentd",
        "Alertmanager keeps 1 alert that still fires quiet: silenced by Ann. Levels go on until somebody acknowledges.",
    ),
    (Silenced(()), "incidentd", "Alertmanager no longer keeps any firing alert quiet."),
    (
        Stale(LATER),
        "incidentd",
        "Nothing has been heard of its alerts since 14:35:00 UTC. Do they still fire?",
    ),
    (FiringAgain(None), "incidentd", "An alert fires again; all goes on as before."),
    (Resolved(by_person=False), "incidentd", "Resolved: no alert has fired again."),
    (
        Resolved(by_person=True, in_time=True, grace_until=LATER, via="slack"),
        "Ann",
        "Ann resolved it in Slack. Alerts still fire; opened again if they do after 14:35:00 UTC. Answered in time.",
    ),
    (Noted("looking at the cache"), "Ann", "Ann noted: looking at the cache"),
    (Accepted("page-ann", "e1.r1.l1", True, 1, 420, 1, 1), "incidentd", "page-ann accepted the page after 420 ms."),
    (
        Accepted("incidents", "e1", False, 0, 2_300, 3, 1),
        "incidentd",
        "incidents accepted the message after 2.3 s at try 3.",
    ),
    (Accepted("x", "e1", False, 0, 125_000, 1, 1), "incidentd", "x accepted the message after 2 min 5 s."),
    (
        DeliveryFailed("page-ann", "e1.r1.l1", "the connection was refused"),
        "incidentd",
        "page-ann could not be told: the connection was refused. It is tried again.",
    ),
    (
        GaveUp("incidents", "e1", "Slack refused: is_archived"),
        "incidentd",
        "incidents was given up: Slack refused: is_archived.",
    ),
    (
        FellBack("page-ann", "page-bob", "no connection"),
        "incidentd",
        "page-ann can't be told (no connection); page-bob stands in for it.",
    ),
    (
        PagedDirectly("page-ann", "k", AT - timedelta(seconds=90), took_over=True),
        "incidentd",
        "While the database was away, page-ann was paged at 14:28:30 UTC: this incident's own page.",
    ),
    (
        PagedDirectly("page-ann", "k", AT - timedelta(seconds=90), took_over=False),
        "incidentd",
        "While the database was away, page-ann was paged at 14:28:30 UTC: one page too many, and is resolved.",
    ),
    (
        PagedDirectly("page-ann", "k", AT - timedelta(seconds=90), took_over=True, uncertain=True),
        "incidentd",
        "While the database was away, page-ann may have been paged at 14:28:30 UTC, no answer came:"
        " this incident's own page.",
    ),
]


@pytest.mark.parametrize(("data", "actor", "expected"), SENTENCES)
def test_an_entry_says_what_happened(data: Data, actor: str, expected: str) -> None:
    assert sentence(Entry(7, AT, actor, data, AT - timedelta(minutes=1)), PEOPLE) == expected


def test_every_kind_has_a_sentence_here() -> None:
    assert {data.kind for data, _, _ in SENTENCES} == set(KINDS)


def test_what_a_newer_version_wrote_is_named() -> None:
    entry = Entry(7, AT, "anna", Unknown("handed_over", "{}"))
    assert sentence(entry, PEOPLE) == "An entry of a newer version of incidentd: handed_over."


def test_a_level_whose_people_are_unknown_is_told_by_its_number() -> None:
    assert sentence(Entry(1, AT, "alertmanager", opened()), {}).endswith("Told level 1.")
