"""A runtime that writes down what it is asked, for worker processes under test.

``python -m tests.process.fake_runtime <role> <file> [redis url]`` appends ``<what> <ids>`` to the file for each call.
An id ``hold-<file>`` waits until that file exists; ``crash`` ends the process; ``raise`` raises.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from incidentd.jobs import Enqueuer, Work
from incidentd.process import log
from incidentd.settings import load_settings
from workers.role import serve


class FakeRuntime:
    def __init__(self, journal: Path, redis_url: str | None, due: list[Work] | None = None) -> None:
        self._journal = journal
        self._due = due or []
        self._winding_down = False
        self.enqueuer = Enqueuer(redis_url)

    def tick(self, ids: Sequence[str]) -> None:
        self._note("tick", ids)

    def deliver_pages(self, ids: Sequence[str]) -> None:
        self._note("page", ids)

    def deliver_tells(self, ids: Sequence[str]) -> None:
        self._note("tell", ids)

    def due(self) -> Work:
        return self._due.pop(0) if self._due else {}

    def beat(self) -> None:
        self._write("beat")

    def wind_down(self) -> None:
        if not self._winding_down:
            self._winding_down = True
            self._write("winding down")

    def close(self) -> None:
        self.enqueuer.close()
        self._write("closed")

    def _note(self, what: str, ids: Sequence[str]) -> None:
        self._write(f"{what} {' '.join(ids)}")
        for each in ids:
            self._obey(each)
        self._write(f"{what} done")

    def _write(self, line: str) -> None:
        with self._journal.open("a") as journal:
            journal.write(line + "\n")

    def _obey(self, each: str) -> None:
        if each == "crash":
            os._exit(1)
        if each == "raise":
            raise ValueError("as told")
        if each.startswith("hold-"):
            gate = self._journal.parent / each.removeprefix("hold-")
            while not gate.exists():
                time.sleep(0.01)


if __name__ == "__main__":
    role, file, *redis_url = sys.argv[1:]
    log.configure()
    environ = {"INCIDENTD_REDIS_URL": redis_url[0]} if redis_url else {}
    settings = load_settings(environ)
    sys.exit(serve(role, FakeRuntime(Path(file), settings.redis_url), settings))
