"""`incidentd fire` against a real `up`."""

import json
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.e2e.rulebook import in_seconds
from tests.e2e.up import Up, command
from tests.servers import free_port, program, wait_until

Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for all of them, as it takes longest to start: each fires about an objective of its own."""
    program("redis-server")
    folder = tmp_path_factory.mktemp("fire")
    started = Up(folder, in_seconds(folder / "rules", (30, 2, 60)))
    try:
        yield started.start()
    finally:
        started.kill()


def fire(up: Up, *arguments: str, **more: str) -> Ended:
    settings = {"INCIDENTD_LISTEN": up.listen, "INCIDENTD_RULES": up.settings["INCIDENTD_RULES"], **more}
    return command("fire", *arguments, "--state", str(up.state), cwd=up.folder, **settings)


def states_of(up: Up, slo: str) -> set[str]:
    return {each["state"] for each in up.get("/api/v1/incidents")["incidents"] if each["slo"] == slo}


def test_it_says_what_is_expected_and_what_happened_and_again_is_a_repeat(up: Up) -> None:
    sample = ("avalo/core-api", "--value", "99.4", "--region", "eu")
    first = fire(up, *sample)
    assert first.returncode == 0, first.stderr
    assert "P0 by row avalo/core-api-below-99.5 (availability 99.4 < 99.5)" in first.stdout
    assert re.search(r"posted     200 in \d+ ms: 1 alert firing\n", first.stdout)
    assert re.search(r"#\d+ P0 core-api availability is 99.4 % in eu: triggered, level 1", first.stdout)
    incident = up.incident("core-api")
    assert incident is not None
    assert f"page       {up.url}/incidents/{incident['id']}" in first.stdout
    assert "page-oncall accepted the page" in first.stdout
    (began,) = {each["starts_at"] for each in incident["alerts"]}

    again = fire(up, *sample)
    assert re.search(r"1 alert firing again\n", again.stdout), again.stdout
    (same,) = up.incident("core-api")["alerts"]  # type: ignore[index]
    assert same["starts_at"] == began

    joined = fire(up, "avalo/core-api", "--value", "99.4", "--region", "us")
    assert "now also in us" in joined.stdout
    ended = fire(up, *sample, "--region", "us", "--resolve")
    assert "2 alerts no longer firing" in ended.stdout
    wait_until(lambda: up.state_of("core-api") == "resolved", "the incident resolved")
    assert [entry["kind"] for entry in up.timeline("core-api")].count("opened") == 1


def test_of_one_that_opens_again_it_says_the_new_page_and_nothing_of_before(up: Up) -> None:
    sample = ("avalo/money-flow-latency", "--value", "2500")
    fire(up, *sample)
    fire(up, *sample, "--resolve")
    wait_until(lambda: up.state_of("money-flow-latency") == "resolved", "the incident resolved")
    again = fire(up, *sample).stdout
    assert "Opened again as P0" in again
    assert "page-oncall accepted the page" in again
    assert "no longer firing" not in again


def test_labels_and_annotations_are_as_asked_and_a_value_that_breaches_nothing_is_said(up: Up) -> None:
    said = ("--label", "team=api", "--annotation", "summary=all is well")
    ended = fire(up, "avalo/secondary-api", "--value", "99.9", *said)
    assert ended.returncode == 0
    assert "99.9 breaches nothing: it is sent all the same" in ended.stderr
    incident = up.incident("secondary-api")
    assert incident is not None
    (alert,) = incident["alerts"]
    assert (incident["tier"], alert["labels"]["team"], alert["annotations"]["summary"]) == ("P2", "api", "all is well")


def test_a_storm_is_counted_and_its_pages_are_told(up: Up) -> None:
    ended = fire(up, "avalo/wallet-success", "--value", "12", "--storm", "130")
    assert ended.returncode == 0, ended.stderr
    assert "storm      130 alerts of 130 incidents" in ended.stdout
    assert re.search(r"130 alerts stored in [\d.]+ s, [\d,]+ a second; answers: 2 × 200", ended.stdout)
    assert re.search(r"pages      \d+ accepted by the sandbox within [\d.]+ s", ended.stdout)
    assert "none is due" in fire(up, "avalo/wallet-success", "--value", "12", "--storm", "130").stdout
    over = fire(up, "avalo/wallet-success", "--value", "12", "--storm", "130", "--resolve")
    assert "130 alerts stored" in over.stdout
    wait_until(lambda: states_of(up, "wallet-success") == {"resolved"}, "calm")


def test_a_wrong_token_is_told(up: Up) -> None:
    ended = fire(up, "avalo/core-api", INCIDENTD_WEBHOOK_TOKEN="not-the-one-it-has")
    assert (ended.returncode, "refused the token (401)" in ended.stderr) == (1, True)
    assert "not-the-one" not in ended.stderr + ended.stdout


def test_without_the_api_token_the_alert_is_posted_and_not_looked_up(up: Up, tmp_path: Path) -> None:
    token = (up.state / "webhook-token").read_text().strip()
    settings = {"INCIDENTD_RULES": up.settings["INCIDENTD_RULES"], "INCIDENTD_WEBHOOK_TOKEN": token}
    elsewhere = ("--state", str(tmp_path / "elsewhere"), "--url", up.url)
    ended = command("fire", "avalo/call-connection", *elsewhere, cwd=tmp_path, **settings)
    assert (ended.returncode, "not looked up" in ended.stdout) == (0, True)
    assert up.state_of("call-connection") == "triggered"


def test_where_nothing_listens_it_says_so(rules: Path, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    settings = {"INCIDENTD_RULES": str(rules), "INCIDENTD_WEBHOOK_TOKEN": "a-token-of-the-test"}
    ended = command("fire", "avalo/core-api", "--url", url, cwd=tmp_path, **settings)
    assert (ended.returncode, f"nothing listens at {url}" in ended.stderr) == (1, True)


def test_what_is_no_incidentd_is_told(rules: Path, tmp_path: Path) -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(404)

        def log_message(self, *_arguments: object) -> None:
            """Nothing on stderr."""

    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = Thread(target=server.handle_request, daemon=True)
    thread.start()
    settings = {"INCIDENTD_RULES": str(rules), "INCIDENTD_WEBHOOK_TOKEN": "a-token-of-the-test"}
    url = f"http://127.0.0.1:{server.server_port}"
    ended = command("fire", "avalo/core-api", "--label", "x=y", "--url", url, cwd=tmp_path, **settings)
    thread.join()
    server.server_close()
    assert (ended.returncode, "takes no alerts (404): is this incidentd?" in ended.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("core-api",), "'core-api' is no objective: give <system>/<slo>"),
        (("avallo/core-api",), "the rules know no system 'avallo'; known: avalo"),
        (("avalo/cor-api",), "avalo has no objective 'cor-api'; known: core-api, "),
        (("avalo/core-api", "--value", "99,4"), "--value '99,4' is no number"),
        (("avalo/core-api", "--label", "team"), "--label 'team' is not name=value"),
        (("avalo/core-api", "--annotation", "=x"), "--annotation '=x' is not name=value"),
        (("avalo/core-api", "--storm", "-1"), "--storm is a number of alerts"),
    ],
)
def test_what_makes_no_sense_is_named(rules: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = command("fire", *arguments, cwd=tmp_path, INCIDENTD_RULES=str(rules))
    assert (ended.returncode, message in ended.stderr) == (2, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_token_nothing_is_posted(rules: Path, tmp_path: Path) -> None:
    ended = command("fire", "avalo/core-api", cwd=tmp_path, INCIDENTD_RULES=str(rules))
    assert (ended.returncode, "no token to post with" in ended.stderr) == (1, True), ended.stderr


def test_the_body_can_be_printed_instead(rules: Path, tmp_path: Path) -> None:
    ended = command("fire", "avalo/core-api", "--region", "eu", "--print", cwd=tmp_path, INCIDENTD_RULES=str(rules))
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["alerts"][0]["labels"]["region"] == "eu"
    assert not (tmp_path / "var").exists()
