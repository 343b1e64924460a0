"""Outgoing webhooks: a request for each change of state, with a body that a template makes, or a CloudEvent.

Where the receiver's answer names what it made of it, such as a ticket, that is made once, and updates go there.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

import requests

from incidentd import __version__
from incidentd.channels.change import message_id, nothing_to_tell, picture
from incidentd.channels.channel import Destination, News, Receipt
from incidentd.channels.cloud_event import MEDIA_TYPE, cloud_event
from incidentd.channels.deadline import Deadline
from incidentd.channels.retry_after import parse_retry_after
from incidentd.channels.signature import signed_headers
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import DeliveryError, PermanentError, TransientError
from incidentd.template import RenderError, render

_LATER = frozenset({408, 425, 429})
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""What goes into an address. It comes from the receiver, and can't lead to another one."""

_MOST_SESSIONS = 100


@dataclass(frozen=True, slots=True)
class _Wish:
    """One request that is to be made. ``creates``: its answer names what it made."""

    method: str
    url: str
    body: bytes
    media_type: str
    creates: bool


class WebhookChannel:
    """Calls the address that a destination names. ``adapter`` may not resend: a ticket made twice is there twice."""

    def __init__(self, adapter: DeadlineAdapter, now: Callable[[], datetime]) -> None:
        self._adapter = adapter
        self._now = now
        self._mine = threading.local()

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """Make one request for all that is new, where any of it is a change of state.

        Raises:
            TransientError, UncertainError, PermanentError: as ``Channel`` says.
        """
        if (nothing := self.silent(news)) is not None:
            return nothing
        known = {**news.predecessor, **news.reference}
        wish = _wish(destination, news, known)
        if wish is None:
            return Receipt({**known, "told": "1"}, sent=False, detail="made before; it takes no updates", asked=False)
        answer = self._ask(destination, wish, f"msg_{message_id(destination, news)}", Deadline(seconds))
        _refuse_unless_taken(answer, self._now())
        reference = {**known, "told": "1"}
        if wish.creates:
            named = _named(answer.content, destination.options["reference"])
            reference |= {"made": "1", "reference": named}
        shown = reference.get("reference", "")
        return Receipt(reference, sent=True, detail=f"{answer.status_code}{f', {shown}' if shown else ''}")

    def silent(self, news: News) -> Receipt | None:
        """As ``Channel`` says."""
        return nothing_to_tell(news)

    def _ask(self, destination: Destination, wish: _Wish, name: str, deadline: Deadline) -> requests.Response:
        headers = {"Content-Type": wish.media_type, "User-Agent": f"incidentd/{__version__}", **destination.headers}
        headers |= signed_headers(name, wish.body, destination.further.get("secret", ""), self._now())
        failure: DeliveryError | None = None
        try:
            # Bytes: a value that is none of Latin-1's would fail deep inside.
            encoded = {each: value.encode() for each, value in headers.items()}
            session = self._session(wish.url)
            answer = session.request(
                wish.method,
                wish.url,
                data=wish.body,
                headers=encoded,
                timeout=deadline.remaining,
                allow_redirects=False,
            )
        except (requests.RequestException, UnicodeError, ValueError):
            failure = PermanentError("its address or headers can't be used")
        if failure is not None:
            raise failure
        return answer

    def _session(self, url: str) -> requests.Session:
        """This thread's own, for each place; the connections are shared."""
        sessions: dict[str, requests.Session] = self._mine.__dict__.setdefault("sessions", {})
        place = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        if place not in sessions:
            if len(sessions) >= _MOST_SESSIONS:
                sessions.clear()
            sessions[place] = furnish(requests.Session(), self._adapter, url)
        return sessions[place]


def _wish(destination: Destination, news: News, known: Mapping[str, str]) -> _Wish | None:
    """The request that is due; None where what was made once takes no updates."""
    options = destination.options
    method = options.get("method", "POST")
    if "reference" not in options or "made" not in known:
        body, media_type = _body(destination, news, "template", "")
        return _Wish(method, destination.secret, body, media_type, creates="reference" in options)
    if "update_url" not in options or not known.get("reference"):
        return None
    own = destination.secret.partition("?")[0].rstrip("/")
    asked = options["update_url"].replace("{reference}", quote(known["reference"], safe=""))
    url = own + asked.removeprefix("{url}") if asked.startswith("{url}") else asked
    template = "update_template" if "update_template" in options else "template"
    body, media_type = _body(destination, news, template, known["reference"])
    return _Wish(options.get("update_method", "POST"), url, body, media_type, creates=False)


def _body(destination: Destination, news: News, template: str, reference: str) -> tuple[bytes, str]:
    shown = picture(destination, news, reference)
    text = destination.options.get(template)
    if text is None:
        return cloud_event(shown).encode(), MEDIA_TYPE
    try:
        made = render(text, shown)
    except RenderError as error:
        name = destination.options.get(f"{template}_file", "")
        raise PermanentError(f"its template {name} line {error.line} {error}") from None
    is_json = destination.options.get(f"{template}_file", "").endswith(".json.j2")
    return made.encode("utf-8", "replace"), f"{'application/json' if is_json else 'text/plain'}; charset=utf-8"


def _refuse_unless_taken(answer: requests.Response, now: datetime) -> None:
    status = answer.status_code
    if requests.codes.ok <= status < requests.codes.multiple_choices:
        return
    text = f"the receiver answered with status {status}"
    retry_after = parse_retry_after(answer.headers.get("Retry-After"), now)
    passing = status < requests.codes.bad_request or status in _LATER or status >= requests.codes.internal_server_error
    # GitHub says 403 where its limit is reached, and when to come again.
    if passing or retry_after is not None:
        raise TransientError(text, retry_after)
    raise PermanentError(text)


def _named(content: bytes, path: str) -> str:
    """What the answer calls what it made; empty where it names nothing that could stand in an address."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _REFERENCE.fullmatch(text) else ""
