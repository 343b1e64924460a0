"""One container of the compose file as a process on loopback: its command, environment, secrets and files.

Only what a container has of its own becomes this machine's: absolute paths lie below a folder, names of services are
addresses, and it listens on a free port of 127.0.0.1.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.deploy.composition import SECRETS, Service, seconds
from tests.e2e.up import environment
from tests.servers import children_of, free_port, leashed, program

PORTS = {
    "web": 8080,
    "worker": 9108,
    "postgres": 5432,
    "redis": 6379,
    "prometheus": 9090,
    "alertmanager": 9093,
    "sandbox": 8090,
}
_COMMAND_SECONDS = 120
_STOP_SECONDS = "10s"


@dataclass
class Container:
    """``programs`` is the folder of incidentd's; ``folder`` takes the place of the container's file system."""

    service: Service
    folder: Path
    programs: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    addresses: Mapping[str, str] = field(default_factory=dict)

    def lay_out(self, sources: Mapping[str, Path], edit: Callable[[Path, str], str]) -> None:
        """Make its files. ``sources`` are those of its bind mounts and secrets; ``edit`` may change a file's text."""
        self.work.mkdir(parents=True)
        for mount in self.service.mounts:
            target = self.path(mount.target)
            if mount.is_volume:
                target.mkdir(parents=True)
            else:
                self._copy(sources[mount.source], target, edit)
        for name in self.service.secrets:
            self._copy(sources[name], self.path(f"{SECRETS}/{name}"), edit)

    @property
    def work(self) -> Path:
        """The working directory."""
        return self.folder / "work"

    @property
    def log(self) -> str:
        """All that it wrote."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def path(self, inside: str) -> Path:
        """Where a path of the container is here."""
        return self.folder / "root" / inside.removeprefix("/")

    def here(self, text: str) -> str:
        """Text of the compose file or of a mounted file, with the paths and addresses of this machine."""
        own = PORTS.get(self.service.name, 0)
        text = re.sub(rf"\b(?:0\.0\.0\.0|127\.0\.0\.1):{own}\b", f"127.0.0.1:{self.port}", text)
        names = "|".join(self.addresses)
        text = re.sub(rf"\b({names}):\d+\b", lambda found: self.addresses[found[1]], text)
        targets = [SECRETS, *(mount.target for mount in self.service.mounts)]
        paths = "|".join(sorted(map(re.escape, targets), key=len, reverse=True))
        return re.sub(rf"(?<![\w/.])({paths})\b", lambda found: str(self.path(found[1])), text)

    @property
    def environ(self) -> dict[str, str]:
        """This process's environment and the service's."""
        return environment(**{name: self.here(value) for name, value in self.service.environment.items()})

    def start(self, argv: list[str], user: str | None = None, cwd: Path | None = None) -> None:
        """Start it; ``argv`` is the whole command."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                leashed(argv), env=self.environ, cwd=cwd or self.work, stdout=log, stderr=log, user=user
            )

    def refuse_ended(self) -> None:
        """Fail the test, with its log, where it doesn't run."""
        assert self.process is not None
        assert self.process.poll() is None, f"{self.service.name} has ended:\n{self.log}"

    def is_healthy(self) -> bool:
        """What its health check says."""
        self.refuse_ended()
        argv = [self.here(word) for word in self.service.test]
        if argv[0] == "wget":
            return _answers(argv[-1])
        argv[0] = str(self.programs / "python") if argv[0] == "python" else program(argv[0])
        env = {**self.environ, "PGPORT": str(self.port)}
        check = subprocess.run(argv, env=env, capture_output=True, timeout=_COMMAND_SECONDS, check=False)
        return check.returncode == 0

    def execute(self, *arguments: str) -> str:
        """What incidentd prints in it, as by `docker compose exec`."""
        argv = [str(self.programs / "incidentd"), *arguments]
        done = subprocess.run(
            argv, env=self.environ, cwd=self.work, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True
        )
        return done.stdout.strip()

    def stop(self) -> int:
        """`docker stop`, which must not need its SIGKILL. Returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.Signals[self.service.raw.get("stop_signal", "SIGTERM")])
        return self.process.wait(seconds(self.service.raw.get("stop_grace_period", _STOP_SECONDS)))

    def kill(self) -> None:
        """kill -9, if it still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def arguments(self) -> str:
        """The command lines of its process and of those below it, as every user of the machine can read them."""
        assert self.process is not None
        pids = [self.process.pid]
        for pid in pids:
            pids += children_of(pid)
        return "\n".join(Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace") for pid in pids)

    def _copy(self, source: Path, target: Path, edit: Callable[[Path, str], str]) -> None:
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        for file in [target] if target.is_file() else [each for each in target.rglob("*") if each.is_file()]:
            file.write_text(self.here(edit(file, file.read_text("utf-8"))), "utf-8")


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=_COMMAND_SECONDS).ok
    except requests.RequestException:
        return False
