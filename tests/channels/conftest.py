"""The channels that talk HTTP, each with a receiver that it talks to."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from incidentd.channels.channel import Channel, Destination, News, Receipt
from incidentd.channels.deadline import Watchman
from incidentd.channels.pagerduty import PagerDutyChannel
from incidentd.channels.resolver import Resolver
from incidentd.channels.slack import SlackChannel
from incidentd.channels.transport import DeadlineAdapter
from incidentd.channels.webhook import WebhookChannel
from tests.channels import story
from tests.channels.receiver import Behaviour, Receiver, Request, answer
from tests.servers import program


@dataclass
class Kit:
    """One kind of channel under test, its receiver, and what a first message is there."""

    name: str
    receiver: Receiver
    adapter: DeadlineAdapter
    make: Callable[[str], Channel]
    destination: Destination
    first: News
    accepts: Behaviour
    channel: Channel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = self.make(self.receiver.url)

    def deliver(self, news: News | None = None, seconds: float = 5.0) -> Receipt:
        return self.channel.deliver(self.destination, news or self.first, seconds=seconds)

    @property
    def sent(self) -> list[Request]:
        return self.receiver.requests


def pagerduty_accepts() -> Behaviour:
    return answer(202, {"status": "success", "message": "Event processed", "dedup_key": "whatever"})


def slack_accepts(**more: Any) -> Behaviour:
    return answer(200, {"ok": True, "channel": "C0INCIDENTS", "ts": "1700000000.000100", **more})


def adapter(*, resend: bool = False) -> DeadlineAdapter:
    return DeadlineAdapter(Watchman(), Resolver(), resend=resend)


@pytest.fixture
def pagerduty() -> Iterator[Kit]:
    accepts = pagerduty_accepts()
    with Receiver(accepts) as receiver:
        http = adapter(resend=True)
        make = lambda url: PagerDutyChannel(http, lambda: story.NOW, url)  # noqa: E731
        yield Kit("pagerduty", receiver, http, make, story.pager(), story.news("e1.r1.l1"), accepts)
        http.close()


@pytest.fixture
def slack() -> Iterator[Kit]:
    accepts = slack_accepts()
    with Receiver(accepts) as receiver:
        http = adapter()
        make = lambda url: SlackChannel(http, lambda: story.NOW, url + "/api/")  # noqa: E731
        yield Kit("slack", receiver, http, make, story.board(), story.news("e1"), accepts)
        http.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 and its key, in one file."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        [
            *(
                program("openssl"),
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", file, "-out", file.with_suffix(".crt")),
        ],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + file.with_suffix(".crt").read_bytes())
    return file


@dataclass(frozen=True)
class Aimed:
    """The webhook channel, whose address is a destination's secret."""

    channel: WebhookChannel
    url: str

    def deliver(self, destination: Destination, news: News, *, seconds: float) -> Receipt:
        aimed = replace(destination, secret=f"{self.url}/{destination.secret}")
        return self.channel.deliver(aimed, news, seconds=seconds)

    def silent(self, news: News) -> Receipt | None:
        return self.channel.silent(news)


@pytest.fixture
def webhook() -> Iterator[Kit]:
    accepts = answer(201, {"key": "OPS-7"})
    with Receiver(accepts) as receiver:
        http = adapter()
        channel = WebhookChannel(http, lambda: story.NOW)
        hook = story.hook(options={"reference": "key"})
        yield Kit("webhook", receiver, http, lambda url: Aimed(channel, url), hook, story.news("e1"), accepts)
        http.close()


@pytest.fixture(params=["pagerduty", "slack", "webhook"])
def kit(request: pytest.FixtureRequest) -> Kit:
    found: Kit = request.getfixturevalue(request.param)
    return found
