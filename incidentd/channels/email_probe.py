"""Whether a mail server takes us in, asked without sending a mail."""

import ssl

from incidentd.channels.deadline import Watchman
from incidentd.channels.mail_server import MailServer, mail_server
from incidentd.channels.resolver import Resolver
from incidentd.channels.smtp import mail_session


def reach(address: str, seconds: float, context: ssl.SSLContext | None = None) -> MailServer:
    """Connect, greet, begin TLS and sign in, as the address says. Returns what it says.

    Raises:
        TransientError, PermanentError: the server can't be reached, or refuses; the texts are safe to show.
    """
    server = mail_server(address)
    with mail_session(server, Watchman(), Resolver(), context or ssl.create_default_context(), seconds):
        return server
