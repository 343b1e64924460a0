"""All that a process counts and times. Made once for each process, with a registry of its own."""

from collections.abc import Iterable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.metrics_core import Metric

from incidentd.classify.kind import KINDS
from incidentd.meter.folder import join, summed
from incidentd.meter.series import OTHER, Counters, Histograms, Values
from incidentd.source import ONLY_SOURCE
from incidentd.tier import Tier

NEWS, REPEAT, NOT_UNDERSTOOD = "news", "repeat", "not_understood"
"""What an alert can come to."""
TAKEN, REFUSED = "taken", "refused"
"""What a reload of the rules can come to."""
PINGED, FAILED, WITHHELD = "accepted", "failed", "withheld"
"""What telling an outsider that all is well can come to."""
DONE, UNCHANGED, LATE, IGNORED, FOREIGN, GAVE_UP = "done", "unchanged", "late", "ignored", "foreign", "gave_up"
"""What something that was done in PagerDuty can come to, beside being refused."""
OPENED, ACKNOWLEDGED = "opened", "acknowledged"
"""What becomes of a connection of Slack's Socket Mode, and of what comes over it, beside failing."""
DRILLED = ("accepted", "failed", "missed")
"""What a drill can come to."""
DRILL_STEPS = ("sent", "opened", "page", "message", "answer", "ended", "closed", "page closed")
CLOSED, TOLD, SILENCED, UNSILENCED, ASKED = "closed", "opened", "silenced", "unsilenced", "asked"
"""What a comparison with Alertmanager, or its absence, can lead to."""
SKIPPED = "skipped"
SHADOWED = ("same", "more_urgent", "less_urgent", "told", "incident", "row", FAILED, SKIPPED)
"""What the shadow table can say of an alert that the table in force has judged."""
STATEMENTS = ("select", "insert", "update", "delete")
COMMIT = "commit"
"""The verbs of statements, and what ends a transaction that writes."""

CUT_OFF = ("400", "408", "431")
"""What a request is answered with that is cut off before it is whole; 400: it is no HTTP."""

_ANSWERS = ("200", "400", "401", "405", "413", "415", "503")
_TOLD = ("202", "401", "413", "503")
_REACTIONS = (DONE, UNCHANGED, REFUSED, LATE, IGNORED, FOREIGN, GAVE_UP)
_OUTCOMES = ("accepted", "silent", "failed", "gave_up")
_QUEUES = ("page", "escalate", "tell")

