"""An alert with its verdict: what the incident needs to know of it, and whether it is news at all."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from incidentd.alert import Alert
from incidentd.classify import Verdict, title_of
from incidentd.intake import START_AS_SENT, fingerprint
from incidentd.lifecycle.work import Complaint, Webhook
from incidentd.store.alerts import Known
from incidentd.tier import Tier
from incidentd.timeline import Member

INTERNAL_SYSTEM = "incidentd"
INTERNAL_POLICY = "internal"
INTERNAL_QUIET = timedelta(minutes=30)

_APART = "\x1f"
# No text of an alert holds this: control characters are taken out at intake.

Classify = Callable[[Alert], Verdict]


class Heard(NamedTuple):
    """``digest`` changes when anything that is stored or shown of the alert does. ``quiet`` ends internal alerts."""

    alert: Alert
    verdict: Verdict
    digest: int
    quiet: timedelta | None = None

    @property
    def is_undated(self) -> bool:
        """Whether the alert's start is only when it was received: its own was missing or impossible, or it is ours."""
        return self.quiet is not None or START_AS_SENT in self.alert.annotations

    def continues(self, known: Known) -> bool:
        """Whether this speaks of the known episode, whatever start it gives.

        A start may move back while an alert fires: replicas that stamp it themselves disagree by milliseconds, and
        Alertmanager keeps the earlier start when it merges two copies
        (https://github.com/prometheus/alertmanager/blob/v0.28.0/types/types.go, ``Merge``).
        """
        alert = self.alert
        if self.is_undated and (known.open or not alert.firing):
            return known.firing or not alert.firing
        if alert.starts_at >= known.starts_at:
            return alert.starts_at == known.starts_at
        return known.firing if alert.firing else not self._ended_before(known)

    def is_earlier_firing(self, known: Known) -> bool:
        """Whether this fires since before the known episode began."""
        return self.alert.firing and self.alert.starts_at < known.starts_at

    def is_bygone(self, known: Known) -> bool:
        """Whether this is the end of an episode that was over before the known one began."""
        return not self.alert.firing and self.alert.starts_at < known.starts_at and self._ended_before(known)

    def is_repeat_of(self, known: Known | None) -> bool:
        """Whether this says nothing that is not stored already, and its incident still stands."""
        return (
            known is not None
            and self.quiet is None
            and known.digest == self.digest
            and self.continues(known)
            and (known.open or not self.alert.firing)
        )

    def _ended_before(self, known: Known) -> bool:
        return self.alert.ends_at is not None and self.alert.ends_at < known.begun_at

    def member(self, now: datetime) -> Member:
        """The alert as its incident sees it."""
        verdict = self.verdict
        return Member(
            fingerprint=self.alert.fingerprint,
            starts_at=self.alert.starts_at,
            firing=self.alert.firing,
            tier=verdict.tier,
            row=verdict.row,
            reason=verdict.reason,
            title=title_of(verdict.title, self.alert),
            region=verdict.region,
            scope=verdict.scope,
            destinations=verdict.destinations,
            expires_at=now + self.quiet if self.quiet else None,
            observed=verdict.observing is not None,
        )


def heard(webhook: Webhook, classify: Classify, now: datetime) -> list[Heard]:
    """All alerts of a notification, classified; what was set aside becomes internal alerts."""
    alerts = [weighed(alert, classify(alert).at(now)) for alert in webhook.alerts]
    return alerts + [internal(complaint, webhook.source, now) for complaint in webhook.complaints]


def internal(complaint: Complaint, source: str, now: datetime) -> Heard:
    """incidentd's own alert: one incident for each source and reason, P1, over after 30 quiet minutes (model 39)."""
    labels = {
        "alertname": "IncidentdInput",
        "system": INTERNAL_SYSTEM,
        "slo": complaint.reason,
        "source": source,
        "severity": "critical",
    }
    annotations = {"summary": f"{complaint.detail} (from {source})", "description": complaint.detail}
    alert = Alert(fingerprint(labels), labels, annotations, now, None, firing=True)
    verdict = Verdict(
        tier=Tier.P1,
        key=f"{INTERNAL_SYSTEM}/{complaint.reason}/{source}",
        system=INTERNAL_SYSTEM,
        slo=complaint.reason,
        row=INTERNAL_SYSTEM,
        reason=complaint.detail,
        title=_as_it_is(f"incidentd: {complaint.detail}"),
        policy=INTERNAL_POLICY,
        version="",
    )
    return Heard(alert, verdict, 0, INTERNAL_QUIET)


def weighed(alert: Alert, verdict: Verdict) -> Heard:
    """An alert with its verdict, and the digest of both."""
    annotations = alert.annotations
    said = [verdict.shown, "firing" if alert.firing else "resolved", alert.generator_url]
    for name in sorted(annotations):
        said += (name, annotations[name])
    digest = blake2b(_APART.join(said).encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return Heard(alert, verdict, int.from_bytes(digest) >> 1)


def _as_it_is(text: str) -> str:
    """As a title in which nothing is a placeholder."""
    return text.replace("{", "{{").replace("}", "}}")
