"""The kinds of destination that a rules table may name: one entry for each, and its channel elsewhere."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Option:
    """One field of a destination. ``pattern`` is what its text must be, ``hint`` says so in words."""

    pattern: re.Pattern[str]
    hint: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """``pages``: it wakes people. ``held_by`` is the field that names the variables which hold its secret.

    ``secret_names`` are the variables when the field is missing; none means that the field is required.
    ``mention`` is what may stand for a person there; None where nobody can be mentioned.
    ``one_by_one`` new ones a minute are told each by itself where the rules don't say; 0: all are, it has no digests.
    """

    pages: bool
    held_by: str
    secret_names: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    mention: Option | None = None
    one_by_one: int = 0


_CHANNEL = Option(
    re.compile(r"#[^\s#@,<>&]{1,80}|[CGD][A-Z0-9]{6,20}"), 'a channel such as "#incidents" or C0123456789'
)
# https://docs.slack.dev/messaging/formatting-message-text/#mentioning-users
_MENTION = Option(
    re.compile(r"<@[UW][A-Z0-9]+>|<!subteam\^S[A-Z0-9]+>|<!(here|channel|everyone)>|[^<>&]{1,80}"),
    'a Slack mention such as "<!subteam^S0123456>" or "<@U0123456>", or a name without < > &',
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "pagerduty": Kind(pages=True, held_by="routing_key", one_by_one=10),
        "slack": Kind(
            pages=False,
            held_by="token",
            secret_names=("INCIDENTD_SLACK_BOT_TOKEN",),
            options={"channel": _CHANNEL},
            mention=_MENTION,
            one_by_one=20,
        ),
    }
)
