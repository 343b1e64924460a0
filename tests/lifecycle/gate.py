"""A channel that a test can hold back, as a frozen process is."""

import threading
from collections.abc import Callable
from datetime import timedelta

from incidentd.channels.channel import Channel, Destination, News, Receipt
from incidentd.channels.registry import Means, make_channels
from incidentd.keyring import Keyring
from incidentd.lifecycle.deliver import Sender
from incidentd.lifecycle.pace import Pace
from incidentd.lifecycle.parcel import Packer
from incidentd.runtime import new_id
from tests.lifecycle.bench import Bench

PACE = Pace(timedelta(seconds=30), timedelta(seconds=3), 5)


class Gate:
    """Passes deliveries on to the real channel: those of one slot, or all, once it is open."""

    def __init__(self, channel: Channel, slot: str | None) -> None:
        self._channel = channel
        self._slot = slot
        self.reached = threading.Event()
        self.open = threading.Event()

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """As the real channel does, later."""
        if self._slot in (None, news.slot):
            self.reached.set()
            assert self.open.wait(120)
        return self._channel.deliver(destination, news, seconds=seconds)

    def silent(self, news: News) -> Receipt | None:
        """As the real channel does; what is held back comes to the gate, though it be silent there."""
        return None if self._slot in (None, news.slot) else self._channel.silent(news)


class Hesitant:
    """A channel at which a sender freezes for so long before it claims; notes how long its lease then is."""

    def __init__(self, channel: Channel, bench: Bench, freeze: timedelta) -> None:
        self._channel = channel
        self._bench = bench
        self._freeze = freeze
        self.leases: list[timedelta] = []

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """As the real channel does."""
        self.leases.append(self._bench.cursor(slot=news.slot).due_at - self._bench.now)
        return self._channel.deliver(destination, news, seconds=seconds)

    def silent(self, news: News) -> Receipt | None:
        """As the real channel does, later: claims ask it before they lease."""
        self._bench.clock.advance(self._freeze)
        return self._channel.silent(news)


class Broken:
    """A channel with a fault of its own, so many times."""

    def __init__(self, channel: Channel, times: int) -> None:
        self._channel = channel
        self._times = times

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """As the real channel does, at last."""
        self._times -= 1
        if self._times >= 0:
            raise KeyError("a fault of ours")
        return self._channel.deliver(destination, news, seconds=seconds)

    def silent(self, news: News) -> Receipt | None:
        """As the real channel does."""
        return self._channel.silent(news)


def sender(bench: Bench, change: Callable[[Channel], Channel], kind: str = "pagerduty") -> Sender:
    """A sender of its own, whose channel of this kind is changed."""
    runtime = bench.runtime
    settings = runtime.settings
    means = Means(bench.clock.now, settings.pagerduty_events_url, settings.slack_api_url)
    channels = dict(make_channels(means))
    channels[kind] = change(channels[kind])
    packer = Packer(runtime.rulebook, Keyring(settings, bench.environ).destination, settings.base_url)
    return Sender(
        runtime.store,
        runtime.rulebook,
        packer,
        channels,
        bench.clock.now,
        new_id,
        PACE,
        hand_over=lambda _work: None,
        meter=runtime.meter,
    )


def held_back(bench: Bench, slot: str | None = None, kind: str = "pagerduty") -> tuple[Sender, Gate]:
    """A sender of which one slot's deliveries, or all of this kind, wait at a gate."""
    gates: list[Gate] = []

    def behind_a_gate(channel: Channel) -> Channel:
        gates.append(Gate(channel, slot))
        return gates[0]

    return sender(bench, behind_a_gate, kind), gates[0]
