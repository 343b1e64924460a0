"""The server's time as it is known here: never ahead of it, however long question and answer take."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.clock import ManualClock
from incidentd.errors import StoreUnavailableError
from incidentd.store.engine import Store, open_engine
from incidentd.store.server_clock import ServerClock
from tests.store.database import POSTGRESQL

SECONDS = st.integers(0, 40).map(float)


@dataclass
class Server:
    """Plays the store and its connection. It reads its clock when the question has arrived."""

    local: ManualClock
    ahead: timedelta = timedelta(hours=2)
    question: float = 0.0
    answer: float = 0.0
    is_away: bool = False
    _said: datetime | None = None

    def read(self, work: Callable[[Any], Any]) -> Any:
        if self.is_away:
            raise StoreUnavailableError("away")
        return work(self)

    def execute(self, _statement: object) -> "Server":
        self.local.advance(timedelta(seconds=self.question))
        self._said = self.now()
        self.local.advance(timedelta(seconds=self.answer))
        return self

    def scalar_one(self) -> datetime | None:
        return self._said

    def now(self) -> datetime:
        return self.local.at + self.ahead


def clock_of(server: Server) -> ServerClock:
    return ServerClock(cast("Store", server), server.local)


@given(st.lists(st.tuples(SECONDS, SECONDS, SECONDS), min_size=1, max_size=8))
def test_it_is_never_ahead_and_behind_by_no_more_than_the_quickest_answer_took(
    exchanges: list[tuple[float, float, float]],
) -> None:
    server = Server(ManualClock())
    (server.question, server.answer, _), *others = exchanges
    quickest = server.answer
    clock = clock_of(server)
    for question, answer, pause in others:
        server.local.advance(timedelta(seconds=pause))
        server.question, server.answer = question, answer
        quickest = min(quickest, answer)
        clock.refresh()
        assert timedelta(0) <= server.now() - clock.now() <= timedelta(seconds=quickest)


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_step_of_the_server_is_followed_when_it_is_asked_next(step: timedelta) -> None:
    server = Server(ManualClock(), question=3.0, answer=2.0)
    clock = clock_of(server)
    server.ahead += step
    clock.refresh()
    assert server.now() - clock.now() == timedelta(seconds=2)


def test_while_the_server_is_away_its_time_is_counted_on() -> None:
    server = Server(ManualClock())
    clock = clock_of(server)
    server.is_away = True
    server.local.advance(timedelta(minutes=5))
    with pytest.raises(StoreUnavailableError):
        clock.refresh()
    assert clock.now() == server.now()


def test_before_the_server_was_ever_asked_the_machines_own_time_counts() -> None:
    server = Server(ManualClock(), is_away=True)
    clock = clock_of(server)
    assert clock.now() == server.local.now()
    server.is_away = False
    clock.refresh()
    assert clock.now() == server.now()


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_postgresql_is_asked(database_url: str) -> None:
    store = Store(open_engine(database_url))
    clock = ServerClock(store, ManualClock(datetime(2001, 1, 1, tzinfo=UTC)))
    assert clock.now() > datetime(2026, 1, 1, tzinfo=UTC)
    store.close()
