"""PagerDuty and Slack fail in each of the ways that the sandbox knows."""

from datetime import timedelta
from email.utils import format_datetime
from random import Random

from incidentd.clock import SystemClock
from incidentd.sandbox.fault import FaultKind, Service
from tests.fault.chaos.process_fault import End
from tests.fault.chaos.station import Station

_CODES = (500, 502, 503, 504)
_SLACK_ERRORS = ("internal_error", "fatal_error", "ratelimited", "service_unavailable", "request_timeout")
_HANG_SECONDS = 30.0


def status(station: Station, random: Random, service: Service) -> tuple[str, End]:
    """A status of 5xx."""
    code = random.choice(_CODES)
    station.sandbox.fail(service, FaultKind.STATUS, times=None, status=code)
    return str(code), _cleared(station, service)


def rate_limit(station: Station, random: Random, service: Service) -> tuple[str, End]:
    """With a Retry-After of every kind."""
    date = format_datetime(SystemClock().now() + timedelta(seconds=5), usegmt=True)
    after = random.choice(("1", "3", "3600", "-1", "abc", date, None))
    station.sandbox.fail(service, FaultKind.RATE_LIMIT, times=None, retry_after=after)
    return f"Retry-After: {after}", _cleared(station, service)


def lose_reply(station: Station, random: Random, service: Service) -> tuple[str, End]:
    """Accepted, and nobody hears of it."""
    station.sandbox.fail(service, FaultKind.DROP_REPLY, times=None)
    return "", _cleared(station, service)


def hang(station: Station, random: Random, service: Service) -> tuple[str, End]:
    """Silence, after or instead of accepting."""
    accept = random.random() < 0.5
    station.sandbox.fail(service, FaultKind.HANG, times=None, seconds=_HANG_SECONDS, accept=accept)
    return "accepted" if accept else "", _cleared(station, service)


def drip(station: Station, random: Random, service: Service) -> tuple[str, End]:
    """A byte a second."""
    station.sandbox.fail(service, FaultKind.DRIP, times=None)
    return "", _cleared(station, service)


def slack_error(station: Station, random: Random, service: Service) -> tuple[str, End]:
    """200 with ``ok: false``, for what passes."""
    error = random.choice(_SLACK_ERRORS)
    station.sandbox.fail(service, FaultKind.ERROR, times=None, error=error)
    return error, _cleared(station, service)


def malformed(station: Station, random: Random, service: Service) -> tuple[str, End]:
    """400, once: the smallest form of the same event is taken."""
    station.sandbox.fail(service, FaultKind.STATUS, times=1, status=400, method="trigger")
    return "", _cleared(station, service)


def refuse(station: Station, random: Random) -> tuple[str, End]:
    """Nobody listens."""
    station.sandbox.stop()
    return "", station.sandbox.start


def _cleared(station: Station, service: Service) -> End:
    return lambda: station.sandbox.faults.clear(service)
