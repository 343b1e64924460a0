"""How the story looks: on a terminal a live view below the timeline, elsewhere plain lines."""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from incidentd.cli.demo.evidence import Course, Evidence, Page
from incidentd.cli.demo.promise import Promise
from incidentd.cli.demo.story import Progress, Step
from incidentd.clock import Clock
from incidentd.incident.state import State
from incidentd.process.log import escape
from incidentd.sandbox.pagerduty import AlertState
from incidentd.tier import Tier
from incidentd.web.schema import EntryJson

_TIERS = {Tier.P0: "bold white on red3", Tier.P1: "bold black on dark_orange", Tier.P2: "bold black on yellow3"}
_STATES = {State.TRIGGERED: "red", State.ACKNOWLEDGED: "yellow", State.RECOVERING: "cyan", State.RESOLVED: "green"}
_PAGES = {AlertState.TRIGGERED: "red", AlertState.ACKNOWLEDGED: "yellow", AlertState.RESOLVED: "green"}
_MARKS = {
    Progress.TO_COME: ("○", "dim"),
    Progress.UNDER_WAY: ("●", "bold cyan"),
    Progress.DONE: ("✓", "bold green"),
    Progress.FAILED: ("✗", "bold red"),
}
_LOUD = frozenset({"opened", "level", "round", "tier_rose", "unanswered", "response_missed"})
_CALM = frozenset({"acknowledged", "taken_over", "recovering", "resolved", "firing_again"})
_TALL = 34
_PICTURE_WIDTH = 116
_PICTURE_LINES = 14
_PICTURE_HEIGHT = 60
_FRAMES = 8


class Screen:
    """Shows steps, incidents and pages as they stand, and says each timeline entry once."""

    def __init__(self, console: Console, clock: Clock, steps: Sequence[Step]) -> None:
        self._console = console
        self._clock = clock
        self._steps = steps
        self._begun_at = clock.monotonic()
        self._evidence = Evidence()
        self._told: dict[str, int] = {}
        self._shown: dict[int, Progress] = {}
        self._lines: list[Text] = []
        self._addresses: list[tuple[str, str]] = []
        self._people: Mapping[int, str] = {}
        self._paged = 0
        self._climax: RenderableType = Text()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_interactive:
            self._live = Live(
                get_renderable=self._view, console=self._console, refresh_per_second=_FRAMES, transient=True
            )
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The live view goes; what was said stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def begin(self, addresses: Sequence[tuple[str, str]], people: Mapping[int, str]) -> None:
        """The story begins: say where it can be watched. ``people`` names who stands at each level."""
        self._people = people
        self._begun_at = self._clock.monotonic()
        self._addresses = list(addresses)
        for name, url in addresses:
            self._console.print(Text.assemble((f"{name:<11}", "bold"), (url, "cyan")), soft_wrap=True)
        self._console.print()

    def seen(self, evidence: Evidence) -> None:
        """Say what is new, and show what is."""
        self._evidence = evidence
        self._say_steps()
        paged = len(evidence.pages)
        news = [(entry, course) for course in evidence.courses for entry in self._news(course)]
        for entry, course in sorted(news, key=lambda each: each[0].at):
            self._say(_told(entry, course))
        if paged > self._paged:
            self._paged, self._climax = paged, self._snapshot()

    def sum_up(self, promises: Sequence[Promise]) -> None:
        """What was proved, in place of the live view."""
        self.close()
        self._say_steps()
        self._console.print(Padding(_summary(promises), (1, 0)))

    def photograph(self, file: Path, promises: Sequence[Promise]) -> None:
        """A picture, in SVG: the screen when the last page had come, and the sum at the end."""
        camera = Console(record=True, width=_PICTURE_WIDTH, height=_PICTURE_HEIGHT, file=io.StringIO())
        camera.print(self._climax)
        camera.print(Padding(_summary(promises), (1, 0, 0, 0)))
        camera.save_svg(str(file), title="incidentd demo")

    def _say_steps(self) -> None:
        """On a terminal the view shows them."""
        for number, step in enumerate(self._steps):
            known = self._shown.get(number, Progress.TO_COME)
            if known is not step.progress:
                self._shown[number] = step.progress
                if not self._console.is_interactive:
                    self._console.print(f"-- {step.text}: {step.progress.value}", soft_wrap=True, highlight=False)

    def _news(self, course: Course) -> list[EntryJson]:
        told = self._told.get(course.incident.id, 0)
        new = [each for each in course.entries if each.number > told]
        self._told[course.incident.id] = max([told, *(each.number for each in new)])
        # That Slack took a message is no news to whoever watches pages.
        return [each for each in new if each.kind != "accepted" or each.data.get("paged")]

    def _say(self, line: Text) -> None:
        self._lines.append(line)
        self._console.print(line, soft_wrap=True, highlight=False)

    def _snapshot(self) -> RenderableType:
        """The screen as it is, to be printed later: what it is made of goes on changing."""
        said = [Text.assemble(each, no_wrap=True, overflow="ellipsis") for each in self._lines[-_PICTURE_LINES:]]
        return Group(*said, Rule(style="dim"), self._board(tall=True), self._bar())

    def _view(self) -> RenderableType:
        return Group(Rule(style="dim"), self._board(tall=self._console.height >= _TALL), self._bar())

    def _board(self, *, tall: bool) -> RenderableType:
        parts: list[RenderableType] = [_steps(self._steps), Text(), self._incidents()]
        if tall:
            parts += [Text(), _pages(self._evidence.pages)]
        return Group(*parts)

    def _incidents(self) -> Table:
        table = _table("#", "tier", "objective", "state", "level", "who has it", "next")
        now = self._clock.now()
        for course in self._evidence.courses:
            incident = course.incident
            table.add_row(
                str(incident.number),
                _tier(incident.tier),
                _objective(course),
                Text(incident.state, _STATES[incident.state]),
                str(incident.level),
                incident.acknowledged_by or Text("nobody yet", "dim"),
                _next(course, now, self._people),
            )
        if not self._evidence.courses:
            table.add_row("", "", Text("all calm", "dim"))
        return table

    def _bar(self) -> RenderableType:
        """As far as the clock says, but never beyond a step that is still to be done."""
        total = self._steps[-1].ends_after
        elapsed = self._clock.monotonic() - self._begun_at
        open_ends = [step.ends_after for step in self._steps if step.progress in (Progress.TO_COME, Progress.UNDER_WAY)]
        done = min([elapsed, *open_ends]) if self._addresses else 0.0
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(justify="right", width=20)
        what = "starting incidentd" if not self._addresses else f"{_minutes(total - done)} left"
        bar.add_row(ProgressBar(total=total, completed=done, pulse=not self._addresses), Text(what, "dim"))
        return bar


