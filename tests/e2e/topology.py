"""All that the compose files describe, run with the real servers on loopback."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
import yaml

from tests.deploy.composition import Composition
from tests.deploy.dockerfile import ROOT
from tests.e2e.balancer import balanced
from tests.e2e.container import PORTS, Container
from tests.servers import program, wait_until

_START_SECONDS = 300.0
_INTERVALS = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "500ms"}


class Topology:
    """The services of a composition, in as many containers as it says.

    ``secrets`` is what `make secrets` made; ``rules`` takes the place of the rules directory. Prometheus scrapes
    ``target`` besides, evaluates ``alerts``, and everything that takes seconds in use takes less.
    """

    def __init__(
        self,
        composition: Composition,
        folder: Path,
        *,
        programs: Path,
        secrets: Path,
        rules: Path,
        target: str,
        alerts: Mapping[str, Any],
    ) -> None:
        self.composition = composition
        self.containers = {
            name: [Container(service, folder / f"{name}-{n}", programs) for n in range(1, service.replicas + 1)]
            for name, service in composition.services.items()
        }
        self._sources = {"./rules": rules}
        for mount in (mount for service in composition.services.values() for mount in service.mounts):
            if not mount.is_volume:
                self._sources.setdefault(mount.source, ROOT / mount.source)
        for name, file in composition.secret_files.items():
            self._sources[name] = secrets / Path(file).relative_to("deploy/secrets")
        self._target, self._alerts = target, alerts

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything up and healthy while the block runs, started in the order that the files ask for."""
        with ExitStack() as stack:
            stack.callback(self.kill)
            addresses = {}
            for name in PORTS:
                ports = [each.port for each in self.containers[name]]
                port = stack.enter_context(balanced(ports)) if len(ports) > 1 else ports[0]
                addresses[name] = f"127.0.0.1:{port}"
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="incidentd-postgres-")))
            for name in self._order():
                self._await_needs(name)
                for container in self.containers[name]:
                    container.addresses = addresses
                    container.lay_out(self._sources, self._quick)
                    self._start(container, home)
            for name in set(self.containers) - {"migrate"}:
                self._await_healthy(name)
            yield

    def stop(self) -> dict[str, int]:
        """Stop what runs, as `docker compose stop` would. Returns the exit statuses by service."""
        found = {}
        for name in reversed([*self._order()]):
            for each in self.containers[name]:
                if each.process is not None and each.process.poll() is None:
                    found[name] = each.stop()
        return found

    def kill(self) -> None:
        """End whatever still runs."""
        for name in self._order():
            for each in self.containers[name]:
                each.kill()

    def url(self, name: str, number: int = 1) -> str:
        """The base address of one container."""
        return f"http://127.0.0.1:{self.containers[name][number - 1].port}"

    def _order(self) -> Iterator[str]:
        needs = {name: self._needs(name) for name in self.containers}
        yield from TopologicalSorter(needs).static_order()

    def _needs(self, name: str) -> Mapping[str, Any]:
        needs: Mapping[str, Any] = self.composition.services[name].raw.get("depends_on", {})
        return needs

    def _await_needs(self, name: str) -> None:
        for needed, how in self._needs(name).items():
            if how["condition"] == "service_healthy":
                self._await_healthy(needed)
                continue
            (once,) = self.containers[needed]
            assert once.process is not None
            assert once.process.wait(_START_SECONDS) == 0, once.log

    def _await_healthy(self, name: str) -> None:
        for container in self.containers[name]:
            wait_until(container.is_healthy, f"{name} to be healthy", _START_SECONDS)

    def _start(self, container: Container, home: Path) -> None:
        name, port = container.service.name, str(container.port)
        command = [container.here(word) for word in container.service.command]
        if name == "postgres":
            start_postgres(container, command, home)
        elif name == "redis":
            container.start([program(command[0]), *command[1:], "--bind", "127.0.0.1", "--port", port])
        elif name in ("prometheus", "alertmanager"):
            container.start([program(f"prometheus-{name}", name), *command])
        else:
            container.start([str(container.programs / "incidentd"), *command])

    def _quick(self, file: Path, text: str) -> str:
        edits: Mapping[str, Callable[[Any], None]] = {
            "prometheus.yml": self._quick_prometheus,
            "alertmanager.yml": _quick_alertmanager,
            "targets.yml": partial(_replace, {**self._alerts}),
        }
        if file.name not in edits:
            return text
        content = yaml.safe_load(text)
        edits[file.name](content)
        return yaml.safe_dump(content, sort_keys=False)

    def _quick_prometheus(self, content: Any) -> None:
        content["global"] = _INTERVALS
        for job in content["scrape_configs"]:
            if found := job.pop("dns_sd_configs", None):
                job["static_configs"] = [self._found(name) for each in found for name in each["names"]]
        content["scrape_configs"].append({"job_name": "shop", "static_configs": [{"targets": [self._target]}]})

    def _found(self, name: str) -> Mapping[str, Any]:
        """What Docker's DNS would say of this name, with the label that Prometheus adds."""
        targets = [f"127.0.0.1:{each.port}" for each in self.containers[name]]
        return {"targets": targets, "labels": {"__meta_dns_name": name}}


def start_postgres(container: Container, command: Sequence[str], home: Path) -> None:
    """As the image's entry point does: a cluster with the password, its database, and then the command."""
    environ, user = container.environ, "postgres" if os.geteuid() == 0 else None
    owner, password = environ["POSTGRES_USER"], Path(environ["POSTGRES_PASSWORD_FILE"]).read_text("utf-8")
    (home / "password").write_text(password, "utf-8")
    if user:
        # As root it must run as another user, who has to reach its folder: pytest's own folders are root's alone.
        for path in (home, home / "password"):
            shutil.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    initdb = [program("initdb"), "-D", str(home / "data"), "-A", "scram-sha-256", "--locale=C", "-E", "UTF8", "-N"]
    initdb += ["-U", owner, f"--pwfile={home / 'password'}", *environ["POSTGRES_INITDB_ARGS"].split()]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, user=user, cwd=home)
    options = {"listen_addresses": "127.0.0.1", "port": container.port, "unix_socket_directories": home, "fsync": "off"}
    flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    container.start([program("postgres"), "-D", str(home / "data"), *command[1:], *flags], user=user, cwd=home)
    conninfo = f"host=127.0.0.1 port={container.port} user={owner} password={password} dbname=postgres"
    wait_until(partial(_created, container, conninfo, environ["POSTGRES_DB"]), "the database", _START_SECONDS)


def _created(container: Container, conninfo: str, name: str) -> bool:
    container.refuse_ended()
    try:
        with psycopg.connect(conninfo, connect_timeout=2, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
    except psycopg.OperationalError:
        return False
    return True


def _quick_alertmanager(content: Any) -> None:
    for route in (content["route"], *content["route"]["routes"]):
        route |= {"group_wait": "100ms", "group_interval": "1s"}


def _replace(new: Mapping[str, Any], content: Any) -> None:
    content.clear()
    content.update(new)
