"""The command: set the stage, play the story, say what it proved."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from incidentd.cli.demo.promise import promises
from incidentd.cli.demo.screen import Screen
from incidentd.cli.demo.stage import Stage, stage
from incidentd.cli.demo.story import Story, steps
from incidentd.clock import Clock

INTERRUPTED = 130
_PLAIN_WIDTH = 120


def run(environ: Mapping[str, str], clock: Clock, *, keep: bool = False, record: Path | None = None) -> int:
    """Play it. Returns 0 when every promise held, 1 when not, 130 after Ctrl-C. Leaves no process behind.

    ``keep`` leaves all running until Ctrl-C; ``record`` names a file for a picture of the end, in SVG.

    Raises:
        StageError: incidentd did not start, or ended in the middle.
    """
    console = Console() if Console().is_interactive else Console(width=_PLAIN_WIDTH)
    with _interruptible():
        try:
            return _run(console, environ, clock, keep=keep, record=record)
        except KeyboardInterrupt:
            console.print("Ended; nothing is left running.")
            return INTERRUPTED


def _run(console: Console, environ: Mapping[str, str], clock: Clock, *, keep: bool, record: Path | None) -> int:
    plan = steps()
    screen = Screen(console, clock, plan)
    console.print("incidentd, on a policy of seconds, with a sandbox in place of PagerDuty and Slack.")
    with screen, stage(clock, environ) as on:
        screen.begin(_addresses(on), {level: each.name for level, each in on.rules.people.items()})
        story = Story(on, plan, screen.seen)
        proved = promises(story.play(), on.rules)
        screen.sum_up(proved)
        if record is not None:
            screen.photograph(record, proved)
        if keep:
            _keep(console)
    return 0 if all(each.held for each in proved) else 1


def _keep(console: Console) -> None:
    console.print("It goes on running, to look around. Ctrl-C ends it.")
    while True:
        time.sleep(1)


def _addresses(on: Stage) -> list[tuple[str, str]]:
    return [("pages", on.pages_url), ("sandbox", f"{on.sandbox_url}/")]


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does; either counts once, so that the end itself is not cut off."""

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
