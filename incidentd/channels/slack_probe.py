"""What Slack says of a bot token and its channels, asked without disturbing anybody: nothing is posted.

https://docs.slack.dev/reference/methods/auth.test, ``conversations.info`` and ``conversations.list``
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from incidentd.channels.deadline import Deadline, Watchman
from incidentd.channels.resolver import Resolver
from incidentd.channels.retry_after import parse_date
from incidentd.channels.slack_api import API_URL, SlackApi, SlackRefusedError
from incidentd.channels.transport import DeadlineAdapter, furnish

_SCOPES = "x-oauth-scopes"
_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{6,20}")


@dataclass(frozen=True, slots=True)
class Bot:
    """Whom a token belongs to. ``scopes`` is None where Slack didn't list them, ``at`` its clock where it told."""

    team: str
    name: str
    scopes: frozenset[str] | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """One channel as the bot sees it."""

    is_member: bool
    is_archived: bool


class SlackProbe:
    """Asks about one token; everything together within ``seconds``.

    Each method raises TransientError, UncertainError, or PermanentError, whose texts are safe to show.
    """

    def __init__(self, token: str, url: str | None, seconds: float, now: Callable[[], datetime]) -> None:
        address = (url or API_URL).rstrip("/") + "/"
        session = furnish(requests.Session(), DeadlineAdapter(Watchman(), Resolver()), address)
        self._heard: Mapping[str, str] = {}
        session.hooks["response"].append(self._hear)
        self._api = SlackApi(token, address, session, Deadline(seconds), now)

    def bot(self) -> Bot:
        """Whose token it is, and what it may do."""
        answer = self._api.ask("auth.test", {})
        scopes = self._heard.get(_SCOPES)
        granted = None if scopes is None else frozenset(each.strip() for each in scopes.split(",") if each.strip())
        return Bot(_text(answer, "team"), _text(answer, "user"), granted, parse_date(self._heard.get("date")))

    def places(self, channels: Collection[str]) -> dict[str, Place]:
        """Those of the channels, by id or ``#name``, that the bot can see; others are absent."""
        by_id = {each for each in channels if _CHANNEL_ID.fullmatch(each)}
        found = {each: place for each in by_id if (place := self._by_id(each))}
        names = {each.removeprefix("#"): each for each in channels if each not in by_id}
        if names:
            found |= {names[name]: place for name, place in self._listed() if name in names}
        return found

    def _by_id(self, channel: str) -> Place | None:
        try:
            return _place(self._api.ask("conversations.info", {"channel": channel}).get("channel"))
        except SlackRefusedError as error:
            if error.code != "channel_not_found":
                raise
            return None

    def _listed(self) -> Iterator[tuple[str, Place]]:
        asked = {"types": "public_channel,private_channel", "limit": "1000"}
        for page in self._api.pages("conversations.list", asked):
            channels = page.get("channels")
            for each in channels if isinstance(channels, list) else []:
                if isinstance(each, dict):
                    yield str(each.get("name")), _place(each)

    def _hear(self, response: requests.Response, **_more: object) -> None:
        self._heard = response.headers


def _place(channel: object) -> Place:
    facts: Mapping[str, Any] = channel if isinstance(channel, dict) else {}
    return Place(is_member=facts.get("is_member") is True, is_archived=facts.get("is_archived") is True)


def _text(answer: Mapping[str, Any], name: str) -> str:
    return str(answer.get(name) or "")[:100]
