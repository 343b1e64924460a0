"""Everything that the demo runs: `up` in a folder of its own, with nothing of this environment's settings."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from incidentd.alert import Alert
from incidentd.classify import Rules, load
from incidentd.cli.demo.evidence import Evidence, look
from incidentd.cli.fire import JOURNAL
from incidentd.cli.instance import Instance, InstanceError, instance_at
from incidentd.cli.link import sign_in
from incidentd.cli.notification import notification
from incidentd.cli.specimen import Wanted, specimens
from incidentd.cli.stand_in import PATH
from incidentd.clock import Clock
from incidentd.errors import IncidentdError
from incidentd.process.orphan import leashed
from incidentd.sandbox.interaction import buttons_of
from incidentd.sandbox.message import Message
from incidentd.settings import PREFIX

RULES = Path(__file__).parent / "rules"
START_SECONDS = 60.0
STOP_SECONDS = 45.0
_LOOK_SECONDS = 0.1
_TAIL_LINES = 15
_ROLES = ("page", "escalate", "tell", "timekeeper")
_PARTS = {"INCIDENTD_WORKERS_PAGE": "1", "INCIDENTD_WORKERS_ESCALATE": "1", "INCIDENTD_LOG_FORMAT": "json"}


class StageError(IncidentdError):
    """incidentd did not start, or ended in the middle of the story."""


@dataclass(slots=True)
class Stage:
    """A running `up`, and the hands that act on it."""

    folder: Path
    rules: Rules
    instance: Instance
    pages_url: str
    sandbox_url: str
    clock: Clock
    process: "subprocess.Popen[bytes]"

    def look(self) -> Evidence:
        """What can be seen now.

        Raises:
            StageError: incidentd has ended.
        """
        try:
            return look(self.instance, self.folder / "var" / JOURNAL)
        except InstanceError as error:
            raise self._ended(str(error)) from None

    def fire(self, slo: str, value: str, *regions: str) -> Alert:
        """An alert of this objective begins to fire. Returns it.

        Raises:
            StageError: incidentd did not store it.
        """
        (found,) = specimens(self.rules, Wanted("avalo", slo, value, regions))
        alert = found.alert(self.clock.now())
        self._post(alert)
        return alert

    def end(self, alert: Alert) -> None:
        """The alert fires no more.

        Raises:
            StageError: incidentd did not store it.
        """
        self._post(replace(alert, firing=False, ends_at=self.clock.now()))

    def press(self, card: Message, action: str, person: str) -> None:
        """A person presses the card's button in the sandbox's Slack."""
        value = next((each.get("value", "") for _, each in buttons_of(card) if each["action_id"] == action), "")
        button = json.dumps([card.channel, card.ts, action, value])
        origin = self.sandbox_url.removesuffix(PATH)
        with requests.Session() as session:
            session.trust_env = False
            form = {"button": button, "user": person}
            session.post(f"{self.sandbox_url}/press", data=form, headers={"Origin": origin}, timeout=15)

    def _post(self, alert: Alert) -> None:
        try:
            answer = self.instance.post(notification([alert]))
        except InstanceError as error:
            raise self._ended(str(error)) from None
        if answer.problem:
            raise StageError(f"the webhook answered {answer.status}: {answer.problem}")

    def _ended(self, cause: str) -> StageError:
        return StageError(f"incidentd can't be reached: {cause}\n{_tail(self.folder / 'log')}")


@contextmanager
def stage(clock: Clock, environ: Mapping[str, str]) -> Iterator[Stage]:
    """Start `up` on a free port in a temporary folder; at the end all of it is gone.

    Raises:
        StageError: it did not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="incidentd-demo-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        settings = {"INCIDENTD_LISTEN": f"127.0.0.1:{_free_port()}", "INCIDENTD_RULES": str(RULES), **_PARTS}
        process = _start(folder, {**_foreign(environ), **settings})
        _await(folder, process)
        yield _built(folder, settings, clock, process)
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _built(folder: Path, settings: Mapping[str, str], clock: Clock, process: "subprocess.Popen[bytes]") -> Stage:
    url = f"http://{settings['INCIDENTD_LISTEN']}"
    return Stage(
        folder=folder,
        rules=load(RULES),
        instance=instance_at(url, settings, folder / "var"),
        pages_url=sign_in(settings, folder / "var"),
        sandbox_url=f"{url}{PATH}",
        clock=clock,
        process=process,
    )


def _foreign(environ: Mapping[str, str]) -> dict[str, str]:
    """Without any setting of ours: the demo must not page anybody real."""
    return {name: value for name, value in environ.items() if not name.startswith(PREFIX)}


def _start(folder: Path, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "incidentd.cli", "up", "--state", str(folder / "var")]
    with (folder / "out").open("wb") as out, (folder / "log").open("wb") as log:
        # A group of its own: Ctrl-C reaches the demo only, which ends everything in its order.
        return subprocess.Popen(
            leashed(argv), env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=log, process_group=0
        )


def _await(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    """Until it says that it is up, and its workers wait for work."""
    end = time.monotonic() + START_SECONDS
    while not ("incidentd is up." in _text(folder / "out") and _serving(_text(folder / "log")) >= set(_ROLES)):
        if process.poll() is not None or time.monotonic() > end:
            raise StageError(f"incidentd did not start:\n{_tail(folder / 'log')}")
        time.sleep(_LOOK_SECONDS)


def _serving(log: str) -> set[str]:
    return {role for role in _ROLES if f'"role": "{role}", "event": "serving"' in log}


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _text(file: Path) -> str:
    return file.read_text("utf-8", "replace") if file.exists() else ""


def _tail(file: Path) -> str:
    return "\n".join(_text(file).splitlines()[-_TAIL_LINES:])
