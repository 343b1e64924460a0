"""A database and a web part that are given time: a test must not fail because its machine stood still."""

import pytest

from incidentd.sandbox.socket import ANSWER_SECONDS
from incidentd.store import engine
from incidentd.web import api, heartbeats, interaction, webhook

_TIMES = 10


@pytest.fixture(autouse=True)
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer time-outs for each store of this process. Not where they are what is tested."""
    for name in ("STATEMENT_SECONDS", "BUSY_SECONDS", "IDLE_SECONDS", "CONNECT_SECONDS", "_RETRY_SECONDS"):
        monkeypatch.setattr(engine, name, _TIMES * getattr(engine, name))


@pytest.fixture(autouse=True)
def patient_web(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alertmanager, people and Slack wait for longer."""
    for module in (api, heartbeats, interaction, webhook):
        monkeypatch.setattr(module, "STORE_SECONDS", _TIMES * module.STORE_SECONDS)
    monkeypatch.setattr("incidentd.sandbox.interaction.ANSWER_SECONDS", _TIMES * ANSWER_SECONDS)
