"""Slack's mrkdwn and plain text as safe HTML.

https://docs.slack.dev/messaging/formatting-message-text
"""

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup, escape

_EMOJI = {
    "rotating_light": "🚨",
    "fire": "🔥",
    "warning": "⚠️",
    "red_circle": "🔴",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "large_green_circle": "🟢",
    "large_blue_circle": "🔵",
    "white_circle": "⚪",
    "black_circle": "⚫",
    "white_check_mark": "✅",
    "heavy_check_mark": "✔️",
    "x": "❌",
    "eyes": "👀",
    "bell": "🔔",
    "no_bell": "🔕",
    "memo": "📝",
    "ticket": "🎫",
    "hourglass": "⌛",
    "hourglass_flowing_sand": "⏳",
    "stopwatch": "⏱️",
    "alarm_clock": "⏰",
    "link": "🔗",
    "book": "📖",
    "bar_chart": "📊",
    "chart_with_upwards_trend": "📈",
    "arrow_up": "⬆️",
    "arrow_double_up": "⏫",
    "arrows_counterclockwise": "🔄",
    "repeat": "🔁",
    "telephone_receiver": "📞",
    "pager": "📟",
    "zzz": "💤",
    "question": "❓",
    "exclamation": "❗",
    "information_source": "ℹ️",
    "tada": "🎉",
    "wave": "👋",
    "busts_in_silhouette": "👥",
    "bust_in_silhouette": "👤",
}

_CODE = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
_CONTROL = re.compile(r"<([^<>\n]+)>")
_EMOJI_NAME = re.compile(r":([a-z0-9_+-]+):")
_STYLES = (("*", "strong"), ("_", "em"), ("~", "s"))
_DATE_STYLES = {
    "date_num": "%Y-%m-%d",
    "date": "%B %-d, %Y",
    "date_short": "%b %-d, %Y",
    "date_long": "%A, %B %-d, %Y",
    "date_pretty": "%B %-d, %Y",
    "date_short_pretty": "%b %-d, %Y",
    "date_long_pretty": "%A, %B %-d, %Y",
    "time": "%H:%M",
    "time_secs": "%H:%M:%S",
}


def plain(text: object) -> Markup:
    """Plain text with its line breaks and emoji, nothing else."""
    return Markup(str(escape(_with_emoji(str(text)))).replace("\n", "<br>"))  # noqa: S704 - escaped just before


def mrkdwn(source: object, users: Mapping[str, str] | None = None) -> Markup:
    """Formatted text; ``users`` are names by ID. Everything that isn't mrkdwn's own is escaped."""
    text = str(source)
    parts: list[str] = []
    end = 0
    for code in _CODE.finditer(text):
        parts.append(_prose(text[end : code.start()], users or {}))
        block, inline = code.groups()
        parts.append(f"<pre>{_literal(block.strip(chr(10)))}</pre>" if block else f"<code>{_literal(inline)}</code>")
        end = code.end()
    parts.append(_prose(text[end:], users or {}))
    return Markup("".join(parts))  # noqa: S704 - each part is escaped where it is made


def _literal(text: str) -> str:
    """Escaped anew: Slack carries ``&lt;`` for a ``<`` that is only text."""
    return html.escape(html.unescape(text))


def _prose(text: str, users: Mapping[str, str]) -> str:
    """Control sequences are set aside while styles are found, so that an address keeps its underscores."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(_control(match[1], users))
        return f"\x00{len(kept) - 1}\x00"

    marked = _CONTROL.sub(keep, text.replace("\x00", ""))
    styled = _quoted(_styled(_literal(_with_emoji(marked))))
    return re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match[1])], styled)


def _styled(text: str) -> str:
    for mark, tag in _STYLES:
        sign = re.escape(mark)
        text = re.sub(rf"(?<![\w{sign}]){sign}(?!\s)([^{sign}\n]+?)(?<!\s){sign}(?!\w)", rf"<{tag}>\1</{tag}>", text)
    return text


def _quoted(text: str) -> str:
    lines = text.split("\n")
    quoted = [f"<q>{line[5:]}</q>" if line.startswith("&gt; ") else line for line in lines]
    return "<br>".join(quoted).replace("</q><br>", "</q>")


def _control(inner: str, users: Mapping[str, str]) -> str:
    head, _, label = inner.partition("|")
    shown = _literal(_with_emoji(label))
    if head.startswith("@"):
        return _mention(f"@{users.get(head[1:], '')}" if head[1:] in users else shown or head)
    if head.startswith("#"):
        return _mention(f"#{label or head[1:]}")
    if head.startswith("!date^"):
        return _date(head, label)
    if head.startswith("!"):
        return _mention(label or "@" + head[1:].removeprefix("subteam^"))
    address = html.unescape(head)
    if address.lower().startswith(("http://", "https://", "mailto:")):
        return (
            f'<a href="{html.escape(address)}" target="_blank" rel="noopener noreferrer">{shown or _literal(head)}</a>'
        )
    return _literal(f"<{inner}>")


def _mention(name: str) -> str:
    return f'<span class="mention">{_literal(name)}</span>'


def _date(head: str, fallback: str) -> str:
    match = re.fullmatch(r"!date\^(\d{1,11})\^([^^]+)(?:\^.*)?", head)
    if match is None:
        return _literal(fallback)
    at = datetime.fromtimestamp(int(match[1]), UTC)
    shown = re.sub(r"\{(\w+)\}", lambda token: at.strftime(_DATE_STYLES.get(token[1], "")), match[2])
    return f'<time datetime="{at.isoformat()}" title="UTC">{_literal(shown)}</time>'


def _with_emoji(text: str) -> str:
    return _EMOJI_NAME.sub(lambda match: _EMOJI.get(match[1], match[0]), text)
