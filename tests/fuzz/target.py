"""What bytes from outside are thrown at, and what has to hold whatever they are."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from incidentd.alert import Alert
from incidentd.channels.pagerduty_webhook import is_signed
from incidentd.channels.pagerduty_webhook import parse as parse_reaction
from incidentd.classify import parse as parse_rules
from incidentd.errors import IntakeError, RulesError
from incidentd.incident.command import Acknowledge, Escalate, Note, Resolve, TakeOver
from incidentd.intake import CUT, LONGEST_VALUE, MOST_PAIRS, parse
from incidentd.web import slack
from incidentd.web.interaction import clicks
from tests.classify.ground import CALENDARS, DESTINATIONS, ESCALATION, ONE, TIERS

RECEIVED_AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_FILES = {
    "one.yaml": ONE,
    "escalation.yaml": ESCALATION,
    "tiers.yaml": TIERS,
    "destinations.yaml": DESTINATIONS,
    "calendars.yaml": CALENDARS,
}


def webhook(data: bytes) -> None:
    """A body is refused with 400, or becomes alerts that can be stored and shown."""
    try:
        alerts, _aside = parse(data, RECEIVED_AT)
    except IntakeError as refused:
        assert refused.status == 400
        return
    for alert in alerts:
        _is_clean(alert)


def rules(data: bytes) -> None:
    """Each of the five files in turn: sound, or refused by file and line."""
    text = data.decode("utf-8", "replace")
    for name in _FILES:
        try:
            parse_rules({**_FILES, name: text})
        except RulesError as refused:
            assert str(refused)


def interaction(data: bytes) -> None:
    """A click is on one of our buttons, by somebody with a name, or there is none."""
    for click in clicks(slack._payload(data)):
        assert re.fullmatch(r"[0-9a-f-]{1,36}", click.incident_id)
        assert isinstance(click.command, Acknowledge | TakeOver | Resolve | Escalate | Note)
        assert click.command.by.strip()
        assert not _CONTROL.search(click.command.by)


def command(data: bytes) -> None:
    """A field is text, whatever stands for it."""
    for name in ("ssl_check", "text", "payload"):
        assert isinstance(slack._field(data, name), str)


def pagerduty(data: bytes) -> None:
    """A reaction can be stored and shown, or there is none; no header makes a signature of what is none."""
    assert not is_signed(data, data.decode("latin-1"), ["a-secret-of-the-tests"])
    told = parse_reaction(data, RECEIVED_AT)
    if told is None:
        return
    assert told.at.tzinfo is not None
    assert told.at <= RECEIVED_AT
    for name in (told.id, told.page, told.who or "x"):
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", name)
    assert bool(told.name) == told.by_person
    assert len(told.text) <= 2000
    for text in (told.name, told.text, *told.keys):
        assert not _CONTROL.search(text)
        text.encode()


def _is_clean(alert: Alert) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", alert.fingerprint)
    assert alert.starts_at.tzinfo is not None
    assert 0 < len(alert.labels) <= MOST_PAIRS
    texts = [*alert.labels, *alert.labels.values(), *alert.annotations, *alert.annotations.values()]
    for text in [*texts, alert.generator_url]:
        assert len(text.encode()) <= LONGEST_VALUE + len(CUT.encode())
        assert not _CONTROL.search(text)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "webhook": webhook,
    "rules": rules,
    "interaction": interaction,
    "command": command,
    "pagerduty": pagerduty,
}
