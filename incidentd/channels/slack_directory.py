"""Who has an e-mail address, in Slack's words: the name under which that person presses buttons.

https://docs.slack.dev/reference/methods/users.lookupByEmail; it wants the scopes ``users:read.email``, ``users:read``.
"""

from collections.abc import Callable
from datetime import datetime

import requests

from incidentd.channels.deadline import Deadline, Watchman
from incidentd.channels.resolver import Resolver
from incidentd.channels.slack_api import API_URL, SlackApi
from incidentd.channels.transport import DeadlineAdapter, furnish


class SlackDirectory:
    """One bot token's view. Not for use by several threads."""

    def __init__(self, token: str, url: str | None, now: Callable[[], datetime]) -> None:
        self._token = token
        self._url = (url or API_URL).rstrip("/") + "/"
        self._now = now
        self._session = furnish(requests.Session(), DeadlineAdapter(Watchman(), Resolver(), resend=True), self._url)

    def name(self, email: str, seconds: float) -> str:
        """The user's name; empty where Slack tells none.

        Raises:
            TransientError: no answer came; another try may succeed.
            PermanentError: Slack knows nobody with this address, or the bot may not ask.
        """
        api = SlackApi(self._token, self._url, self._session, Deadline(seconds), self._now)
        user = api.ask("users.lookupByEmail", {"email": email}).get("user")
        name = user.get("name") if isinstance(user, dict) else None
        return name if isinstance(name, str) else ""
