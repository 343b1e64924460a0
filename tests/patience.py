"""A database and a web part that are given time: a test must not fail because its machine stood still.

As a program, ``python -m tests.patience <module> <arguments>``, a process that is given it.
"""

import runpy
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from incidentd.sandbox import interaction as sandbox
from incidentd.sandbox.socket import ANSWER_SECONDS
from incidentd.store import engine
from incidentd.web import api, heartbeats, interaction, webhook

_TIMES = 10
_DATABASE = ("STATEMENT_SECONDS", "BUSY_SECONDS", "IDLE_SECONDS", "CONNECT_SECONDS", "_RETRY_SECONDS")


@pytest.fixture(autouse=True)
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer time-outs for each store of this process. Not where they are what is tested."""
    for module, name, seconds in _of_the_database():
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture(autouse=True)
def patient_web(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alertmanager, people and Slack wait for longer."""
    for module, name, seconds in _of_the_web_part():
        monkeypatch.setattr(module, name, seconds)


def _of_the_database() -> Iterator[tuple[ModuleType, str, float]]:
    for name in _DATABASE:
        yield engine, name, _TIMES * getattr(engine, name)


def _of_the_web_part() -> Iterator[tuple[ModuleType, str, float]]:
    for module in (api, heartbeats, interaction, webhook):
        yield module, "STORE_SECONDS", _TIMES * module.STORE_SECONDS
    yield sandbox, "ANSWER_SECONDS", _TIMES * ANSWER_SECONDS


if __name__ == "__main__":
    for waiting, name, seconds in [*_of_the_database(), *_of_the_web_part()]:
        setattr(waiting, name, seconds)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
