"""The methods of Slack's Web API that the sandbox plays, one function each.

https://docs.slack.dev/reference/methods
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from incidentd.sandbox.answer import Answer, JsonObject
from incidentd.sandbox.argument import Arguments, MethodError
from incidentd.sandbox.block import attachment_errors, block_errors
from incidentd.sandbox.message import BOT_ID, BOT_NAME, BOT_USER_ID, TEAM_ID, USER_ID, USERS, Channel, Message
from incidentd.sandbox.workspace import Workspace, edited, posted

TEXT_MAX = 40_000
UPDATED_TEXT_MAX = 4_000
SCOPES = ("channels:history", "channels:read", "chat:write", "chat:write.public", "commands", "users:read.email")
_TS = re.compile(r"\d{1,12}\.\d{6}")


def post_message(workspace: Workspace, arguments: Arguments, now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/chat.postMessage"""
    channel = _channel(workspace, arguments)
    content = message_content(arguments, TEXT_MAX)
    thread_ts = _thread(workspace, channel, arguments)
    message = Message(
        channel.id,
        workspace.next_ts(now),
        **content,
        thread_ts=thread_ts,
        broadcast=thread_ts is not None and arguments.flag("reply_broadcast"),
        metadata=_metadata(arguments),
        username=arguments.text("username"),
    )
    body = {"ok": True, "channel": channel.id, "ts": message.ts, "message": message.to_api()}
    return Answer(200, body, effect=posted(message, channel))


