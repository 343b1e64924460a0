"""Destinations: is there a secret, does the receiver know it, is each level of each tier reached. Nobody is told."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from urllib.parse import urlsplit

from incidentd.channels.channel import Destination
from incidentd.channels.pagerduty_api import PagerDutyApi
from incidentd.channels.pagerduty_probe import is_routing_key, reach
from incidentd.channels.slack_probe import Bot, Place, SlackProbe
from incidentd.classify import Rules
from incidentd.cli.doctor.configuration import is_loopback
from incidentd.cli.doctor.dependency import clock_of
from incidentd.cli.doctor.finding import Check, Finding, fault, ok, warning
from incidentd.cli.doctor.messenger import messengers
from incidentd.cli.doctor.patient import Patient
from incidentd.clock import SystemClock
from incidentd.errors import DeliveryError
from incidentd.keyring import Keyring
from incidentd.policy import TierPolicy
from incidentd.settings import names_set
from incidentd.tier import Tier

_SECONDS = 8.0
_HEADERS_APART_SECONDS = 2
_SCOPES_DOC = "docs/receivers.md lists the scopes; install the app again after"
_WANTED = {
    "channels:history": "a card whose answer was lost is posted twice",
    "channels:read": "a channel that is given by its name can't be found again",
}


def receivers(patient: Patient) -> Iterator[Check]:
    """One check for each receiver that is to be asked, and those that need nobody's answer."""
    if patient.rules is None:
        return
    ready = _ready(patient, patient.rules)
    yield Check("destinations", lambda: _secrets(patient.rules, ready, names_set(patient.environ)))
    yield Check("levels", lambda: _levels(patient.rules, ready))
    tokens: dict[str, list[Destination]] = {}
    for each in ready.values():
        if each.kind == "slack":
            tokens.setdefault(each.secret, []).append(each)
    for token, places in tokens.items():
        yield Check("Slack", lambda token=token, places=places: _slack(patient, token, places))  # type: ignore[misc]
    if any(each.kind == "pagerduty" for each in ready.values()):
        yield Check("PagerDuty", lambda: _pagerduty(patient))
    yield from messengers(ready.values())


def without_asking(patient: Patient) -> Iterator[Finding]:
    """What the secrets that are set, and those that are not, say by themselves of destinations and levels."""
    if patient.rules is not None:
        ready = _ready(patient, patient.rules)
        yield from _secrets(patient.rules, ready, names_set(patient.environ))
        yield from _levels(patient.rules, ready)


def _ready(patient: Patient, rules: Rules) -> dict[str, Destination]:
    keyring = Keyring(patient.settings, patient.environ)
    found = {name: keyring.destination(spec) for name, spec in rules.destinations.items()}
    return {name: each for name, each in found.items() if each is not None}


def _secrets(rules: Rules | None, ready: dict[str, Destination], variables: Collection[str]) -> Iterator[Finding]:
    specs = rules.destinations if rules else {}
    served = {specs[name].kind for name in ready}
    needed = {name: spec for name, spec in specs.items() if name in ready or not spec.optional}
    for kind in sorted({spec.kind for spec in needed.values()} - served):
        names = sorted({name for spec in needed.values() if spec.kind == kind for name in spec.secret_names})
        says = f"no {kind} destination has its secret; `incidentd up` puts the sandbox in its place, for trying out"
        yield warning("destinations", says, f"set {' or '.join(names)}")
    for name, spec in specs.items():
        names = list(spec.secret_names)
        if name in ready and spec.kind == "pagerduty" and not is_routing_key(ready[name].secret):
            mend = f"set {' or '.join(names)} to the integration key of an Events API v2 integration"
            yield fault("destinations", f"{name}: its key has not the form of one, 32 letters and digits", mend)
        elif name in ready:
            yield ok("destinations", f"{name} ({spec.kind}) has its {'secret' if spec.variables else 'address'}")
        elif spec.optional and not _any_set(spec.variables, variables):
            yield ok("destinations", f"{name} ({spec.kind}) is optional and not set up: nobody is told there")
        elif spec.kind in served or spec.optional:
            mend = f"set {', '.join(spec.lacks(variables)) or ' or '.join(names)}"
            yield warning("destinations", f"{name} ({spec.kind}) has no usable secret", mend)


def _any_set(names: Collection[str], variables: Collection[str]) -> bool:
    return any(name in variables for name in names)


def _levels(rules: Rules | None, ready: dict[str, Destination]) -> Iterator[Finding]:
    """A policy that takes a tier over from another one says nothing new about it."""
    known: dict[tuple[Tier, Steps], list[str]] = {}
    for policy in rules.policies.values() if rules else ():
        for tier, asked in policy.tiers.items():
            known.setdefault((tier, _steps(asked)), []).append(policy.name)
    pages = frozenset(name for name, spec in rules.destinations.items() if spec.pages) if rules else frozenset()
    for (tier, steps), policies in known.items():
        yield from _tier(f"{tier} ({', '.join(policies)})", steps, pages, ready)


Steps = tuple[tuple[str, tuple[str, ...]], ...]
"""What is told, by name of the step. A level that the table itself leaves empty is skipped: that was meant."""


def _steps(asked: TierPolicy) -> Steps:
    levels = tuple((f"level {number}", level.tell) for number, level in enumerate(asked.levels, 1) if level.tell)
    return levels or (("its opening", asked.opening),)


