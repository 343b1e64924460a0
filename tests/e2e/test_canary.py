"""A whole run with a canary in the place of every secret: none of them shows up anywhere."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
import requests

from incidentd.classify import load
from incidentd.sandbox.fault import FaultKind
from incidentd.sandbox.server import SandboxServer
from incidentd.settings import describe
from tests import canary
from tests.e2e.notification import notification
from tests.e2e.up import EXAMPLE, Up
from tests.servers import RedisServer, free_port, wait_until

REDIS = "INCIDENTD_REDIS_URL"
ALERTMANAGER = "INCIDENTD_ALERTMANAGER_URL"
TOKENS = "INCIDENTD_WEBHOOK_TOKENS"
HOOKS = ("INCIDENTD_SCALING_HOOK_URL", "INCIDENTD_TICKETS_URL")
SIGNING = "INCIDENTD_SCALING_HOOK_SECRET"
ACL = "resetkeys ~rq:* resetchannels &rq:* +@all -@admin -@dangerous +info +client"


def secrets(rules: Path) -> dict[str, str]:
    """A canary for every setting that is a secret, and for every variable that the rules name."""
    names = {setting.name for setting in describe() if setting.secret} | load(rules).secret_names
    return {name: canary.of(name) for name in sorted(names)}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(
        slack_signing_secret=canary.of("INCIDENTD_SLACK_SIGNING_SECRET"),
        slack_token=canary.of("INCIDENTD_SLACK_BOT_TOKEN"),
        slack_app_token=canary.of("INCIDENTD_SLACK_APP_TOKEN"),
        pagerduty_webhook_secret=canary.of("INCIDENTD_PAGERDUTY_WEBHOOK_SECRET"),
    ) as server:
        yield server


def with_password(url: str, password: str) -> str:
    return url.replace("http://", f"http://incidentd:{password}@")


class Eavesdropper:
    """Everything that is said to a Redis, as long as the test lasts (https://redis.io/docs/latest/commands/monitor/)."""

    def __init__(self, server: RedisServer) -> None:
        self.heard: list[str] = []
        self._client = server.client(socket_timeout=60)
        self._monitor = self._client.monitor()  # type: ignore[no-untyped-call]
        self._monitor.__enter__()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(redis.RedisError, OSError, ValueError, AttributeError):
            for command in self._monitor.listen():
                self.heard.append(str(command["command"]))


@pytest.fixture
def up(sandbox: SandboxServer, make_up: Callable[..., Up], rules: Path, redis_server: RedisServer) -> Up:
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "incidentd", "on", ">" + canary.of(REDIS), *ACL.split())
    values = secrets(rules)
    return make_up(
        **values
        | {
            TOKENS: f"primary: {values[TOKENS]} {canary.of('the next token')}",
            REDIS: f"redis://incidentd:{canary.of(REDIS)}@127.0.0.1:{redis_server.port}/0",
            "INCIDENTD_PAGERDUTY_EVENTS_URL": sandbox.pagerduty_url,
            "INCIDENTD_PAGERDUTY_API_URL": sandbox.pagerduty_api_url,
            "INCIDENTD_SLACK_API_URL": sandbox.slack_url,
            "INCIDENTD_HEARTBEAT_URL": f"{sandbox.url}/{canary.of('INCIDENTD_HEARTBEAT_URL')}",
            # The first is asked with its password, the second with INCIDENTD_ALERTMANAGER_TOKEN.
            ALERTMANAGER: f"{with_password(sandbox.url, values[ALERTMANAGER])} {sandbox.url}",
            "INCIDENTD_SMTP_URL": f"smtp://incidentd:{values['INCIDENTD_SMTP_URL']}@127.0.0.1:{free_port()}",
            **{name: f"{sandbox.url}/webhook/{values[name]}" for name in values if name in HOOKS},
            SIGNING: f"whsec_{values[SIGNING]}",
            "INCIDENTD_LOG_LEVEL": "DEBUG",
        }
    )


def answers(up: Up) -> Iterator[str]:
    """All that can be read, and what goes wrong, with a right and with a wrong token."""
    api = canary.of("INCIDENTD_API_TOKEN")
    person = requests.Session()
    person.headers.update({"Origin": up.url, "Accept": "text/html"})
    signed_in = person.post(f"{up.url}/sign-in", data={"token": api}, timeout=10, allow_redirects=False)
    assert signed_in.status_code == 303
    program = {"Authorization": f"Bearer {api}"}
    found = requests.get(f"{up.url}/api/v1/incidents", headers=program, timeout=10).json()["incidents"]
    paths = ["/", "/metrics", "/openapi.json", "/-/ready", "/-/delivering", "/api/v1/incidents", "/nowhere"]
    paths += [f"{base}/{each['id']}" for each in found for base in ("/incidents", "/api/v1/incidents")]
    paths += [f"/api/v1/incidents/{each['id']}/timeline" for each in found]
    wrong = {"Authorization": f"Bearer {canary.of('INCIDENTD_SLACK_BOT_TOKEN')}"}
    tried = [person.get(up.url + path, timeout=10) for path in paths]
    tried += [
        requests.get(up.url + path, headers=headers, timeout=10) for path in paths for headers in (program, wrong)
    ]
    tried += [
        signed_in,
        requests.post(f"{up.url}/-/reload", headers=program, timeout=10),
        requests.post(f"{up.url}/slack/interactions", data="payload={}", headers=wrong, timeout=10),
        requests.post(f"{up.url}/pagerduty/webhooks", data="{}", headers=wrong, timeout=10),
        requests.post(f"{up.url}/api/v1/alertmanager?token={api}", json={}, headers=wrong, timeout=10),
        requests.post(f"{up.url}/api/v1/alertmanager", data="no json", headers=webhook("primary"), timeout=10),
        person.post(f"{up.url}/sign-in", data={"token": canary.of("a wrong one")}, timeout=10),
    ]
    return (f"{answer.headers}\n{answer.text}" for answer in tried)


