import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from incidentd.clock import ManualClock
from incidentd.sandbox.server import SandboxServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pdpyras import EventsAPISession

ROUTING_KEY = "R" * 32


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[SandboxServer]:
    with SandboxServer(clock=clock.now) as server:
        yield server


@pytest.fixture
def web(sandbox: SandboxServer) -> WebClient:
    return WebClient(token="xoxb-test", base_url=sandbox.slack_url, retry_handlers=[], timeout=5)


@pytest.fixture
def events_session(sandbox: SandboxServer) -> Iterator[Callable[..., Any]]:
    sessions: list[Any] = []

    def make(routing_key: str = ROUTING_KEY) -> Any:
        session = EventsAPISession(routing_key)
        session.url = sandbox.pagerduty_url
        session.timeout = 5
        session.max_network_attempts = 0
        session.retry = {429: 0, 500: 0, 502: 0, 503: 0, 504: 0}
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()
