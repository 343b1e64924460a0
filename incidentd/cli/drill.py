"""``incidentd drill``: begin a drill, follow it, and say how long each step took."""

import sys
import time
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.text import Text

from incidentd.cli.instance import Instance, InstanceError
from incidentd.drill import MACHINE_ANSWER, whose
from incidentd.errors import IncidentdError, UsageError
from incidentd.process.log import escape
from incidentd.store.drills import Outcome, Step
from incidentd.tier import Tier
from incidentd.web.drill_schema import DrillJson, PlanJson, StepJson

_LOOK_SECONDS = 0.2
_TAKEN_SECONDS = 30.0
"""So soon some timekeeper takes a drill that was begun; each looks twice a second."""
_WORDS = {
    Step.SENT: "the alert was sent",
    Step.OPENED: "an incident was opened",
    Step.PAGE: "the page was accepted",
    Step.MESSAGE: "the messages were accepted",
    Step.ANSWER: "it was acknowledged",
    Step.ENDED: "the alert was ended",
    Step.CLOSED: "the incident was closed",
    Step.PAGE_CLOSED: "the page was resolved",
}
_WIDTH = max(map(len, _WORDS.values()))


class DrillError(IncidentdError):
    """The drill can't be begun from here, or nobody agreed to it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line asks for."""

    tier: str | None
    system: str | None
    name: str | None
    wait: int | None
    within: int | None
    acknowledge: bool
    yes: bool
    as_json: bool


def run(order: Order, instance: Instance) -> int:
    """Begin the drill, say each step as it happens, and return 0 if every one came in time, else 1.

    Raises:
        UsageError: the order makes no sense, or names what there isn't.
        DrillError: nobody agreed to it, or the API can't be used from here.
        InstanceError: incidentd can't be reached, or refuses the drill.
    """
    wanted = _wanted(order)
    if not instance.has_api:
        raise DrillError("INCIDENTD_API_TOKEN is not known here: a drill is begun and followed by the API")
    console = Console(stderr=order.as_json)
    _agree(order, instance.drill_plan(**wanted), console)
    drill = _Follower(instance, console, order).follow(instance.begin_drill(**wanted))
    if order.as_json:
        typer.echo(drill.model_dump_json(indent=2))
    return 0 if drill.outcome == Outcome.ACCEPTED else 1


def _wanted(order: Order) -> dict[str, str | int]:
    if (order.tier is None) == (order.name is None):
        raise UsageError("give --tier, such as --tier P1, or the --name of a drill in rules/drills.yaml")
    if order.name is not None and order.system is not None:
        raise UsageError("--system goes with --tier: a drill in rules/drills.yaml has its own")
    if order.tier is not None and order.tier.upper() not in tuple(Tier):
        raise UsageError(f"--tier {order.tier[:20]!r} is none of P0, P1, P2, P3")
    given = {
        "name": order.name,
        "tier": order.tier.upper() if order.tier else None,
        "system": order.system,
        "within": order.within,
        "answer": order.wait,
    }
    return {name: value for name, value in given.items() if value is not None}


def _agree(order: Order, plan: PlanJson, console: Console) -> None:
    """Say who will be told, and ask, where they are real."""
    answer = f"; somebody is to acknowledge within {plan.answer} s" if plan.answer and not order.acknowledge else ""
    _say(console, f"drill of {whose(plan.tier, plan.system or '')}{answer}", "bold")
    for each in plan.told:
        when = "at once" if each.level <= 1 else f"level {each.level}, if nobody answers in time"
        what = "pages" if each.pages else "posts to"
        _say(console, f"  {what} {each.destination} ({each.kind}{'' if each.real else ', the sandbox'}), {when}", "dim")
    if order.yes or not any(each.real for each in plan.told):
        return
    if not sys.stdin.isatty():
        raise DrillError("this tells real people: say --yes")
    if not typer.confirm("This tells real people. Go on?", err=order.as_json):
        raise DrillError("nothing was begun")


class _Follower:
    """Says what is new until nothing is left to be done."""

    def __init__(self, instance: Instance, console: Console, order: Order) -> None:
        self._instance = instance
        self._console = console
        self._order = order
        self._told: set[Step] = set()
        self._failure_told = False
        self._asked = False

    def follow(self, drill: DrillJson) -> DrillJson:
        """The drill once it has ended; or as it stands where nobody takes it."""
        end = time.monotonic() + _TAKEN_SECONDS
        while True:
            self._say_news(drill)
            if drill.ended_at is not None:
                self._sum_up(drill)
                return drill
            if not drill.steps and not drill.why and time.monotonic() > end and drill.waits_for is Step.SENT:
                _say(
                    self._console,
                    "✗ no timekeeper sends the alert: does a worker group run, and what is in its log?",
                    "bold red",
                )
                return drill
            self._act(drill)
            time.sleep(_LOOK_SECONDS)
            drill = self._look(drill)

    def _look(self, drill: DrillJson) -> DrillJson:
        """A part that restarts just now is no end of the drill."""
        end = time.monotonic() + _TAKEN_SECONDS
        while True:
            try:
                return self._instance.drill(drill.id)
            except InstanceError:
                if time.monotonic() > end:
                    raise
                time.sleep(1)

    def _say_news(self, drill: DrillJson) -> None:
        for step in Step:
            taken = next((each for each in drill.steps if each.step is step), None)
            if taken and step not in self._told:
                self._told.add(step)
                self._say_step(taken, drill)
            elif step == drill.failed and not self._failure_told:
                self._failure_told = True
                _say(self._console, f"✗ {_WORDS[step]:<{_WIDTH}}  failed: {drill.why}", "bold red")
                _say(self._console, f"  look at: {drill.look_at}", "")

    def _say_step(self, step: StepJson, drill: DrillJson) -> None:
        words = _WORDS[step.step]
        line = Text.assemble(("✓ ", "bold green"), f"{words:<{_WIDTH}}  ", (f"{step.ms:>8,} ms", "bold"))
        if step.note:
            machine = step.step is Step.ANSWER and step.note == MACHINE_ANSWER
            line.append(f"   {escape(step.note)}{', a machine' if machine else ''}", "dim")
        if step.step is Step.OPENED and drill.incident:
            line.append(f"   {self._instance.url}/incidents/{drill.incident}", "cyan")
        self._console.print(line, soft_wrap=True, highlight=False)

    def _act(self, drill: DrillJson) -> None:
        if drill.waits_for is not Step.ANSWER or drill.outcome != "running" or drill.incident is None or self._asked:
            return
        self._asked = True
        if self._order.acknowledge:
            self._instance.act(drill.incident, "acknowledge", actor=MACHINE_ANSWER)
            return
        _say(
            self._console,
            "● press Acknowledge now: in PagerDuty, on the card in Slack, or on the incident's page"
            f" ({drill.answer} s are left)",
            "bold cyan",
        )

    def _sum_up(self, drill: DrillJson) -> None:
        if drill.outcome == Outcome.ACCEPTED:
            _say(self._console, "The drill was accepted.", "bold green")
        else:
            failed = f" at: {_WORDS[drill.failed]}" if drill.failed else f": {drill.why}"
            _say(self._console, f"The drill failed{failed}.", "bold red")


def _say(console: Console, text: str, style: str) -> None:
    console.print(Text(escape(text), style), soft_wrap=True, highlight=False)
