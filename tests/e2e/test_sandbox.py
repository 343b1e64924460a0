"""`incidentd sandbox`: the stand-ins alone."""

import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from slack_sdk.signature import SignatureVerifier

from incidentd.clock import SystemClock
from incidentd.sandbox.app import create_sandbox
from tests.e2e.rulebook import SHIPPED
from tests.e2e.up import PROGRAM, STOP_SECONDS, command, environment
from tests.servers import free_port, leashed, wait_until

SECRET = "a-signing-secret-of-the-test"
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}, "action_id": "ack", "value": "1"}
MESSAGE = {"channel": "#incidents", "text": "down", "blocks": [{"type": "actions", "elements": [BUTTON]}]}


class Product:
    """Where presses go: keeps the first one and whether it is signed."""

    def __init__(self) -> None:
        self.pressed: list[tuple[str, bool]] = []
        product = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name: str(value) for name, value in self.headers.items()}
                product.pressed.append((self.path, SignatureVerifier(SECRET).is_valid_request(body, headers)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Nothing on stderr."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer_one(self) -> threading.Thread:
        """Answer one request, in a thread that ends then."""
        thread = threading.Thread(target=self._server.handle_request, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self._server.server_close()


@contextmanager
def sandbox(folder: Path, product: str, journal: Path) -> Iterator[str]:
    """The command, until Ctrl-C; yields its address."""
    listen = f"127.0.0.1:{free_port()}"
    options = ["--listen", listen, "--product", product, "--journal", str(journal), "--mail", "127.0.0.1:0"]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            leashed([str(PROGRAM), "sandbox", *options]),
            env=environment(INCIDENTD_SLACK_SIGNING_SECRET=SECRET),
            stdout=out,
        )
    try:
        wait_until(lambda: answers(f"http://{listen}/sandbox/"), "the sandbox")
        yield f"http://{listen}/sandbox"
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def test_the_sandbox_alone_takes_messages_and_sends_signed_presses(tmp_path: Path) -> None:
    product, journal = Product(), tmp_path / "sandbox.jsonl"
    with sandbox(tmp_path, product.url, journal) as url:
        said = (tmp_path / "out").read_text()
        assert f"INCIDENTD_SLACK_API_URL={url}/slack/api" in said
        assert SECRET not in said
        headers = {"Authorization": "Bearer xoxb-any"}
        posted = requests.post(f"{url}/slack/api/chat.postMessage", json=MESSAGE, headers=headers, timeout=5).json()
        assert posted["ok"] is True
        answered = product.answer_one()
        button = json.dumps([posted["channel"], posted["ts"], "ack", "1"])
        origin = {"Origin": url.removesuffix("/sandbox")}
        assert requests.post(f"{url}/press", data={"button": button}, headers=origin, timeout=5).ok
        answered.join()
    product.close()
    assert product.pressed == [("/slack/interactions", True)]
    kept = create_sandbox(clock=SystemClock().now, slack_signing_secret=SECRET, journal=journal)
    assert [message.text for message in kept.slack.messages("#incidents")] == ["down"]


def test_the_sandbox_alone_takes_mail_and_webhooks_and_shows_them(tmp_path: Path) -> None:
    journal = tmp_path / "sandbox.jsonl"
    with sandbox(tmp_path, "http://127.0.0.1:9", journal) as url:
        said = (tmp_path / "out").read_text()
        (mail,) = re.findall(r"INCIDENTD_SMTP_URL=(\S+)", said)
        assert f"{url}/webhook/<name>" in said
        settings = {
            "INCIDENTD_SMTP_URL": mail,
            "INCIDENTD_STATUS_PAGE_URL": f"{url}/webhook/status-page",
            "INCIDENTD_STATUS_PAGE_SECRET": "whsec_" + "c2VjcmV0" * 4,
        }
        for name in ("management-mail", "status-page"):
            tested = command("destination", "test", name, "--rules", str(SHIPPED), cwd=tmp_path, **settings)
            assert tested.returncode == 0, tested.stderr
        page = requests.get(f"{url}/", timeout=5).text
        assert "management@example.com" in page
        assert "dev.incidentd.incident.opened" in page
    kept = create_sandbox(clock=SystemClock().now, slack_signing_secret=SECRET, journal=journal)
    assert [mail.to for mail in kept.mailbox.mails] == [("management@example.com",)]
    assert {(hook.name, hook.signed) for hook in kept.hooks.hooks} == {("status-page", True)}


@pytest.mark.parametrize("option", ["--listen", "--mail"])
def test_an_unsound_option_is_named(tmp_path: Path, option: str) -> None:
    ended = command("sandbox", "--listen", f"127.0.0.1:{free_port()}", option, "nowhere", cwd=tmp_path)
    assert (ended.returncode, f"{option} is not host:port" in ended.stderr) == (2, True)


def test_a_mail_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mail = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = command("sandbox", "--listen", f"127.0.0.1:{free_port()}", "--mail", mail, cwd=tmp_path)
    assert (ended.returncode, f"--mail: {mail} is taken" in ended.stderr) == (2, True)
