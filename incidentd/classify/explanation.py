"""Why a row took an alert: every row that was asked, and what each of its matchers answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from incidentd.alert import Alert
from incidentd.classify.alternative import Alternative, alternatives, readings
from incidentd.classify.classify import classify, find
from incidentd.classify.condition import VALUE
from incidentd.classify.course import Course, course_of
from incidentd.classify.drilled import drilled
from incidentd.classify.heartbeat import taken_by
from incidentd.classify.row import Fit, Row, title_of
from incidentd.classify.rules import Rules
from incidentd.classify.verdict import Verdict
from incidentd.tier import Tier


@dataclass(frozen=True, slots=True)
class Answer:
    """One matcher or condition. ``given`` is what the alert has there; ``holds`` None: it is no number."""

    asked: str
    given: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One row that was asked."""

    row: str
    tier: Tier
    fit: Fit
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The rows that were asked, in order, and the verdict. ``taker`` None: no row took the alert.

    ``title`` is what people read. ``heartbeats`` are those of which it is a sign of life: then it is no incident.
    ``readings`` are the numbers that rows asked for, ``alternatives`` what would have made another tier of it, and
    ``course`` who is told, when, while nobody answers.
    """

    asked: tuple[Asked, ...]
    taker: str | None
    verdict: Verdict
    title: str
    heartbeats: tuple[str, ...] = ()
    readings: Mapping[str, str] = field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()
    course: Course | None = None


def explain(alert: Alert, rules: Rules) -> Explanation:
    """How ``classify`` comes to its verdict."""
    asked: list[Asked] = []
    drill = drilled(alert, rules) is not None
    for row in () if drill else rules.rows_for(alert.labels):
        fit = row.fit(alert)
        asked.append(Asked(row.name, row.tier, fit, _answers(row, alert)))
        if fit is Fit.YES:
            break
    taker = None if drill else find(alert, rules.candidates(alert.labels))
    verdict = classify(alert, rules)
    return Explanation(
        asked=tuple(asked),
        taker=taker.row.name if taker else None,
        verdict=verdict,
        title=title_of(verdict.title, alert),
        heartbeats=tuple(taken_by(alert, rules.heartbeats)),
        readings=readings(alert, rules),
        alternatives=alternatives(alert, rules),
        course=course_of(verdict, rules),
    )


def _answers(row: Row, alert: Alert) -> tuple[Answer, ...]:
    matchers = [Answer(str(m), alert.labels.get(m.label, ""), m.matches(alert.labels)) for m in row.matchers]
    conditions = [Answer(_asked(str(c), c.operand), c.reading(alert), c.holds(alert)) for c in row.conditions]
    return (*matchers, *conditions)


def _asked(text: str, operand: str) -> str:
    return text if operand == VALUE else f"label {text}"
