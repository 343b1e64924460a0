"""Fixtures of the stories: told on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.lifecycle.bench import Bench, open_bench
from tests.patience import patient_database, patient_web
from tests.store.database import database_url, postgres_blueprint, sqlite_blueprint
from tests.story.story import Story, telling

__all__ = [
    "bench",
    "database_url",
    "patient_database",
    "patient_web",
    "postgres_blueprint",
    "sqlite_blueprint",
    "story",
]


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    """incidentd in this process, on each database."""
    with open_bench(database_url) as opened:
        yield opened


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    """A story to be told, on each database."""
    with telling(database_url) as told:
        yield told
