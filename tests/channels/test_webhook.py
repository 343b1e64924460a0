"""Outgoing webhooks, with a real receiver: signed, made once, updated where it said, and what templates make."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import JsonValue

from incidentd.channels.change import picture
from incidentd.channels.channel import Destination, News, Receipt
from incidentd.channels.webhook import WebhookChannel
from incidentd.errors import PermanentError, TransientError
from incidentd.template import BARE, FULL
from incidentd.timeline import Resolved
from tests.channels import story
from tests.channels.conftest import adapter
from tests.channels.receiver import Receiver, answer

TEMPLATES = Path(__file__).parents[2] / "rules" / "templates"
KEY = bytes(range(32))
SIGNING = f"whsec_{base64.b64encode(KEY).decode()}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(answer(202, {})) as found:
        yield found


@pytest.fixture
def channel() -> Iterator[WebhookChannel]:
    http = adapter()
    yield WebhookChannel(http, lambda: story.NOW)
    http.close()


def hook(receiver: Receiver, **changes: Any) -> Destination:
    return story.hook(secret=f"{receiver.url}/hook?code=1", **changes)


def template(name: str) -> dict[str, str]:
    return {"template": (TEMPLATES / name).read_text(), "template_file": name}


def later(reference: Any, number: int = 2, **changes: Any) -> News:
    entry = story.entry(number, Resolved(by_person=False, via="", in_time=True, grace_until=None))
    state = story.resolved(last=number, news=number)
    return replace(story.news("e1", state, entries=(entry,)), reference=reference, **changes)


# What goes out by itself.


def test_without_a_template_it_is_a_cloud_event(receiver: Receiver, channel: WebhookChannel) -> None:
    receipt = channel.deliver(hook(receiver), story.news("e1"), seconds=5)
    (sent,) = receiver.requests
    assert receipt.sent
    assert sent.target == "/hook?code=1"
    assert sent.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    event = sent.json
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": sent.headers["webhook-id"],
        "source": "https://incidentd.example/",
        "type": "dev.incidentd.incident.opened",
        "subject": "0193-incident",
        "time": story.minutes(1).isoformat(),
        "datacontenttype": "application/json",
    }
    assert (data["incident"]["tier"], data["incident"]["state"], data["url"]) == ("P0", "triggered", story.INCIDENT_URL)
    assert data["alerts"][0]["labels"] == {"alertname": "CoreApi", "region": "eu-west-1"}


def test_it_is_signed_as_standard_webhooks_asks(receiver: Receiver, channel: WebhookChannel) -> None:
    channel.deliver(hook(receiver, further={"secret": SIGNING}), story.news("e1"), seconds=5)
    (sent,) = receiver.requests
    name, at = sent.headers["webhook-id"], sent.headers["webhook-timestamp"]
    assert int(at) == int(story.NOW.timestamp())
    signed = hmac.new(KEY, f"{name}.{at}.".encode() + sent.body, hashlib.sha256).digest()
    assert sent.headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"


@pytest.mark.parametrize("secret", ["whsec_c2hvcnQ=", base64.b64encode(KEY).decode(), "whsec_not base64 at all!!"])
def test_a_secret_that_signs_nothing_sends_nothing(receiver: Receiver, channel: WebhookChannel, secret: str) -> None:
    with pytest.raises(PermanentError, match="signing secret") as caught:
        channel.deliver(hook(receiver, further={"secret": secret}), story.news("e1"), seconds=5)
    assert secret not in str(caught.value)
    assert receiver.requests == []


def test_a_receiver_knows_the_same_news_again_and_other_news_apart(receiver: Receiver, channel: WebhookChannel) -> None:
    other = WebhookChannel(adapter(), lambda: story.minutes(1))
    channel.deliver(hook(receiver), story.news("e1"), seconds=5)
    other.deliver(hook(receiver), story.news("e1", uncertain=True), seconds=5)
    channel.deliver(hook(receiver), later({"told": "1"}), seconds=5)
    channel.deliver(hook(receiver, name="another"), story.news("e1"), seconds=5)
    ids = [sent.headers["webhook-id"] for sent in receiver.requests]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_headers_and_method_are_those_of_the_rules(receiver: Receiver, channel: WebhookChannel) -> None:
    headers = {"Authorization": f"Bearer {story.SECRET}", "content-type": "application/vnd.example+json"}
    channel.deliver(hook(receiver, headers=headers, options={"method": "PUT"}), story.news("e1"), seconds=5)
    (sent,) = receiver.requests
    assert sent.headers["authorization"] == f"Bearer {story.SECRET}"
    assert sent.headers["content-type"] == "application/vnd.example+json"


def test_what_changes_no_state_asks_for_nothing(receiver: Receiver, channel: WebhookChannel) -> None:
    news = replace(story.news("e1", entries=(story.noted(2),)), reference={"told": "1"})
    assert not channel.deliver(hook(receiver), news, seconds=5).asked
    assert receiver.requests == []


def test_a_limit_that_says_when_to_come_again_is_transient(receiver: Receiver, channel: WebhookChannel) -> None:
    receiver.usual = answer(403, {}, {"Retry-After": "7"})
    with pytest.raises(TransientError) as caught:
        channel.deliver(hook(receiver), story.news("e1"), seconds=5)
    assert caught.value.retry_after is not None


# One ticket for each incident, and comments on it.

TRACKER = {"reference": "key", **template("jira-issue.json.j2")}
UPDATES = {
    **TRACKER,
    "update_url": "{url}/{reference}/comment",
    "update_template": (TEMPLATES / "jira-comment.json.j2").read_text(),
    "update_template_file": "jira-comment.json.j2",
}


def test_a_ticket_is_made_once_and_later_news_are_comments_on_it(receiver: Receiver, channel: WebhookChannel) -> None:
    receiver.usual = answer(201, {"id": "10000", "key": "OPS-24"})
    queue = hook(receiver, options=UPDATES)
    first = channel.deliver(queue, story.news("e1"), seconds=5)
    channel.deliver(queue, later(first.reference), seconds=5)
    again = story.news("e2", story.incident(episode=2, last=9, news=9), entries=(story.opened(9, episode=2),))
    reopened = channel.deliver(queue, replace(again, predecessor=first.reference), seconds=5)
    assert [sent.target for sent in receiver.requests] == ["/hook?code=1", *["/hook/OPS-24/comment"] * 2]
    assert (first.detail, first.reference["reference"], reopened.reference["reference"]) == (
        "201, OPS-24",
        "OPS-24",
        "OPS-24",
    )


def test_without_an_update_url_a_ticket_is_made_and_left_alone(receiver: Receiver, channel: WebhookChannel) -> None:
    receiver.usual = answer(201, {"key": "OPS-24"})
    queue = hook(receiver, options=TRACKER)
    first = channel.deliver(queue, story.news("e1"), seconds=5)
    second = channel.deliver(queue, later(first.reference), seconds=5)
    assert (len(receiver.requests), second.sent, second.asked) == (1, False, False)


@pytest.mark.parametrize("named", [{}, {"key": "../../secret"}, {"key": "a/b"}, {"key": True}, {"key": {"a": 1}}, []])
def test_an_answer_that_names_nothing_usable_makes_no_second_ticket(
    receiver: Receiver, channel: WebhookChannel, named: JsonValue
) -> None:
    receiver.usual = answer(201, named)
    queue = hook(receiver, options=UPDATES)
    first = channel.deliver(queue, story.news("e1"), seconds=5)
    second = channel.deliver(queue, later(first.reference), seconds=5)
    assert (first.reference["reference"], len(receiver.requests), second.asked) == ("", 1, False)


# What the shipped templates make.

WORD = {"type": "string", "minLength": 1}
HREF = {"type": "string", "pattern": "^https?://"}


def shape(required: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **more},
        "additionalProperties": False,
    }


def listed(item: Any, most: int = 100) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": most}


TEXT_RUN = shape(
    {"type": {"const": "TextRun"}, "text": WORD},
    weight={"enum": ["bolder"]},
    size={"enum": ["large"]},
    color={"enum": ["default", "accent", "good", "warning", "attention"]},
)
RICH_TEXT = shape(
    {"type": {"const": "RichTextBlock"}, "inlines": listed(TEXT_RUN)}, spacing={"enum": ["small", "default"]}
)
OPEN_URL = shape({"type": {"const": "Action.OpenUrl"}, "title": WORD, "url": HREF})
CARD = shape(
    {"type": {"const": "AdaptiveCard"}, "version": {"enum": ["1.4"]}, "body": listed(RICH_TEXT)},
    **{"$schema": HREF, "msteams": {"type": "object"}, "fallbackText": WORD, "actions": listed(OPEN_URL, 6)},
)
ATTACHMENT = shape(
    {"contentType": {"const": "application/vnd.microsoft.card.adaptive"}, "content": CARD},
    contentUrl={"type": "null"},
)
FIELD = shape({"name": {**WORD, "maxLength": 256}, "value": {**WORD, "maxLength": 1024}}, inline={"type": "boolean"})
EMBED = shape(
    {"title": {**WORD, "maxLength": 256}, "url": HREF},
    description={"type": "string", "maxLength": 4096},
    color={"type": "integer", "minimum": 0, "maximum": 0xFFFFFF},
    timestamp={"type": "string", "format": "date-time"},
    fields={"type": "array", "items": FIELD, "maxItems": 25},
)
LINK = shape({"type": {"const": "link"}, "attrs": shape({"href": HREF})})
DOCUMENT = shape(
    {
        "type": {"const": "doc"},
        "version": {"const": 1},
        "content": listed(
            shape(
                {
                    "type": {"const": "paragraph"},
                    "content": listed(
                        shape(
                            {"type": {"const": "text"}, "text": WORD},
                            marks=listed({"anyOf": [LINK, shape({"type": {"const": "strong"}})]}),
                        )
                    ),
                }
            )
        ),
    }
)
LABEL = {"type": "string", "pattern": r"^\S{1,255}$"}
SHAPES: dict[str, dict[str, Any]] = {
    "teams.json.j2": shape({"type": {"const": "message"}, "attachments": listed(ATTACHMENT)}),
    "discord.json.j2": shape(
        {"embeds": listed(EMBED, 10), "allowed_mentions": shape({"parse": {"const": []}})},
        username={**WORD, "maxLength": 80},
    ),
    "jira-issue.json.j2": shape(
        {
            "fields": shape(
                {
                    "project": shape({"key": WORD}),
                    "issuetype": shape({"name": WORD}),
                    "summary": {"type": "string", "minLength": 1, "maxLength": 254, "pattern": r"^[^\r\n]+$"},
                    "labels": listed(LABEL),
                    "description": DOCUMENT,
                }
            )
        }
    ),
    "jira-comment.json.j2": shape({"body": DOCUMENT}),
    "github-issue.json.j2": shape(
        {
            "title": {**WORD, "maxLength": 256},
            "body": {**WORD, "maxLength": 65_536},
            "labels": listed(WORD),
        }
    ),
    "github-comment.json.j2": shape({"body": {**WORD, "maxLength": 65_536}}),
}
EVIL = 'a "b" \\ @everyone <@1> [x](javascript:1)\r\n\t\u2028{{ 7*7 }}\x00'
LONG = EVIL + "ü" * 50_000
STORIES = {
    "opened": story.news("e1"),
    "resolved": later({"told": "1"}),
    "evil": story.news(
        "e1",
        story.incident(title=EVIL, system=EVIL, slo=EVIL, reason=EVIL),
        alerts=(story.detail(annotations={"summary": EVIL, "dashboard": "javascript:alert(1)"}),),
        sentences=(EVIL,),
        notice=EVIL,
        runbook="javascript:alert(1)",
    ),
    "long": story.news(
        "e1",
        story.incident(title=LONG, system=LONG, slo=LONG, reason=LONG),
        alerts=(story.detail(annotations={"summary": LONG}),),
        sentences=(LONG,),
        notice=LONG,
    ),
    "bare": story.news(
        "e1", story.incident(system="", reason="", members={}), alerts=(), sentences=("",), runbook="", objective=""
    ),
}


def test_each_shipped_template_has_a_shape_here() -> None:
    assert set(SHAPES) == {path.name for path in TEMPLATES.iterdir()}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("told", STORIES)
def test_a_shipped_template_makes_what_its_service_documents(
    name: str, told: str, receiver: Receiver, channel: WebhookChannel
) -> None:
    channel.deliver(hook(receiver, options=template(name)), STORIES[told], seconds=5)
    (sent,) = receiver.requests
    assert sent.headers["content-type"] == "application/json; charset=utf-8"
    Draft202012Validator(SHAPES[name]).validate(sent.json)
    assert b"javascript:alert" not in sent.body
    assert "49" not in str(sent.json) or told != "evil"
    if name == "discord.json.j2":
        assert sum(len(str(each)) for each in _texts(sent.json["embeds"])) < 6000
    if name == "teams.json.j2":
        assert len(sent.body) < 28_000


def test_discord_gets_no_field_that_it_would_refuse_the_message_for(
    receiver: Receiver, channel: WebhookChannel
) -> None:
    """A value of white space alone is a missing one to it, which refuses the whole message."""
    blank = story.news("e1", alerts=(replace(story.detail(), annotations={"summary": " \t "}),), runbook="")
    channel.deliver(hook(receiver, options=template("discord.json.j2")), blank, seconds=5)
    fields = receiver.requests[0].json["embeds"][0]["fields"]
    assert fields
    assert all(each["value"].strip() for each in fields)


def test_github_reads_nothing_of_what_alerts_hold_as_markdown(receiver: Receiver, channel: WebhookChannel) -> None:
    channel.deliver(hook(receiver, options=template("github-issue.json.j2")), STORIES["evil"], seconds=5)
    _link, blank, *code = receiver.requests[0].json["body"].split("\n")
    assert blank == ""
    assert all(line.startswith("    ") or not line.strip() for line in code)


def test_templates_are_tried_with_the_names_that_a_delivery_gives(receiver: Receiver) -> None:
    for news in STORIES.values():
        given = picture(hook(receiver), news, "OPS-1")
        for tried in (FULL, BARE):
            assert set(given) == set(tried)
            assert set(given["incident"]) == set(tried["incident"])
        assert set(given["event"]) == set(FULL["event"])
        assert all(set(each) == set(FULL["news"][0]) for each in given["news"])
        assert all(set(each) == set(FULL["alerts"][0]) for each in given["alerts"])


def test_a_template_that_fails_is_permanent_and_shows_no_value(receiver: Receiver, channel: WebhookChannel) -> None:
    broken = {"template": "{{ alerts[0].labels.absent }}", "template_file": "mine.json.j2"}
    with pytest.raises(PermanentError, match=r"mine\.json\.j2 line 1") as caught:
        channel.deliver(hook(receiver, options=broken), story.news("e1"), seconds=5)
    assert "CoreApi" not in str(caught.value)
    assert receiver.requests == []


def test_a_template_reaches_nothing_of_the_process(receiver: Receiver, channel: WebhookChannel) -> None:
    for text in ("{{ ''.__class__.__mro__ }}", "{{ url.__init__.__globals__ }}", "{{ incident.update({'id': 1}) }}"):
        with pytest.raises(PermanentError):
            broken = {"template": text, "template_file": "mine.txt.j2"}
            channel.deliver(hook(receiver, options=broken), story.news("e1"), seconds=5)
    assert receiver.requests == []


def test_the_receipt_says_the_status(receiver: Receiver, channel: WebhookChannel) -> None:
    assert channel.deliver(hook(receiver), story.news("e1"), seconds=5) == Receipt({"told": "1"}, True, "202")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    else:
        yield json.dumps(value, ensure_ascii=False)
