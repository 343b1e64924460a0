"""An alert that somebody typed or pasted, to be tried against the table."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from incidentd.alert import Alert
from incidentd.classify import Explanation, Rules, explain
from incidentd.classify.wording import told_in_words
from incidentd.errors import IntakeError
from incidentd.intake import parse

MOST_ALERTS = 20


@dataclass(frozen=True, slots=True)
class Tried:
    """What the table makes of one alert. ``told`` is empty where nobody is told; ``observed`` says that this is why."""

    alert: Alert
    explanation: Explanation
    told: tuple[str, ...]
    observed: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What was asked, and what came of it; ``fault`` says what can't be read."""

    text: str
    value: str
    tried: tuple[Tried, ...] = ()
    fault: str = ""
    left_out: int = 0


def trial_of(text: str, value: str, rules: Rules, now: datetime, in_doubt: Collection[str] = ()) -> Trial:
    """Labels as ``name=value``, one a line, and the annotation ``value``; or an alert or a whole webhook as JSON.

    Destinations ``in_doubt`` are told only if they are set up.
    """
    try:
        alerts = _alerts(text, value, now)
    except IntakeError as error:
        return Trial(text, value, fault=error.detail)
    tried = tuple(_tried(alert, rules, now, in_doubt) for alert in alerts[:MOST_ALERTS])
    return Trial(text, value, tried, left_out=max(0, len(alerts) - MOST_ALERTS))


def _tried(alert: Alert, rules: Rules, now: datetime, in_doubt: Collection[str]) -> Tried:
    explanation = explain(alert, rules)
    verdict = explanation.verdict.at(now)
    observed = verdict.observing is not None
    asked = (rules, verdict.policy, verdict.tier, verdict.destinations, in_doubt)
    told = () if observed else told_in_words(*asked)
    return Tried(alert, explanation, tuple(told), observed)


def _alerts(text: str, value: str, now: datetime) -> list[Alert]:
    body = _pasted(text) if text.lstrip().startswith(("{", "[")) else {"labels": _labels(text)}
    if isinstance(body, dict) and "labels" in body:
        annotations = body.get("annotations") or {}
        if value and isinstance(annotations, dict):
            annotations = {**annotations, "value": value}
        one = {"status": "firing", "startsAt": now.isoformat(), **body, "annotations": annotations}
        body = {"alerts": [one]}
    alerts, faults = parse(json.dumps(body).encode("utf-8", "backslashreplace"), now)
    if faults:
        raise IntakeError(400, faults[0].reason, faults[0].detail)
    if not alerts:
        raise IntakeError(400, "empty", "there is no alert in it")
    return list(alerts)


def _pasted(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"from line {error.lineno}, column {error.colno} on"
        raise IntakeError(400, "json", f"this begins as JSON and is none {where}") from None
    except (ValueError, RecursionError):
        raise IntakeError(400, "json", "this begins as JSON and is none") from None


def _labels(text: str) -> dict[str, str]:
    """Quotes around a value and a comma after it are taken off: people paste what Prometheus shows."""
    labels: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, sign, value = line.strip().rstrip(",").partition("=")
        if not line.strip():
            continue
        if not sign or not name.strip():
            raise IntakeError(400, "labels", f"line {number} is no label: write name=value")
        labels[name.strip()] = _unquoted(value.strip())
    if not labels:
        raise IntakeError(400, "labels", "write at least one label, as name=value")
    return labels


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
