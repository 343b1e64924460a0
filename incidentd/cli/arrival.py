"""A web part that was started while the database is away waits for it, and refuses one that is not of its version."""

import os
import signal
import threading
from collections.abc import Callable

import structlog

from incidentd.errors import SchemaError, StoreError
from incidentd.runtime import Runtime
from incidentd.store.migrate import check

LOOK_SECONDS = 1.0

log = structlog.get_logger("incidentd")


class Arrival:
    """Looks again and again, in a thread of its own. ``refused`` says why the process is to end, if it is."""

    def __init__(self, runtime: Runtime, begin: Callable[[Runtime], None]) -> None:
        self.refused: SchemaError | None = None
        self._runtime = runtime
        self._begin = begin
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="arrival", daemon=True)

    def start(self) -> None:
        """Wait for it from now on; then begin."""
        self._thread.start()

    def close(self) -> None:
        """Wait no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                check(self._runtime.store.engine)
            except StoreError:
                continue
            except SchemaError as error:
                self.refused = error
                os.kill(os.getpid(), signal.SIGTERM)
                return
            log.info("database_arrived")
            self._begin(self._runtime)
            return
