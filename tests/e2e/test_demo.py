"""`incidentd demo`: it plays whole, measures, fails when a promise does, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from incidentd.cli.demo.promise import LATENESS
from incidentd.cli.stand_in import _made_up_key
from tests.e2e.up import STOP_SECONDS, environment
from tests.machine import Stopwatch
from tests.servers import children_of, leashed, lives, program, wait_until

ROOT = Path(__file__).parents[2]
# The story takes half a minute; start, end and a busy machine have the rest.
PATIENCE = 420.0


class Demo:
    """A running demo, its output in a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: Path, temporary: Path) -> None:
        self.process = process
        self._out = out
        self.temporary = temporary

    @property
    def said(self) -> str:
        return self._out.read_text()

    @property
    def sandbox(self) -> str:
        """Where its sandbox is, as soon as it says so."""
        wait_until(lambda: self._address() or self.process.poll() is not None, "the demo's addresses", PATIENCE)
        found = self._address()
        assert found, self.said
        return found[1]

    def _address(self) -> "re.Match[str] | None":
        return re.search(r"sandbox +(http://\S+)/\n", self.said)


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[Demo]:
    program("redis-server")
    temporary = folder / "t"
    temporary.mkdir()
    # Neither real credentials nor a running instance's settings may reach it.
    settings = {
        "TMPDIR": str(temporary),
        "INCIDENTD_PAGERDUTY_ROUTING_KEY": "a" * 32,
        "INCIDENTD_LISTEN": "127.0.0.1:1",
    }
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            leashed([sys.executable, "-m", "tests.e2e.patient_demo", *options]),
            env=environment(**settings, PYTHONPATH=str(ROOT)),
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Demo(process, folder / "out", temporary)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def family(pid: int) -> list[int]:
    """The process's descendants."""
    children = children_of(pid)
    return [*children, *(each for child in children if lives(child) for each in family(child))]


def lateness(said: str) -> Iterator[tuple[str, float]]:
    """By how many seconds what was promised for an instant came after it, as the demo measured it."""
    yield "level 1", seconds(r"the slowest accepted ([\d.]+) s after its alert", said)
    yield "Slack", seconds(r"told on in ([\d.]+) s", said)
    for level in (2, 3):
        after = rf"level {level} was paged ([\d.]+) s after the alert, asked for: "
        yield f"level {level}", seconds(after, said) - seconds(rf"{after}([\d.]+) s", said, 2)
    yield (
        "hold-down",
        seconds(r"incidents, after [\d.]+ s to ([\d.]+) s", said) - seconds(r"Resolved after ([\d.]+) s of calm", said),
    )


def seconds(pattern: str, said: str, group: int = 1) -> float:
    found = re.search(pattern, re.sub(r"\s+", " ", said))
    assert found, said
    return float(found[group])


@pytest.mark.timeout(PATIENCE + STOP_SECONDS)
def test_the_story_is_told_and_every_promise_holds(tmp_path: Path) -> None:
    with demo(tmp_path, "--record", str(tmp_path / "demo.svg")) as played:
        assert played.sandbox.startswith("http://127.0.0.1:")
        processes, watch = family(played.process.pid), Stopwatch()
        with watch.followed():
            assert played.process.wait(PATIENCE) == 0, played.said
        assert "8 of 8 promises held." in played.said
        assert "✗" not in played.said
        assert "told level 3, CTO" in played.said
        assert "ben.okoro acknowledged in Slack" in played.said
        assert "now also in us" in played.said
        assert "An alert fires again" in played.said
        assert "\x1b[" not in played.said
        complaints = {what: watch.complaint(LATENESS.total_seconds(), late) for what, late in lateness(played.said)}
        assert list(complaints) == ["level 1", "Slack", "level 2", "level 3", "hold-down"]
        assert set(complaints.values()) == {""}, complaints
        early = re.search(r"level 2 was paged ([\d.]+) s after the alert, asked for: 8 s", played.said)
        assert early
        assert float(early[1]) >= 8
        assert len(processes) >= 6
        assert not any(map(lives, processes))
        assert list(played.temporary.iterdir()) == []
    picture = (tmp_path / "demo.svg").read_text()
    assert picture.startswith("<svg")
    assert "promises" in picture


@pytest.mark.timeout(PATIENCE + STOP_SECONDS)
def test_a_promise_that_fails_makes_the_exit_status_1(tmp_path: Path) -> None:
    """The CTO's PagerDuty service refuses everything."""
    fault = {
        "service": "pagerduty",
        "kind": "status",
        "times": None,
        "status": 400,
        "target": _made_up_key("INCIDENTD_PAGERDUTY_ROUTING_KEY_CTO"),
    }
    with demo(tmp_path) as played:
        assert requests.post(f"{played.sandbox}/faults", json=fault, timeout=10).status_code == 204
        assert played.process.wait(PATIENCE) == 1, played.said
        assert "level 3 was never paged" in played.said
        assert re.search(r"level 2 was paged [\d.]+ s after the alert", played.said)
        assert "6 of 8 promises held." in played.said


@pytest.mark.timeout(PATIENCE + STOP_SECONDS)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(tmp_path: Path, how: signal.Signals) -> None:
    with demo(tmp_path, "--keep") as played:
        assert played.sandbox
        processes = family(played.process.pid)
        os.kill(played.process.pid, how)
        assert played.process.wait(STOP_SECONDS) == 130
        assert "nothing is left running" in played.said
        assert "Traceback" not in played.said
        assert not any(map(lives, processes))
        assert list(played.temporary.iterdir()) == []