def _told(entry: EntryJson, course: Course) -> Text:
    style = "" if entry.kind in _LOUD else "green" if entry.kind in _CALM else "dim"
    line = Text.assemble((f"{entry.at:%H:%M:%S} ", "dim"), (f"#{course.incident.number} ", "bold"))
    line.append_text(_tier(course.incident.tier))
    line.append(f" {_objective(course)}  ", "bold" if entry.kind in _LOUD else "")
    return line.append(escape(entry.sentence), style)


def _steps(steps: Sequence[Step]) -> Table:
    table = Table.grid(padding=(0, 1))
    for step in steps:
        mark, style = _MARKS[step.progress]
        table.add_row(Text(mark, style), Text(step.text, "dim" if step.progress is Progress.TO_COME else ""))
    return table


def _pages(pages: Sequence[Page]) -> Table:
    table = _table("pages accepted", "service of", "summary", "state")
    for page in pages:
        summary = Text(escape(page.summary.rpartition(" (")[0]), no_wrap=True, overflow="ellipsis")
        table.add_row(
            f"{page.at:%H:%M:%S}.{page.at.microsecond // 1000:03}",
            page.who,
            summary,
            Text(page.state, _PAGES[page.state]),
        )
    return table


def _summary(promises: Sequence[Promise]) -> RenderableType:
    table = _table("", "what was proved", "measured")
    for each in promises:
        mark, style = _MARKS[Progress.DONE if each.held else Progress.FAILED]
        table.add_row(Text(mark, style), each.text, Text(each.measured, "" if each.held else "bold red"))
    held = sum(each.held for each in promises)
    verdict = Text(f"{held} of {len(promises)} promises held.", "bold green" if held == len(promises) else "bold red")
    return Group(table, Text(), verdict)


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for header in headers:
        table.add_column(header)
    return table


def _tier(tier: Tier) -> Text:
    return Text(f" {tier} ", _TIERS.get(tier, "bold"))


def _objective(course: Course) -> str:
    regions = ", ".join(course.incident.scope)
    return f"{course.incident.slo} in {regions}" if regions else course.incident.slo


def _next(course: Course, now: datetime, people: Mapping[int, str]) -> str:
    """What time alone will bring."""
    if course.incident.state is State.RECOVERING:
        return _in("resolved", _instant(course.last("recovering"), "hold_until"), now)
    if course.incident.state is not State.TRIGGERED:
        return ""
    clocked = [each for each in course.entries if each.data.get("next_at")]
    who = people.get(course.incident.level + 1)
    return _in(who, _instant(clocked[-1], "next_at"), now) if who and clocked else "everybody is told"


def _instant(entry: EntryJson | None, name: str) -> datetime | None:
    text = entry.data.get(name) if entry else None
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def _in(what: str, at: datetime | None, now: datetime) -> str:
    return f"{what} in {max(0, round((at - now).total_seconds()))} s" if at else ""


def _minutes(seconds: float) -> str:
    return f"{int(max(0.0, seconds)) // 60}:{int(max(0.0, seconds)) % 60:02}"
