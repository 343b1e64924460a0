"""Fixtures for everything together."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.installation import installation
from tests.e2e.rulebook import in_seconds
from tests.e2e.up import Up
from tests.servers import program

__all__ = ["installation"]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The shipped rules with levels of seconds."""
    return in_seconds(tmp_path / "rules")


@pytest.fixture
def make_up(tmp_path: Path, rules: Path) -> Iterator[Callable[..., Up]]:
    """Make an `incidentd up` with further settings; it is gone at the end, whatever happened."""
    program("redis-server")
    made: list[Up] = []

    def make(**settings: str) -> Up:
        made.append(Up(tmp_path, rules, **settings))
        return made[-1]

    yield make
    for each in made:
        each.kill()
