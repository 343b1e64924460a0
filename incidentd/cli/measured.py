"""What a worker group tells of itself: it has no web part, so its supervisor answers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from incidentd.cli.listen import claim
from incidentd.errors import SettingsError
from incidentd.web import server
from incidentd.web.metrics import create_group_app


@contextmanager
def counted(address: tuple[str, int] | None) -> Iterator[Path | None]:
    """A new folder for the group to count in, and its sum at this address, while the block runs; None: neither.

    Raises:
        SettingsError: the address is taken, or there is no room for a temporary folder.
    """
    if address is None:
        yield None
        return
    listener = claim("INCIDENTD_METRICS_LISTEN", *address)
    try:
        folder = tempfile.TemporaryDirectory(prefix="incidentd-metrics-")
    except OSError as error:
        listener.close()
        raise SettingsError(f"INCIDENTD_METRICS_LISTEN: no temporary folder can be made ({error.strerror})") from None
    with folder as name, server.serving(create_group_app(Path(name)), listener):
        yield Path(name)
