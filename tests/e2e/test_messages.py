"""Mail and webhooks of the shipped rules, as far as the sandbox that stands in for their receivers."""

import json
from collections.abc import Callable
from typing import Any

from incidentd.sandbox.app import Sandbox
from tests.e2e.notification import notification
from tests.e2e.up import EXAMPLE, Up
from tests.servers import wait_until


def received(up: Up, true: Callable[[Sandbox], object], what: str) -> Sandbox:
    wait_until(lambda: true(up.received()), what)
    return up.received()


def fire(up: Up, value: str, slo: str, **labels: str) -> None:
    body = notification(slo, firing=True, **labels)
    body["alerts"][0]["annotations"]["value"] = value
    assert up.post(body).status_code == 200


def hooks(sandbox: Sandbox, name: str) -> list[Any]:
    found = [hook for hook in sandbox.hooks.hooks if hook.name.startswith(name)]
    return [(hook.name, hook.signed, json.loads(hook.body)) for hook in found]


def test_what_the_five_systems_are_told_by_mail_and_webhook(make_up: Callable[..., Up]) -> None:
    up = make_up().start()
    assert "in place of PagerDuty, Slack, mail and webhooks" in up.said

    # avalo: management has a mail of a P0, and one in the same thread when somebody acknowledges.
    assert up.post(json.loads(EXAMPLE.read_text())).status_code == 200
    received(up, lambda box: mails(box, "management@example.com"), "the mail to management")
    found = up.incident("core-api")
    assert found is not None
    assert up.call(f"/api/v1/incidents/{found['id']}/acknowledge").status_code == 200
    box = received(up, lambda box: "acknowledged" in mails(box, "management@example.com")[-1].text, "the second mail")
    threads = {mail.thread for mail in mails(box, "management@example.com")}
    assert len(threads) == 1
    assert not mails(box, "stakeholders@example.com")

    # agentmesh: stakeholders and the status page.
    fire(up, "85", alertname="AgentmeshBudgetFrom80", system="agentmesh", slo="api-success", sli="budget_consumed")
    box = received(up, lambda box: mails(box, "stakeholders@example.com"), "the mail to stakeholders")
    box = received(up, lambda box: hooks(box, "status-page"), "the call of the status page")
    (_, signed, event), *_more = hooks(box, "status-page")
    assert (signed, event["type"], event["data"]["incident"]["tier"]) == (True, "dev.incidentd.incident.opened", "P1")

    # user-metadata: a ticket and the scaling hook, and no page.
    before = len(up.received().pagerduty.alerts)
    fire(up, "-60", alertname="UserMetadataTrafficDrop", system="user-metadata", slo="traffic", sli="traffic_change")
    box = received(up, lambda box: hooks(box, "scaling-hook") and hooks(box, "ticket-queue"), "ticket and scaling hook")
    (_, signed, event), *_more = hooks(box, "scaling-hook")
    assert (signed, event["data"]["incident"]["slo"]) == (True, "traffic")
    ((name, _, ticket),) = hooks(box, "ticket-queue")
    assert (name, ticket["fields"]["labels"][0]) == ("ticket-queue", "incidentd")
    assert len(box.pagerduty.alerts) == before

    # The ticket is made once; what follows is a comment on it.
    slow = up.incident("traffic")
    assert slow is not None
    assert up.call(f"/api/v1/incidents/{slow['id']}/acknowledge").status_code == 200
    box = received(up, lambda box: len(hooks(box, "ticket-queue")) == 2, "the comment")
    assert hooks(box, "ticket-queue")[1][0].startswith("ticket-queue/SANDBOX-")
    assert up.interrupt() == 0


def mails(box: Sandbox, to: str) -> list[Any]:
    return [mail for mail in box.mailbox.mails if to in mail.to]
