import json
import re
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from slack_sdk import WebClient

from incidentd.clock import ManualClock
from incidentd.sandbox.server import SandboxServer
from tests.sandbox.product import Product

EVIL = "<script>alert(1)</script>{{7*7}}'\""
BUTTON = {"type": "button", "action_id": "ack", "text": {"type": "plain_text", "text": "Acknowledge"}, "value": "v"}


def text(kind: str, content: str) -> dict[str, str]:
    return {"type": kind, "text": content}


def page(sandbox: SandboxServer) -> str:
    answer = requests.get(f"{sandbox.url}/", timeout=5)
    assert answer.status_code == 200
    return answer.text


def own(sandbox: SandboxServer) -> dict[str, str]:
    return {"Origin": sandbox.url.removesuffix("/sandbox")}


def post_evil(sandbox: SandboxServer, web: WebClient) -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": text("plain_text", EVIL)},
        {"type": "section", "text": text("mrkdwn", f"{EVIL} *{EVIL}* `{EVIL}` <https://e.org/?{EVIL}|{EVIL}>")},
        {"type": "section", "fields": [text("mrkdwn", EVIL)], "block_id": EVIL},
        {"type": "context", "elements": [text("plain_text", EVIL)]},
        {"type": "markdown", "text": EVIL},
        {"type": "image", "image_url": "https://e.org/i.png", "alt_text": EVIL},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [text("text", EVIL)]}]},
        {"type": "table", "rows": [[text("raw_text", EVIL)]]},
        {
            "type": "actions",
            "elements": [BUTTON | {"text": text("plain_text", EVIL), "value": EVIL, "action_id": EVIL}],
        },
    ]
    attachments = [{"color": EVIL, "title": EVIL, "text": EVIL}]
    card = web.chat_postMessage(channel="#c", text=EVIL, blocks=blocks, attachments=attachments, username=EVIL)
    web.chat_postMessage(channel="#c", text=EVIL, thread_ts=card["ts"])
    web.chat_postEphemeral(channel="#c", user="U0ANNABERG", text=EVIL)
    event = {
        "routing_key": (EVIL + "x" * 32)[:32],
        "event_action": "trigger",
        "dedup_key": EVIL,
        "client": EVIL,
        "client_url": "javascript:alert(1)",
        "links": [{"href": f"https://e.org/{EVIL}", "text": EVIL}],
        "payload": {
            "summary": EVIL,
            "source": EVIL,
            "component": EVIL,
            "severity": "info",
            "custom_details": {EVIL: EVIL},
        },
    }
    assert requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=event, timeout=5).status_code == 202


def test_whatever_messages_and_alerts_hold_is_inert_on_the_page(sandbox: SandboxServer, web: WebClient) -> None:
    post_evil(sandbox, web)
    html = page(sandbox)
    assert html.count("<script") == 1
    assert "49" not in re.sub(r"\d{3,}|\d+:\d+:\d+", "", html.partition('<main id="live"')[2].partition("</main>")[0])
    assert 'href="javascript' not in html
    assert "<img" not in html
    assert "e.org/i.png" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_page_allows_no_script_but_its_own_and_loads_nothing(sandbox: SandboxServer) -> None:
    answer = requests.get(f"{sandbox.url}/", timeout=5)
    policy = answer.headers["Content-Security-Policy"]
    nonce = re.findall(r"script-src 'nonce-([^']+)'", policy)[0]
    assert f'<script nonce="{nonce}">' in answer.text
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"(?:src|href|action)=\"(?!press|order)", answer.text) == []


def test_all_addresses_of_the_page_are_relative_under_any_path(clock: ManualClock) -> None:
    for path in ("/sandbox", "/a/deeper/place"):
        with SandboxServer(clock=clock.now, path=path) as sandbox:
            without_slash = requests.get(sandbox.url, timeout=5)
            assert without_slash.url == sandbox.url + "/"
            live = requests.get(urljoin(without_slash.url, "live"), timeout=5)
            assert live.status_code == 200
            assert requests.get(sandbox.url.removesuffix(path), timeout=5).url == sandbox.url + "/"


def test_the_live_part_is_sent_only_when_something_changed(sandbox: SandboxServer, web: WebClient) -> None:
    first = requests.get(f"{sandbox.url}/live", timeout=5)
    tag = {"tag": first.headers["X-Tag"]}
    assert requests.get(f"{sandbox.url}/live", params=tag, timeout=5).status_code == 204
    web.chat_postMessage(channel="#incidents", text="news")
    second = requests.get(f"{sandbox.url}/live", params=tag, timeout=5)
    assert second.status_code == 200
    assert "news" in second.text


def form_of_button(html: str) -> str:
    (value,) = re.findall(r'name="button"[^>]* value="([^"]+)"', html)
    return str(value).replace("&#34;", '"')


