"""One part of incidentd as a process of its own."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.e2e.up import PROGRAM, STOP_SECONDS, environment
from tests.servers import leashed


@contextmanager
def part(
    name: str, settings: Mapping[str, str], folder: Path, *options: str, program: Path = PROGRAM
) -> Iterator["subprocess.Popen[bytes]"]:
    """One command that runs until SIGTERM, and then ends with status 0; ``folder`` is its own, and gets its log."""
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            leashed([str(program), name, *options]), env=environment(**settings), cwd=folder, stderr=log
        )
    try:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def is_ready(listen: str) -> bool:
    """Whether the web part at this address can store a webhook."""
    return answers(f"http://{listen}/-/ready")


def answers(url: str) -> bool:
    """Whether there is somebody, and all is well."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
