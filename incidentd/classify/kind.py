"""The kinds of destination that a rules table may name: one entry for each, and its channel elsewhere."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Option:
    """One field of a destination. ``pattern`` is what its text must be, ``hint`` says so in words.

    ``several``: it may be a list, each item of which must be so.
    """

    pattern: re.Pattern[str]
    hint: str
    required: bool = True
    several: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """``pages``: it wakes people. ``held_by`` is the field that names the variables which hold its secret.

    ``secret_names`` are the variables when the field is missing; none means that the field is required.
    ``mention`` is what may stand for a person there; None where nobody can be mentioned.
    ``one_by_one`` new ones a minute are told each by itself where the rules don't say; 0: all are, it has no digests.
    ``address`` is what may stand in ``held_by`` in a variable's place; None where only a variable may.
    ``further`` are fields that name variables of further secrets, ``templates`` those that name a file of
    ``templates/``; ``headers``: it has a mapping of them.
    """

    pages: bool
    held_by: str
    secret_names: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    mention: Option | None = None
    one_by_one: int = 0
    address: Option | None = None
    further: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    headers: bool = False


_CHANNEL = Option(
    re.compile(r"#[^\s#@,<>&]{1,80}|[CGD][A-Z0-9]{6,20}"), 'a channel such as "#incidents" or C0123456789'
)
# https://docs.slack.dev/messaging/formatting-message-text/#mentioning-users
_MENTION = Option(
    re.compile(r"<@[UW][A-Z0-9]+>|<!subteam\^S[A-Z0-9]+>|<!(here|channel|everyone)>|[^<>&]{1,80}"),
    'a Slack mention such as "<!subteam^S0123456>" or "<@U0123456>", or a name without < > &',
)

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PART = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2: a dot stands between two atoms, or nobody takes the mail.
_MAILBOX = Option(
    re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_PART}(?:\.{_PART}){{0,20}}"),
    "an address such as incidents@example.com",
)
_SERVER = Option(
    re.compile(r"(?:smtp|smtps|smtp\+plain)://[A-Za-z0-9.\[\]:-]{1,255}/?"),
    "a variable INCIDENTD_…, or a server such as smtp://mail.example.com:587 without user and password",
)
_URL = Option(
    re.compile(r"https?://[^\s/@?#]{1,255}(?:[/?][^\s#]{0,1700})?"),
    "a variable INCIDENTD_…, or an address such as https://hooks.example.com/incidents without user and password",
)
_UPDATE_URL = Option(
    re.compile(r"(?:\{url\}|https?://[^\s/@?#{}]{1,255})/[^\s#]{0,1700}"),
    'an address such as https://api.example.com/issues/{reference}/comments or "{url}/{reference}"',
    required=False,
)
_METHOD = Option(re.compile(r"POST|PUT|PATCH"), "one of POST, PUT, PATCH", required=False)
_FIELD = Option(
    re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,4}"),
    "a field of the answer, such as key or issue.number",
    required=False,
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
        "email": Kind(
            pages=False,
            held_by="server",
            secret_names=("INCIDENTD_SMTP_URL",),
            options={"from": _MAILBOX, "to": replace(_MAILBOX, several=True)},
            address=_SERVER,
        ),
        "webhook": Kind(
            pages=False,
            held_by="url",
            options={
                "method": _METHOD,
                "update_url": _UPDATE_URL,
                "update_method": _METHOD,
                "reference": _FIELD,
            },
            address=_URL,
            further=("secret",),
            templates=("template", "update_template"),
            headers=True,
        ),
    }
)
