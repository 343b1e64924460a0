"""Requests made up from ``/openapi.json``, against a running ``incidentd serve``: nothing is answered with a 500."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import canary
from tests.e2e.part import is_ready, part
from tests.e2e.up import EXAMPLE, command
from tests.servers import free_port, leashed, wait_until

RULES = Path(__file__).parents[2] / "rules"
SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
TOKEN = canary.of("the only token")
EXAMPLES = 8
"""Requests of each kind for each operation, without ``FUZZ_SECONDS``."""

NOT_ASKED = ("/-/delivering",)
"""Its 503 is what it says: there is no timekeeper here."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    listen = f"127.0.0.1:{free_port()}"
    settings = {
        "INCIDENTD_DATABASE_URL": f"sqlite:///{tmp_path}/incidentd.db",
        "INCIDENTD_LISTEN": listen,
        "INCIDENTD_RULES": str(RULES),
        "INCIDENTD_WEBHOOK_TOKEN": TOKEN,
        "INCIDENTD_API_TOKEN": TOKEN,
        "INCIDENTD_SLACK_SIGNING_SECRET": TOKEN,
        "INCIDENTD_PAGERDUTY_WEBHOOK_SECRET": TOKEN,
    }
    assert command("migrate", cwd=tmp_path, **settings).returncode == 0
    # A database that a busy machine gave no time would be answered for with 503, and logged as an error.
    settings["PYTHONPATH"] = str(RULES.parent)
    with part("-m", settings, tmp_path, "tests.patience", "incidentd.cli", "serve", program=Path(sys.executable)):
        wait_until(lambda: is_ready(listen), "incidentd serve")
        yield f"http://{listen}"
        log = (tmp_path / "-m.log").read_text()
        assert '"level": "error"' not in log
        assert not canary.leaks(log)


def test_no_request_is_answered_with_a_500(url: str, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert requests.post(f"{url}/api/v1/alertmanager", data=EXAMPLE.read_bytes(), headers=headers, timeout=60).ok
    seconds = os.environ.get("FUZZ_SECONDS")
    length = ["--max-time", seconds] if seconds else ["--max-examples", str(EXAMPLES), "--seed", "1"]
    without = [word for path in NOT_ASKED for word in ("--exclude-path", path)]
    argv = [SCHEMATHESIS, "run", f"{url}/openapi.json", *length, *without]
    argv += ["--request-timeout", "60"]
    argv += ["--header", f"Authorization: Bearer {TOKEN}", "--checks", "not_a_server_error", "--phases"]
    argv += ["coverage,fuzzing", "--warnings", "off", "--no-color", "--suppress-health-check", "all"]
    done = subprocess.run(leashed(argv), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-8000:]}{done.stderr[-2000:]}"
    assert "No test cases were generated" not in done.stdout
