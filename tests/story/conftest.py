"""Fixtures of the stories: told on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.store.database import database_url, postgres_blueprint, sqlite_blueprint
from tests.story.story import Story, telling

__all__ = ["database_url", "postgres_blueprint", "sqlite_blueprint", "story"]


@pytest.fixture
def story(database_url: str) -> Iterator[Story]:
    """A story to be told, on each database."""
    with telling(database_url) as told:
        yield told
