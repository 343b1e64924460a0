"""Slack: one card, its thread, and what was posted although the reply was lost; judged by the sandbox."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from incidentd.channels.channel import Destination, News, Receipt
from incidentd.channels.slack import SlackChannel
from incidentd.errors import PermanentError, TransientError, UncertainError
from incidentd.sandbox.fault import FaultKind
from incidentd.sandbox.message import Channel, Message
from incidentd.sandbox.server import SandboxServer
from incidentd.sandbox.workspace import posted
from tests.channels import story
from tests.channels.conftest import Kit, adapter, slack_accepts
from tests.channels.receiver import answer
from tests.channels.story import acknowledged, incident, level_reached, noted, opened, resolved

CHANNEL = "C0INCIDENTS"


@dataclass
class Desk:
    """A Slack channel, and the sandbox that it posts to."""

    sandbox: SandboxServer
    channel: SlackChannel
    destination: Destination = field(default_factory=story.board)

    def deliver(self, news: News) -> Receipt:
        return self.channel.deliver(self.destination, news, seconds=5)

    def posted(self) -> Receipt:
        return self.deliver(story.news("e1"))

    @property
    def cards(self) -> list[Message]:
        return [each for each in self.sandbox.slack.cards() if not each.broadcast]

    @property
    def replies(self) -> list[Message]:
        return self.sandbox.slack.replies(self.cards[0])

    @property
    def calls(self) -> list[str]:
        return [each.method for each in self.sandbox.slack.requests]


@pytest.fixture
def desk() -> Iterator[Desk]:
    http = adapter()
    with SandboxServer(clock=lambda: story.NOW) as sandbox:
        yield Desk(sandbox, SlackChannel(http, lambda: story.NOW, sandbox.slack_url))
        http.close()


def shown(message: Message) -> str:
    return json.dumps(message.blocks, ensure_ascii=False)


def buttons(message: Message) -> list[dict[str, Any]]:
    return [each for block in message.blocks if block["type"] == "actions" for each in block["elements"]]


def test_the_card_follows_the_incident_and_its_thread_tells_what_happened(desk: Desk) -> None:
    reference = desk.posted().reference
    assert desk.cards[0].metadata == {
        "event_type": "incidentd_card",
        "event_payload": {"incident": "0193-incident", "slot": "e1", "number": 1},
    }
    assert desk.replies == []
    changed = acknowledged(last=3, news=3)
    receipt = desk.deliver(story.news("e1", changed, entries=(noted(2), noted(3)), reference=reference))
    assert receipt.reference["replied"] == "3"
    assert "Acknowledged" in shown(desk.cards[0])
    assert [each.text for each in desk.replies] == ["• Sentence 2.\n• Sentence 3."]
    assert not desk.replies[0].broadcast
    assert desk.calls == ["chat.postMessage", "chat.update", "chat.postMessage"]


def test_a_destination_that_joins_late_gets_the_whole_in_one_message(desk: Desk) -> None:
    entries = (opened(1), noted(2), level_reached(3))
    receipt = desk.deliver(story.news("e1", incident(last=3, news=3, level=2, told_level=2), entries=entries))
    assert receipt.reference["replied"] == "3"
    assert all(f"Sentence {number}." in shown(desk.cards[0]) for number in (1, 2, 3))
    assert desk.replies == []


def test_a_new_level_is_told_to_the_channel_with_a_mention_of_those_it_concerns(desk: Desk) -> None:
    reference = desk.posted().reference
    state = incident(last=2, news=2, level=2, told_level=2)
    desk.deliver(story.news("e1", state, entries=(level_reached(2),), reference=reference))
    assert desk.replies[0].broadcast
    assert desk.replies[0].text == "<!subteam^S0BOSSES>\nSentence 2."
    assert "U0ENGINEER" not in shown(desk.replies[0])


def test_a_level_that_was_answered_before_it_was_told_calls_nobody(desk: Desk) -> None:
    reference = desk.posted().reference
    state = acknowledged(last=2, news=2, level=2, told_level=2)
    desk.deliver(story.news("e1", state, entries=(level_reached(2),), reference=reference))
    assert not desk.replies[0].broadcast
    assert desk.replies[0].text == "Sentence 2."


def test_the_first_card_mentions_whom_it_concerns_only_while_nobody_has_answered(desk: Desk) -> None:
    desk.posted()
    assert "<@U0ENGINEER>" in desk.cards[0].text
    desk.deliver(story.news("e1", acknowledged()))
    assert "U0ENGINEER" not in desk.cards[1].text + shown(desk.cards[1])


def test_told_again_after_a_crash_the_thread_gets_nothing_twice(desk: Desk) -> None:
    reference = desk.posted().reference
    news = story.news("e1", incident(last=2, news=2), entries=(opened(1), noted(2)), reference=reference)
    second = desk.deliver(news)
    assert len(desk.replies) == 1
    desk.deliver(story.news("e1", incident(last=2, news=2), entries=(noted(2),), reference=second.reference))
    assert len(desk.replies) == 1


def test_a_post_whose_reply_was_lost_is_found_and_brought_up_to_date(desk: Desk) -> None:
    desk.sandbox.fail("slack", FaultKind.DROP_REPLY, method="chat.postMessage")
    with pytest.raises(UncertainError):
        desk.posted()
    entries = (opened(1), noted(2))
    receipt = desk.deliver(story.news("e1", incident(last=2, news=2), entries=entries, uncertain=True))
    assert len(desk.cards) == 1
    assert receipt.reference["ts"] == desk.cards[0].ts
    assert [each.text for each in desk.replies] == ["Sentence 2."]


def test_a_post_that_never_arrived_is_posted_again(desk: Desk) -> None:
    desk.sandbox.fail("slack", FaultKind.DROP, method="chat.postMessage")
    with pytest.raises(UncertainError):
        desk.posted()
    assert desk.deliver(story.news("e1", uncertain=True)).sent
    assert len(desk.cards) == 1


def test_another_incidents_card_is_not_taken_for_ours(desk: Desk) -> None:
    desk.deliver(story.news("e1", incident(id="another")))
    desk.deliver(story.news("e2", incident(episode=2)))
    desk.deliver(story.news("e1", uncertain=True))
    assert len(desk.cards) == 3


def test_a_thread_reply_whose_reply_was_lost_is_not_said_twice(desk: Desk) -> None:
    reference = desk.posted().reference
    state = incident(last=2, news=2, level=2, told_level=2)
    news = story.news("e1", state, entries=(level_reached(2),), reference=reference)
    desk.sandbox.fail("slack", FaultKind.DROP_REPLY, method="chat.postMessage")
    with pytest.raises(UncertainError):
        desk.deliver(news)
    entries = (level_reached(2), noted(3))
    later = story.news("e1", incident(last=3, news=3), entries=entries, reference=reference, uncertain=True)
    assert desk.deliver(later).reference["replied"] == "3"
    assert [each.text.splitlines()[-1] for each in desk.replies] == ["Sentence 2.", "Sentence 3."]


def test_a_fault_of_slacks_own_leaves_open_whether_it_posted(desk: Desk) -> None:
    for fault in ("internal_error", "fatal_error", "service_unavailable"):
        desk.sandbox.fail("slack", FaultKind.ERROR, error=fault)
        with pytest.raises(UncertainError, match=fault):
            desk.posted()


def test_while_the_look_up_fails_nothing_is_posted(desk: Desk) -> None:
    desk.sandbox.fail("slack", FaultKind.RATE_LIMIT, method="conversations.history", retry_after="7")
    with pytest.raises(UncertainError) as caught:
        desk.deliver(story.news("e1", uncertain=True))
    assert caught.value.retry_after == timedelta(seconds=7)
    assert desk.cards == []


def test_where_nobody_lets_us_look_the_card_is_posted_again(desk: Desk) -> None:
    desk.posted()
    desk.sandbox.fail("slack", FaultKind.ERROR, method="conversations.history", error="missing_scope")
    receipt = desk.deliver(story.news("e1", uncertain=True))
    assert receipt.detail == "posted; an earlier one could not be looked for: Slack refused: missing_scope"
    assert (receipt.sent, len(desk.cards)) == (True, 2)


@pytest.mark.parametrize(
    ("others", "came_to"),
    [
        (999, ("updated", 1)),
        (1000, ("posted; an earlier one may be older than all that was looked at", 2)),
    ],
)
def test_a_card_is_looked_for_among_a_thousand_messages_and_what_lies_beyond_is_owned_up_to(
    desk: Desk, others: int, came_to: tuple[str, int]
) -> None:
    desk.posted()
    channel = desk.cards[0].channel
    workspace = desk.sandbox.slack.workspace
    for _ in range(others):
        said = Message(channel, workspace.next_ts(story.NOW), "What people say.")
        desk.sandbox.slack.apply(posted(said, Channel(channel, "incidents")))
    receipt = desk.deliver(story.news("e1", uncertain=True))
    assert (receipt.detail, len([card for card in desk.cards if card.metadata])) == came_to


@pytest.mark.parametrize("refusal", ["message_not_found", "edit_window_closed", "cant_update_message", "is_inactive"])
def test_a_card_that_can_not_be_edited_is_replaced(desk: Desk, refusal: str) -> None:
    reference = desk.posted().reference
    desk.sandbox.fail("slack", FaultKind.ERROR, method="chat.update", error=refusal)
    receipt = desk.deliver(story.news("e1", incident(last=2), entries=(noted(2),), reference=reference))
    assert receipt.reference["ts"] == desk.cards[1].ts != reference["ts"]


def test_reopening_posts_a_new_card_and_the_old_one_points_on(desk: Desk) -> None:
    reference = desk.posted().reference
    reopened = incident(episode=2, round=2, last=5, news=5)
    again = opened(5, episode=2)
    new = desk.deliver(story.news("e2", reopened, entries=(again,)))
    receipt = desk.deliver(story.news("e1", reopened, entries=(again,), reference=reference, successor=new.reference))
    assert receipt.sent
    assert len(desk.cards) == 2
    assert f"goes on in <https://sandbox.slack.com/archives/{CHANNEL}/p" in shown(desk.cards[0])
    assert buttons(desk.cards[0]) == []
    assert desk.replies == []
    assert {json.loads(each["value"])["episode"] for each in buttons(desk.cards[1])} == {2}


def test_the_old_card_points_to_the_new_one_itself_where_slack_says_its_address(slack: Kit) -> None:
    slack.receiver.script = [slack_accepts(permalink="https://acme.slack.com/archives/C1/p1"), slack_accepts()]
    reference = {"channel": CHANNEL, "ts": "1.1"}
    news = story.news("e1", incident(episode=2), reference=reference, successor={"channel": CHANNEL, "ts": "2.2"})
    slack.deliver(news)
    assert [each.path for each in slack.sent] == ["/api/chat.getPermalink", "/api/chat.update"]
    assert "https://acme.slack.com/archives/C1/p1" in slack.sent[1].body.decode()


def test_an_old_card_that_points_on_already_is_silent(slack: Kit) -> None:
    reference = {"channel": CHANNEL, "ts": "1.1", "onward": "2.2"}
    for there, silent in (("2.2", True), ("3.3", False)):
        successor = {"channel": CHANNEL, "ts": there}
        news = story.news("e1", incident(episode=2), reference=reference, successor=successor)
        assert (slack.channel.silent(news) is not None) is silent


def test_an_older_episode_that_never_had_a_card_gets_none(desk: Desk) -> None:
    assert not desk.deliver(story.news("e1", incident(episode=2))).sent
    assert desk.calls == []


def test_the_card_says_which_indicator_was_measured_where_the_alert_names_it(desk: Desk) -> None:
    alert = story.detail(labels={"alertname": "Burn", "sli": "budget_consumed"}, annotations={"value": "2"})
    desk.deliver(story.news("e1", alerts=(alert,)))
    assert "*core-api-availability*: budget_consumed is *2*, objective *99.5*" in shown(desk.cards[0])


def test_buttons_follow_the_state_and_carry_incident_and_episode(desk: Desk) -> None:
    for state in (incident(), acknowledged(), story.recovering(), resolved()):
        desk.deliver(story.news("e1", state))
    assert [[each["action_id"] for each in buttons(card)] for card in desk.cards] == [
        ["incidentd_acknowledge", "incidentd_resolve", "incidentd_escalate"],
        ["incidentd_take_over", "incidentd_resolve", "incidentd_escalate"],
        ["incidentd_acknowledge", "incidentd_resolve"],
        [],
    ]
    assert json.loads(buttons(desk.cards[0])[0]["value"]) == {"incident": "0193-incident", "episode": 1}


def test_the_card_says_what_an_engineer_needs(desk: Desk) -> None:
    desk.posted()
    text = shown(desk.cards[0])
    for wanted in (
        "P0 · Core API availability",
        "*core-api-availability* is *99.4*, objective *99.5*",
        "eu-west-1",
        "1 · <@U0ENGINEER>",
        "engineering manager, <!date^1795262700^",
        "|2026-11-21 12:05:00 UTC>",
        "due by <!date^",
        "|Runbook>",
        "|Dashboard>",
        "|Prometheus>",
        f"<{story.INCIDENT_URL}|Incident>",
        "avalo/core-api-below-99.5: availability 99.4 < 99.5",
        "#42 · 1 alert, 1 firing",
    ):
        assert wanted in text, wanted


def test_standing_in_for_another_destination_is_shown(desk: Desk) -> None:
    desk.deliver(story.news("e1", notice="This stands in for page-engineer."))
    assert "This stands in for page-engineer." in shown(desk.cards[0])


def test_a_channel_given_by_name_is_remembered_by_the_id_that_came_back(desk: Desk) -> None:
    desk.destination = story.board(options={"channel": "#incidents"})
    reference = desk.posted().reference
    assert reference["channel"].startswith("C")
    desk.sandbox.fail("slack", FaultKind.DROP_REPLY, method="chat.postMessage")
    with pytest.raises(UncertainError):
        desk.deliver(story.news("e1", incident(id="second")))
    assert desk.deliver(story.news("e1", incident(id="second"), uncertain=True)).sent
    assert len(desk.cards) == 2


def test_a_channel_given_by_name_is_looked_up_where_its_id_was_never_heard(slack: Kit) -> None:
    first = {"channels": [{"id": "C9", "name": "other"}], "response_metadata": {"next_cursor": "more"}}
    second = {"channels": [{"id": "C8INCIDENTS", "name": "incidents"}], "response_metadata": {"next_cursor": ""}}
    found = {"incident": "0193-incident", "slot": "e1", "number": 1}
    history = {"messages": [{"ts": "5.5", "metadata": {"event_type": "incidentd_card", "event_payload": found}}]}
    slack.destination = story.board(options={"channel": "#incidents"})
    slack.receiver.script = [slack_accepts(**first), slack_accepts(**second), slack_accepts(**history)]
    receipt = slack.deliver(story.news("e1", uncertain=True))
    assert (receipt.reference["channel"], receipt.reference["ts"]) == ("C8INCIDENTS", "5.5")
    assert [each.path.removeprefix("/api/") for each in slack.sent] == [
        *("conversations.list", "conversations.list", "conversations.history", "chat.update")
    ]
    assert slack.sent[1].fields["cursor"] == "more"


@pytest.mark.parametrize(
    "messages", [None, 7, ["x"], [{}], [{"metadata": 3}], [{"metadata": {"event_type": "incidentd_card"}}]]
)
def test_a_history_that_makes_no_sense_holds_no_card(slack: Kit, messages: object) -> None:
    slack.receiver.script = [slack_accepts(messages=messages)]
    assert slack.deliver(story.news("e1", uncertain=True)).detail == "posted"


@pytest.mark.parametrize(
    "refusal",
    [
        *("channel_not_found", "not_in_channel", "is_archived", "invalid_auth", "account_inactive", "token_revoked"),
        *("token_expired", "missing_scope", "no_permission", "restricted_action", "invalid_blocks"),
        *("msg_blocks_too_long", "msg_too_long"),
    ],
)
def test_what_slack_never_mends_is_given_up_under_its_name(slack: Kit, refusal: str) -> None:
    slack.receiver.usual = answer(200, {"ok": False, "error": refusal})
    with pytest.raises(PermanentError, match=refusal):
        slack.deliver()


@pytest.mark.parametrize("fault", ["ratelimited", "rate_limited", "message_limit_exceeded", "team_added_to_org"])
def test_what_slack_asks_to_wait_for_is_tried_again(slack: Kit, fault: str) -> None:
    slack.receiver.usual = answer(200, {"ok": False, "error": fault}, {"Retry-After": "30"})
    with pytest.raises(TransientError, match=fault) as caught:
        slack.deliver()
    assert caught.value.retry_after == timedelta(seconds=30)
    assert not isinstance(caught.value, UncertainError)


def test_a_destination_without_a_channel_is_given_up(slack: Kit) -> None:
    slack.destination = story.board(options={})
    with pytest.raises(PermanentError, match="channel"):
        slack.deliver()


def test_the_clicker_alone_is_told(desk: Desk) -> None:
    assert desk.channel.whisper(desk.destination, CHANNEL, "U0ENGINEER", "Ann was first. <https://x.example|See.>", 5)
    said = desk.sandbox.slack.ephemeral("U0ENGINEER")
    assert [each.text for each in said] == ["Ann was first. <https://x.example|See.>"]


def test_a_whisper_that_fails_raises_nothing(slack: Kit) -> None:
    slack.receiver.usual = answer(200, {"ok": False, "error": "user_not_in_channel"})
    assert isinstance(slack.channel, SlackChannel)
    assert not slack.channel.whisper(slack.destination, CHANNEL, "U1", "x", 5)
    assert not slack.channel.whisper(story.board(secret=""), CHANNEL, "U1", "x", 5)
