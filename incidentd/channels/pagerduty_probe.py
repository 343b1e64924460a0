"""Whether PagerDuty's Events API can be reached, asked without sending an event.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

import re
from datetime import datetime

import requests

from incidentd.channels.deadline import Watchman
from incidentd.channels.pagerduty import EVENTS_URL
from incidentd.channels.resolver import Resolver
from incidentd.channels.retry_after import parse_date
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import PermanentError

# An integration key is "a 32-character alphanumeric string".
_KEY = re.compile(r"[A-Za-z0-9]{32}")


def is_routing_key(text: str) -> bool:
    """Whether a text has the form of an integration key; whether PagerDuty knows it, only an event would tell."""
    return bool(_KEY.fullmatch(text))


def reach(url: str | None, seconds: float) -> datetime | None:
    """Connect, over TLS where the address says so, and ask for nothing. Returns the host's clock where it told.

    Any answer means that the host is there: it has nothing to show at its root.

    Raises:
        TransientError, UncertainError, PermanentError: no answer came; the texts are safe to show.
    """
    address = (url or EVENTS_URL).rstrip("/")
    session = furnish(requests.Session(), DeadlineAdapter(Watchman(), Resolver(), resend=True), address)
    failure = None
    try:
        response = session.get(address + "/", timeout=seconds)
    except requests.RequestException:
        failure = PermanentError("PagerDuty's address can't be used")
    if failure is not None:
        raise failure
    return parse_date(response.headers.get("date"))
