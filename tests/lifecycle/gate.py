"""A channel that a test can hold back, as a frozen process is."""

import threading
from collections.abc import Callable
from datetime import timedelta

from incidentd.channels.channel import Channel, Destination, News, Receipt
from incidentd.channels.registry import Means, make_channels
from incidentd.keyring import Keyring
from incidentd.lifecycle.deliver import Pace, Sender
from incidentd.lifecycle.parcel import Packer
from incidentd.runtime import Runtime, new_id
from tests.lifecycle.bench import Bench

PACE = Pace(timedelta(seconds=30), timedelta(seconds=3), 5)


class Gate:
    """Passes deliveries on to the real channel once it is open."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.reached = threading.Event()
        self.open = threading.Event()

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        """As the real channel does, later."""
        self.reached.set()
        assert self.open.wait(30)
        return self._channel.deliver(destination, news, seconds=seconds)


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


def sender(bench: Bench, runtime: Runtime, change: Callable[[Channel], Channel], pace: Pace = PACE) -> Sender:
    """A sender of its own on a runtime's database, whose PagerDuty channel is changed."""
    settings = runtime.settings
    means = Means(bench.clock.now, settings.pagerduty_events_url, settings.slack_api_url)
    channels = dict(make_channels(means))
    channels["pagerduty"] = change(channels["pagerduty"])
    packer = Packer(runtime.rulebook, Keyring(settings, bench.environ).destination, settings.base_url)
    return Sender(
        runtime.store, runtime.rulebook, packer, channels, bench.clock.now, new_id, pace, hand_over=lambda _work: None
    )


def held_back(bench: Bench) -> tuple[Sender, Gate]:
    """A sender whose pages wait at a gate."""
    gates: list[Gate] = []

    def behind_a_gate(channel: Channel) -> Channel:
        gates.append(Gate(channel))
        return gates[0]

    return sender(bench, bench.runtime, behind_a_gate), gates[0]
