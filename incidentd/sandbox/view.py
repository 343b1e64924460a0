"""What the page shows, taken from the stand-ins at one instant."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from incidentd.sandbox.fault import InjectedFault
from incidentd.sandbox.interaction import Press, Presser
from incidentd.sandbox.ledger import Ledger, Recorded
from incidentd.sandbox.message import BOT_NAME, Channel, Message
from incidentd.sandbox.outbox import Hook, Mail, Outbox
from incidentd.sandbox.pagerduty import AlertState, PagerDuty, PagerDutyAlert
from incidentd.sandbox.slack import Slack

SHOWN_MAX = 50


@dataclass(frozen=True, slots=True)
class CardView:
    """A message with what hangs on it."""

    message: Message
    at: datetime
    author: str
    replies: list["CardView"]
    reply_to: bool = False


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel, newest card first."""

    channel: Channel
    cards: list[CardView]
    hidden: int


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One routing key's alerts: open ones first, then the newest."""

    name: str
    key: str
    alerts: list[PagerDutyAlert]
    open: int
    hidden: int


@dataclass(frozen=True, slots=True)
class View:
    """The whole page."""

    version: int
    channels: list[ChannelView]
    services: list[ServiceView]
    presses: list[Press]
    requests: list[Recorded]
    mails: list[Mail]
    hooks: list[Hook]
    faults: tuple[InjectedFault, ...]


def take_view(
    ledger: Ledger,
    slack: Slack,
    pagerduty: PagerDuty,
    outbox: Outbox,
    presser: Presser,
    faults: tuple[InjectedFault, ...],
    names: Mapping[str, str],
) -> View:
    """All that the page shows, consistent in itself. ``names`` are people's words for routing keys."""
    with ledger.changed:
        return View(
            version=ledger.version,
            channels=_channels(slack),
            services=_services(pagerduty, names),
            presses=[*reversed(presser.presses)][:3],
            requests=ledger.newest(SHOWN_MAX),
            mails=outbox.mailbox.mails[: -SHOWN_MAX - 1 : -1],
            hooks=outbox.hooks.hooks[: -SHOWN_MAX - 1 : -1],
            faults=faults,
        )


def _channels(slack: Slack) -> list[ChannelView]:
    by_channel: dict[str, list[Message]] = defaultdict(list)
    for message in slack.messages():
        if not message.is_reply or message.broadcast:
            by_channel[message.channel].append(message)
    views = []
    for channel in slack.channels:
        cards = sorted(by_channel[channel.id], key=lambda message: Decimal(message.ts), reverse=True)
        shown = [_card(slack, message) for message in cards[:SHOWN_MAX]]
        views.append(ChannelView(channel, shown, max(0, len(cards) - SHOWN_MAX)))
    return sorted(views, key=lambda view: view.cards[0].at if view.cards else datetime.min.replace(tzinfo=UTC))[::-1]


def _card(slack: Slack, message: Message) -> CardView:
    replies = [] if message.is_reply else slack.workspace.replies(message.channel, message.ts)
    return CardView(
        message=message,
        at=datetime.fromtimestamp(float(message.ts), UTC),
        author=message.username or BOT_NAME,
        replies=[_card(slack, reply) for reply in replies],
        reply_to=message.is_reply,
    )


def _services(pagerduty: PagerDuty, names: Mapping[str, str]) -> list[ServiceView]:
    by_key: dict[str, list[PagerDutyAlert]] = defaultdict(list)
    for alert in pagerduty.alerts:
        by_key[alert.routing_key].append(alert)
    views = []
    for key, alerts in by_key.items():
        alerts.sort(key=lambda alert: (alert.state is AlertState.RESOLVED, -alert.number))
        unresolved = sum(alert.state is not AlertState.RESOLVED for alert in alerts)
        hidden = max(0, len(alerts) - SHOWN_MAX)
        views.append(ServiceView(names.get(key, ""), key, alerts[:SHOWN_MAX], unresolved, hidden))
    return sorted(views, key=lambda view: view.name or view.key)
