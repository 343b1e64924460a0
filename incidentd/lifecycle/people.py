"""One name for each person, whether they answer in Slack or where they were paged."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from incidentd.errors import DeliveryError, PermanentError

KNOWN_FOR_SECONDS = 3600.0
QUIET_SECONDS = 30.0
"""After a failure nobody is asked for so long: an answer that waits for a name is worth more than the name."""
ASK_SECONDS = 3.0

_MOST_KNOWN = 10_000
_LONGEST_NAME = 100

log = structlog.get_logger("incidentd.people")

Ask = Callable[[str, float], str]
"""(what, seconds) to what is known of it; empty where nothing is. Raises DeliveryError."""


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    until: float


class People:
    """Finds people by their e-mail address. Not for use by several threads. Without both directories names stay."""

    def __init__(self, email_of: Ask | None, name_of: Ask | None, monotonic: Callable[[], float] = time.monotonic):
        self._email_of = email_of
        self._name_of = name_of
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}
        self._quiet_until = 0.0

    def name(self, who: str, called: str) -> str:
        """The name in Slack of a person whom the paging service knows by id and name; that name where none is found.

        Takes ``2 * ASK_SECONDS`` at most; never raises.
        """
        now = self._monotonic()
        known = self._known.get(who)
        if known and known.until > now:
            return known.name or called
        if self._email_of is None or self._name_of is None or now < self._quiet_until:
            return called
        try:
            found = self._ask(self._email_of, self._name_of, who)
        except PermanentError as error:
            # Somebody who isn't in Slack, or a scope that is missing: asking again at once would tell the same.
            log.info("person_not_found", cause=str(error))
            found = ""
        except DeliveryError as error:
            log.warning("person_not_found", cause=str(error))
            self._quiet_until = self._monotonic() + QUIET_SECONDS
            return called
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[who] = _Known(found, now + KNOWN_FOR_SECONDS)
        return found or called

    def _ask(self, email_of: Ask, name_of: Ask, who: str) -> str:
        email = email_of(who, ASK_SECONDS)
        name = name_of(email, ASK_SECONDS) if email else ""
        return name[:_LONGEST_NAME] if name.isprintable() else ""
