"""A database that is given time: a test of what is stored must not fail because its machine stood still."""

import pytest

from incidentd.store import engine

_TIMES = 10


@pytest.fixture(autouse=True)
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer time-outs for each store of this process. Not where they are what is tested."""
    for name in ("STATEMENT_SECONDS", "BUSY_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setattr(engine, name, _TIMES * getattr(engine, name))
