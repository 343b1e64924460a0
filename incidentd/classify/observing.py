"""A system that is only observed: its incidents are recorded, and nobody is told of them."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from incidentd.classify.section import Section

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Observing:
    """``until`` is the first instant at which people are told again; None: when the table says so."""

    until: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        """Whether nobody is told yet."""
        return self.until is None or now < self.until


def read_observing(file: Section) -> Observing | None:
    """The fields ``observe`` and ``observe_until`` of a table; None where people are told."""
    observes = file.choice("observe", ("true", "false"), "false") == "true"
    if not file.has("observe_until"):
        until = None
    else:
        until = _instant(file.text("observe_until"))
        if until is None:
            file.complain("observe_until is no day such as 2026-12-01, nor an instant with its zone", "observe_until")
        if not observes:
            file.complain("observe_until counts only together with observe: true", "observe_until")
    if observes and not file.text("system", ""):
        file.complain("observe is for a table with a system", "observe")
    return Observing(until) if observes else None


def _instant(text: str) -> datetime | None:
    """A day begins at midnight UTC."""
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return at.astimezone(UTC) if at.utcoffset() is not None else None
    except OverflowError:
        return None
