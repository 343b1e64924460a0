"""Fixtures for worker processes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RedisServer, leashed, wait_until


class WorkerProcess:
    """A worker process on a runtime that keeps a journal."""

    def __init__(self, role: str, folder: Path, redis_url: str | None) -> None:
        self.folder = folder
        self.journal = folder / f"{role}.journal"
        self._errors = folder / f"{role}.log"
        argv = [sys.executable, "-m", "tests.process.fake_runtime", role, str(self.journal)]
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(leashed(argv + ([redis_url] if redis_url else [])), stderr=errors)

    def lines(self) -> list[str]:
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    def log(self) -> str:
        return self._errors.read_text()

    def wait_for_start(self) -> None:
        """A job that nobody takes is forgotten after a while."""
        wait_until(lambda: '"serving"' in self.log(), f"the worker; log: {self.log()}")

    def wait_for(self, line: str) -> None:
        wait_until(lambda: line in self.lines(), f"{line!r} in the journal; log: {self.log()}")

    def open_gate(self, name: str) -> None:
        (self.folder / name).touch()

    def most_memory(self) -> int:
        """The most bytes that it ever held at once: proc(5)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def page_worker(redis_server: RedisServer, tmp_path: Path) -> Iterator[WorkerProcess]:
    worker = WorkerProcess("page", tmp_path, redis_server.url)
    worker.wait_for_start()
    yield worker
    worker.process.kill()
    worker.process.wait()
