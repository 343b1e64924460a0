"""The story: what is fired and pressed, in which order, and when a step of it is done."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from incidentd.alert import Alert
from incidentd.channels.slack_card import ACKNOWLEDGE
from incidentd.classify import DEFAULT_POLICY
from incidentd.cli.demo.evidence import Evidence
from incidentd.cli.demo.promise import CHAT, CORE, LATENESS, MONEY, PLAYED, WALLET
from incidentd.cli.demo.stage import Stage
from incidentd.incident.state import State
from incidentd.policy import Policy
from incidentd.sandbox.pagerduty import AlertState
from incidentd.tier import Tier

_SLACK_SECONDS = 15.0
_BREATH_SECONDS = 2.0
_LOOK_SECONDS = 0.15

Seen = Callable[[Evidence], object]


class Progress(Enum):
    """How far a step has come."""

    TO_COME = "to come"
    UNDER_WAY = "under way"
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True)
class Step:
    """One step. ``ends_after`` is when it should be done, in seconds from the beginning of the story."""

    text: str
    ends_after: float
    progress: Progress = Progress.TO_COME


def steps() -> list[Step]:
    """The story's steps, all still to come."""
    return [
        Step("P1: chat delivery fails in eu. Ben presses Acknowledge in Slack", 3),
        Step("P0: money flows crawl. Nobody answers: engineer, manager, CTO", 20),
        Step("Core API fails in eu, then in us as well: one incident, now a P0", 8),
        Step("The wallet recovers, and fires again in the hold-down: nobody is woken", 14),
        Step("All is well again. Each incident ends after its hold-down", 30),
    ]


@dataclass(slots=True)
class Story:
    """Plays on a stage. ``seen`` hears of everything new, several times a second."""

    stage: Stage
    steps: Sequence[Step]
    seen: Callable[[Evidence], None]
    evidence: Evidence = field(default_factory=Evidence)

    def play(self) -> Evidence:
        """All of it. What doesn't come in time is a step that failed; the story goes on.

        Returns what was seen at the end.

        Raises:
            StageError: incidentd ended.
        """
        chat_step, money_step, core_step, wallet_step, end_step = self.steps
        chat = self._chat(chat_step)
        money_step.progress = Progress.UNDER_WAY
        money = self.stage.fire(MONEY, "2400")
        self._until(lambda seen: seen.pages_of(MONEY, 1))
        core = self._core(core_step)
        wallet = self._wallet(wallet_step)
        self._top(money_step)
        self._end(end_step, [chat, money, *core, wallet])
        return self.evidence

    def _chat(self, step: Step) -> Alert:
        step.progress = Progress.UNDER_WAY
        alert = self.stage.fire(CHAT, "34", "eu")
        self._until(lambda seen: seen.pages_of(CHAT) and seen.card(CHAT))
        self.pause()
        self._press(CHAT, "ben.okoro")
        answered = self._until(lambda seen: _all_are(seen, CHAT, AlertState.ACKNOWLEDGED))
        step.progress = _ended(answered)
        return alert

    def _core(self, step: Step) -> tuple[Alert, Alert]:
        step.progress = Progress.UNDER_WAY
        first = self.stage.fire(CORE, "99.6", "eu")
        self._until(lambda seen: seen.pages_of(CORE) and seen.card(CORE))
        self.pause()
        second = self.stage.fire(CORE, "99.7", "us")
        joined = self._until(lambda seen: (course := seen.course(CORE)) and course.first("tier_rose"))
        self.pause()
        self._press(CORE, "chi.tanaka")
        step.progress = _ended(joined)
        return first, second

    def _wallet(self, step: Step) -> Alert:
        step.progress = Progress.UNDER_WAY
        alert = self.stage.fire(WALLET, "1.8")
        self._until(lambda seen: seen.pages_of(WALLET))
        self.pause()
        self.stage.end(alert)
        self._until(lambda seen: _state(seen, WALLET) is State.RECOVERING)
        self.pause()
        again = self.stage.fire(WALLET, "2.1")
        step.progress = _ended(self._until(lambda seen: _state(seen, WALLET) is State.TRIGGERED))
        return again

    def _top(self, step: Step) -> None:
        levels = self._policy.tiers[Tier.P0].levels
        climb = sum((level.duration for level in levels[:-1]), LATENESS)
        reached = self._until(lambda seen: seen.pages_of(MONEY, len(levels)), climb.total_seconds())
        self.pause()
        self._press(MONEY, "anna.berg")
        step.progress = _ended(reached)

    def _end(self, step: Step, alerts: Sequence[Alert]) -> None:
        step.progress = Progress.UNDER_WAY
        for alert in alerts:
            self.stage.end(alert)
        within = (self._policy.hold_down + LATENESS).total_seconds()
        over = self._until(
            lambda seen: (
                all(_state(seen, slo) is State.RESOLVED for slo in PLAYED)
                and all(_all_are(seen, slo, AlertState.RESOLVED) for slo in PLAYED)
            ),
            within,
        )
        step.progress = _ended(over)

    @property
    def _policy(self) -> Policy:
        return self.stage.rules.policies[DEFAULT_POLICY]

    def _press(self, slo: str, person: str) -> None:
        card = self.evidence.card(slo)
        if card is not None:
            self.stage.press(card, ACKNOWLEDGE, person)

    def _until(self, true: Seen, seconds: float = _SLACK_SECONDS) -> bool:
        """Whether it came true in time."""
        end = time.monotonic() + seconds
        while not true(self._look()):
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def pause(self, seconds: float = _BREATH_SECONDS) -> None:
        """Time for people to read."""
        self._until(lambda _: False, seconds)

    def _look(self) -> Evidence:
        self.evidence = self.stage.look()
        self.seen(self.evidence)
        return self.evidence


def _ended(done: object) -> Progress:
    return Progress.DONE if done else Progress.FAILED


def _state(evidence: Evidence, slo: str) -> State | None:
    course = evidence.course(slo)
    return course.incident.state if course else None


def _all_are(evidence: Evidence, slo: str, state: AlertState) -> bool:
    pages = evidence.pages_of(slo)
    return bool(pages) and all(page.state is state for page in pages)
