"""Text for Slack: cut to its limits, escaped, and mentions that only our own configuration can bring about.

https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from datetime import datetime

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_USER = re.compile(r"(?:<@)?([UW][A-Z0-9]{1,30})>?")
_GROUP = re.compile(r"(?:<!subteam\^)?(S[A-Z0-9]{1,30})>?")
_EVERYONE = re.compile(r"(?:<!|@)?(here|channel|everyone)>?")
_ASTRAL = 0xFFFF
_MORE = "…"


def escape(text: str, limit: int) -> str:
    """``text`` shown literally in at most ``limit`` characters, counted after escaping and in UTF-16 as Slack may."""
    pieces: list[str] = []
    room = limit
    for position, char in enumerate(text):
        piece = _ENTITIES.get(char, char)
        size = len(piece) + (ord(char) > _ASTRAL)
        if size > room - 1 and (size > room or position < len(text) - 1):
            return "".join(pieces) + _MORE
        pieces.append(piece)
        room -= size
    return "".join(pieces)


def plain(text: str, limit: int) -> str:
    """``text`` for a ``plain_text`` object, which is not parsed: one line, cut."""
    line = " ".join(text.split())
    if _size(line) <= limit:
        return line
    kept = line[: limit - 1]
    while _size(kept) > limit - 1:
        kept = kept[:-1]
    return kept + _MORE


def line(text: str, limit: int) -> str:
    """``text`` escaped, on one line."""
    return escape(" ".join(text[: limit * 2].split()), limit)


def mention(configured: str) -> str:
    """The mention that our configuration names (a user's or group's id, ``here``, ``channel``), or nothing."""
    name = configured.strip()
    if user := _USER.fullmatch(name):
        return f"<@{user[1]}>"
    if group := _GROUP.fullmatch(name):
        return f"<!subteam^{group[1]}>"
    everyone = _EVERYONE.fullmatch(name)
    return f"<!{everyone[1]}>" if everyone else ""


def moment(at: datetime) -> str:
    """An instant in the reader's own zone; UTC where Slack can't."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{at:%Y-%m-%d %H:%M:%S} UTC>"


def link(href: str, text: str) -> str:
    """A link with a text of our own. ``href`` has passed ``safe_href``."""
    return f"<{href.replace('&', '&amp;')}|{escape(text, 100)}>"


def _size(text: str) -> int:
    return len(text) + sum(ord(char) > _ASTRAL for char in text)
