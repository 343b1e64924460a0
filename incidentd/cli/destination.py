"""``incidentd destination test``: a marked message through one destination, and what came back."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from incidentd.channels.channel import AlertDetail, Channel, Destination, News, Receipt
from incidentd.channels.registry import Means, make_channels
from incidentd.classify import DestinationSpec, Rules, load
from incidentd.classify.section import closest
from incidentd.cli.given_up import sent_again
from incidentd.cli.sandbox_set_up import with_sandbox
from incidentd.cli.start import strict_settings
from incidentd.cli.state import with_tokens
from incidentd.clock import Clock, SystemClock
from incidentd.errors import ConfigurationError, DeliveryError, PermanentError, SettingsError
from incidentd.incident.state import Incident
from incidentd.keyring import Keyring
from incidentd.process.log import configure, escape
from incidentd.process.redaction import Redactor
from incidentd.runtime import new_id
from incidentd.settings import Settings, hidden_values, names_set, rules_folder
from incidentd.tier import Tier
from incidentd.timeline import Data, Entry, Member, Opened, Resolved

app = typer.Typer(no_args_is_help=True, help="Where things are told.")

TITLE = "test of incidentd"
_NOTICE = "This is a test of incidentd. Nothing is wrong, and nothing is to be done."
_SYSTEM = "incidentd"
_ENDED = ("pagerduty", "webhook")
"""What these began they have to end, or it would stay open."""
_REFUSED = {
    "pagerduty": "compare the key with that of the service's Events API v2 integration",
    "slack": "docs/troubleshooting.md says what each answer of Slack's asks for",
    "email": "look at the server's address, user and password, and at sender and recipients in rules/destinations.yaml",
    "webhook": "look at url, headers and template in rules/destinations.yaml: the receiver understood, and refuses",
}
_LATER = "look at the network, the proxy and the address, then test again; incidentd itself would go on trying"
_UNUSABLE, _FAILED = 2, 1


@app.callback()
def callback() -> None:
    """Only so that `test` stays a command of its own."""


@app.command("test")
def test_command(
    name: Annotated[str, typer.Argument(help="Its name in destinations.yaml.", show_default=False)],
    rules: Annotated[
        Path | None, typer.Option("--rules", help="The rules directory; by default INCIDENTD_RULES.")
    ] = None,
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its tokens in.")] = Path("var"),
) -> None:
    """Send a marked message through one destination and show what came back. A test of a page wakes people.

    Where it succeeds, what had been given up for that destination is sent again.
    """
    try:
        raise typer.Exit(run(name, rules, os.environ, state, SystemClock()))
    except ConfigurationError as error:
        typer.echo(f"nothing was sent:\n{error}", err=True)
        raise typer.Exit(_UNUSABLE) from None


def run(name: str, folder: Path | None, environ: Mapping[str, str], state: Path, clock: Clock) -> int:
    """Send, end what was begun, and say what each came to. Returns 0 if all was accepted, else 1.

    The sandbox of an `up` that runs on ``state`` counts where nothing real is set. What was given up for a destination
    that works is sent again.

    Raises:
        ConfigurationError: rules or settings are unsound, or that destination isn't there or not set up.
    """
    if folder is not None:
        environ = {**environ, "INCIDENTD_RULES": str(folder)}
    table = load(rules_folder(environ))
    given = with_tokens(environ, state, create=False)
    environ = with_sandbox(given, state, table.secret_names)
    settings = strict_settings(environ)
    spec = _named(table, name)
    hidden = hidden_values(settings, environ, table.secret_names)
    configure("CRITICAL", hidden)
    destination = _ready(spec, settings, environ)
    means = Means(clock.now, settings.pagerduty_events_url, settings.slack_api_url)
    trial = _Trial(make_channels(means)[spec.kind], destination, settings.http_seconds, Redactor(hidden))
    if spec.variables & (environ.keys() - given.keys()):
        typer.echo(f"{spec.name} is the sandbox's: no real one is set up")
    if not all(trial.tell(each) for each in _stories(spec, settings, clock)):
        return _FAILED
    if told := sent_again(spec.name, environ, state, clock):
        typer.echo(told)
    return 0


def _named(table: Rules, name: str) -> DestinationSpec:
    spec = table.destinations.get(name)
    if spec is None:
        names = ", ".join(table.destinations)
        known = closest(name, table.destinations) or f": there are {names}"
        raise SettingsError(f"{escape(name[:100])!r} is no destination of these rules{known}")
    return spec


def _ready(spec: DestinationSpec, settings: Settings, environ: Mapping[str, str]) -> Destination:
    destination = Keyring(settings, environ).destination(spec)
    if destination is None:
        lacking = ", ".join(spec.lacks(names_set(environ))) or ", ".join(spec.secret_names)
        raise SettingsError(f"{spec.name} ({spec.kind}) is not set up: set {lacking}")
    return destination


class _Trial:
    """Sends each message of a test under the references of those before."""

    def __init__(self, channel: Channel, destination: Destination, seconds: float, redactor: Redactor) -> None:
        self._channel = channel
        self._destination = destination
        self._seconds = seconds
        self._redactor = redactor
        self._reference: dict[str, str] = {}

    def tell(self, news: News) -> bool:
        """Whether it was accepted."""
        began = time.perf_counter()
        kind, known = self._destination.kind, dict(self._reference)
        about = f"{self._destination.name} ({kind}), {news.incident.state.value}"
        try:
            receipt = self._channel.deliver(self._destination, replace(news, reference=known), seconds=self._seconds)
        except DeliveryError as error:
            self._say(f"{about}: not accepted after {_ms(began)}: {error}")
            self._say(f"→ {_REFUSED[kind] if isinstance(error, PermanentError) else _LATER}")
            return False
        self._reference.update(receipt.reference)
        self._say(f"{about}: {_came_to(receipt)} after {_ms(began)}")
        for name, value in receipt.reference.items():
            self._say(f"  {name} {value}")
        return True

    def _say(self, text: str) -> None:
        typer.echo(escape(self._redactor.text(text)))


def _came_to(receipt: Receipt) -> str:
    detail = f" ({receipt.detail})" if receipt.detail else ""
    return f"accepted{detail}" if receipt.sent else f"nothing to tell{detail}"


def _ms(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:,.0f} ms"


def _stories(spec: DestinationSpec, settings: Settings, clock: Clock) -> Iterator[News]:
    """What is told: that it is open, and for those that keep it so, that it is over."""
    now = clock.now()
    incident_id = new_id()
    alert = Member(
        fingerprint="0" * 16, starts_at=now, firing=True, tier=Tier.P3, row="test", reason=_NOTICE, title=TITLE
    )
    opened = Opened(
        incident=incident_id, key=f"{_SYSTEM}/test/{incident_id}", title=TITLE, system=_SYSTEM, slo="test",
        tier=Tier.P3, row="test", reason=_NOTICE, policy="default", version="", episode=1, round=1, origin=now,
        alerts=(alert,),
    )  # fmt: skip
    triggered = Incident(
        id=incident_id, key=opened.key, title=TITLE, system=_SYSTEM, slo="test", tier=Tier.P3, row="test",
        reason=_NOTICE, policy="default", version="", opened_at=now, episode=1, episode_at=now, origin=now, last=1,
        news=1, round=1, round_at=now, level=1 if spec.pages else 0, told_level=1 if spec.pages else 0,
        members={alert.fingerprint: alert},
    )  # fmt: skip
    resolved = replace(triggered, resolved_at=now, last=2, news=2, members={})
    over = Resolved(by_person=False, via="", in_time=None, grace_until=None)
    # A card of an incident that isn't there would have buttons that do nothing.
    yield _news(spec, settings, resolved if spec.kind == "slack" else triggered, Entry(1, now, _SYSTEM, opened))
    if spec.kind in _ENDED:
        yield _news(spec, settings, resolved, Entry(2, clock.now(), _SYSTEM, over))


def _news(spec: DestinationSpec, settings: Settings, incident: Incident, entry: Entry) -> News:
    labels = {"alertname": "IncidentdTest", "system": _SYSTEM}
    firing = incident.resolved_at is None
    detail = AlertDetail("0" * 16, incident.opened_at, firing, labels, {"summary": _NOTICE}, "")
    return News(
        incident=incident,
        number=0,
        slot="e1.r1.l1" if spec.pages else "e1",
        entries=(entry,),
        sentences=(_sentence(entry.data),),
        alerts=(detail,),
        people={},
        next_level=None,
        url=f"{settings.base_url}/",
        notice=_NOTICE,
    )


def _sentence(data: Data) -> str:
    return _NOTICE if isinstance(data, Opened) else "The test is over."
