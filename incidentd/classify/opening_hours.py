"""``calendars.yaml``: the hours in which the clocks run."""

import re
from collections.abc import Callable
from datetime import date, time
from zoneinfo import ZoneInfo

import holidays

from incidentd.calendars import ALWAYS, Calendar
from incidentd.classify.section import Ledger, Section, as_section, open_file

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_MIDNIGHT = "24:00"


def read_calendars(text: str, ledger: Ledger) -> dict[str, Calendar]:
    """All calendars by name; ``always`` is there without being written."""
    found = {ALWAYS.name: ALWAYS}
    for name, node in open_file(text, ledger).fields.items():
        section = as_section(node, name, ledger, name)
        if name == ALWAYS.name:
            ledger.add(node.line, "always is built in: no calendar may be named so", name)
        elif section:
            found[name] = _calendar(name, section.only("zone", "weekdays", "opens", "closes", "holidays"))
    return found


def _calendar(name: str, section: Section) -> Calendar:
    opens = read_time(section, "opens", "00:00") or time(0, 0)
    closes = read_time(section, "closes", _MIDNIGHT)
    if closes is not None and closes <= opens:
        section.complain("closes before it opens; the end of the day is 24:00", "closes")
    return Calendar(
        name=name,
        zone=read_zone(section),
        weekdays=read_weekdays(section),
        opens=opens,
        closes=closes,
        is_holiday=read_holidays(section),
    )


def read_zone(section: Section) -> ZoneInfo:
    """The field ``zone``, a name of the tz database."""
    name = section.text("zone")
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError, KeyError):
        section.complain(f"zone {name!r} is no zone of the tz database, such as Europe/Warsaw", "zone")
        return ZoneInfo("UTC")


def read_weekdays(section: Section, never: str = "it would never open") -> frozenset[int]:
    """The field ``weekdays``, 0 for Monday. ``never`` is what follows from none."""
    names = section.texts("weekdays")
    for name in names:
        if name not in WEEKDAYS:
            section.complain(f"weekdays: {name!r} is none of {', '.join(WEEKDAYS)}", "weekdays")
    if not names:
        section.complain(f"weekdays names no day: {never}", "weekdays")
    return frozenset(WEEKDAYS.index(name) for name in names if name in WEEKDAYS)


def read_time(section: Section, name: str, default: str | None = None) -> time | None:
    """A time of day; None after a fault, and for the end of the day under ``closes``."""
    value = section.text(name, default)
    if value == _MIDNIGHT and name == "closes":
        return None
    if not value:
        return None
    if not TIME.fullmatch(value):
        section.complain(f'{name} {value!r} is no time of day such as "09:00"', name)
        return None
    return time.fromisoformat(value)


def read_holidays(section: Section) -> Callable[[date], bool] | None:
    """The field ``holidays``; None where it is missing."""
    off = section.section("holidays")
    if off is None:
        return None
    off.only("country", "subdivision", "dates")
    dates = frozenset(day for text in off.texts("dates") if (day := _date(off, text)))
    country = off.text("country", "")
    public = _public(off, country) if country else None
    if public is None:
        return dates.__contains__
    return lambda day: day in dates or day in public


def _date(section: Section, text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        section.complain(f"dates: {text!r} is no date such as 2026-12-24", "dates")
        return None


def _public(section: Section, country: str) -> holidays.HolidayBase | None:
    subdivision = section.text("subdivision", "")
    try:
        return holidays.country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError:
        place = f"{country!r} with subdivision {subdivision!r}" if subdivision else repr(country)
        section.complain(f"country {place} is not known to the holidays library", "country")
        return None
