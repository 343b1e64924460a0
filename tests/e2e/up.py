"""`incidentd up` as a user starts it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import requests

from incidentd.clock import SystemClock
from incidentd.errors import StoreUnavailableError
from incidentd.sandbox.app import Sandbox, create_sandbox
from tests.servers import children_of, free_port, leashed, lives, wait_until

PROGRAM = Path(sys.executable).parent / "incidentd"
EXAMPLE = Path(__file__).parents[2] / "examples" / "alert.json"
START_SECONDS = 100.0
STOP_SECONDS = 90.0


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of its own, and ``more``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INCIDENTD_")}
    return {**kept, **more}


def command(*arguments: str, cwd: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run ``incidentd`` to its end."""
    argv = leashed([str(PROGRAM), *arguments])
    return subprocess.run(
        argv, env=environment(**more), cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )


class Up:
    """One `incidentd up` with its state in ``folder/var``; few workers, so that it starts quickly."""

    def __init__(self, folder: Path, rules: Path, **settings: str) -> None:
        self.folder = folder
        self.state = folder / "var"
        self.listen = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.listen}"
        self.settings = {
            "INCIDENTD_LISTEN": self.listen,
            "INCIDENTD_RULES": str(rules),
            "INCIDENTD_WORKERS_PAGE": "1",
            "INCIDENTD_WORKERS_ESCALATE": "1",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, and return once it has said where it is."""
        argv = leashed([str(PROGRAM), "up", "--state", str(self.state)])
        with (self.folder / "out").open("wb") as out, (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, env=environment(**self.settings), cwd=self.folder, stdout=out, stderr=log
            )
        wait_until(lambda: "Ctrl-C" in self.said or not lives(self.pid), "incidentd up", START_SECONDS)
        assert "incidentd is up." in self.said, self.log
        return self

    def interrupt(self) -> int:
        """Ctrl-C. Returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """kill -9, if it still runs. Its children go with it."""
        if self._process is not None and self._process.poll() is None:
            children = self.children()
            self._process.kill()
            self._process.wait()
            wait_until(lambda: not any(map(lives, children)), "the end of all parts")

    def send(self, what: signal.Signals) -> None:
        """A signal to the process that the user started."""
        os.kill(self.pid, what)

    @property
    def pid(self) -> int:
        """The process that the user started."""
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        """The process ids of all parts."""
        return [child for child in children_of(self.pid) if lives(child)]

    def part(self, name: str) -> int | None:
        """The process id of one part: web, page, escalate, tell, timekeeper, redis; None while it doesn't run."""
        words = {"web": "incidentd.cli.inside", "redis": "redis-server"}.get(name, f"workers.process {name}")
        for child in self.children():
            if words in Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                return child
        return None

    @property
    def said(self) -> str:
        """What it printed."""
        return (self.folder / "out").read_text()

    @property
    def log(self) -> str:
        """Its log, of all its starts."""
        return (self.folder / "log").read_text()

    @property
    def errors(self) -> list[str]:
        """The error lines of its log, but that a busy machine's database could not be used in time."""
        lines = [line for line in self.log.splitlines() if '"level": "error"' in line]
        return [line for line in lines if StoreUnavailableError.__name__ not in line]

    def printed(self, pattern: str) -> str:
        """The first group of ``pattern`` in what it printed."""
        found = re.search(pattern, self.said)
        assert found, self.said
        return found[1]

    def post(self, body: Any) -> requests.Response:
        """Post a notification as Alertmanager would, again where a busy machine could not store it in time."""
        end = time.monotonic() + START_SECONDS
        while (answer := self.post_once(body)).status_code == requests.codes.service_unavailable:
            if time.monotonic() > end:
                break
            time.sleep(0.2)
        return answer

    def post_once(self, body: Any) -> requests.Response:
        """Post a notification, whatever comes of it."""
        token = self.printed(r"bearer token (\S+)")
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(f"{self.url}/api/v1/alertmanager", json=body, headers=headers, timeout=30)

    def get(self, path: str) -> Any:
        """An answer of the API."""
        answer = requests.get(f"{self.url}{path}", headers=self._as_client(), timeout=10)
        answer.raise_for_status()
        return answer.json()

    def call(self, path: str) -> requests.Response:
        """POST without a body, as an API client."""
        return requests.post(f"{self.url}{path}", headers=self._as_client(), timeout=10)

    def incident(self, slo: str) -> Mapping[str, Any] | None:
        """The incident of this objective as the API shows it; None without."""
        found = [each for each in self.get("/api/v1/incidents")["incidents"] if each["slo"] == slo]
        return found[0] if found else None

    def state_of(self, slo: str) -> str:
        """The state of this objective's incident; empty without."""
        found = self.incident(slo)
        return str(found["state"]) if found else ""

    def timeline(self, slo: str) -> list[Mapping[str, Any]]:
        """The timeline of this objective's incident."""
        found = self.incident(slo)
        assert found is not None
        entries: list[Mapping[str, Any]] = self.get(f"/api/v1/incidents/{found['id']}/timeline")["entries"]
        return entries

    def received(self) -> Sandbox:
        """What the sandbox of this `up` has received, read from its journal."""
        return create_sandbox(
            clock=SystemClock().now, slack_signing_secret="unused", journal=self.state / "sandbox.jsonl"
        )

    def _as_client(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.state / 'api-token').read_text().strip()}"}