def webhook(source: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {canary.of(TOKENS)}", "Content-Type": "application/json"}


def left_behind(up: Up) -> Iterator[tuple[str, bytes]]:
    """What it wrote, and what every user of the machine can see of its processes."""
    yield "log", up.log.encode()
    for path in sorted(each for each in up.state.rglob("*") if each.is_file()):
        yield str(path.relative_to(up.state)), path.read_bytes()
    for child in [up.pid, *up.children()]:
        yield "command line", Path(f"/proc/{child}/cmdline").read_bytes()


def received(sandbox: SandboxServer) -> Iterator[tuple[str, bytes]]:
    """What the receivers were told; a page carries its routing key beside it."""
    for alert in sandbox.pagerduty.alerts:
        told = [{name: value for name, value in event.body.items() if name != "routing_key"} for event in alert.events]
        yield "PagerDuty", str(told).encode()
    yield "Slack", str(sandbox.slack.cards("#incidents")).encode()


def test_no_secret_shows_up_anywhere(up: Up, sandbox: SandboxServer, redis_server: RedisServer, rules: Path) -> None:
    names = (*secrets(rules), "the next token", "a wrong one")
    eavesdropper = Eavesdropper(redis_server)
    sandbox.fail("pagerduty", FaultKind.STATUS, times=1)
    sandbox.fail("slack", FaultKind.ERROR, times=1, method="apps.connections.open", error="fatal_error")
    sandbox.fail("slack", FaultKind.ERROR, times=1, method="chat.postMessage", error="fatal_error")
    sandbox.product_url = up.start().url
    alerts = EXAMPLE.read_bytes()
    assert requests.post(f"{up.url}/api/v1/alertmanager", data=alerts, headers=webhook("primary"), timeout=10).ok
    wait_until(lambda: sandbox.pagerduty.alerts and sandbox.slack.cards("#incidents"), "a page and a card")
    traffic = notification("traffic", firing=True, system="user-metadata", sli="traffic_change", severity="info")
    traffic["alerts"][0]["annotations"]["value"] = "-60"
    assert requests.post(f"{up.url}/api/v1/alertmanager", json=traffic, headers=webhook("primary"), timeout=10).ok
    wait_until(lambda: len(sandbox.sandbox.hooks.hooks) >= len(HOOKS), "the calls of the webhooks")
    wait_until(lambda: "the connection was refused" in up.log, "the mail to fail")
    sandbox.handle(sandbox.pagerduty.alerts[0], "acknowledge", "Anna Berg")
    wait_until(lambda: '"outcome": "done"' in up.log, "what was done in PagerDuty to count")
    wait_until(lambda: "Acknowledged" in str(sandbox.slack.cards("#incidents")[0].blocks), "the card to say so")
    wait_until(lambda: sandbox.slack.sockets.is_connected, "the socket")
    press = sandbox.press(sandbox.slack.cards("#incidents")[0], "incidentd_take_over", "Ben Okoro")
    assert (press.status, press.over_socket) == (200, True)

    assert [text for text in answers(up) if canary.leaks(text, names)] == []
    wait_until(lambda: [said for said in eavesdropper.heard if "rq:queue:page" in said], "jobs in Redis")
    assert canary.leaks("\n".join(eavesdropper.heard), names) == []
    assert [place for place, told in received(sandbox) if canary.leaks(told, names)] == []
    assert [place for place, kept in left_behind(up) if canary.leaks(kept, names)] == []
    # `up` shows its user what to give to Alertmanager, and nothing else.
    assert set(canary.leaks(up.said)) == {canary.of("INCIDENTD_WEBHOOK_TOKEN")}
    assert '"source": "primary"' in up.log
    assert "slack_socket_away" in up.log
    assert "NOPERM" not in up.log


def test_a_leak_would_be_seen() -> None:
    """Else the test above could not fail."""
    token = canary.of("x")
    assert canary.leaks(f"the token is {token}.") == [token]
    assert canary.leaks(f"?token={token}".encode()) == [token]
    assert all(canary.leaks(form, ("x",)) == ["x"] for form in canary.disguises(token))
    assert canary.leaks("nothing to see", ("x",)) == []
