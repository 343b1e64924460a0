"""PagerDuty's Events API v2, through pdpyras.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import requests

from incidentd.channels.channel import Destination, News, Receipt
from incidentd.channels.deadline import Deadline
from incidentd.channels.digest import DigestNews
from incidentd.channels.pagerduty_digest import (
    shared_action,
    shared_content,
    shared_event,
    shared_key,
    shared_smallest,
)
from incidentd.channels.pagerduty_event import Action, action, event, remembered_key, smallest
from incidentd.channels.retry_after import parse_retry_after
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import DeliveryError, PermanentError, TransientError, UncertainError

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message='The package "pdpyras" is deprecated', category=UserWarning)
    import pdpyras

EVENTS_URL = "https://events.pagerduty.com"
_PATH = "/v2/enqueue"
_SOURCE_LIMIT = 255
_MALFORMED = frozenset({400, 413, 422})
_FOR_GOOD = frozenset({401, 403, 404, 405, 410, 411, 414, 415, 431})


class _RefusedEventError(Exception):
    """PagerDuty calls the event itself malformed or too long."""


class _Session(pdpyras.EventsAPISession):  # type: ignore[misc]
    """pdpyras's session without its loop around each request: that blocks a thread for minutes, and on 429 for ever.

    Nor is anything but the body made anew for each event: the rest takes as long as the sending.
    """

    _blank: requests.PreparedRequest | None = None

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__("unset")
        self._now = now

    def request(self, method: str, url: str, **said: Any) -> requests.Response:
        """Send once, under ``timeout`` seconds in all. There is only one address to send to.

        Raises:
            RequestException, pdpyras.URLError: the address can't be used.
        """
        if self._blank is None:
            headers = self.prepare_headers(method)
            self._blank = self.prepare_request(requests.Request(method, self.normalize_url(url), headers))
        request = self._blank.copy()
        request.prepare_body(None, None, said["json"])
        adapter = self.get_adapter(str(request.url))
        response: requests.Response = adapter.send(
            request, timeout=self.timeout, verify=self.verify, proxies=self.proxies
        )
        self.postprocess(response)
        return response

    def postprocess(self, response: requests.Response) -> None:
        """Raise for each status but 2xx, before pdpyras looks at it.

        https://developer.pagerduty.com/docs/events-api-v2-overview#response-codes--retry-logic
        """
        status = response.status_code
        if status in _MALFORMED:
            raise _RefusedEventError
        if status in _FOR_GOOD:
            raise PermanentError(f"PagerDuty refused with status {status}")
        wait = parse_retry_after(response.headers.get("Retry-After"), self._now())
        if status >= requests.codes.internal_server_error:
            raise UncertainError(f"PagerDuty answered with status {status}", wait)
        if status >= requests.codes.multiple_choices:
            raise TransientError(f"PagerDuty answered with status {status}", wait)


class PagerDutyChannel:
    """Triggers, acknowledges and resolves one PagerDuty alert for each slot.

    ``adapter`` may resend: a dedup_key makes each event harmless twice. ``now`` serves Retry-After dates.
    """

    def __init__(self, adapter: DeadlineAdapter, now: Callable[[], datetime], events_url: str | None = None) -> None:
        self._adapter = adapter
        self._now = now
        self._url = (events_url or EVENTS_URL).rstrip("/").removesuffix(_PATH)
        self._mine = threading.local()

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """Tell PagerDuty what the state now asks of this slot, if anything.

        Ending a page that may or may not be out there counts as nothing sent: no page was accepted.

        Raises:
            TransientError, UncertainError, PermanentError: as ``Channel`` says.
        """
        wanted, key = _wanted(news)
        if wanted is None or key is None:
            return _nothing(news)
        deadline = Deadline(seconds)
        for detail, properties in _forms(wanted, news):
            if self._send(destination, wanted, key, properties, deadline):
                tier = str(news.incident.tier) if wanted == "trigger" else news.reference.get("tier", "")
                paged = _is_paged(wanted, tier, news.reference)
                return Receipt({"dedup_key": key, "sent": wanted, "tier": tier}, sent=paged, detail=detail)
        raise PermanentError("PagerDuty calls the event malformed")

    def deliver_digest(self, destination: Destination, news: DigestNews, *, seconds: float) -> Receipt:
        """Tell PagerDuty what the shared page is to be now: triggered, brought up to date, acknowledged or resolved.

        Raises:
            TransientError, UncertainError, PermanentError: as ``Channel`` says.
        """
        wanted, said = shared_action(news), shared_content(news)
        if wanted is None:
            return Receipt(news.reference, sent=False, asked=False)
        key = shared_key(news)
        properties = shared_event(news) if wanted == "trigger" else {}
        forms = [properties, shared_smallest(news)] if properties else [{}]
        deadline = Deadline(seconds)
        if any(self._send(destination, wanted, key, form, deadline) for form in forms):
            paged = _is_paged(wanted, news.reference.get("said", ""), news.reference)
            reference = {"dedup_key": key, "sent": wanted, "said": said if paged else ""}
            return Receipt(reference, sent=paged, detail=f"shared {wanted}")
        raise PermanentError("PagerDuty calls the event malformed")

    def silent(self, news: News) -> Receipt | None:
        """As ``Channel`` says."""
        return _nothing(news) if None in _wanted(news) else None

    def _send(
        self, destination: Destination, wanted: Action, key: str, properties: dict[str, object], deadline: Deadline
    ) -> bool:
        """Whether PagerDuty accepted; False where it calls the event malformed."""
        session = self._session()
        try:
            session.api_key = destination.secret
        except ValueError:
            raise PermanentError("PagerDuty's routing key is missing") from None
        session.timeout = deadline.remaining
        outcome = _attempt(session, wanted, key, properties)
        if isinstance(outcome, DeliveryError):
            raise outcome
        return outcome

    def _session(self) -> _Session:
        """This thread's own: pdpyras's sessions are not for several. Their connections are shared."""
        if not hasattr(self._mine, "session"):
            session = furnish(_Session(self._now), self._adapter, self._url)
            session.url = self._url
            self._mine.session = session
        made: _Session = self._mine.session
        return made


def _wanted(news: News) -> tuple[Action | None, str | None]:
    """What is to be told, and the key that it is told under; nothing is while either is missing."""
    wanted = action(news.incident, news.slot, news.reference, uncertain=news.uncertain or news.again)
    return wanted, remembered_key(news)


def _is_paged(wanted: Action, trace: str, reference: Mapping[str, str]) -> bool:
    """Whether PagerDuty has accepted a page by now; ``trace`` is what one leaves in the reference."""
    return "trigger" in (wanted, reference.get("sent")) or bool(trace)


def _nothing(news: News) -> Receipt:
    return Receipt(news.reference, sent=False, asked=False)


def _forms(wanted: Action, news: News) -> Iterator[tuple[str, dict[str, object]]]:
    """A page that PagerDuty calls malformed still has to go out: once more, with next to nothing in it."""
    if wanted == "trigger":
        source = (news.incident.system.strip() or news.incident.key.strip() or "incidentd")[:_SOURCE_LIMIT]
        yield wanted, event(news, source)
        yield "trigger, in its smallest form", smallest(news, source)
    else:
        yield wanted, {}


def _attempt(session: _Session, wanted: Action, key: str, properties: dict[str, object]) -> bool | DeliveryError:
    """Send. pdpyras's errors carry the request with its key, so ours are returned, to be raised without them."""
    try:
        session.send_event(wanted, key, **properties)
    except _RefusedEventError:
        return False
    except (pdpyras.PDHTTPError, RecursionError):
        return UncertainError("PagerDuty's answer can't be read")
    except (requests.RequestException, pdpyras.URLError):
        return PermanentError("PagerDuty's address can't be used")
    return True
