"""The supervisor as a process, with children that do as they are told."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from incidentd.process.supervisor import FIRST_DELAY_SECONDS, HEALTHY_SECONDS, LONGEST_DELAY_SECONDS, next_delay
from tests.servers import children_of, leashed, lives, wait_until

_CHILD = r"""
import os, signal, sys, time
journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
name, behaviour = sys.argv[2:]
# One call of the system: a handler must not meet a buffer that is being written.
def note(what): os.write(journal, f"{name} {what} {os.getpid()}\n".encode())
if behaviour == "slow":
    note("begin")
    while not os.path.exists(sys.argv[1] + ".go"): time.sleep(0.01)
signal.signal(signal.SIGHUP, lambda *_: note("reload"))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
def stop(*_):
    note("term")
    if behaviour != "stubborn": sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("start")
if behaviour == "crash": os._exit(3)
if behaviour == "done": os._exit(0)
while True: time.sleep(1)
"""

_SUPERVISOR = """
import sys
from incidentd.process import log, supervisor
from incidentd.process.supervisor import Child, Supervisor
log.configure()
supervisor.HEALTHY_SECONDS = 600  # a busy machine may take ten seconds to start one that dies at once
child, journal, stop_seconds, *behaviours = sys.argv[1:]
children = [
    Child(f"{behaviour}", [sys.executable, child, journal, behaviour, behaviour], outlives=behaviour == "outlives")
    for behaviour in behaviours
]
sys.exit(Supervisor(children, float(stop_seconds)).run())
"""


class Supervised:
    """A supervisor process, what its children wrote down, and what it logged."""

    def __init__(self, folder: Path, stop_seconds: float, *behaviours: str) -> None:
        child, self.journal, self._log = folder / "child.py", folder / "journal", folder / "log"
        child.write_text(textwrap.dedent(_CHILD))
        argv = [sys.executable, "-c", _SUPERVISOR, str(child), str(self.journal), str(stop_seconds), *behaviours]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(leashed(argv), stderr=log)

    def notes(self, name: str, what: str) -> list[int]:
        """The pids of the children that noted this."""
        lines = [line.split() for line in self.journal.read_text().splitlines()] if self.journal.exists() else []
        return [int(line[2]) for line in lines if line[:2] == [name, what]]

    def wait_for(self, name: str, what: str, times: int = 1) -> None:
        wait_until(lambda: len(self.notes(name, what)) >= times, f"{name} to {what} {times} times")

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


@pytest.mark.parametrize(
    ("delay", "lived", "then"),
    [
        (0.0, 0.0, FIRST_DELAY_SECONDS),
        (0.2, 1.0, 0.4),
        (0.4, HEALTHY_SECONDS - 0.1, 0.8),
        (6.4, 0.0, LONGEST_DELAY_SECONDS),
        (10.0, 0.0, LONGEST_DELAY_SECONDS),
        (10.0, HEALTHY_SECONDS, FIRST_DELAY_SECONDS),
    ],
)
def test_the_delay_doubles_up_to_ten_seconds_and_is_short_again_after_ten_of_life(
    delay: float, lived: float, then: float
) -> None:
    assert next_delay(delay, lived) == pytest.approx(then)


@pytest.mark.parametrize(("behaviour", "status"), [("crash", 3), ("done", 0)])
def test_what_dies_is_started_again_with_back_off_whatever_its_status(
    folder: Path, behaviour: str, status: int
) -> None:
    supervised = Supervised(folder, 5, behaviour, "well")
    supervised.wait_for(behaviour, "start", 3)
    supervised.process.terminate()
    assert supervised.process.wait(120) == 0
    assert [line["seconds"] for line in supervised.events("child_restarts")][:2] == [0.2, 0.4]
    assert {line["status"] for line in supervised.events("child_ended") if line["child"] == behaviour} <= {
        status,
        0,
        -signal.SIGTERM,
    }
    assert len(supervised.notes("well", "start")) == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_asks_all_to_and_exits_0_with_the_needed_one_last(folder: Path, how: signal.Signals) -> None:
    supervised = Supervised(folder, 5, "outlives", "well")
    supervised.wait_for("well", "start")
    supervised.wait_for("outlives", "start")
    supervised.process.send_signal(how)
    assert supervised.process.wait(120) == 0
    ended = [line["child"] for line in supervised.events("child_ended")]
    assert ended == ["well", "outlives"]
    assert all(len(supervised.notes(name, "term")) == 1 for name in ended)


def test_one_that_does_not_stop_is_killed(folder: Path) -> None:
    supervised = Supervised(folder, 0.2, "stubborn")
    supervised.wait_for("stubborn", "start")
    supervised.process.terminate()
    assert supervised.process.wait(120) == 0
    assert [line["status"] for line in supervised.events("child_ended")] == [-signal.SIGKILL]


def test_sighup_reaches_all(folder: Path) -> None:
    supervised = Supervised(folder, 5, "well", "other")
    supervised.wait_for("well", "start")
    supervised.wait_for("other", "start")
    supervised.process.send_signal(signal.SIGHUP)
    supervised.wait_for("well", "reload")
    supervised.wait_for("other", "reload")
    supervised.process.terminate()
    assert supervised.process.wait(120) == 0


def test_sighup_waits_for_a_child_that_is_still_starting(folder: Path) -> None:
    supervised = Supervised(folder, 5, "slow", "well")
    supervised.wait_for("slow", "begin")
    supervised.wait_for("well", "start")
    supervised.process.send_signal(signal.SIGHUP)
    supervised.wait_for("well", "reload")
    (folder / "journal.go").touch()
    supervised.wait_for("slow", "reload")
    supervised.process.terminate()
    assert supervised.process.wait(120) == 0
    assert len(supervised.notes("slow", "begin")) == 1


def test_sighup_reaches_the_child_that_takes_a_dead_ones_place(folder: Path) -> None:
    supervised = Supervised(folder, 5, "done", "well")
    supervised.wait_for("well", "start")
    wait_until(lambda: any(line["seconds"] >= 1.6 for line in supervised.events("child_restarts")), "a long pause")
    supervised.process.send_signal(signal.SIGHUP)
    supervised.wait_for("well", "reload")
    supervised.wait_for("done", "reload")
    supervised.process.terminate()
    assert supervised.process.wait(120) == 0


def test_a_child_killed_with_9_is_replaced_and_leaves_no_zombie(folder: Path) -> None:
    supervised = Supervised(folder, 5, "well")
    supervised.wait_for("well", "start")
    os.kill(supervised.notes("well", "start")[0], signal.SIGKILL)
    supervised.wait_for("well", "start", 2)
    assert children_of(supervised.process.pid) == [supervised.notes("well", "start")[-1]]
    supervised.process.terminate()
    assert supervised.process.wait(120) == 0


def test_no_child_outlives_a_supervisor_killed_with_9(folder: Path) -> None:
    supervised = Supervised(folder, 5, "well", "stubborn", "outlives")
    for name in ("well", "stubborn", "outlives"):
        supervised.wait_for(name, "start")
    children = [supervised.notes(name, "start")[0] for name in ("well", "stubborn", "outlives")]
    supervised.process.kill()
    supervised.process.wait()
    wait_until(lambda: not any(lives(pid) for pid in children), "the children to be gone")


def test_a_command_that_does_not_exist_is_tried_again_and_harms_no_other(folder: Path) -> None:
    code = _SUPERVISOR.replace("children = [", 'children = [Child("absent", ["/no/such/program"])] + [')
    child, journal = folder / "child.py", folder / "journal"
    child.write_text(textwrap.dedent(_CHILD))
    with (folder / "log").open("wb") as log:
        argv = [sys.executable, "-c", code, str(child), str(journal), "5", "well"]
        process = subprocess.Popen(leashed(argv), stderr=log)
    wait_until(lambda: (folder / "log").read_text().count("child_restarts") >= 2, "two more tries")
    assert journal.read_text().count("well start") == 1
    process.terminate()
    assert process.wait(120) == 0
