"""Fixtures of the fault suite: processes on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.plant import Plant, running
from tests.lifecycle.bench import Bench, open_bench
from tests.patience import patient_database, patient_web
from tests.servers import RedisServer
from tests.store.database import database_url, open_store, postgres_blueprint, sqlite_blueprint, store
from tests.story.story import Story, telling

__all__ = [
    "bench",
    "database_url",
    "open_store",
    "patient_database",
    "patient_web",
    "plant",
    "plant_with_redis",
    "postgres_blueprint",
    "sqlite_blueprint",
    "store",
    "story",
]


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    """incidentd in this process, on each database."""
    with open_bench(database_url) as opened:
        yield opened


@pytest.fixture
def plant(database_url: str, tmp_path: Path) -> Iterator[Plant]:
    """No Redis: the timekeeper does all the work itself."""
    with running(database_url, tmp_path) as made:
        yield made


@pytest.fixture
def plant_with_redis(database_url: str, tmp_path: Path, redis_server: RedisServer) -> Iterator[Plant]:
    """Workers, too, on a Redis that keeps nothing."""
    with running(database_url, tmp_path, redis_server) as made:
        yield made


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    """A story to be told, on each database."""
    with telling(database_url) as told:
        yield told
