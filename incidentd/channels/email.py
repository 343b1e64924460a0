"""Mail: one message for each change of state, in one thread for each incident."""

import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache

from incidentd.channels.change import nothing_to_tell
from incidentd.channels.channel import Destination, News, Receipt
from incidentd.channels.deadline import Watchman
from incidentd.channels.letter import letter, recipients
from incidentd.channels.mail_server import mail_server
from incidentd.channels.resolver import Resolver
from incidentd.channels.smtp import LASTING, mail_session, refusal
from incidentd.errors import PermanentError, TransientError

PATIENCE = timedelta(minutes=30)
"""How long a recipient who is refused for now is tried again after others took the mail: greylisting takes minutes."""

_REMEMBERED = 1000


class EmailChannel:
    """Hands mail to the server that a destination names. ``context`` is what certificates are verified with."""

    def __init__(
        self,
        watchman: Watchman,
        resolver: Resolver,
        now: Callable[[], datetime],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._watchman = watchman
        self._resolver = resolver
        self._now = now
        self._context = context
        self._begun = _Begun()

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """Send one mail for all that is new, where any of it is a change of state.

        Raises:
            TransientError, UncertainError, PermanentError: as ``Channel`` says.
        """
        if (nothing := self.silent(news)) is not None:
            return nothing
        to = recipients(destination)
        if not to or not destination.options.get("from"):
            raise PermanentError("the destination names no sender or no recipient")
        mail = letter(destination, news, self._now())
        server = mail_server(destination.secret)
        done, since = self._begun.of(str(mail["Message-ID"]))
        context = self._context or _default_context()
        with mail_session(server, self._watchman, self._resolver, context, seconds) as session:
            outcome = session.send(
                destination.options["from"], [each for each in to if each not in done], mail.as_bytes()
            )
        done |= outcome.accepted
        for_now = [code for code in outcome.refused.values() if code < LASTING]
        if not done:
            raise refusal(*((for_now[0], "a recipient for now") if for_now else (550, "every recipient")))
        if for_now:
            since = self._begun.note(str(mail["Message-ID"]), done, since or self._now())
            if self._now() - since < PATIENCE:
                raise TransientError(f"{len(for_now)} of {len(to)} recipients are refused for now ({for_now[0]})")
        first = news.reference.get("first") or news.predecessor.get("first") or str(mail["Message-ID"])
        return Receipt({"first": first, "subject": str(mail["Subject"])}, sent=True, detail=_detail(len(done), len(to)))

    def silent(self, news: News) -> Receipt | None:
        """As ``Channel`` says."""
        return nothing_to_tell(news)


@cache
def _default_context() -> ssl.SSLContext:
    """Not before it is needed: to read all certificates is a good part of what a process takes to start."""
    return ssl.create_default_context()


class _Begun:
    """Mails that some recipients have and others were refused for now: who has one is not sent it again.

    Only this process knows; after a restart a recipient may get the same mail, with the same Message-ID, once more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mails: OrderedDict[str, tuple[frozenset[str], datetime]] = OrderedDict()

    def of(self, message_id: str) -> tuple[frozenset[str], datetime | None]:
        """Who has it, and since when others wait for it."""
        with self._lock:
            return self._mails.get(message_id, (frozenset(), None))

    def note(self, message_id: str, done: frozenset[str], since: datetime) -> datetime:
        """Keep who has it; returns since when others wait."""
        with self._lock:
            self._mails[message_id] = (done, since)
            while len(self._mails) > _REMEMBERED:
                self._mails.popitem(last=False)
        return since


def _detail(done: int, asked: int) -> str:
    return f"mail to {done}" if done == asked else f"mail to {done} of {asked}: the others are refused"