def test_a_button_of_the_page_presses_for_the_chosen_person_and_stays_with_them(
    sandbox: SandboxServer, web: WebClient
) -> None:
    web.chat_postMessage(channel="#c", text="P0", blocks=[{"type": "actions", "elements": [BUTTON]}])
    with Product() as product, requests.Session() as session:
        sandbox.product_url = product.url
        form = {"button": form_of_button(page(sandbox)), "user": "U0BENOKORO"}
        answer = session.post(f"{sandbox.url}/press", data=form, headers=own(sandbox), timeout=5)
        assert answer.url == f"{sandbox.url}/"
        assert '<option value="U0BENOKORO" selected>' in answer.text
        assert "Ben Okoro pressed <b>Acknowledge</b>, answered in" in answer.text
        assert product.payloads[0]["user"]["id"] == "U0BENOKORO"
        product.answer = lambda: 500
        answer = session.post(f"{sandbox.url}/press", data=form, headers=own(sandbox), timeout=5)
        assert "incidentd answered 500, not 200" in answer.text


def test_a_link_button_is_a_link(sandbox: SandboxServer, web: WebClient) -> None:
    button = BUTTON | {"url": "https://e.org/runbook"}
    web.chat_postMessage(channel="#c", text="P0", blocks=[{"type": "actions", "elements": [button]}])
    assert '<a class="button " href="https://e.org/runbook" target="_blank" rel="noopener noreferrer">' in page(sandbox)


BEHIND_A_PROXY = [
    {"Origin": "https://tell.example", "Host": "tell.example", "X-Forwarded-Host": "127.0.0.1", "Via": "1.1 proxy"},
    {"Origin": "https://tell.example", "X-Forwarded-Host": "tell.example", "Forwarded": "host=tell.example"},
]
"""As one sends it on that keeps the name people typed, and as one that replaces it by the address behind it."""

FOREIGN = [
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example", "Host": "evil.example"},
    {"Sec-Fetch-Site": "same-origin", "Host": "evil.example"},
    *BEHIND_A_PROXY,
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("form", ["press", "order"])
def test_a_form_that_is_not_the_pages_own_changes_nothing(
    sandbox: SandboxServer, web: WebClient, headers: dict[str, str], form: str
) -> None:
    card = web.chat_postMessage(channel="#c", text="P0", blocks=[{"type": "actions", "elements": [BUTTON]}])
    fields = {"button": json.dumps([card["channel"], card["ts"], "ack", "v"]), "service": "slack", "kind": "drop"}
    answer = requests.post(f"{sandbox.url}/{form}", data=fields, headers=headers, timeout=5)
    assert answer.status_code == 403
    assert sandbox.sandbox.presser.presses == ()
    assert sandbox.faults.active == ()


@pytest.mark.parametrize("headers", FOREIGN[1:])
def test_a_foreign_page_can_not_order_failures(sandbox: SandboxServer, headers: dict[str, str]) -> None:
    order = {"service": "slack", "kind": "drop"}
    assert requests.post(f"{sandbox.url}/faults", json=order, headers=headers, timeout=5).status_code == 403
    assert requests.delete(f"{sandbox.url}/faults", headers=headers, timeout=5).status_code == 403
    plain = {"Content-Type": "text/plain"}
    data = json.dumps(order)
    assert requests.post(f"{sandbox.url}/faults", data=data, headers=plain, timeout=5).status_code == 415
    assert sandbox.faults.active == ()


@pytest.mark.parametrize("button", ["", "junk", "[]", "null", '["C1", "1.1", "ack", "v"]'])
def test_a_button_that_is_not_there_is_404(sandbox: SandboxServer, button: str) -> None:
    answer = requests.post(f"{sandbox.url}/press", data={"button": button}, headers=own(sandbox), timeout=5)
    assert answer.status_code == 404


def test_the_pages_form_orders_and_forgets_failures(sandbox: SandboxServer) -> None:
    fields = {"service": "slack", "kind": "rate_limit", "times": "all", "retry_after": "30", "status": "", "error": ""}
    answer = requests.post(f"{sandbox.url}/order", data=fields, headers=own(sandbox), timeout=5)
    assert "Slack will fail" in answer.text
    assert "until cleared" in answer.text
    (fault,) = sandbox.faults.active
    assert (fault.times, fault.retry_after, fault.status) == (None, "30", 500)
    answer = requests.post(f"{sandbox.url}/order", data=fields | {"clear": "1"}, headers=own(sandbox), timeout=5)
    assert "will fail" not in answer.text
    wrong = requests.post(f"{sandbox.url}/order", data={"service": "slack"}, headers=own(sandbox), timeout=5)
    assert wrong.status_code == 422


def test_the_page_shows_alerts_with_their_state_and_log(sandbox: SandboxServer, clock: ManualClock) -> None:
    event = {
        "routing_key": "R" * 32,
        "event_action": "trigger",
        "dedup_key": "k",
        "payload": {"summary": "Checkout fails", "source": "avalo", "severity": "critical"},
        "links": [{"href": "https://e.org/runbook", "text": "Runbook"}],
    }
    for action in ("trigger", "acknowledge"):
        event["event_action"] = action
        requests.post(f"{sandbox.pagerduty_url}/v2/enqueue", json=event, timeout=5)
    html = page(sandbox)
    assert "Checkout fails" in html
    assert '<span class="state">acknowledged</span>' in html
    assert '<a href="https://e.org/runbook"' in html
    assert "12:00:00</time> acknowledge" in html
    assert "R" * 32 not in html