def _tier(who: str, steps: Steps, pages: Collection[str], ready: Collection[str]) -> Iterator[Finding]:
    deaf = {step: names for step, names in steps if not any(name in ready for name in names)}
    mute = {
        step: wakers
        for step, names in steps
        if step not in deaf and (wakers := [name for name in names if name in pages])
        if not any(name in ready for name in wakers)
    }
    if deaf:
        asked = ", ".join(dict.fromkeys(name for names in deaf.values() for name in names))
        mend = f"set the secrets of {asked}" if asked else "name a destination in rules/escalation.yaml"
        yield fault("levels", f"{who}: nobody is reached by {_and(deaf)}", mend)
    if mute:
        asked = ", ".join(dict.fromkeys(name for names in mute.values() for name in names))
        yield fault("levels", f"{who}: nobody is woken by {_and(mute)}, only told", f"set the keys of {asked}")
    if reached := [step for step, _ in steps if step not in deaf and step not in mute]:
        yield ok("levels", f"{who}: somebody is reached by {_and(reached)}")


def _and(names: Iterable[str]) -> str:
    first = list(names)
    return " and ".join([", ".join(first[:-1]), first[-1]] if len(first) > 1 else first)


def _slack(patient: Patient, token: str, destinations: Iterable[Destination]) -> Iterator[Finding]:
    clock = SystemClock()
    channels = {each.options.get("channel", ""): each.name for each in destinations}
    probe = SlackProbe(token, patient.settings.slack_api_url, _SECONDS, clock.now)
    try:
        bot = probe.bot()
        yield ok("Slack", f"the token is of {bot.name} in {bot.team}")
        yield from _heard_time("Slack's", bot.at, clock.now())
        yield from _scopes(bot)
        places = probe.places(channels)
    except DeliveryError as error:
        yield fault("Slack", str(error), "docs/troubleshooting.md says what each answer of Slack's asks for")
        return
    for channel, name in channels.items():
        yield _place(name, channel, places.get(channel), bot)


def _scopes(bot: Bot) -> Iterator[Finding]:
    if bot.scopes is None:
        yield warning("Slack", "it didn't list the token's scopes", f"compare them by hand: {_SCOPES_DOC}")
        return
    if "chat:write" not in bot.scopes:
        yield fault("Slack", "the scope chat:write is missing: nothing can be posted", _SCOPES_DOC)
    for scope, effect in _WANTED.items():
        if scope not in bot.scopes:
            yield warning("Slack", f"the scope {scope} is missing: {effect}", _SCOPES_DOC)


def _place(name: str, channel: str, place: Place | None, bot: Bot) -> Finding:
    about = f"{name} posts to {channel}"
    anywhere = "chat:write.public" in (bot.scopes or ())
    if place is None:
        mend = "correct its name in rules/destinations.yaml; invite the bot if the channel is private"
        return warning("Slack", f"{about}, which the bot doesn't see", mend)
    if place.is_archived:
        return fault("Slack", f"{about}, which is archived", "name another channel in rules/destinations.yaml")
    if place.is_member or anywhere:
        return ok("Slack", f"{about}{'' if place.is_member else ', by chat:write.public'}")
    return fault("Slack", f"{about}, where the bot is no member", "invite it there, or give it chat:write.public")


def _pagerduty(patient: Patient) -> Iterator[Finding]:
    clock, url = SystemClock(), patient.settings.pagerduty_events_url
    try:
        at = reach(url, _SECONDS)
    except DeliveryError as error:
        mend = "look at the network, HTTPS_PROXY, and INCIDENTD_PAGERDUTY_EVENTS_URL"
        yield fault("PagerDuty", f"its Events API can't be reached: {error}", mend)
        return
    if url and urlsplit(url).scheme == "http" and not is_loopback(urlsplit(url).hostname or ""):
        mend = "set INCIDENTD_PAGERDUTY_EVENTS_URL to its https:// address"
        yield fault("PagerDuty", "keys would go to it without TLS", mend)
    else:
        yield ok("PagerDuty", "its Events API can be reached; no event was sent")
    yield from _heard_time("PagerDuty's", at, clock.now())
    yield from _answers(patient)


def _answers(patient: Patient) -> Iterator[Finding]:
    """Whether what people do at PagerDuty is heard, and who they are."""
    settings = patient.settings
    if settings.pagerduty_webhook_secret is None:
        says = "INCIDENTD_PAGERDUTY_WEBHOOK_SECRET is not set: who answers there is not heard"
        yield warning("PagerDuty", says, "docs/receivers.md says how to set up the webhook")
    if settings.pagerduty_api_token is None:
        return
    try:
        PagerDutyApi(settings.pagerduty_api_token.get_secret_value(), settings.pagerduty_api_url).probe(_SECONDS)
    except DeliveryError as error:
        mend = (
            "set INCIDENTD_PAGERDUTY_API_TOKEN to a read-only REST API key, and INCIDENTD_PAGERDUTY_API_URL in the EU"
        )
        yield warning("PagerDuty", f"it doesn't tell who answers: {error}", mend)
    else:
        yield ok("PagerDuty", "its REST API tells who answers")


def _heard_time(whose: str, at: datetime | None, now: datetime) -> Iterator[Finding]:
    """Its header tells whole seconds, so what is less than two apart is the same."""
    if at is not None and abs(at - now).total_seconds() > _HEADERS_APART_SECONDS:
        yield clock_of(whose, at - now)
