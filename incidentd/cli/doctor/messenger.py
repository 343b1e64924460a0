"""Mail servers and the hosts of webhooks: can they be reached, and do they take us in. Nothing is sent."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from urllib.parse import urlsplit

from incidentd.channels import email_probe, webhook_probe
from incidentd.channels.channel import Destination
from incidentd.channels.letter import recipients
from incidentd.channels.signature import is_signing_secret
from incidentd.cli.doctor.configuration import is_loopback
from incidentd.cli.doctor.finding import Check, Finding, fault, ok, warning
from incidentd.errors import DeliveryError, PermanentError

_SECONDS = 8.0
_EXAMPLES = ("example.com", "example.org", "example.net")
_NETWORK = "look at the address, the network and the firewall"
_LOGIN = "correct the address in the variable: docs/receivers.md says what it is made of"


def messengers(ready: Iterable[Destination]) -> Iterator[Check]:
    """One check for each mail server, and one for each webhook."""
    servers: dict[str, list[Destination]] = {}
    for each in ready:
        if each.kind == "email":
            servers.setdefault(each.secret, []).append(each)
        elif each.kind == "webhook":
            yield Check(f"webhook {each.name}", partial(_webhook, each))
    for address, destinations in servers.items():
        yield Check("mail", partial(_mail, address, destinations))


def _mail(address: str, destinations: Sequence[Destination]) -> Iterator[Finding]:
    names = ", ".join(each.name for each in destinations)
    try:
        server = email_probe.reach(address, _SECONDS)
    except DeliveryError as error:
        mend = _LOGIN if isinstance(error, PermanentError) else _NETWORK
        yield fault("mail", f"{names}: {error}", mend)
    else:
        signed = "the user is signed in" if server.user else "nobody signs in"
        yield ok("mail", f"{names}: {server.host} takes mail, and {signed}; none was sent")
    for each in destinations:
        named = [one for one in (each.options["from"], *recipients(each)) if one.lower().endswith(_EXAMPLES)]
        if named:
            yield warning("mail", f"{each.name}: {named[0]} is nobody's", "name your own in rules/destinations.yaml")


def _webhook(destination: Destination) -> Iterator[Finding]:
    about = f"webhook {destination.name}"
    signing = destination.further.get("secret", "")
    if signing and not is_signing_secret(signing):
        yield fault(about, "its secret signs nothing", "set it to whsec_ and 24 to 64 bytes in base64")
    try:
        host = webhook_probe.reach(destination.secret, _SECONDS)
    except DeliveryError as error:
        yield fault(about, f"it can't be reached: {error}", _NETWORK)
        return
    if urlsplit(destination.secret).scheme == "http" and not is_loopback(host):
        yield fault(about, f"{host} is called without TLS: who listens on the way reads it", "use its https:// address")
    else:
        yield ok(about, f"{host} can be reached; nothing was sent")
