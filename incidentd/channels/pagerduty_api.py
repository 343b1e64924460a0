"""PagerDuty's REST API, asked for what its webhooks leave out. Nothing is changed there.

https://developer.pagerduty.com/docs/rest-api-overview; ``get-a-user``, ``list-alerts-for-an-incident`` in its reference
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import requests

from incidentd.channels.deadline import Watchman
from incidentd.channels.resolver import Resolver
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import DeliveryError, PermanentError, TransientError

API_URL = "https://api.pagerduty.com"

_ACCEPT = "application/vnd.pagerduty+json;version=2"
_ID = re.compile(r"[A-Za-z0-9]{1,40}")
_MOST_ALERTS = 100


class PagerDutyApi:
    """One token's view. Not for use by several threads."""

    def __init__(self, token: str, url: str | None = None) -> None:
        self._url = (url or API_URL).rstrip("/")
        adapter = DeadlineAdapter(Watchman(), Resolver(), resend=True)
        self._session = furnish(requests.Session(), adapter, self._url)
        self._session.headers.update({"Authorization": f"Token token={token}", "Accept": _ACCEPT})

    def email(self, user: str, seconds: float) -> str:
        """A user's e-mail address; empty where none is told.

        Raises:
            TransientError: no answer came that could be read; another try may succeed.
            PermanentError: PagerDuty refuses, or knows no such user.
        """
        found = _mapping(self._get(f"/users/{_checked(user)}", {}, seconds).get("user"))
        address = found.get("email")
        return address if isinstance(address, str) else ""

    def alert_keys(self, incident: str, seconds: float) -> tuple[str, ...]:
        """The dedup_keys of all alerts in an incident, resolved ones too.

        Raises:
            TransientError, PermanentError: as ``email``.
        """
        alerts = self._get(f"/incidents/{_checked(incident)}/alerts", {"limit": _MOST_ALERTS}, seconds).get("alerts")
        keys = (_mapping(each).get("alert_key") for each in (alerts if isinstance(alerts, list) else []))
        return tuple(dict.fromkeys(key for key in keys if isinstance(key, str) and key))

    def probe(self, seconds: float) -> None:
        """Ask for something that every key may read.

        Raises:
            TransientError, PermanentError: as ``email``.
        """
        self._get("/users", {"limit": 1}, seconds)

    def _get(self, path: str, query: Mapping[str, int], seconds: float) -> Mapping[str, Any]:
        """Errors of requests carry the token, so ours are raised without them."""
        failure: DeliveryError | None = None
        try:
            answer = self._session.get(f"{self._url}{path}", params=dict(query), timeout=seconds)
        except (requests.RequestException, UnicodeError):
            failure = PermanentError("PagerDuty's REST address or token can't be used")
        if failure is not None:
            raise failure
        status = answer.status_code
        if status == requests.codes.too_many_requests or status >= requests.codes.internal_server_error:
            raise TransientError(f"PagerDuty's REST API answered with status {status}")
        if status != requests.codes.ok:
            raise PermanentError(f"PagerDuty's REST API refused with status {status}")
        return _parsed(answer.content)


def _parsed(content: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(content))
    except (ValueError, RecursionError):
        return {}


def _checked(name: str) -> str:
    """It goes into an address.

    Raises:
        PermanentError: it is no id of PagerDuty's.
    """
    if not _ID.fullmatch(name):
        raise PermanentError("that is no id of PagerDuty's")
    return name


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
