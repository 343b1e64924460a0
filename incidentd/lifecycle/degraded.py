"""Degraded modes: which of the things that incidentd needs are missing now, since when, and what that means.

``docs/degraded.md`` has a section for each.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from incidentd.lifecycle.socket_standing import SocketAway

PATIENCE = timedelta(seconds=10)
"""How long nobody may keep time before that is said; a timekeeper says twice a second that it does."""

TRIES = 2
"""After so many in vain a receiver is said to be away: what it was to get goes out on its fallback by then."""

SETTLED = timedelta(seconds=5)
"""A failure that is younger may be one message's own: others to the same receiver may be accepted meanwhile."""

SOCKET_PATIENCE = timedelta(seconds=10)
"""How long a web part may be without its connection to Slack: one that is closed is opened anew within seconds."""

REFUSED_FOR = timedelta(minutes=30)
"""How long a refusal is remembered where nothing was accepted since and nothing new is to be told."""


class Mode(StrEnum):
    """A way in which incidentd can be degraded. Those of receivers have the names of their kinds."""

    DATABASE = "database"
    TIMEKEEPER = "timekeeper"
    WORKERS = "workers"
    PAGERDUTY = "pagerduty"
    SLACK = "slack"
    SLACK_SOCKET = "slack_socket"
    EMAIL = "email"
    WEBHOOK = "webhook"
    REDIS = "redis"
    CLOCK = "clock"


