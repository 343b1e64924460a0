"""What a table says of each alert of a recording, before anything is played."""

from collections.abc import Mapping
from typing import NamedTuple

from incidentd.alert import Alert
from incidentd.classify import Classifier, Rules, Verdict, taken_by
from incidentd.replay.recording import Hearing, RecordedAlert, Recording


class Judged(NamedTuple):
    """The verdict on an alert for each value that it was heard with. ``is_sign``: while it fires, a sign of life."""

    verdicts: Mapping[str | None, Verdict]
    is_sign: bool


def judge(recording: Recording, rules: Rules) -> list[Judged]:
    """One for each alert of the recording, in its order."""
    classify = Classifier(rules)
    expected = {name: spec for name, spec in rules.heartbeats.items() if spec.matchers}
    found = []
    for recorded in recording.alerts:
        heard = {each.value: alert_of(recorded, each) for each in recorded.hearings}
        is_sign = bool(expected) and bool(taken_by(alert_of(recorded, Hearing(recorded.starts_at, True)), expected))
        found.append(Judged({value: classify(alert) for value, alert in heard.items()}, is_sign))
    return found


def alert_of(recorded: RecordedAlert, hearing: Hearing) -> Alert:
    """The alert as it was when it was heard of."""
    return Alert(
        fingerprint=recorded.fingerprint,
        labels=recorded.labels,
        annotations={} if hearing.value is None else {"value": hearing.value},
        starts_at=recorded.starts_at,
        ends_at=None if hearing.firing else hearing.at,
        firing=hearing.firing,
    )
