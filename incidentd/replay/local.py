"""An instant as people write it: ``2026-10-25T02:30 Europe/Berlin``, ``2026-10-25T02:30+01:00``, ``…Z``."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from incidentd.errors import SettingsError


@dataclass(frozen=True, slots=True)
class LocalTime:
    """``at`` is the instant in UTC, ``zone`` where it was said. ``note`` says which of two instants was taken."""

    at: datetime
    zone: tzinfo
    note: str = ""


_YEARS = range(1970, 3000)


def parse_local(text: str) -> LocalTime:
    """The instant. Where the clocks go back, a time that comes twice is the first one, and ``note`` says so.

    Raises:
        SettingsError: it is no time; it has no zone, or an unknown one; or the clocks skip it. In that case both
            instants between which it would be are named.
    """
    written, _, name = text.strip().partition(" ")
    try:
        said = datetime.fromisoformat(written)
    except ValueError:
        raise SettingsError(f"{text[:60]!r} is no time such as '2026-10-25T02:30 Europe/Berlin' or …T00:30Z") from None
    if said.year not in _YEARS:
        raise SettingsError(f"{text[:60]!r} is not in the years {_YEARS.start} to {_YEARS.stop - 1}")
    if said.tzinfo is not None:
        zone = _zone(name) if name.strip() else said.tzinfo
        return LocalTime(said.astimezone(UTC), zone)
    if not name.strip():
        raise SettingsError(f"{text[:60]!r} names no zone: add one, such as '{written} Europe/Berlin' or '{written}Z'")
    return _in_zone(said, _zone(name))


def shown(at: datetime, zone: tzinfo) -> str:
    """``2026-10-25 02:30:00 CEST``."""
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"


def _in_zone(said: datetime, zone: ZoneInfo) -> LocalTime:
    first, second = (said.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    earlier, later = first.astimezone(UTC), second.astimezone(UTC)
    if earlier == later:
        return LocalTime(earlier, zone)
    if earlier > later:
        raise SettingsError(
            f"{said:%Y-%m-%d %H:%M} does not exist in {zone}: the clocks skip it."
            f" Give {_exact(later, zone)} or {_exact(earlier, zone)}"
        )
    note = (
        f"{said:%H:%M} comes twice there that day: the first one was taken, {first.tzname()};"
        f" for the second one, {second.tzname()}, give {_exact(later, zone)}"
    )
    return LocalTime(earlier, zone, note)


def _exact(at: datetime, zone: ZoneInfo) -> str:
    """With its offset, so that nothing is left to choose; the zone's name keeps what is shown in it."""
    local = at.astimezone(zone)
    step = "seconds" if local.second else "minutes"
    return f"'{local.isoformat(timespec=step)} {zone}'"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name.strip())
    except (ValueError, OSError, KeyError):
        raise SettingsError(f"{name.strip()[:60]!r} is no zone of the tz database, such as Europe/Berlin") from None
