"""A heartbeat's silence as an alert of our own, and its end."""

from datetime import datetime, timedelta

from incidentd.alert import Alert
from incidentd.classify import HeartbeatSpec, Verdict
from incidentd.intake import fingerprint
from incidentd.lifecycle.heard import INTERNAL_SYSTEM, Heard, weighed
from incidentd.store.heartbeats import Heartbeat

SLO = "heartbeat"
_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def silence(spec: HeartbeatSpec, heartbeat: Heartbeat, since: datetime, version: str) -> Heard:
    """The alert that it is missing: one incident for each heartbeat, which follows its own policy."""
    reason = f"{_last(heartbeat)}, expected every {words(spec.every)}"
    annotations = {"summary": f"Heartbeat {spec.name} is missing", "description": f"{reason}."}
    labels = _labels(spec.name)
    return weighed(Alert(fingerprint(labels), labels, annotations, since, None, True), _verdict(spec, reason, version))


def sound(spec: HeartbeatSpec, since: datetime, now: datetime, version: str) -> Heard:
    """The end of the silence that began at ``since``."""
    labels = _labels(spec.name)
    annotations = {"summary": f"Heartbeat {spec.name} is heard again"}
    alert = Alert(fingerprint(labels), labels, annotations, since, now, False)
    return weighed(alert, _verdict(spec, "heard again", version))


def fingerprint_of(name: str) -> str:
    """What names the alert about this heartbeat."""
    return fingerprint(_labels(name))


def words(span: timedelta) -> str:
    """As the rules write it: ``1h30m``."""
    left, parts = int(span.total_seconds()), []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)


def _labels(name: str) -> dict[str, str]:
    return {"alertname": "IncidentdHeartbeatMissing", "system": INTERNAL_SYSTEM, "slo": SLO, "heartbeat": name}


def _verdict(spec: HeartbeatSpec, reason: str, version: str) -> Verdict:
    return Verdict(
        tier=spec.tier,
        key=f"{INTERNAL_SYSTEM}/{SLO}/{spec.name}",
        system=INTERNAL_SYSTEM,
        slo=SLO,
        row=f"heartbeats/{spec.name}",
        reason=reason,
        title=spec.title,
        policy=spec.policy,
        version=version,
        destinations=spec.destinations,
        runbook=spec.runbook,
    )


def _last(heartbeat: Heartbeat) -> str:
    if heartbeat.heard_at is None:
        return f"never heard since it was first expected at {heartbeat.counts_from:%Y-%m-%d %H:%M:%S} UTC"
    return f"not heard since {heartbeat.heard_at:%Y-%m-%d %H:%M:%S} UTC"
