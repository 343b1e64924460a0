"""Fixtures that every test may use."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings

from tests import canary
from tests.order import spread
from tests.servers import PostgresServer, RedisServer

_PATIENT = {"e2e", "fault", "deploy"}
"""Folders of tests that start real processes."""

# A busy machine must not turn a correct test red.
settings.register_profile("incidentd", deadline=None)
settings.load_profile("incidentd")


@pytest.fixture(autouse=True)
def _plain_tracebacks() -> None:
    """As incidentd's own logging has them: structlog's default shows the values of all variables."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL cluster, one for each test process. Who stops it starts it again."""
    server = PostgresServer()
    try:
        yield server.create()
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A new empty database of this test's own, as a SQLAlchemy URL."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """An empty redis-server of this test's own, which it may kill, restart and freeze."""
    server = RedisServer()
    try:
        yield server.start()
    finally:
        server.kill()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that wait share the processors with tests that don't."""
    files = [item.path for item in items]
    items[:] = spread(items, files, [bool(_PATIENT.intersection(file.parts)) for file in files])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: "pytest.CallInfo[Any]") -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail whichever test let a canary be printed or logged."""
    report = yield
    if told := canary.leaks("\n".join(text for _, text in report.sections)):
        report.outcome, report.longrepr = "failed", f"a secret was printed or logged: {told}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured: what they gave `record_property` under this name."""
    reports = [report for some in terminalreporter.stats.values() for report in some]
    properties = [
        each for report in reports if getattr(report, "when", "") == "call" for each in report.user_properties
    ]
    measured = [str(value) for name, value in properties if name == "measured"]
    if measured:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(measured))
