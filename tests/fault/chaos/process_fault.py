"""Processes are killed, frozen, told to end, or end at a named point."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from random import Random

from incidentd.process.failpoint import NAMES
from tests.fault.chaos.station import GROUPS, WEB, Station

End = Callable[[], None]

WORKERS = ("page", "page", "page", "escalate", "tell")
_ROLES = {"mark": "timekeeper", "tick": "escalate", "claim": "page", "send": "page", "cursor": "page"}


def nothing() -> None:
    """Over already."""


def _send(pid: int | None, what: signal.Signals) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


def kill_web(station: Station, random: Random) -> tuple[str, End]:
    """Its place is taken at the next look."""
    station.parts[WEB].kill()
    return "", nothing


def kill_worker(station: Station, random: Random) -> tuple[str, End]:
    """One of a group; its supervisor starts another."""
    group, role = random.choice(GROUPS), random.choice(WORKERS)
    _send(station.member(group, role), signal.SIGKILL)
    return f"{role} of {group}", nothing


def kill_timekeeper(station: Station, random: Random) -> tuple[str, End]:
    """The other group's lives on."""
    group = random.choice(GROUPS)
    _send(station.member(group, "timekeeper"), signal.SIGKILL)
    return group, nothing


def kill_group(station: Station, random: Random) -> tuple[str, End]:
    """Its supervisor, and with it all of its children."""
    group = random.choice(GROUPS)
    station.parts[group].kill()
    return group, nothing


def freeze_sender(station: Station, random: Random) -> tuple[str, End]:
    """It wakes after its lease is over."""
    group, role = random.choice(GROUPS), random.choice(("page", "page", "tell", "timekeeper"))
    return f"{role} of {group}", _frozen(station.member(group, role))


def freeze_timekeeper(station: Station, random: Random) -> tuple[str, End]:
    """Its watchdog stands still with it."""
    group = random.choice(GROUPS)
    return group, _frozen(station.member(group, "timekeeper"))


def freeze_web(station: Station, random: Random) -> tuple[str, End]:
    """Alertmanager gets no answer meanwhile."""
    return "", _frozen(station.parts[WEB].pid)


def _frozen(pid: int | None) -> End:
    _send(pid, signal.SIGSTOP)
    return lambda: _send(pid, signal.SIGCONT)


def end_web(station: Station, random: Random) -> tuple[str, End]:
    """It answers what it has begun."""
    _send(station.parts[WEB].pid, signal.SIGTERM)
    return "", nothing


def end_group(station: Station, random: Random) -> tuple[str, End]:
    """It sends what it has begun."""
    group = random.choice(GROUPS)
    _send(station.parts[group].pid, signal.SIGTERM)
    return group, nothing


def exit_at_a_point(station: Station, random: Random) -> tuple[str, End]:
    """One more worker, or the web part in its next life, ends where a transaction or a request begins or ends."""
    point = random.choice(sorted(NAMES))
    setting = f"{point}:{random.randrange(1, 6)}"
    if point.startswith("web."):
        with station.lock:
            station.parts[WEB].kill()
            station.parts[WEB].start(INCIDENTD_FAILPOINT=setting)
        return setting, nothing
    # It takes a while to start, and has until the next one of its role to come to its point.
    station.start_extra(_ROLES[point.partition(".")[0]], setting)
    return setting, nothing
