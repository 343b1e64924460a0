"""What a worker group tells of itself: it has no web part, so its supervisor answers."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from incidentd.cli.listen import claim
from incidentd.errors import SettingsError
from incidentd.web import server
from incidentd.web.metrics import create_group_app

_PREFIX = "incidentd-metrics-"


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
    _clear_abandoned()
    try:
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
    except OSError as error:
        listener.close()
        raise SettingsError(f"INCIDENTD_METRICS_LISTEN: no temporary folder can be made ({error.strerror})") from None
    with folder as name, _locked(Path(name), fcntl.LOCK_EX), server.serving(create_group_app(Path(name)), listener):
        yield Path(name)


def _clear_abandoned() -> None:
    """Remove the folders of groups that were killed: whoever lives holds the lock on its own."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            # One that is empty may be so new that it isn't locked yet.
            if any(folder.iterdir()):
                shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold the lock on a folder, as flock(2) has it: with the process it ends too, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
