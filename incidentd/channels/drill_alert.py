"""A drill's alert on its way: to Alertmanager where there is one, as Prometheus would send it, else to the webhook.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (postAlerts), and
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import base64
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import requests

from incidentd import __version__
from incidentd.channels.deadline import Watchman
from incidentd.channels.failure import FOREIGN
from incidentd.channels.resolver import Resolver
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import DeliveryError, PermanentError, TransientError

_ALERTS = "/api/v2/alerts"
_WEBHOOK = "/api/v1/alertmanager"
_NO_END = "0001-01-01T00:00:00Z"
_FOR_GOOD = frozenset({400, 401, 403, 404, 405, 415})


@dataclass(frozen=True, slots=True)
class DrillAlert:
    """One alert. ``ends_at`` is its end where it is ``over``; else when Alertmanager takes it for over by itself."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime
    over: bool
    url: str


class Herald:
    """Sends to every one of ``alertmanagers``; without any, to the first of ``webhooks`` that takes it."""

    def __init__(
        self, alertmanagers: Sequence[str], bearer: str | None, webhooks: Sequence[str], token: str | None
    ) -> None:
        """``bearer`` is for Alertmanagers whose address has no password, ``token`` for the webhook."""
        self._alertmanagers = tuple(alertmanagers)
        self._bearer = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self._webhooks = tuple(webhooks)
        self._token = token
        self._adapter = DeadlineAdapter(Watchman(), Resolver(), resend=True)
        self._mine = threading.local()

    @property
    def by_alertmanager(self) -> bool:
        """Whether alerts go by way of Alertmanager."""
        return bool(self._alertmanagers)

    def send(self, alert: DrillAlert, seconds: float) -> None:
        """Send it; each address has ``seconds``.

        Raises:
            TransientError: nobody has taken it; another try may succeed.
            PermanentError: it was refused. The text names no address.
        """
        if self._alertmanagers:
            self._to_all([_for_alertmanager(alert)], seconds)
        elif self._token is None:
            raise PermanentError("no webhook token is known here: set INCIDENTD_WEBHOOK_TOKEN for the workers too")
        else:
            self._to_first(_notification(alert), seconds)

    def close(self) -> None:
        """Let go of connections."""
        self._adapter.close()

    def _to_all(self, body: object, seconds: float) -> None:
        """Alertmanagers of one cluster don't pass alerts on to one another; one that has it is enough."""
        failures = [
            self._post(url, _ALERTS, body, self._bearer, seconds, "Alertmanager") for url in self._alertmanagers
        ]
        if None not in failures:
            raise next(each for each in failures if each)

    def _to_first(self, body: object, seconds: float) -> None:
        bearer = {"Authorization": f"Bearer {self._token}"}
        failure: DeliveryError | None = TransientError("there is no address to send it to")
        for url in self._webhooks:
            failure = self._post(url, _WEBHOOK, body, bearer, seconds, "the webhook")
            if failure is None:
                return
        if failure:
            raise failure

    def _post(
        self, url: str, path: str, body: object, headers: Mapping[str, str], seconds: float, what: str
    ) -> DeliveryError | None:
        """None where it was taken. Errors are returned, to be raised without the request that they carry."""
        bare, own = _parted(url)
        try:
            answer = self._session(bare).post(
                f"{bare}{path}", json=body, headers={**headers, **own}, timeout=seconds, allow_redirects=False
            )
        except DeliveryError as error:
            return TransientError(f"{what} can't be reached: {error}")
        except FOREIGN:
            return PermanentError(f"{what}'s address can't be used")
        if answer.status_code // 100 == 2:
            return None
        kind = PermanentError if answer.status_code in _FOR_GOOD else TransientError
        return kind(f"{what} answered with status {answer.status_code}")

    def _session(self, url: str) -> requests.Session:
        sessions: dict[str, requests.Session] = self._mine.__dict__.setdefault("sessions", {})
        if url not in sessions:
            session = furnish(requests.Session(), self._adapter, url)
            session.headers["User-Agent"] = f"incidentd/{__version__} (drill)"
            sessions[url] = session
        return sessions[url]


def _parted(url: str) -> tuple[str, dict[str, str]]:
    """The address without user and password, and the header that they become."""
    parts = urlsplit(url)
    if parts.username is None:
        return url.rstrip("/"), {}
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return bare, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _for_alertmanager(alert: DrillAlert) -> dict[str, Any]:
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": alert.starts_at.isoformat(),
        "endsAt": alert.ends_at.isoformat(),
        "generatorURL": alert.url,
    }


def _notification(alert: DrillAlert) -> dict[str, Any]:
    status = "resolved" if alert.over else "firing"
    told = {
        "status": status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": alert.starts_at.isoformat(),
        "endsAt": alert.ends_at.isoformat() if alert.over else _NO_END,
        "generatorURL": alert.url,
        "fingerprint": alert.fingerprint,
    }
    return {"version": "4", "status": status, "receiver": "incidentd", "alerts": [told], "truncatedAlerts": 0}