_ACCEPTANCE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_LATENESS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DRILL = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_JOB = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STATEMENT = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Meter:
    """Safe for use by several threads. ``environ`` says whether this process counts together with others."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._folder = join(environ or {})
        self._registry = registry = CollectorRegistry()
        # When a series began is known to Prometheus by itself; it would double the number of counters here.
        disable_created_metrics()
        self.webhooks = Counters(
            registry,
            "incidentd_webhooks_total",
            "Requests to the address for Alertmanager's notifications, by the HTTP status of the answer.",
            ["answer"],
            _each(_ANSWERS),
        )
        self.sources = Counters(
            registry,
            "incidentd_source_webhooks_total",
            "Requests with a valid token, by the source that the token is of, and by the HTTP status of the answer.",
            ["source", "answer"],
            list(product((ONLY_SOURCE,), _ANSWERS)),
        )
        self.cut_off = Counters(
            registry,
            "incidentd_cut_off_requests_total",
            "Requests to any address that never came whole: no HTTP (400), too slow (408), or too much in front (431).",
            ["answer"],
            _each(CUT_OFF),
        )
        self.alerts = Counters(
            registry,
            "incidentd_alerts_total",
            "Alerts stored: news, repeats of what was known, and what could not be understood.",
            ["outcome"],
            _each((NEWS, REPEAT, NOT_UNDERSTOOD)),
        )
        self.opened = Counters(
            registry, "incidentd_incidents_opened_total", "Incidents opened, by tier.", ["tier"], _each(Tier)
        )
        self.observed = Counters(
            registry,
            "incidentd_observed_incidents_total",
            "Those of the incidents opened that are only observed, so that nobody is told, by tier.",
            ["tier"],
            _each(Tier),
        )
        self.acceptance = Histograms(
            registry,
            "incidentd_acceptance_seconds",
            "From the instant of the oldest news in a delivery to its acceptance by the receiver.",
            ["channel"],
            _each(KINDS),
            _ACCEPTANCE,
        )
        self.deliveries = Counters(
            registry,
            "incidentd_deliveries_total",
            "Attempts to deliver, by kind of destination and by what they came to.",
            ["channel", "outcome"],
            list(product(KINDS, _OUTCOMES)),
        )
        self.digests = Counters(
            registry,
            "incidentd_digests_total",
            "Messages that stand for many incidents each, by kind of destination.",
            ["channel"],
            _each(KINDS),
        )
        self.folded = Counters(
            registry,
            "incidentd_folded_incidents_total",
            "Incidents that were told in such a message instead of one of their own, by kind of destination.",
            ["channel"],
            _each(KINDS),
        )
        self.direct_pages = Counters(
            registry,
            "incidentd_direct_pages_total",
            "Pages sent without the database: accepted, failed, and resolved later as one too many.",
            ["outcome"],
            _each(("accepted", "failed", "resolved")),
        )
        self.pagerduty_webhooks = Counters(
            registry,
            "incidentd_pagerduty_webhooks_total",
            "Requests to the address for PagerDuty's webhooks, by the HTTP status of the answer.",
            ["answer"],
            _each(_TOLD),
        )
        self.reactions = Counters(
            registry,
            "incidentd_pagerduty_events_total",
            "What was told to have been done in PagerDuty, by what it came to.",
            ["outcome"],
            _each(_REACTIONS),
        )
        self.socket_connections = Counters(
            registry,
            "incidentd_slack_socket_connections_total",
            "Tries to open a connection of Slack's Socket Mode: opened, refused by Slack, or failed on the way.",
            ["outcome"],
            _each((OPENED, REFUSED, FAILED)),
        )
        self.socket_envelopes = Counters(
            registry,
            "incidentd_slack_socket_envelopes_total",
            "What came over Slack's Socket Mode: acknowledged, failed and so not acknowledged, or not understood.",
            ["outcome"],
            _each((ACKNOWLEDGED, FAILED, NOT_UNDERSTOOD)),
        )
        self.lateness = Histograms(
            registry,
            "incidentd_deadline_lateness_seconds",
            "From the instant at which time alone changes an incident to the decision that did it.",
            [],
            [()],
            _LATENESS,
        )
        self.jobs = Histograms(
            registry,
            "incidentd_job_seconds",
            "How long jobs ran, in workers and in timekeepers. A job of deliveries ends when all are on their way.",
            ["queue"],
            _each(_QUEUES),
            _JOB,
        )
        self.enqueued = Counters(
            registry, "incidentd_jobs_enqueued_total", "Jobs put into Redis, by queue.", ["queue"], _each(_QUEUES)
        )
        self.enqueue_failures = Counters(
            registry,
            "incidentd_enqueue_failures_total",
            "Tries to enqueue jobs in which Redis could not be reached or refused.",
            [],
            [()],
        )
        self.statements = Histograms(
            registry,
            "incidentd_statement_seconds",
            "How long the database took for statements, and for the commits of transactions that write.",
            ["verb"],
            _each((*STATEMENTS, COMMIT, OTHER)),
            _STATEMENT,
        )
        self.reloads = Counters(
            registry,
            "incidentd_rules_reloads_total",
            "Readings of the rules directory that were asked for: taken, or refused.",
            ["result"],
            _each((TAKEN, REFUSED)),
        )
        self.shadow_alerts = Counters(
            registry,
            "incidentd_shadow_alerts_total",
            "New alerts that the shadow table was tried on, by how its verdict differs; failed, or skipped.",
            ["outcome"],
            _each(SHADOWED),
        )
        self.shadow_reloads = Counters(
            registry,
            "incidentd_shadow_reloads_total",
            "Readings of the shadow table's folder: taken, or refused.",
            ["result"],
            _each((TAKEN, REFUSED)),
        )
        self.reconciled = Counters(
            registry,
            "incidentd_reconciled_total",
            "What Alertmanager knew better, in alerts by action; incidents that were asked about as stale.",
            ["action"],
            _each((CLOSED, TOLD, SILENCED, UNSILENCED, ASKED)),
        )
        self.pings = Counters(
            registry,
            "incidentd_pings_total",
            "Pings of whoever watches incidentd: accepted, failed, or due and withheld as pages don't get out.",
            ["outcome"],
            _each((PINGED, FAILED, WITHHELD)),
        )
        self.drills = Counters(
            registry, "incidentd_drills_total", "Drills: accepted, failed, or missed.", ["outcome"], _each(DRILLED)
        )
        self.drill_steps = Histograms(
            registry,
            "incidentd_drill_step_seconds",
            "How long each step of a drill took, counted from what caused it.",
            ["step"],
            _each(DRILL_STEPS),
            _DRILL,
        )

    def know_sources(self, names: Iterable[str]) -> None:
        """Count the webhooks of these sources by name; of any other as ``other``."""
        self.sources.know(product(names, _ANSWERS))

    def collect(self) -> Iterable[Metric]:
        """What was counted so far: by this process, or by all that count together with it."""
        return summed(self._folder) if self._folder else self._registry.collect()


def _each(known: Iterable[str]) -> list[Values]:
    return [(value,) for value in known]
