"""Everything wired, once for each process."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from typing import cast

import structlog
import uuid_utils
from sqlalchemy.engine import Connection, Engine

from incidentd.admission import Admission
from incidentd.channels.channel import Destination
from incidentd.channels.drill_alert import Herald
from incidentd.channels.pagerduty_api import PagerDutyApi
from incidentd.channels.ping import Outsider
from incidentd.channels.registry import Means, make_channels
from incidentd.channels.slack import SlackChannel
from incidentd.channels.slack_directory import SlackDirectory
from incidentd.classify import DestinationSpec, Rules, load, run_examples
from incidentd.clock import Clock, SteadyClock, SystemClock
from incidentd.errors import NotFoundError, RefusedError, RulesError, SchemaError, StoreError, StoreUnavailableError
from incidentd.follower import Follower
from incidentd.incident.slot import PAGE, TELL
from incidentd.incident.state import Incident
from incidentd.jobs import ESCALATE, Enqueuer, EnqueueThread, Work
from incidentd.keyring import Keyring
from incidentd.lifecycle.answered import unwrapped
from incidentd.lifecycle.correction import Correction
from incidentd.lifecycle.degraded import Degraded
from incidentd.lifecycle.deliver import Sender
from incidentd.lifecycle.delivering import Delivering
from incidentd.lifecycle.direct import DirectPager
from incidentd.lifecycle.direct_settlement import DirectSettlement
from incidentd.lifecycle.drill import not_accepted
from incidentd.lifecycle.drillmaster import Drillmaster, Order, begun
from incidentd.lifecycle.heard import Heard
from incidentd.lifecycle.housekeeping import Housekeeper
from incidentd.lifecycle.keep_time import due
from incidentd.lifecycle.lookout import Lookout
from incidentd.lifecycle.outage import Outage
from incidentd.lifecycle.pace import Pace
from incidentd.lifecycle.page_folder import PageFolder
from incidentd.lifecycle.parcel import Packer
from incidentd.lifecycle.people import People
from incidentd.lifecycle.pulse import Pulse
from incidentd.lifecycle.react import Reactor
from incidentd.lifecycle.rulebook import Rulebook, take_at_hand, take_in_force
from incidentd.lifecycle.shadow import Reloaded, Shadow
from incidentd.lifecycle.silence import Silence
from incidentd.lifecycle.socket_standing import SocketStanding
from incidentd.lifecycle.stand_in import Patience
from incidentd.lifecycle.ticker import Ticker
from incidentd.lifecycle.unobserved import ObservingWatch
from incidentd.lifecycle.vouch import Voucher
from incidentd.lifecycle.work import Action, ActionResult, Complaint, Webhook
from incidentd.lifecycle.write import HEAVIEST, Answer, Item, Writer, weight
from incidentd.meter import Meter
from incidentd.meter.meter import REFUSED, TAKEN
from incidentd.process.failpoint import arm
from incidentd.process.group_commit import GroupCommit
from incidentd.process.spool import Spool
from incidentd.reaction import Reaction
from incidentd.sentence import sentence
from incidentd.session import session_secret
from incidentd.settings import Settings
from incidentd.store import cycles, drills
from incidentd.store.drills import Drill
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import check
from incidentd.store.server_clock import ServerClock
from incidentd.store.stopwatch import time_statements
from incidentd.timeline import MACHINE, Entry
from incidentd.truth import Truth

BEAT_SECONDS = 0.5
LET_ALONE_SECONDS = 60.0

log = structlog.get_logger("incidentd")


class Runtime:
    """The use cases of one process. ``close`` finishes what is under way."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], clock: Clock | None = None, *, patient: bool = False
    ) -> None:
        """Open the database and take the table in force; nothing is migrated here.

        ``patient``: a PostgreSQL that can't be reached is waited for. Until then P0s are paged directly, by the table
        in the directory.

        Raises:
            SchemaError: the database is not of this version.
            StoreUnavailableError: it can't be reached.
            RulesError: there is no table in force yet, and the one in the directory is unsound.
        """
        arm(settings.failpoint)
        self.settings = settings
        self.meter = Meter(environ)
        engine = open_engine(settings.database_url)
        self.is_away = not _is_there(engine, patient=patient and engine.dialect.name == "postgresql")
        time_statements(engine, self.meter.statements.observe)
        self.store = Store(engine, entry=check if self.is_away else None)
        self.store.open_all()
        self._server_clock = ServerClock(self.store, SystemClock()) if engine.dialect.name == "postgresql" else None
        self._steady_clock = SteadyClock(self._server_clock or SystemClock())
        self.clock: Clock = clock or self._steady_clock
        self.rulebook = Rulebook(
            self.store, (take_at_hand if self.is_away else take_in_force)(self.store, settings.rules, self.clock.now())
        )
        self.enqueuer = Enqueuer(settings.redis_url, meter=self.meter)
        self._enqueue_thread = EnqueueThread(self.enqueuer)
        means = Means(self.clock.now, settings.pagerduty_events_url, settings.slack_api_url)
        self._channels = make_channels(means)
        self._keyring = Keyring(settings, environ)
        self.admission = Admission(settings, environ)
        self.meter.know_sources(self.admission.names)
        self._mark = timedelta(seconds=settings.mark_deliver_seconds)
        self._pace = Pace(timedelta(seconds=settings.lease_seconds), self._mark, settings.http_seconds)
        self._packer = Packer(self.rulebook, self._keyring.destination, settings.base_url)
        self.direct = self._make_direct_pager()
        self._pulse = Pulse(self.rulebook)
        self.truth = Truth(
            settings, self.store, self.rulebook, self.clock.now, new_id, self._mark, self._hand_over, self.meter
        )
        self.shadow = Shadow(settings.shadow_rules, self.store, self.rulebook, self.clock.now, self.meter)
        self._writer = self._make_writer()
        self.reactor = self._make_reactor()
        # One sender each: a page never waits behind a Slack post, not even where one process does it all.
        self._senders = {queue: self._make_sender() for queue in (PAGE, TELL)}
        self._ticker = Ticker(
            self.store, self.rulebook, self.clock.now, self._mark, self._hand_over, self.complain, self.meter
        )
        self._escalate_mark = timedelta(seconds=self.settings.mark_escalate_seconds)
        self._observing = ObservingWatch(self.store, self.rulebook, self._escalate_mark)
        self._silence = Silence(self.store, self.rulebook, self.clock, new_id, self._mark, self._hand_over, self.meter)
        self._silence_again_at = 0.0
        self._outage = Outage(self.store, self.rulebook, self.clock, new_id, self._mark, self._hand_over, self.meter)
        self._patience = Patience(self.store, self.rulebook, self.clock, self._mark, self._hand_over)
        self._delivering = Delivering(self.store, self.clock.now)
        self.slack_socket = SocketStanding(self.clock.now)
        self.lookout = Lookout(
            self.store,
            self.rulebook,
            self.clock,
            self.enqueuer.answers,
            lambda: self._steady_clock.jump,
            lambda: self.slack_socket.away,
        )
        self.drillmaster = self._make_drillmaster(environ)
        self._voucher = self._make_voucher()
        self._housekeeper = self._make_housekeeper()
        self._beaten_at = 0.0
        self._follower = Follower(
            self.rulebook,
            self.admission,
            self._server_clock,
            self._steady_clock,
            Correction(self.store, self.rulebook, self.clock.now, self._mark, self._pace.lease, self._hand_over),
            self._pulse,
            self.clock.now,
            self.submit_webhook,
            self.truth.hearing.store,
            self.meter,
        )

    def wind_down(self) -> None:
        """Begin to send nothing more. Waits for nothing, and may be called from a signal handler."""
        for sender in self._senders.values():
            sender.wind_down()

    def close(self) -> None:
        """Finish what is on its way; begin nothing new."""
        self.drillmaster.close()
        if self._voucher:
            self._voucher.close()
        if self._housekeeper:
            self._housekeeper.close()
        self.truth.close()
        for sender in self._senders.values():
            sender.close()
        self.lookout.close()
        self.direct.close()
        self.reactor.close()
        self._writer.close()
        self.shadow.close()
        self._enqueue_thread.close()
        self._follower.close()
        self.enqueuer.close()
        self.store.close()

    # What the web asks for.

    def submit_webhook(self, webhook: Webhook) -> "Future[bool]":
        """Store a notification with all others that wait; done once it is committed. Whether it brought any news.

        Raises:
            StoreUnavailableError: too much waits already. The future raises it when the database can't be written.
        """
        return cast("Future[bool]", self._writer.submit(webhook))

    def page_directly(self, webhook: Webhook) -> None:
        """Page the P0s of a notification that can't be stored, all the same. Never blocks."""
        self.direct.page(self._pulse.without_signs(webhook))

    def submit_heartbeat(self, name: str, source: str) -> "Future[bool]":
        """Store a sign of life of a job; done once it is committed, or was so moments ago.

        Raises:
            NotFoundError: the rules expect no job of this name to report.
            StoreUnavailableError: as ``submit_webhook``.
        """
        spec = self.rulebook.in_force.heartbeats.get(name)
        if spec is None or spec.matchers:
            raise NotFoundError("there is no such heartbeat")
        return self.submit_webhook(Webhook((), source, signs=(name,)))

    def submit_action(self, action: Action) -> "Future[ActionResult]":
        """Carry out a command; the future raises RefusedError or NotFoundError where the model does."""
        return unwrapped(self._writer.submit(action))

    def submit_reaction(self, reaction: Reaction) -> "Future[bool]":
        """Keep what was done to a page, to be carried out then. False: it was told before.

        Raises:
            StoreUnavailableError: too much waits already. The future raises it when the database can't be written.
        """
        return self.reactor.submit(reaction)

    @property
    def rules(self) -> Rules:
        """The table in force."""
        return self.rulebook.in_force

    @property
    def shadow_rules(self) -> Rules | None:
        """The table that is tried beside the one in force; None without one."""
        return self.shadow.rules

    def destination(self, spec: DestinationSpec) -> Destination | None:
        """A destination with its secrets; None where one is missing."""
        return self._keyring.destination(spec)

    def begin_drill(self, order: Order) -> Drill:
        """Keep a drill that a person begins: a timekeeper runs it.

        Raises:
            RefusedError: another one goes on.
            StoreUnavailableError: the database can't be written now.
        """
        drill = begun(order, new_id(), self.clock.now())

        def insert(tx: Connection) -> None:
            if drills.under_way_by_hand(tx):
                raise RefusedError("drill_under_way", "another drill that was begun by hand goes on")
            drills.insert(tx, drill)

        self.store.write(insert)
        return drill

    def reload(self) -> Reloaded:
        """Read the rules directory anew and put it in force for every process; then the shadow's.

        Raises:
            RulesError: the table is unsound; the one in force stays.
        """
        try:
            rules = self._put_in_force()
        finally:
            shadow = self.shadow.reload()
        failed = (each.difference for each in run_examples(rules) if not each.holds)
        return Reloaded(rules.version, tuple(str(fault) for fault in (*rules.warnings, *failed)), shadow)

    def _put_in_force(self) -> Rules:
        try:
            rules = load(self.settings.rules)
            self.rulebook.put_in_force(rules, self.clock.now())
        except Exception as error:
            self.meter.reloads.add(REFUSED)
            cause = str(error) if isinstance(error, RulesError) else type(error).__name__
            log.warning("rules_refused", in_force=self.rulebook.in_force.version, cause=cause)
            raise
        self.meter.reloads.add(TAKEN)
        log.info("rules_in_force", version=rules.version)
        return rules

    def sentences(self, incident: Incident, entries: Sequence[Entry]) -> list[str]:
        """The timeline in words."""
        people = self.rulebook.version(incident.version).people
        names = {level: person.name for level, person in people.items()}
        return [sentence(entry, names) for entry in entries]

    def level_names(self, incident: Incident) -> dict[int, str]:
        """Who stands at each level under the table of this incident's round."""
        people = self.rulebook.version(incident.version).people
        return {level: person.name for level, person in people.items()}

    def is_storing(self) -> bool:
        """Whether a webhook could be stored now."""
        try:
            self.store.write(lambda tx: cycles.touch(tx, self.clock.now()))
        except (StoreError, SchemaError):
            return False
        return True

    def is_delivering(self) -> tuple[bool, str]:
        """Whether a timekeeper completes a *new* cycle now and nothing is overdue; else why not. Takes up to 3 s."""
        return self._delivering.is_well()

    def degraded(self) -> tuple[Degraded, ...]:
        """What of all that is needed is missing now, the worst first. Never waits."""
        return self.lookout.degraded

    def whisper(self, channel: str, user: str, text: str) -> None:
        """Tell one Slack user something, as well as it goes; never blocks."""
        threading.Thread(target=self._whisper, args=(channel, user, text), name="whisper", daemon=True).start()

    @property
    def session_secret(self) -> bytes:
        """What sign-in links and sessions are signed with."""
        return session_secret(self.settings)

    # What the workers ask for.

    def tick(self, ids: Sequence[str]) -> None:
        """Let time act on these incidents."""
        with self._timed(ESCALATE):
            self._ticker.tick(ids)

    def deliver_pages(self, ids: Sequence[str]) -> None:
        """Send what these incidents' pages lack."""
        with self._timed(PAGE):
            self._senders[PAGE].deliver(PAGE, ids)

    def deliver_tells(self, ids: Sequence[str]) -> None:
        """Send what all other destinations of these incidents lack."""
        with self._timed(TELL):
            self._senders[TELL].deliver(TELL, ids)

    def due(self) -> Work:
        """Find and mark what is due now."""
        now = self.clock.now()
        work = due(self.store, now, self._escalate_mark, self._mark)
        try:
            if enforced := self._observing.look(now):
                work = {**work, ESCALATE: [*work.get(ESCALATE, ()), *enforced]}
            self._look_for_silence()
            self._look_for_outages()
            self._patience.look()
        except StoreError:
            # What is marked is to be done all the same.
            self._hand_over(work)
            raise
        return work

    def beat(self) -> None:
        """Record that a cycle ran to its end; at most twice a second."""
        if time.monotonic() - self._beaten_at >= BEAT_SECONDS:
            self._beaten_at = time.monotonic()
            name = f"timekeeper-{id(self)}"
            self.store.write(lambda tx: cycles.beat(tx, name, self.clock.now()))
        self.drillmaster.begin()
        if self._voucher:
            self._voucher.begin()
        if self._housekeeper:
            self._housekeeper.begin()
        self.truth.begin()

    def _remember(self, heard: Iterable[Heard]) -> None:
        stored = list(heard)
        self.direct.remember(stored)
        self.truth.note(stored)

    def _look_for_silence(self) -> None:
        if time.monotonic() < self._silence_again_at:
            return
        try:
            self._silence.look()
        except StoreError:
            raise
        except Exception:
            log.exception("heartbeats_failed")
            self._silence_again_at = time.monotonic() + LET_ALONE_SECONDS
            self.complain(Complaint("heartbeats", "expected heartbeats can't be watched: see the log"))

    def _look_for_outages(self) -> None:
        try:
            self._outage.look()
        except StoreError:
            raise
        except Exception:
            log.exception("outages_failed")

    @contextmanager
    def _timed(self, queue: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.meter.jobs.observe(time.perf_counter() - began, queue)

    def _make_writer(self) -> GroupCommit[Item, Answer]:
        writer = Writer(
            self.store,
            self.rulebook,
            self.clock.now,
            new_id,
            self._mark,
            self._hand_over,
            self.meter,
            self._remember,
            self._pulse,
            self.shadow.compare,
        )
        return GroupCommit(writer.together, weigh=weight, heaviest=HEAVIEST, name="writer")

    def _make_direct_pager(self) -> DirectPager:
        folder = PageFolder(Spool(self.settings.spool))
        settlement = DirectSettlement(
            self.store,
            self.rulebook,
            folder,
            self.clock.now,
            self.submit_webhook,
            self._hand_over,
            self._pace.lease,
            self._pace.mark,
        )
        return DirectPager(
            settlement, self.rulebook, self._packer, self._channels, folder, self.clock.now, self.meter, self._pace
        )

    def _make_reactor(self) -> Reactor:
        settings, now = self.settings, self.clock.now
        rest, bot = settings.pagerduty_api_token, settings.slack_bot_token
        api = PagerDutyApi(rest.get_secret_value(), settings.pagerduty_api_url) if rest else None
        slack = SlackDirectory(bot.get_secret_value(), settings.slack_api_url, now) if bot else None
        people = People(api.email if api else None, slack.name if slack else None)
        return Reactor(self.store, now, self.submit_action, people, api.alert_keys if api else None, self.meter)

    def _make_voucher(self) -> Voucher | None:
        settings = self.settings
        if settings.heartbeat_url is None:
            return None
        return Voucher(
            Outsider(settings.heartbeat_url.get_secret_value()),
            timedelta(seconds=settings.heartbeat_seconds),
            settings.http_seconds,
            self.store,
            self.clock.now,
            self._may_vouch,
            self.meter,
        )

    def _make_housekeeper(self) -> Housekeeper | None:
        if self.settings.prune == "off":
            return None
        keep = timedelta(days=self.settings.retention_days)
        return Housekeeper(self.store, self.clock.now, lambda: self._steady_clock.jump is not None, keep)

    def _make_drillmaster(self, environ: Mapping[str, str]) -> Drillmaster:
        settings, sources = self.settings, self.settings.sources()
        # Where it listens counts before where people reach it: a proxy may keep webhooks out.
        listens = {"INCIDENTD_LISTEN", "INCIDENTD_LISTEN_FILE"} & environ.keys() or not settings.public_url
        own = [settings.local_url] if listens else []
        return Drillmaster(
            self.store,
            self.rulebook,
            self.clock.now,
            time.monotonic,
            new_id,
            self._mark,
            Herald(
                settings.alertmanagers(),
                settings.alertmanager_token.get_secret_value() if settings.alertmanager_token else None,
                [*own, *filter(None, [settings.public_url])],
                sources[0].tokens[-1] if sources else None,
            ),
            settings.http_seconds,
            settings.base_url,
            self._hand_over,
            self.meter,
        )

    def _may_vouch(self) -> tuple[bool, str]:
        """Whether pages get out now, and each of the rules' drills was accepted the last time; else why not."""
        fine, why = self._delivering.gets_out()
        if not fine:
            return fine, why
        names = list(self.rulebook.in_force.drills)
        bad = not_accepted(self.store.read(lambda tx: drills.last(tx, names)))
        return not bad, bad or "ok"

    def _make_sender(self) -> Sender:
        return Sender(
            self.store,
            self.rulebook,
            self._packer,
            self._channels,
            self.clock.now,
            new_id,
            self._pace,
            self._hand_over,
            self.meter,
        )

    def _hand_over(self, work: Work) -> None:
        self._enqueue_thread.put(work)

    def complain(self, complaint: Complaint) -> None:
        """Something of our own is wrong: an incident says so."""
        self.submit_webhook(Webhook((), MACHINE, (complaint,)))

    def _whisper(self, channel: str, user: str, text: str) -> None:
        slack, token = self._channels["slack"], self.settings.slack_bot_token
        if isinstance(slack, SlackChannel) and token:
            destination = Destination(name="whisper", kind="slack", secret=token.get_secret_value())
            heard = slack.whisper(destination, channel, user, text, self.settings.http_seconds)
            log.info("whisper", accepted=heard)


def _is_there(engine: Engine, *, patient: bool) -> bool:
    try:
        check(engine)
    except StoreUnavailableError:
        if not patient:
            raise
        log.warning("database_away", meaning="P0s are paged directly, all else waits")
        return False
    return True


def new_id() -> str:
    """A UUIDv7 (RFC 9562): sorts by the time of its making."""
    return str(uuid_utils.uuid7())
