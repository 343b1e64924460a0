"""Slack's Socket Mode: does Slack take the app-level token. No connection is opened, so that no click goes astray."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from incidentd.channels.slack_api import SlackRefusedError
from incidentd.channels.slack_socket import SocketDoor
from incidentd.cli.doctor.finding import Check, Finding, fault, ok
from incidentd.cli.doctor.patient import Patient
from incidentd.clock import SystemClock
from incidentd.errors import DeliveryError

_SECONDS = 8.0
_ABOUT = "Slack's Socket Mode"
_NEW = "make one under Basic Information, App-Level Tokens, with the scope connections:write"
_MEND = {
    "invalid_auth": f"set INCIDENTD_SLACK_APP_TOKEN to an app-level token, xapp-…: {_NEW}",
    "not_authed": f"set INCIDENTD_SLACK_APP_TOKEN to an app-level token, xapp-…: {_NEW}",
    "not_allowed_token_type": f"this is a token of another kind; INCIDENTD_SLACK_APP_TOKEN begins with xapp-: {_NEW}",
    "missing_scope": f"the token lacks the scope connections:write: {_NEW}",
    "token_revoked": f"the token was revoked: {_NEW}",
    "token_expired": f"the token has expired: {_NEW}",
    "account_inactive": "the app is not installed any more: install it again",
}
_ELSE = "switch Socket Mode on in the app's settings; docs/troubleshooting.md says what each answer of Slack's asks for"
_NETWORK = "let this machine reach slack.com:443 and *.slack.com:443, or set HTTPS_PROXY"


def socket_mode(patient: Patient) -> Iterator[Check]:
    """One check, where an app-level token is set."""
    if patient.settings.slack_app_token is not None:
        yield Check(_ABOUT, partial(_look, patient, patient.settings.slack_app_token.get_secret_value()))


def _look(patient: Patient, token: str) -> Iterator[Finding]:
    try:
        with closing(SocketDoor(token, patient.settings.slack_api_url, SystemClock().now)) as door:
            door.address(_SECONDS)
    except SlackRefusedError as error:
        yield fault(_ABOUT, str(error), _MEND.get(error.code, _ELSE))
    except DeliveryError as error:
        yield fault(_ABOUT, str(error), _NETWORK)
    else:
        yield ok(_ABOUT, "Slack takes the app-level token: buttons and commands need no address that Slack can reach")