def update(workspace: Workspace, arguments: Arguments, now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/chat.update"""
    channel = _channel(workspace, arguments, ids_only=True)
    message = workspace.find(channel.id, arguments.required("ts", "message_not_found"))
    if message is None or message.visible_to is not None:
        raise MethodError("message_not_found")
    content = message_content(arguments, UPDATED_TEXT_MAX)
    metadata = _metadata(arguments) if "metadata" in arguments else message.metadata
    message = replace(
        message,
        **content,
        metadata=metadata,
        edited_ts=f"{now.timestamp():.6f}",
        broadcast=message.broadcast or (message.is_reply and arguments.flag("reply_broadcast")),
    )
    body = {
        "ok": True,
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": message.to_api(),
    }
    return Answer(200, body, effect=edited(message))


def post_ephemeral(workspace: Workspace, arguments: Arguments, now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/chat.postEphemeral"""
    channel = _channel(workspace, arguments)
    user = arguments.required("user")
    if not USER_ID.fullmatch(user):
        raise MethodError("user_not_in_channel")
    content = message_content(arguments, TEXT_MAX)
    thread_ts = _thread(workspace, channel, arguments)
    message = Message(channel.id, workspace.next_ts(now), **content, thread_ts=thread_ts, visible_to=user)
    return Answer(200, {"ok": True, "message_ts": message.ts}, effect=posted(message, channel))


def history(workspace: Workspace, arguments: Arguments, _now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/conversations.history"""
    channel = _channel(workspace, arguments, ids_only=True)
    shown = [
        message
        for message in workspace.messages(channel.id)
        if message.visible_to is None and (message.broadcast or not message.is_reply)
    ]
    shown.sort(key=lambda message: Decimal(message.ts), reverse=True)
    return _page(workspace, shown, arguments, 999)


def replies(workspace: Workspace, arguments: Arguments, _now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/conversations.replies"""
    channel = _channel(workspace, arguments, ids_only=True)
    parent = workspace.find(channel.id, arguments.required("ts", "thread_not_found"))
    if parent is None or parent.visible_to is not None:
        raise MethodError("thread_not_found")
    shown = [reply for reply in workspace.replies(channel.id, parent.ts) if reply.visible_to is None]
    return _page(workspace, [parent, *shown], arguments, 1000)


def auth_test(_workspace: Workspace, _arguments: Arguments, _now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/auth.test"""
    body = {
        "ok": True,
        "url": "https://sandbox.slack.com/",
        "team": "Sandbox",
        "user": BOT_NAME,
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }
    return Answer(200, body, {"x-oauth-scopes": ",".join(SCOPES)})


def channel_info(workspace: Workspace, arguments: Arguments, _now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/conversations.info"""
    channel = _channel(workspace, arguments, ids_only=True)
    return Answer(200, {"ok": True, "channel": _described(channel)})


def list_channels(workspace: Workspace, _arguments: Arguments, _now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/conversations.list"""
    channels = [_described(channel) for channel in workspace.channels]
    return Answer(200, {"ok": True, "channels": channels, "response_metadata": {"next_cursor": ""}})


def _described(channel: Channel) -> JsonObject:
    return {"id": channel.id, "name": channel.name.removeprefix("#"), "is_channel": True, "is_member": True}


def permalink(workspace: Workspace, arguments: Arguments, _now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/chat.getPermalink"""
    channel = _channel(workspace, arguments, ids_only=True)
    message = workspace.find(channel.id, arguments.required("message_ts", "message_not_found"))
    if message is None:
        raise MethodError("message_not_found")
    link = f"https://sandbox.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    return Answer(200, {"ok": True, "channel": channel.id, "permalink": link})


def user_by_email(_workspace: Workspace, arguments: Arguments, _now: datetime) -> Answer:
    """https://docs.slack.dev/reference/methods/users.lookupByEmail"""
    email = arguments.required("email", "users_not_found")
    for user in USERS:
        if user.email == email.lower():
            profile = {"email": user.email, "real_name": user.real_name}
            return Answer(200, {"ok": True, "user": {"id": user.id, "name": user.name, "profile": profile}})
    raise MethodError("users_not_found")


METHODS: dict[str, Callable[[Workspace, Arguments, datetime], Answer]] = {
    "chat.postMessage": post_message,
    "chat.update": update,
    "chat.postEphemeral": post_ephemeral,
    "chat.getPermalink": permalink,
    "conversations.info": channel_info,
    "conversations.list": list_channels,
    "conversations.history": history,
    "conversations.replies": replies,
    "auth.test": auth_test,
    "users.lookupByEmail": user_by_email,
}


def message_content(arguments: Arguments, text_max: int) -> dict[str, Any]:
    """``text``, ``blocks`` and ``attachments`` of a message to be, checked.

    Raises:
        MethodError: ``no_text``, ``msg_too_long``, ``invalid_blocks`` or the like, as Slack names them.
    """
    text = arguments.text("text")
    blocks = arguments.structure("blocks", "invalid_blocks_format")
    attachments = arguments.structure("attachments", "invalid_attachments")
    if not text and not blocks and not attachments:
        raise MethodError("no_text")
    if len(text) > text_max:
        raise MethodError("msg_too_long")
    if blocks is not None and not isinstance(blocks, list):
        raise MethodError("invalid_blocks_format")
    errors = block_errors(blocks or []) + (attachment_errors(attachments) if attachments else [])
    if errors:
        raise MethodError("invalid_blocks", errors)
    return {
        "text": text,
        "blocks": _with_ids(blocks or [], "b"),
        "attachments": [_attachment(index, item) for index, item in enumerate(attachments or [])],
    }


def _attachment(index: int, attachment: JsonObject) -> JsonObject:
    if "blocks" not in attachment:
        return attachment
    return attachment | {"blocks": _with_ids(attachment["blocks"], f"a{index}b")}


def _with_ids(blocks: Sequence[JsonObject], prefix: str) -> list[JsonObject]:
    """Slack gives each block and each element that acts an ID where the app gave none."""
    return [_with_action_ids({"block_id": f"{prefix}{index}"} | block) for index, block in enumerate(blocks)]


def _with_action_ids(block: JsonObject) -> JsonObject:
    if block["type"] == "actions":
        elements = [{"action_id": f"e{index}"} | element for index, element in enumerate(block["elements"])]
        return block | {"elements": elements}
    if block["type"] == "section" and block.get("accessory", {}).get("type") == "button":
        return block | {"accessory": {"action_id": "e0"} | block["accessory"]}
    return block


def _channel(workspace: Workspace, arguments: Arguments, *, ids_only: bool = False) -> Channel:
    channel = workspace.resolve(arguments.required("channel"), ids_only=ids_only)
    if channel is None:
        raise MethodError("channel_not_found")
    return channel


def _thread(workspace: Workspace, channel: Channel, arguments: Arguments) -> str | None:
    ts = arguments.text("thread_ts")
    if not ts:
        return None
    if not _TS.fullmatch(ts):
        raise MethodError("invalid_thread_ts")
    parent = workspace.find(channel.id, ts)
    if parent is None or parent.visible_to is not None:
        raise MethodError("thread_not_found")
    if parent.is_reply:
        raise MethodError("cannot_reply_to_message")
    return ts


def _metadata(arguments: Arguments) -> JsonObject | None:
    metadata = arguments.structure("metadata", "invalid_metadata_format")
    if not metadata:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str) or not metadata["event_type"]:
        raise MethodError("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise MethodError("invalid_metadata_format")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}


def _page(workspace: Workspace, messages: list[Message], arguments: Arguments, most: int) -> Answer:
    limit = arguments.number("limit", 100 if most == 999 else most, most)
    within = [message for message in messages if _within(message, arguments)]
    start = _cursor(arguments)
    shown = within[start : start + limit]
    more = start + limit < len(within)
    with_metadata = arguments.flag("include_all_metadata")
    body = {
        "ok": True,
        "messages": [_shown(workspace, message, with_metadata) for message in shown],
        "has_more": more,
        "response_metadata": {"next_cursor": f"next:{start + limit}" if more else ""},
    }
    return Answer(200, body)


def _shown(workspace: Workspace, message: Message, with_metadata: bool) -> JsonObject:
    body = message.to_api(metadata=with_metadata)
    heard = [reply for reply in workspace.replies(message.channel, message.ts) if reply.visible_to is None]
    if heard:
        body |= {"thread_ts": message.ts, "reply_count": len(heard), "latest_reply": heard[-1].ts}
    return body


def _within(message: Message, arguments: Arguments) -> bool:
    inclusive = arguments.flag("inclusive")
    ts, oldest, latest = Decimal(message.ts), _bound(arguments, "oldest"), _bound(arguments, "latest")
    return (oldest is None or ts > oldest or (inclusive and ts == oldest)) and (
        latest is None or ts < latest or (inclusive and ts == latest)
    )


def _bound(arguments: Arguments, name: str) -> Decimal | None:
    text = arguments.text(name)
    if not text or text == "now":
        return None
    if not re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text):
        raise MethodError(f"invalid_ts_{name}")
    return Decimal(text)


def _cursor(arguments: Arguments) -> int:
    cursor = arguments.text("cursor")
    if not cursor:
        return 0
    number = cursor.removeprefix("next:")
    if number == cursor or not number.isdecimal():
        raise MethodError("invalid_cursor")
    return int(number)
