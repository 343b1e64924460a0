"""From nothing to the first page, as the README says it: clone, `make run`, fire the sample."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from incidentd.clock import SystemClock
from incidentd.sandbox.app import create_sandbox
from tests.deploy.dockerfile import ROOT
from tests.e2e.test_demo import family
from tests.servers import children_of, free_port, leashed, lives, program, wait_until

README = ROOT / "README.md"
SHOWN = "127.0.0.1:8080"
KEPT = re.compile(r"HOME|LANG|LC_\w+|PYTHON|PIP_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|\w+_proxy", re.IGNORECASE)
"""What a person's shell has set, as far as it matters here; PYTHON is for `make`."""

# Downloading, mostly; the rest of the time is for a busy machine.
SET_UP_SECONDS = 600.0
PATIENCE_SECONDS = 120.0
_UNREACHABLE = re.compile(r"connection broken by|Max retries exceeded|Could not fetch URL|No matching distribution")


class Newcomer:
    """Somebody with an empty folder and a shell in which nothing of ours is set."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.checkout = folder / "incidentd"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.listen = f"127.0.0.1:{free_port()}"
        ours = Path(sys.executable).parent
        path = [each for each in os.environ["PATH"].split(os.pathsep) if Path(each).absolute() != ours.absolute()]
        kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
        # Whoever owns our checkout, it is not the newcomer's business.
        (folder / "gitconfig").write_text("[safe]\n\tdirectory = *\n", "utf-8")
        git = {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig")}
        settings = {"INCIDENTD_LISTEN": self.listen, "TMPDIR": str(self.temporary), **git, **more}
        self.environ: Mapping[str, str] = {**kept, "PATH": os.pathsep.join(path), **settings}
        self._out = folder / "out"
        self.make: subprocess.Popen[bytes] | None = None

    def clone(self) -> None:
        self._run(program("git"), "clone", "--quiet", str(ROOT), str(self.checkout), cwd=self.checkout.parent)

    def make_run(self) -> None:
        """Start it. Returns once it says that it is up."""
        with self._out.open("wb") as out:
            self.make = subprocess.Popen(
                leashed([program("make"), "run"]),
                cwd=self.checkout,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + SET_UP_SECONDS
        while "Ctrl-C ends it" not in self.said:
            if self.make.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{why_not(self.said)}\n{self.said[-4000:]}")
            time.sleep(0.05)

    def fire_the_sample(self) -> str:
        """By the command that the README shows. Returns what it prints."""
        command = sample(README.read_text("utf-8")).replace(SHOWN, self.listen)
        return self._run("/bin/bash", "-c", command, cwd=self.checkout)

    def is_paged(self) -> bool:
        journal = self.checkout / "var" / "sandbox.jsonl"
        sandbox = create_sandbox(clock=SystemClock().now, slack_signing_secret="unused", journal=journal)
        return any(alert.latest.payload["component"] == "core-api" for alert in sandbox.pagerduty.alerts)

    def press_ctrl_c(self) -> int:
        """As a terminal does, to all in the foreground. Returns the exit status of incidentd.

        `make` dies of the same signal, whatever became of incidentd: held still until then, it leaves the status to be
        read.
        """
        assert self.make is not None
        (incidentd,) = children_of(self.make.pid)
        os.kill(self.make.pid, signal.SIGSTOP)
        os.killpg(self.make.pid, signal.SIGINT)
        wait_until(lambda: not lives(incidentd), "the end of incidentd", PATIENCE_SECONDS)
        status = os.waitstatus_to_exitcode(_exit_code(incidentd))
        os.kill(self.make.pid, signal.SIGCONT)
        self.make.wait(PATIENCE_SECONDS)
        return status

    def leave(self) -> None:
        """End whatever still runs."""
        if self.make is None or self.make.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.make.pid, signal.SIGKILL)
        self.make.wait()

    def changed(self) -> str:
        """What the checkout has that git would show."""
        return self._run(program("git"), "status", "--porcelain", cwd=self.checkout)

    @property
    def said(self) -> str:
        return self._out.read_text("utf-8", "replace")

    def _run(self, *argv: str, cwd: Path) -> str:
        done = subprocess.run(
            argv, cwd=cwd, env=self.environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def sample(readme: str) -> str:
    """The command that fires the sample at what `make run` runs."""
    (command,) = [each for each in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "var/webhook-token" in each]
    assert command.count(SHOWN) == 1, command
    return str(command)


def why_not(said: str) -> str:
    """Why `make run` did not come to an end."""
    if _UNREACHABLE.search(said):
        return "pip can't reach the package index: setting up needs the network"
    return "`make run` did not get incidentd up"


def _exit_code(pid: int) -> int:
    """Of a process that has ended and that nobody has waited for (proc(5), stat, field 52)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[49])


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    somebody = Newcomer(tmp_path)
    try:
        yield somebody
    finally:
        somebody.leave()


@pytest.mark.timeout(SET_UP_SECONDS + 3 * PATIENCE_SECONDS)
def test_from_an_empty_folder_to_the_first_page(
    newcomer: Newcomer, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    newcomer.clone()
    newcomer.make_run()
    up = time.monotonic()
    assert '"stored"' in newcomer.fire_the_sample()
    wait_until(newcomer.is_paged, "the page in the sandbox", PATIENCE_SECONDS)
    paged = time.monotonic()
    record_property(
        "measured",
        f"zero to first page: {paged - began:.1f} s: clone and set-up {up - began:.1f} s, "
        f"then from the sample to its page {paged - up:.2f} s",
    )
    assert newcomer.make is not None
    everyone = family(newcomer.make.pid)
    assert len(everyone) > 5
    assert newcomer.press_ctrl_c() == 0
    assert not [pid for pid in everyone if lives(pid)]
    assert list(newcomer.temporary.iterdir()) == []
    assert newcomer.changed() == ""


@pytest.mark.timeout(SET_UP_SECONDS + PATIENCE_SECONDS)
def test_without_the_package_index_the_failure_says_so(tmp_path: Path) -> None:
    nowhere = {
        "PIP_INDEX_URL": f"http://127.0.0.1:{free_port()}/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
    }
    newcomer = Newcomer(tmp_path, **nowhere)
    newcomer.clone()
    try:
        with pytest.raises(pytest.fail.Exception, match="can't reach the package index"):
            newcomer.make_run()
    finally:
        newcomer.leave()
