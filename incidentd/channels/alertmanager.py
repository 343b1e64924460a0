"""What an Alertmanager says of itself: its alerts, its silences, how long it has been up.

Source: the API of version 2 (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml). It knows no
pages: an answer is whole, or none at all.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from incidentd import __version__
from incidentd.channels.deadline import Deadline, Watchman
from incidentd.channels.failure import FOREIGN
from incidentd.channels.resolver import Resolver
from incidentd.channels.retry_after import parse_date
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.channels.view import Listed, Silence, View
from incidentd.errors import DeliveryError, PermanentError, TransientError
from incidentd.intake import alert_of, is_fingerprint

LARGEST_ANSWER = 32 << 20
"""Bytes: some 30,000 alerts as they usually are. A longer answer counts as none."""

_TIMED = ("mute_time_intervals", "active_time_intervals")
_LONGEST_REASON = 200
_AUTH = {401, 403}


class Alertmanager:
    """One address, asked with basic auth where the address has a password, else with ``token``, if there is one.

    Neither the name nor any error shows a credential. Not safe for use by several threads.
    """

    def __init__(self, address: str, token: str | None, now: Callable[[], datetime]) -> None:
        parts = urlsplit(address)
        host = parts.hostname or ""
        netloc = f"[{host}]" if ":" in host else host
        netloc += f":{parts.port}" if parts.port else ""
        self._url = parts._replace(netloc=netloc).geturl().rstrip("/")
        self.name = f"{netloc}{parts.path.rstrip('/')}"[:100]
        self._now = now
        adapter = DeadlineAdapter(Watchman(), Resolver(), resend=True, answer_limit=LARGEST_ANSWER)
        self._session = furnish(requests.Session(), adapter, self._url)
        self._session.headers["User-Agent"] = f"incidentd/{__version__}"
        self._session.headers["Accept"] = "application/json"
        credential = _credential(parts.username, parts.password, token)
        if credential:
            self._session.headers["Authorization"] = credential

    def view(self, seconds: float) -> View:
        """All that it lists now, everything together within ``seconds``.

        Raises:
            DeliveryError: it did not answer, or not as an Alertmanager does. The text is safe to show.
        """
        deadline = Deadline(seconds)
        started_at, _, _ = _status(self._ask("status", deadline)[0])
        listed, is_whole = _alerts(self._ask("alerts", deadline)[0], self._now())
        status, at = self._ask("status", deadline)
        if _status(status)[0] != started_at:
            raise TransientError("it started anew while it was asked")
        _, version, mutes = _status(status)
        silenced = any(each.silenced_by for each in listed.values())
        now = self._now()
        return View(
            name=self.name,
            version=version,
            started_at=started_at,
            up_for=(at or now) - started_at,
            ahead=at - now if at else timedelta(0),
            listed=listed,
            is_whole=is_whole,
            silences=_silences(self._ask("silences", deadline)[0]) if silenced else {},
            mutes=mutes,
        )

    def muted(self, receiver: str, seconds: float) -> frozenset[str] | None:
        """The fingerprints of alerts that a time interval keeps from this receiver; None where it doesn't say.

        Alertmanager says so from 0.28 on (``mutedBy``, of groups alone).

        Raises:
            DeliveryError: as ``view``.
        """
        groups, _ = self._ask("alerts/groups", Deadline(seconds))
        muted: set[str] = set()
        heard: set[str] = set()
        for group in groups if isinstance(groups, list) else ():
            if _name(_mapping(group).get("receiver")) != receiver:
                continue
            for item in _list(_mapping(group).get("alerts")):
                alert = _mapping(item)
                status = _mapping(alert.get("status"))
                if "mutedBy" not in status:
                    return None
                (muted if status["mutedBy"] else heard).add(str(alert.get("fingerprint")))
        return frozenset(muted - heard)

    def receivers(self, seconds: float) -> frozenset[str]:
        """The names of its receivers.

        Raises:
            DeliveryError: as ``view``.
        """
        found, _ = self._ask("receivers", Deadline(seconds))
        return frozenset(_name(each) for each in _list(found))

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def _ask(self, path: str, deadline: Deadline) -> tuple[Any, datetime | None]:
        failure: DeliveryError | None = None
        try:
            answer = self._session.get(f"{self._url}/api/v2/{path}", timeout=max(0.001, deadline.remaining))
        except FOREIGN:
            failure = PermanentError("its address can't be used")
        if failure is not None:
            raise failure
        if answer.status_code in _AUTH:
            raise PermanentError(f"it refuses the credentials (status {answer.status_code})")
        if answer.status_code != requests.codes.ok:
            raise TransientError(f"it answered with status {answer.status_code}")
        return _decoded(answer.content), parse_date(answer.headers.get("date"))


def _credential(user: str | None, password: str | None, token: str | None) -> str:
    if password is not None:
        pair = f"{unquote(user or '')}:{unquote(password)}".encode()
        return f"Basic {b64encode(pair).decode()}"
    return f"Bearer {token}" if token else ""


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    raise TransientError("its answer is no JSON: is this an Alertmanager?")


def _status(status: Any) -> tuple[datetime, str, bool]:
    """When it started, by its own clock; its version; whether its configuration mutes by time."""
    fields = _mapping(status)
    started_at = _instant(fields.get("uptime"))
    if started_at is None:
        raise TransientError("it doesn't say how long it has been up: is this an Alertmanager?")
    version = str(_mapping(fields.get("versionInfo")).get("version") or "")[:40]
    original = str(_mapping(fields.get("config")).get("original") or "")
    return started_at, version, any(word in original for word in _TIMED)


def _alerts(items: Any, now: datetime) -> tuple[dict[str, Listed], bool]:
    """By fingerprint; and whether all of the answer was understood, so that what is not in it is not there."""
    if not isinstance(items, list):
        raise TransientError("its answer is no list of alerts: is this an Alertmanager?")
    found = [_listed(item, now) for item in items]
    return {each.fingerprint: each for each in found if each}, all(found)


def _listed(item: Any, now: datetime) -> Listed | None:
    fields = _mapping(item)
    status, fingerprint = _mapping(fields.get("status")), fields.get("fingerprint")
    starts_at = _instant(fields.get("startsAt"))
    if not is_fingerprint(fingerprint) or starts_at is None:
        return None
    # While an alert fires, endsAt is when Alertmanager would stop believing in it: no end of which anybody was told.
    alert = alert_of({**fields, "status": "firing", "endsAt": None}, now)
    return Listed(
        fingerprint=fingerprint.lower(),
        starts_at=starts_at,
        state=str(status.get("state") or ""),
        receivers=frozenset(_name(each) for each in _list(fields.get("receivers"))),
        silenced_by=tuple(str(each) for each in _list(status.get("silencedBy"))),
        inhibited_by=tuple(str(each) for each in _list(status.get("inhibitedBy"))),
        alert=alert,
    )


def _silences(items: Any) -> dict[str, Silence]:
    found = {}
    for item in _list(items):
        fields = _mapping(item)
        by, said = (_line(str(fields.get(name) or "")) for name in ("createdBy", "comment"))
        found[str(fields.get("id"))] = Silence(by, said, _instant(fields.get("endsAt")))
    return found


def _line(text: str) -> str:
    """One line that can be stored and shown."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.split())[:_LONGEST_REASON]


def _instant(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return at.astimezone(UTC) if at and at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _name(receiver: Any) -> str:
    return str(_mapping(receiver).get("name") or "")
