"""Fixtures: a bench on SQLite and on PostgreSQL."""

from tests.lifecycle.conftest import bench
from tests.patience import patient_database
from tests.store.database import database_url, postgres_blueprint, sqlite_blueprint

__all__ = ["bench", "database_url", "patient_database", "postgres_blueprint", "sqlite_blueprint"]
