"""What stands before incidentd: an exporter, a real Prometheus that scrapes it, a real Alertmanager."""

import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.servers import free_port, leashed, program, wait_until

README = Path(__file__).parents[2] / "README.md"


class Exporter:
    """Serves gauges as Prometheus reads them. Set ``gauges`` by series, such as ``availability{region="eu"}``."""

    def __init__(self, **gauges: float) -> None:
        self.gauges = gauges
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = "".join(f"{series} {value}\n" for series, value in exporter.gauges.items()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield
        self._server.shutdown()
        self._server.server_close()
        thread.join()


class RealAlertmanager:
    """An Alertmanager on a port that is known before it starts, which a test feeds, kills and starts again, empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self._address}"
        self._process: subprocess.Popen[bytes] | None = None
        self._begins = 0

    def start(self, webhook: str, token: str) -> None:
        """Start it, empty, with the README's configuration."""
        self._begins += 1
        folder = self._folder / f"alertmanager-{self._address.rpartition(':')[2]}-{self._begins}"
        folder.mkdir()
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(readme_configuration(webhook, token)))
        argv = [
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/data",
            f"--web.listen-address={self._address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        with (folder / "log").open("wb") as output:
            self._process = subprocess.Popen(leashed(argv), stdout=output, stderr=output)
        wait_until(lambda: _is_ready(f"{self.url}/-/ready"), "alertmanager")

    def kill(self) -> None:
        """kill -9, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def post(self, path: str, body: Any) -> Any:
        """What its API answers."""
        answer = requests.post(f"{self.url}/api/v2/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def alertmanager(folder: Path, webhook: str, token: str) -> Iterator[str]:
    """An Alertmanager with the configuration of the README: yields its address."""
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(readme_configuration(webhook, token)))
    address = f"127.0.0.1:{free_port()}"
    argv = [
        program("prometheus-alertmanager", "alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with running(argv, folder / "log", f"http://{address}/-/ready"):
        yield address


def readme_configuration(webhook: str, token: str) -> dict[str, Any]:
    """The README's block with this address and token, and the shortest intervals that Alertmanager takes well."""
    text = README.read_text("utf-8").partition("## Pointing Alertmanager at it")[2]
    configuration: dict[str, Any] = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    (hook,) = configuration["receivers"][0]["webhook_configs"]
    assert hook["url"].endswith("/api/v1/alertmanager")
    hook["url"] = webhook
    hook["http_config"]["authorization"]["credentials"] = token
    configuration["route"] |= {"group_wait": "100ms", "group_interval": "1s"}
    return configuration


@contextmanager
def prometheus(folder: Path, rules: Mapping[str, Any], target: str, alertmanager_address: str) -> Iterator[None]:
    """A Prometheus that scrapes ``target`` and evaluates ``rules`` twice a second. promtool has checked both files."""
    folder.mkdir()
    address = f"127.0.0.1:{free_port()}"
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(target, alertmanager_address)))
    subprocess.run(
        [program("promtool"), "check", "config", str(folder / "prometheus.yml")], check=True, capture_output=True
    )
    argv = [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with running(argv, folder / "log", f"http://{address}/-/ready"):
        yield


def _configuration(target: str, alertmanager_address: str) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "500ms"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [target]}]}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager_address]}]}]},
    }


@contextmanager
def running(argv: list[str], log: Path, ready_url: str) -> Iterator[None]:
    """The server while the block runs, once ``ready_url`` answers 200."""
    with log.open("wb") as output:
        process = subprocess.Popen(leashed(argv), stdout=output, stderr=output)
    try:
        wait_until(lambda: _is_ready(ready_url) or process.poll() is not None, argv[0])
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).status_code == 200
    except requests.RequestException:
        return False
