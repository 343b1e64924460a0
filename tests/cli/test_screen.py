"""The demo on a terminal: a live view below what is said, gone at the end."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from incidentd.classify import load
from incidentd.cli import demo
from incidentd.cli.demo.promise import promises
from incidentd.cli.demo.screen import Screen
from incidentd.cli.demo.story import Progress, steps
from incidentd.clock import ManualClock
from tests.cli.test_promise import GOOD, START

RULES = load(Path(demo.__file__).parent / "rules")


@pytest.mark.parametrize("height", [60, 24], ids=["tall", "small"])
def test_on_a_terminal_it_shows_steps_incidents_and_pages_and_sums_up(height: int, tmp_path: Path) -> None:
    console = Console(force_terminal=True, force_interactive=True, file=io.StringIO(), width=118, height=height)
    plan = steps()
    screen = Screen(console, ManualClock(START), plan)
    with screen:
        screen.begin([("pages", "http://127.0.0.1:1/")], {1: "engineer", 2: "manager"})
        plan[0].progress = Progress.UNDER_WAY
        screen.seen(GOOD)
        screen.seen(GOOD)
        screen.sum_up(promises(GOOD, RULES))
    screen.photograph(tmp_path / "demo.svg", promises(GOOD, RULES))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Ben presses Acknowledge" in shown
    assert "money-flow-latency" in shown
    assert ("pages accepted" in shown) == (height == 60)
    assert "8 of 8 promises held." in shown
    assert shown.count("firing_again") == 1
    assert "pages&#160;accepted" in (tmp_path / "demo.svg").read_text()


def test_elsewhere_it_says_plain_lines() -> None:
    console = Console(file=io.StringIO(), width=118)
    plan = steps()
    with Screen(console, ManualClock(START), plan) as screen:
        plan[0].progress = Progress.UNDER_WAY
        screen.seen(GOOD)
        plan[0].progress = Progress.FAILED
        screen.sum_up(promises(GOOD, RULES))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in shown
    assert "Acknowledge in Slack: under way" in shown
    assert "Acknowledge in Slack: failed" in shown
