"""A storm: the first few are told one by one, all others in one message, and none is lost."""

import pytest
import sqlalchemy as sa

from incidentd.incident.command import Acknowledge
from incidentd.incident.slot import PAGE
from incidentd.incident.state import State
from incidentd.sandbox.message import Message
from incidentd.store import digests
from incidentd.store.tables import BUCKETS, CURSORS, DIGESTS, INCIDENTS
from tests.lifecycle.bench import MINUTE, SECOND, Bench, alert, lesser

MANY = 60


def storm(bench: Bench, how_many: int = MANY, severity: str = "critical", prefix: str = "slo") -> None:
    """So many incidents at one instant, and what follows within the next half minute."""
    bench.hear(*(lesser(f"{prefix}-{number:03}", severity) for number in range(how_many)))
    bench.forward(30 * SECOND)


def end(bench: Bench, how_many: int = MANY, prefix: str = "slo") -> None:
    bench.hear(*(lesser(f"{prefix}-{number:03}", "critical", firing=False) for number in range(how_many)))
    bench.forward(10 * MINUTE)


def cards(bench: Bench) -> list[Message]:
    return [m for m in posts(bench) if _kind(m) == "incidentd_card"]


def digest(bench: Bench) -> Message:
    (found,) = [m for m in posts(bench) if _kind(m) == "incidentd_digest"]
    return found


def calls(bench: Bench) -> list[Message]:
    return [m for m in bench.sandbox.slack.messages("#incidents") if _kind(m) == "incidentd_call"]


def posts(bench: Bench) -> list[Message]:
    return [m for m in bench.sandbox.slack.messages("#incidents") if m.thread_ts in (None, m.ts)]


def _kind(message: Message) -> str:
    return str((message.metadata or {}).get("event_type"))


def test_the_first_twenty_have_cards_and_the_others_one_message(bench: Bench) -> None:
    storm(bench)
    assert len(cards(bench)) == 20
    assert f"{MANY - 20} incidents open" in digest(bench).text
