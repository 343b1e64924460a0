"""Fixtures of the life cycle's tests: a bench on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.lifecycle.bench import Bench, open_bench
from tests.patience import patient_database
from tests.store.database import database_url, postgres_blueprint, sqlite_blueprint

__all__ = ["bench", "database_url", "patient_database", "postgres_blueprint", "sqlite_blueprint"]


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    """incidentd in this process, on each database."""
    with open_bench(database_url) as opened:
        yield opened