PRODUCTS = {"pagerduty": "PagerDuty", "slack": "Slack", "email": "Mail", "webhook": "Webhook"}
"""How people call a kind of receiver."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """What is known of one destination.

    ``place`` and ``stand_in`` are how people call it and its fallback; ``stand_in`` is empty where it has none.
    ``failing_since`` is its first failure after what it accepted last, None without one; ``refused_at`` the newest
    refusal for good among those. ``waits`` of what it was to get were tried in vain, the one
    tried most ``tries`` times.
    """

    name: str
    kind: str
    place: str
    pages: bool
    stand_in: str = ""
    failing_since: datetime | None = None
    refused_at: datetime | None = None
    cause: str = ""
    waits: int = 0
    tries: int = 0

    def is_refusing(self, now: datetime) -> bool:
        """Whether it refused for good, lately, and has accepted nothing since."""
        return self._has_failed(now) and self.refused_at is not None and now - self.refused_at < REFUSED_FOR

    def is_away(self, now: datetime) -> bool:
        """Whether it accepts nothing: twice tried in vain and something waits for it, or it refuses for good."""
        return self.is_refusing(now) or (self._has_failed(now) and self.waits > 0 and self.tries >= TRIES)

    def _has_failed(self, now: datetime) -> bool:
        return self.failing_since is not None and now - self.failing_since >= SETTLED


@dataclass(frozen=True, slots=True)
class Known:
    """What one process knows. Each instant says since when something is missing; None: it is there.

    ``cycle_at`` is when a timekeeper last went round, as far as anybody knows; ``began_at`` is since when this process
    looks; ``dying_since`` names the processes of worker groups that die again and again. While the database is away
    nothing is known of these and of receivers.
    """

    began_at: datetime
    database_since: datetime | None = None
    redis_since: datetime | None = None
    clock_since: datetime | None = None
    cycle_at: datetime | None = None
    socket_away: SocketAway | None = None
    receivers: tuple[Receiver, ...] = ()
    dying_since: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Degraded:
    """One thing that is missing. ``fact`` is followed by how long; ``meaning`` and ``ends`` are sentences."""

    mode: Mode
    since: datetime
    fact: str
    meaning: str
    ends: str
    destination: str = ""


def degraded(known: Known, now: datetime) -> tuple[Degraded, ...]:
    """What is degraded now, the worst first."""
    return tuple(_degraded(known, now))


def modes(found: Iterable[Degraded]) -> frozenset[Mode]:
    """The modes among these."""
    return frozenset(each.mode for each in found)


def _degraded(known: Known, now: datetime) -> Iterator[Degraded]:
    if known.database_since:
        yield _without_database(known.database_since)
    elif now - max(known.cycle_at or known.began_at, known.began_at) > PATIENCE:
        yield _without_timekeeper(known.cycle_at or known.began_at)
    if not known.database_since:
        if known.dying_since:
            yield _without_workers(known.dying_since)
        for receiver in sorted(known.receivers, key=lambda each: (not each.pages, each.name)):
            if receiver.is_away(now) and receiver.failing_since:
                yield _without(receiver, receiver.failing_since, refused=receiver.is_refusing(now))
    if known.socket_away and (known.socket_away.refused or now - known.socket_away.since > SOCKET_PATIENCE):
        yield _without_socket(known.socket_away)
    if known.redis_since:
        yield _without_redis(known.redis_since)
    if known.clock_since:
        yield _without_clock(known.clock_since)


def _without_database(since: datetime) -> Degraded:
    return Degraded(
        Mode.DATABASE,
        since,
        "The database has not answered",
        "Nothing can be stored or shown. Alertmanager is told to send again, and a new P0 is paged all the same.",
        "This ends by itself when the database answers.",
    )


def _without_timekeeper(since: datetime) -> Degraded:
    return Degraded(
        Mode.TIMEKEEPER,
        since,
        "No timekeeper has gone round",
        "Webhooks are stored, but nothing climbs, and pages may not leave.",
        "This ends when a worker group runs again.",
    )


def _without_workers(dying_since: Mapping[str, datetime]) -> Degraded:
    return Degraded(
        Mode.WORKERS,
        min(dying_since.values()),
        f"Processes have ended as soon as they started ({', '.join(sorted(dying_since))})",
        "A timekeeper does what workers leave undone: pages leave within 5 s, and nothing is lost.",
        "This ends when they live on. The log of their worker group says why they end.",
    )


def _without_socket(away: SocketAway) -> Degraded:
    cause = f" What went wrong: {away.cause}." if away.cause else ""
    return Degraded(
        Mode.SLACK_SOCKET,
        away.since,
        "Slack's Socket Mode has not been connected",
        f"Buttons in Slack work only where Slack reaches incidentd's address. Acknowledge here.{cause}",
        "Mend INCIDENTD_SLACK_APP_TOKEN or the app: incidentd doctor says how."
        if away.refused
        else "This ends by itself when Slack takes the connection.",
    )


def _without_redis(since: datetime) -> Degraded:
    return Degraded(
        Mode.REDIS,
        since,
        "Redis has not answered",
        "Timekeepers do the work themselves: pages leave within 5 s, and nothing is lost.",
        "This ends by itself when Redis answers.",
    )


def _without_clock(since: datetime) -> Degraded:
    return Degraded(
        Mode.CLOCK,
        since,
        "The clock has been in doubt after a jump",
        "Nothing climbs by a time that may be false. Pages leave.",
        "This ends by itself within a minute.",
    )


def _without(receiver: Receiver, since: datetime, *, refused: bool) -> Degraded:
    what = "pages" if receiver.pages else "messages"
    does = f"has refused {what}" if refused else f"has not accepted {what}"
    goes = f"They go to {receiver.stand_in} as well" if receiver.pages and receiver.stand_in else ""
    again = "Each is tried again when there is news of it" if refused else "They are tried again"
    meaning = f"{goes}, and are tried again" if goes and not refused else f"{goes}. {again}" if goes else again
    cause = f" It says: {receiver.cause}." if refused and receiver.cause else ""
    mend = "Mend its key or address, then reload the rules." if refused else "This ends when it accepts again."
    product = PRODUCTS.get(receiver.kind, receiver.kind)
    place = receiver.place if receiver.place != product else f"{product} ({receiver.name})"
    return Degraded(
        Mode(receiver.kind),
        since,
        f"{place} {does}",
        f"{meaning}.{cause}",
        mend,
        receiver.name,
    )
