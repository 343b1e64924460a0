"""``GET /metrics``: what Prometheus reads.

No token is needed, as it tells counts only; so many who ask cost no more than one. A database that hangs is told of,
and not waited for.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import structlog
from fastapi import APIRouter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from incidentd.clock import SystemClock
from incidentd.errors import SchemaError, StoreError
from incidentd.lifecycle.degraded import Degraded, Mode, modes
from incidentd.lifecycle.socket_standing import SocketStanding
from incidentd.meter import Meter
from incidentd.meter.exposition import CONTENT_TYPE, text
from incidentd.meter.folder import summed
from incidentd.store import standing
from incidentd.store.standing import Standing
from incidentd.web.contract import Runtime
from incidentd.web.edge import Edge
from incidentd.web.health import healthy
from incidentd.web.probe import Probe

DATABASE_SECONDS = 2.5

_log: structlog.stdlib.BoundLogger = structlog.get_logger()

router = APIRouter(tags=["operations"])


class Scrape:
    """One application's answer."""

    def __init__(self, runtime: Runtime) -> None:
        monotonic = runtime.clock.monotonic
        self._meter = runtime.meter
        self._degraded = runtime.degraded
        self._socket = runtime.slack_socket
        self._standing = Probe(lambda: _read(runtime), monotonic)
        self._newest: Standing | None = None
        # Not among threads that a database that hangs may all have taken.
        self._text = Probe(self._told, monotonic, asyncio.to_thread)

    async def answer(self) -> Response:
        """All that is known now, or was a second ago."""
        self._newest = await self._stands()
        return Response(await self._text.answer(), media_type=CONTENT_TYPE)

    def _told(self) -> bytes:
        here = (degraded_gauge(self._degraded()), *socket_gauge(self._socket))
        return text([*self._counted(), *here, *gauges(self._newest)])

    def _counted(self) -> list[Metric]:
        """None while they can't be read: how pages stand is told all the same, and no counter begins anew."""
        try:
            return list(self._meter.collect())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with files that several processes write
            _log.warning("no_counters", cause=type(error).__name__)
            return []

    async def _stands(self) -> Standing | None:
        """None: the database can't be asked, or doesn't answer in time; then one thread at most still waits for it."""
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                return await self._standing.answer()
        except (StoreError, SchemaError, TimeoutError) as error:
            _log.warning("no_gauges", cause=type(error).__name__)
            return None


def gauges(now: Standing | None) -> Iterable[Metric]:
    """How things stand; only that the database is down, where it is."""
    up = "Whether the database answered this scrape; where it did not, what is read from it is absent."
    yield _gauge("incidentd_database_up", up, float(now is not None))
    if now is None:
        return
    yield _open(now)
    yield _gauge(
        "incidentd_oldest_undelivered_page_seconds",
        "For how long the oldest page that is still needed has not been delivered; 0 when each is.",
        now.page_waits.total_seconds(),
    )
    yield _gauge(
        "incidentd_overdue_incidents",
        "Incidents whose time to change passed more than 60 seconds ago.",
        now.overdue,
    )
    if now.cycle_age is not None:
        yield _gauge(
            "incidentd_cycle_age_seconds",
            "Since a timekeeper completed its newest cycle.",
            now.cycle_age.total_seconds(),
        )
    if now.rules_version is not None:
        yield _rules(now.rules_version)
    yield from _heartbeats(now)
    yield from _drills(now)
    yield from _alertmanagers(now)


def create_group_app(folder: Path) -> Starlette:
    """What the supervisor of a worker group answers: the sum of what its processes count in ``folder``."""
    nothing_yet = Meter()

    def told() -> bytes:
        families = {family.name: family for family in (*nothing_yet.collect(), *summed(folder))}
        return text(families.values())

    probe = Probe(told, SystemClock().monotonic)

    async def tell(_request: Request) -> Response:
        return Response(await probe.answer(), media_type=CONTENT_TYPE)

    async def live(_request: Request) -> Response:
        return await healthy()

    app = Starlette(routes=[Route("/metrics", tell), Route("/-/healthy", live)])
    app.add_middleware(Edge, direct={})
    return app


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters, durations and how things stand, in Prometheus's text format."""
    scrape: Scrape = request.app.state.scrape
    return await scrape.answer()


def degraded_gauge(found: Iterable[Degraded]) -> Metric:
    """Every mode is there, so that an alert on it never goes without data."""
    family = GaugeMetricFamily(
        "incidentd_degraded", "Whether something that incidentd needs is missing, by what it is.", labels=["mode"]
    )
    present = modes(found)
    for mode in Mode:
        family.add_metric([mode], float(mode in present))
    return family


def socket_gauge(standing: SocketStanding) -> Iterable[Metric]:
    """None where no connection is expected."""
    if standing.is_expected:
        about = "Connections of Slack's Socket Mode that this web part has open."
        yield _gauge("incidentd_slack_socket_open", about, standing.open_connections)


def _read(runtime: Runtime) -> Standing:
    return runtime.store.read(lambda tx: standing.read(tx, runtime.clock.now()))


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value)


def _open(now: Standing) -> Metric:
    family = GaugeMetricFamily("incidentd_incidents", "Open incidents, by tier and state.", labels=["tier", "state"])
    for (tier, state), count in now.open.items():
        family.add_metric([tier, state], count)
    return family


def _heartbeats(now: Standing) -> Iterable[Metric]:
    """By the names that the rules expect; none where they expect none."""
    silence = GaugeMetricFamily(
        "incidentd_heartbeat_silence_seconds",
        "Since each expected heartbeat was heard, or was first expected.",
        labels=["heartbeat"],
    )
    missing = GaugeMetricFamily(
        "incidentd_heartbeat_missing", "Whether an expected heartbeat has been silent too long.", labels=["heartbeat"]
    )
    for name, lasts in now.silences.items():
        silence.add_metric([name], lasts.total_seconds())
        missing.add_metric([name], float(name in now.missing))
    return (silence, missing) if now.silences else ()


def _drills(now: Standing) -> Iterable[Metric]:
    """By the names that the rules have; none before the first of them has run."""
    accepted = GaugeMetricFamily(
        "incidentd_last_drill_accepted", "Whether the last drill of each name was accepted.", labels=["drill"]
    )
    age = GaugeMetricFamily(
        "incidentd_last_drill_accepted_age_seconds", "Since a drill of each name was last accepted.", labels=["drill"]
    )
    for name, was in now.drills.items():
        accepted.add_metric([name], float(was))
    for name, lasts in now.since_accepted.items():
        age.add_metric([name], lasts.total_seconds())
    return (accepted, age) if now.drills else ()


def _alertmanagers(now: Standing) -> Iterable[Metric]:
    """By the names of those that are compared with; none where nothing is."""
    if now.comparison_age is None:
        return
    up = GaugeMetricFamily(
        "incidentd_alertmanager_up", "Whether an Alertmanager answered the last time.", labels=["alertmanager"]
    )
    for name, answers in now.alertmanagers.items():
        up.add_metric([name], float(answers))
    yield up
    yield _gauge(
        "incidentd_comparison_age_seconds",
        "Since any Alertmanager was last compared with.",
        now.comparison_age.total_seconds(),
    )


def _rules(version: str) -> Metric:
    family = GaugeMetricFamily("incidentd_rules_info", "The version of the rules in force.", labels=["version"])
    family.add_metric([version], 1)
    return family
