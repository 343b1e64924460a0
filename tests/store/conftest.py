"""Fixtures of the store's tests."""

from tests.store.database import (
    database_url,
    empty_url,
    migrated_postgres,
    open_store,
    sqlite_blueprint,
    store,
)

__all__ = ["database_url", "empty_url", "migrated_postgres", "open_store", "sqlite_blueprint", "store"]
