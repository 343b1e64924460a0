"""The kinds of destination: one line each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from incidentd.channels.channel import Channel
from incidentd.channels.deadline import Watchman
from incidentd.channels.email import EmailChannel
from incidentd.channels.pagerduty import PagerDutyChannel
from incidentd.channels.resolver import Resolver
from incidentd.channels.slack import SlackChannel
from incidentd.channels.transport import DeadlineAdapter
from incidentd.channels.webhook import WebhookChannel


@dataclass(frozen=True, slots=True)
class Means:
    """What channels are made with: the clock for Retry-After dates, and addresses; None is the provider's own."""

    now: Callable[[], datetime]
    pagerduty_events_url: str | None = None
    slack_api_url: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of destination. ``pages``: it wakes people, and has a slot for each round and level."""

    pages: bool
    make: Callable[[Means, Watchman, Resolver], Channel]


KINDS: Mapping[str, Kind] = {
    "pagerduty": Kind(
        True, lambda m, w, r: PagerDutyChannel(DeadlineAdapter(w, r, resend=True), m.now, m.pagerduty_events_url)
    ),
    "slack": Kind(False, lambda m, w, r: SlackChannel(DeadlineAdapter(w, r), m.now, m.slack_api_url)),
    "email": Kind(False, lambda m, w, r: EmailChannel(w, r, m.now)),
    "webhook": Kind(False, lambda m, w, r: WebhookChannel(DeadlineAdapter(w, r), m.now)),
}


def make_channels(means: Means) -> dict[str, Channel]:
    """One channel of each kind, for all threads of a process. They share one watchman."""
    watchman, resolver = Watchman(), Resolver()
    return {name: kind.make(means, watchman, resolver) for name, kind in KINDS.items()}
