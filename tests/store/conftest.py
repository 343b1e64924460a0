"""Fixtures of the store's tests."""

from tests.store.database import (
    database_url,
    empty_url,
    open_store,
    postgres_blueprint,
    sqlite_blueprint,
    store,
)

__all__ = ["database_url", "empty_url", "open_store", "postgres_blueprint", "sqlite_blueprint", "store"]
