"""One GET that tells an outsider that all is well: he alarms when it stays away.

Healthchecks, Dead Man's Snitch, Cronitor and Better Stack all take it so (https://healthchecks.io/docs/http_api/).
"""

import requests

from incidentd import __version__
from incidentd.channels.deadline import Watchman
from incidentd.channels.failure import FOREIGN
from incidentd.channels.resolver import Resolver
from incidentd.channels.transport import DeadlineAdapter, furnish
from incidentd.errors import DeliveryError, PermanentError, TransientError


class Outsider:
    """The one at ``url``, which is a secret: whoever knows it can keep him quiet."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = furnish(requests.Session(), DeadlineAdapter(Watchman(), Resolver()), url)
        self._session.headers["User-Agent"] = f"incidentd/{__version__}"

    def ping(self, seconds: float) -> None:
        """Ping once, within ``seconds`` in all.

        Raises:
            DeliveryError: it was not accepted. The text names neither the address nor what came back.
        """
        failure: DeliveryError | None = None
        try:
            status = self._session.get(self._url, timeout=seconds).status_code
        except FOREIGN:
            failure = PermanentError("its address can't be used")
        if failure is not None:
            raise failure
        if not requests.codes.ok <= status < requests.codes.multiple_choices:
            raise TransientError(f"it answered with status {status}")

    def close(self) -> None:
        """Close its connection."""
        self._session.close()
