"""What every process follows by itself: the rules, the tokens, the database's clock, and its own clock's course."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta

import structlog

from incidentd.admission import Admission
from incidentd.clock import SteadyClock
from incidentd.errors import SettingsError, StoreError
from incidentd.lifecycle.correction import Correction
from incidentd.lifecycle.pulse import Pulse
from incidentd.lifecycle.rulebook import Rulebook
from incidentd.lifecycle.work import Complaint, Webhook
from incidentd.meter import Meter
from incidentd.process.log import conceal
from incidentd.store.server_clock import ServerClock
from incidentd.timeline import MACHINE

FOLLOW_SECONDS = 0.5

log = structlog.get_logger("incidentd")


class Follower:
    """A thread that begins at once; ``close`` ends it."""

    def __init__(
        self,
        rulebook: Rulebook,
        admission: Admission,
        server_clock: ServerClock | None,
        steady_clock: SteadyClock,
        correction: Correction,
        pulse: Pulse,
        now: Callable[[], datetime],
        submit: Callable[[Webhook], "Future[bool]"],
        store_hearing: Callable[[], None],
        meter: Meter,
    ) -> None:
        self._rulebook = rulebook
        self._admission = admission
        self._server_clock = server_clock
        self._steady_clock = steady_clock
        self._correction = correction
        self._pulse = pulse
        self._now = now
        self._submit = submit
        self._store_hearing = store_hearing
        self._meter = meter
        self._jump: timedelta | None = None
        self._leap: timedelta | None = None
        self._begins = True
        self._storing: Future[bool] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follow no more; waits for the step under way."""
        self._stopping.set()
        self._thread.join()

    def _follow(self) -> None:
        """Every process follows a reload within a second (model 37), and the database's clock; each by itself."""
        steps = (
            self._follow_rules,
            self._follow_sources,
            self._follow_clock,
            self._watch_clock,
            self._correct_deadlines,
            self._store_pulse,
            self._store_hearing,
        )
        while not self._stopping.wait(FOLLOW_SECONDS):
            for step in steps:
                try:
                    step()
                except StoreError as error:
                    log.warning("not_following", step=step.__name__, cause=type(error).__name__)
                except Exception:
                    log.exception("not_following", step=step.__name__)

    def _follow_rules(self) -> None:
        if self._rulebook.refresh():
            log.info("rules_followed", version=self._rulebook.in_force.version)

    def _follow_sources(self) -> None:
        """A token is replaced without a restart; a file that is unsound changes nothing, and an incident says so."""
        try:
            sources = self._admission.refresh()
        except SettingsError as error:
            log.warning("webhook_tokens_refused", cause=str(error))
            self._complain(Complaint("webhook_tokens", "the file of webhook tokens is unsound: those read before stay"))
            return
        if sources is not None:
            conceal(token for source in sources for token in source.tokens)
            self._meter.know_sources(self._admission.names)
            log.info("webhook_tokens_in_force", sources=list(self._admission.names))

    def _follow_clock(self) -> None:
        if self._server_clock:
            self._server_clock.refresh()

    def _watch_clock(self) -> None:
        """A jump of the clock is an incident: until it is believed, nothing climbs by it (model 40)."""
        self._steady_clock.now()
        jump, known = self._steady_clock.jump, self._jump
        self._jump = jump
        if jump is not None and known is None:
            detail = f"the clock jumped by {jump.total_seconds():.0f} s against its own course"
            self._complain(Complaint("clock", detail))

    def _correct_deadlines(self) -> None:
        """At the start, as the clock may have gone back before it, and whenever it has (model 40)."""
        leap = self._steady_clock.leap() or self._leap
        back = -leap if leap is not None and leap < timedelta(0) else None
        if self._begins or back is not None:
            self._leap = leap
            self._correction.correct(back)
            self._begins, self._leap = False, None

    def _store_pulse(self) -> None:
        """Signs of life that came soon after others are stored together, one flight at a time."""
        if self._pulse.waits(self._now()) and (self._storing is None or self._storing.done()):
            self._storing = self._submit(Webhook((), MACHINE))

    def _complain(self, complaint: Complaint) -> None:
        self._submit(Webhook((), MACHINE, (complaint,)))
