"""An incident's news as a mail: text and HTML, in one thread for each incident and destination.

Threads by RFC 5322, section 3.6.4; ``Auto-Submitted`` by RFC 3834, so that nobody's holiday notice answers.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from incidentd.channels.change import clean, message_id, one_line, picture
from incidentd.channels.channel import Destination, News
from incidentd.channels.link import links
from incidentd.incident.state import State
from incidentd.tier import Tier

_SUBJECT = 180
_POLICY = SMTP.clone(cte_type="7bit")
"""Whether a server takes 8 bits is not known before it is asked, and 7 pass every relay unchanged (RFC 6152)."""

_LOUD = (Tier.P0, Tier.P1)
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",), disabled_extensions=("txt.j2",)),
    undefined=StrictUndefined,
    trim_blocks=True,
)


def recipients(destination: Destination) -> tuple[str, ...]:
    """The addresses, each once."""
    return tuple(dict.fromkeys(destination.options.get("to", "").split()))


def letter(destination: Destination, news: News, now: datetime) -> EmailMessage:
    """The mail. Its Message-ID is the same for the same news, so that one sent twice is known as such.

    No header can be injected: what alerts hold stands in the subject alone, on one line.
    """
    mail = EmailMessage(policy=_POLICY)
    sender = destination.options.get("from", "")
    mail["From"] = Address("incidentd", addr_spec=sender)
    mail["To"] = ", ".join(recipients(destination))
    mail["Subject"] = subject(news)
    mail["Date"] = format_datetime(now)
    for name, value in _thread(destination, news, sender.rpartition("@")[2]).items():
        mail[name] = value
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Incidentd-Incident"] = news.incident.id
    mail["X-Incidentd-Tier"] = str(news.incident.tier)
    mail["X-Incidentd-State"] = news.incident.state.value
    if news.incident.state is State.TRIGGERED and news.incident.tier in _LOUD:
        mail["Importance"] = "high"
    shown = _shown(destination, news)
    mail.set_content(_TEMPLATES.get_template("mail.txt.j2").render(shown))
    mail.add_alternative(_TEMPLATES.get_template("mail.html.j2").render(shown), subtype="html")
    return mail


def subject(news: News) -> str:
    """The same in each mail of a thread, or mail programs would part it: so neither tier nor state is in it."""
    first = news.reference.get("subject") or news.predecessor.get("subject")
    if first:
        return f"Re: {first.removeprefix('Re: ')}"
    system = f" ({news.incident.system})" if news.incident.system else ""
    return one_line(f"[incidentd #{news.number}] {news.incident.title}{system}", _SUBJECT)


def _thread(destination: Destination, news: News, domain: str) -> Mapping[str, str]:
    """All mails refer to an anchor that is known beforehand, and to the first one, where it is known to have gone out.

    So a second first mail, after a lost reply, is in the same thread.
    """
    named = hashlib.sha256(f"{news.incident.id} {destination.name}".encode()).hexdigest()[:24]
    anchor = f"<{named}@{domain}>"
    first = news.reference.get("first") or news.predecessor.get("first")
    own = {"Message-ID": f"<{message_id(destination, news)}.{named}@{domain}>"}
    if not first:
        return {**own, "References": anchor}
    return {**own, "In-Reply-To": first, "References": f"{anchor} {first}"}


def _cleaned(value: Any) -> Any:
    """A value of JSON's kinds, each text in it without characters that control anything."""
    if isinstance(value, Mapping):
        return {name: _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    return clean(value) if isinstance(value, str) else value


def _shown(destination: Destination, news: News) -> Mapping[str, Any]:
    shown = _cleaned(picture(destination, news))
    incident, objective = shown["incident"], shown["objective"]
    waits = news.incident.state is State.TRIGGERED
    facts = {
        "Next": f"{incident['next']} at {_moment(news.incident.next_at)}" if incident["next"] and waits else "",
        "Answer by": _moment(news.incident.respond_by) if waits else "",
        "System": incident["system"],
        "Objective": f"{incident['slo']}{f' ({objective})' if objective else ''}",
        f"Why {incident['tier']}": incident["reason"],
        "Regions": ", ".join(incident["scope"]),
        "Reported": shown["summary"],
    }
    return {**shown, "facts": [(name, value) for name, value in facts.items() if value], "links": links(news)}


def _moment(at: datetime | None) -> str:
    """To the second, in UTC; empty for none. Read by people, in whatever zone: so the zone is named."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
