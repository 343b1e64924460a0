"""A real Prometheus over series that were written beforehand, with the rule files of the five systems."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from slo.source import ROOT
from tests.e2e.upstream import running
from tests.servers import free_port, program

STEP = timedelta(seconds=15)


def openmetrics(rates: Mapping[str, float], begin: datetime, end: datetime) -> str:
    """Counters that begin at 0 and rise by so much each minute, as ``promtool`` takes them."""
    lines = []
    for series, rate in rates.items():
        at = begin
        while at <= end:
            lines.append(f"{series} {rate * ((at - begin) / timedelta(minutes=1)):.3f} {at.timestamp():.3f}")
            at += STEP
    return "\n".join([*lines, "# EOF\n"])


def fill(folder: Path, text: str) -> None:
    """Blocks of these samples, for a Prometheus that has not started yet."""
    source = folder / "samples.txt"
    source.write_text(text)
    argv = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data")]
    subprocess.run(argv, check=True, capture_output=True)


@contextmanager
def prometheus(folder: Path, alertmanager_address: str) -> Iterator[None]:
    """A Prometheus over what was filled in: it scrapes nothing, and evaluates the rules of all five systems."""
    address = f"127.0.0.1:{free_port()}"
    files = sorted(str(path) for path in ROOT.glob("*/*.rules.yml"))
    configuration = {
        "global": {"evaluation_interval": "2s"},
        "rule_files": files,
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager_address]}]}]},
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    argv = [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with running(argv, folder / "log", f"http://{address}/-/ready"):
        yield


@contextmanager
def alertmanager(folder: Path, webhook: str, token: str) -> Iterator[str]:
    """An Alertmanager with the systems' configuration, at this address and in haste: yields its own address."""
    configuration = yaml.safe_load((ROOT / "alertmanager.yml").read_text("utf-8"))
    (folder / "token").write_text(token)
    (folder / "key").write_text("of-nobody")
    hooks, itself = (receiver for receiver in configuration["receivers"])
    (hook,) = hooks["webhook_configs"]
    assert hook["url"].endswith("/api/v1/alertmanager")
    hook["url"] = webhook
    hook["http_config"]["authorization"]["credentials_file"] = str(folder / "token")
    itself["pagerduty_configs"][0]["routing_key_file"] = str(folder / "key")
    configuration["route"] |= {"group_wait": "100ms", "group_interval": "1s"}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_port()}"
    argv = [
        program("prometheus-alertmanager", "alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager-data",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with running(argv, folder / "alertmanager-log", f"http://{address}/-/ready"):
        yield address
