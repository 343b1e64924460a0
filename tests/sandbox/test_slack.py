from datetime import timedelta
from typing import Any

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from incidentd.clock import ManualClock
from incidentd.sandbox.server import SandboxServer

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*Checkout* fails"}}


def error_of(method: Any, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as raised:
        method(**arguments)
    assert raised.value.response.status_code == 200
    return str(raised.value.response["error"])


def call(sandbox: SandboxServer, method: str, **options: Any) -> Any:
    headers = options.pop("headers", {"Authorization": "Bearer xoxb-test"})
    return requests.post(f"{sandbox.slack_url}{method}", headers=headers, timeout=5, **options).json()


def test_a_post_is_found_by_name_with_a_stable_channel_id(sandbox: SandboxServer, web: WebClient) -> None:
    by_hash = web.chat_postMessage(channel="#incidents", text="P0", blocks=[SECTION])
    by_name = web.chat_postMessage(channel="incidents", text="P0")
    by_id = web.chat_postMessage(channel=str(by_hash["channel"]), text="P0")
    assert by_hash["channel"] == by_name["channel"] == by_id["channel"]
    assert str(by_hash["channel"]).startswith("C")
    assert [message.text for message in sandbox.slack.cards("#incidents")] == ["P0"] * 3
    assert [channel.name for channel in sandbox.slack.channels] == ["incidents"]


def test_every_ts_is_unique_and_later_though_the_clock_stands(web: WebClient, clock: ManualClock) -> None:
    stamps = [web.chat_postMessage(channel="#c", text="x")["ts"] for _ in range(3)]
    clock.jump(timedelta(hours=-1))
    stamps.append(web.chat_postMessage(channel="#c", text="x")["ts"])
    assert stamps == sorted(set(stamps))


def test_an_update_replaces_text_and_blocks_and_keeps_metadata(sandbox: SandboxServer, web: WebClient) -> None:
    metadata = {"event_type": "incidentd_card", "event_payload": {"incident": "42"}}
    posted = web.chat_postMessage(channel="#c", text="P0", blocks=[SECTION], metadata=metadata)
    answer = web.chat_update(channel=posted["channel"], ts=posted["ts"], text="resolved")
    assert (answer["text"], answer["ts"]) == ("resolved", posted["ts"])
    (message,) = sandbox.slack.cards("#c")
    assert (message.text, message.blocks, message.metadata) == ("resolved", [], metadata)
    assert message.edited_ts is not None


def test_a_thread_reply_and_a_broadcast_one(sandbox: SandboxServer, web: WebClient) -> None:
    parent = web.chat_postMessage(channel="#c", text="card")
    web.chat_postMessage(channel="#c", text="quiet", thread_ts=parent["ts"])
    web.chat_postMessage(channel="#c", text="loud", thread_ts=parent["ts"], reply_broadcast=True)
    history = web.conversations_history(channel=parent["channel"])["messages"]
    assert [(m["text"], m.get("subtype")) for m in history] == [("loud", "thread_broadcast"), ("card", None)]
    assert history[1]["reply_count"] == 2
    replies = web.conversations_replies(channel=parent["channel"], ts=parent["ts"])["messages"]
    assert [m["text"] for m in replies] == ["card", "quiet", "loud"]
    (card,) = sandbox.slack.cards()
    assert [reply.text for reply in sandbox.slack.replies(card)] == ["quiet", "loud"]


def test_metadata_comes_back_only_where_asked_for(web: WebClient) -> None:
    metadata = {"event_type": "incidentd_card", "event_payload": {"incident": "42"}}
    posted = web.chat_postMessage(channel="#c", text="P0", metadata=metadata)
    channel = str(posted["channel"])
    assert "metadata" not in web.conversations_history(channel=channel)["messages"][0]
    for found in (
        web.conversations_history(channel=channel, include_all_metadata=True),
        web.conversations_replies(channel=channel, ts=posted["ts"], include_all_metadata=True),
    ):
        assert found["messages"][0]["metadata"] == metadata


def test_history_is_cut_into_pages_and_bounded_by_time(web: WebClient) -> None:
    posts = [web.chat_postMessage(channel="#c", text=str(number)) for number in range(5)]
    channel = str(posts[0]["channel"])
    seen: list[str] = []
    cursor = None
    while cursor != "":
        page = web.conversations_history(channel=channel, limit=2, cursor=cursor)
        seen += [message["text"] for message in page["messages"]]
        cursor = page["response_metadata"]["next_cursor"]
    assert seen == ["4", "3", "2", "1", "0"]
    later = web.conversations_history(channel=channel, oldest=posts[2]["ts"])["messages"]
    assert [message["text"] for message in later] == ["4", "3"]
    until = web.conversations_history(channel=channel, latest=posts[1]["ts"], inclusive=True)["messages"]
    assert [message["text"] for message in until] == ["1", "0"]


def test_an_ephemeral_message_is_seen_by_one_person_and_in_no_history(sandbox: SandboxServer, web: WebClient) -> None:
    posted = web.chat_postMessage(channel="#c", text="card")
    answer = web.chat_postEphemeral(channel=str(posted["channel"]), user="U0ANNABERG", text="Ben was first")
    assert [m.text for m in sandbox.slack.ephemeral("U0ANNABERG")] == ["Ben was first"]
    assert len(web.conversations_history(channel=str(posted["channel"]))["messages"]) == 1
    assert error_of(web.chat_update, channel=posted["channel"], ts=answer["message_ts"], text="x") == (
        "message_not_found"
    )


def test_a_form_reads_as_json_does(sandbox: SandboxServer) -> None:
    form = {"channel": "#c", "blocks": '[{"type": "divider"}]', "text": "x", "token": "xoxb-form"}
    answer = call(sandbox, "chat.postMessage", data=form, headers={})
    assert answer["ok"] is True
    assert answer["message"]["blocks"] == [{"type": "divider", "block_id": "b0"}]


def test_auth_test_tells_who_the_bot_is(web: WebClient) -> None:
    assert web.auth_test()["user"] == "incidentd"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"text": "x"}, "invalid_arguments"),
        ({"channel": "#c"}, "no_text"),
        ({"channel": "#c", "text": ""}, "no_text"),
        ({"channel": "#c", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "#Not A Name", "text": "x"}, "channel_not_found"),
        ({"channel": "#c", "text": "x", "thread_ts": "yesterday"}, "invalid_thread_ts"),
        ({"channel": "#c", "text": "x", "thread_ts": "1700000000.000001"}, "thread_not_found"),
        ({"channel": "#c", "text": "x", "metadata": {"event_type": "t"}}, "invalid_metadata_format"),
        ({"channel": "#c", "text": "x", "metadata": {"event_payload": {}}}, "invalid_metadata_format"),
        ({"channel": "#c", "text": "x", "blocks": {"type": "divider"}}, "invalid_blocks_format"),
        ({"channel": "#c", "text": "x", "blocks": "[{"}, "invalid_blocks_format"),
        ({"channel": "#c", "text": "x", "blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"channel": ["c"], "text": "x"}, "invalid_arguments"),
    ],
)
def test_a_post_that_slack_refuses_is_refused_by_its_name_for_it(
    sandbox: SandboxServer, arguments: dict[str, Any], error: str
) -> None:
    assert call(sandbox, "chat.postMessage", json=arguments)["error"] == error
    assert sandbox.slack.messages() == []


def test_text_of_40_000_is_taken(sandbox: SandboxServer) -> None:
    assert call(sandbox, "chat.postMessage", json={"channel": "#c", "text": "x" * 40_000})["ok"] is True


def test_an_update_wants_the_channels_id_a_known_ts_and_at_most_4000_characters(web: WebClient) -> None:
    posted = web.chat_postMessage(channel="#c", text="P0")
    channel, ts = posted["channel"], posted["ts"]
    assert error_of(web.chat_update, channel="#c", ts=ts, text="x") == "channel_not_found"
    assert error_of(web.chat_update, channel="C0UNKNOWN0", ts=ts, text="x") == "channel_not_found"
    assert error_of(web.chat_update, channel=channel, ts="1.000001", text="x") == "message_not_found"
    assert error_of(web.chat_update, channel=channel, ts=ts, text="x" * 4001) == "msg_too_long"
    assert web.chat_update(channel=channel, ts=ts, text="x" * 4000)["ok"]


def test_a_reply_can_not_be_replied_to(web: WebClient) -> None:
    parent = web.chat_postMessage(channel="#c", text="card")
    reply = web.chat_postMessage(channel="#c", text="reply", thread_ts=parent["ts"])
    assert error_of(web.chat_postMessage, channel="#c", text="x", thread_ts=reply["ts"]) == "cannot_reply_to_message"


def test_reading_what_is_not_there_names_what_is_missing(web: WebClient) -> None:
    channel = str(web.chat_postMessage(channel="#c", text="x")["channel"])
    assert error_of(web.conversations_history, channel="#c") == "channel_not_found"
    assert error_of(web.conversations_replies, channel=channel, ts="1.000001") == "thread_not_found"
    assert error_of(web.conversations_history, channel=channel, limit=0) == "invalid_limit"
    assert error_of(web.conversations_history, channel=channel, cursor="junk") == "invalid_cursor"
    assert error_of(web.chat_postEphemeral, channel=channel, user="anna", text="x") == "user_not_in_channel"


def test_a_call_without_token_is_not_authed_and_one_with_a_wrong_token_invalid(sandbox: SandboxServer) -> None:
    assert call(sandbox, "auth.test", headers={})["error"] == "not_authed"
    with SandboxServer(slack_token="xoxb-right") as strict:
        assert call(strict, "auth.test", headers={"Authorization": "Bearer xoxb-wrong"})["error"] == "invalid_auth"
        assert call(strict, "auth.test", headers={"Authorization": "Bearer xoxb-right"})["ok"] is True


def test_unknown_methods_and_bodies_are_named(sandbox: SandboxServer) -> None:
    json_type = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    assert call(sandbox, "chat.shout", json={})["error"] == "unknown_method"
    assert call(sandbox, "chat.postMessage", data=b"{", headers=json_type)["error"] == "invalid_json"
    assert call(sandbox, "chat.postMessage", data=b"[]", headers=json_type)["error"] == "json_not_object"
    xml = json_type | {"Content-Type": "application/xml"}
    assert call(sandbox, "chat.postMessage", data=b"<a/>", headers=xml)["error"] == "invalid_post_type"


def test_the_faults_of_blocks_are_told_with_pointers(web: WebClient) -> None:
    with pytest.raises(SlackApiError) as raised:
        web.chat_postMessage(channel="#c", text="x", blocks=[{"type": "header"}])
    expected = ["[ERROR] missing required field: text [json-pointer:/blocks/0]"]
    assert raised.value.response["response_metadata"]["messages"] == expected
    assert raised.value.response["errors"] == expected


def test_a_message_to_a_user_goes_to_their_direct_messages(sandbox: SandboxServer, web: WebClient) -> None:
    assert str(web.chat_postMessage(channel="U0ANNABERG", text="x")["channel"]) == "D0ANNABERG"


def test_a_lone_surrogate_in_a_message_is_carried_and_shown(sandbox: SandboxServer) -> None:
    assert call(sandbox, "chat.postMessage", json={"channel": "#c", "text": "\ud800"})["ok"] is True
    assert requests.get(f"{sandbox.url}/", timeout=5).status_code == 200
