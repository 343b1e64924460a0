"""What is done with Slack's clicks and commands, whichever way they come: by HTTP or over Socket Mode.

Slack waits 3 s, and then shows its user an error. ``response_url`` is never called.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.engine import Connection
from starlette.concurrency import run_in_threadpool

from incidentd.channels.mrkdwn import line
from incidentd.channels.slack_card import ACKNOWLEDGE, ESCALATE, RESOLVE, STILL_ON, TAKE_OVER
from incidentd.errors import NotFoundError, RefusedError
from incidentd.incident.command import Acknowledge, Command, Escalate, Note, Resolve, TakeOver
from incidentd.incident.state import State
from incidentd.lifecycle.work import Action
from incidentd.store import query
from incidentd.store.query import Filter, Listed
from incidentd.web.click import LONGEST_NAME, mapping, person, text
from incidentd.web.contract import Runtime
from incidentd.web.sweep import acknowledge_all, sweeps
from incidentd.web.wait import stored

STORE_SECONDS = 2.0
MOST_LISTED = 20

_VIA = "slack"
_INCIDENT_ID = re.compile(r"[0-9a-f-]{1,36}")
_LONGEST_LINE = 300
_COMMANDS: Mapping[str, type[Acknowledge | TakeOver | Resolve | Escalate]] = {
    ACKNOWLEDGE: Acknowledge,
    TAKE_OVER: TakeOver,
    RESOLVE: Resolve,
    ESCALATE: Escalate,
}
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Click:
    """One click on one of our buttons."""

    incident_id: str
    command: Command
    channel: str
    user: str


async def interact(runtime: Runtime, payload: Mapping[str, Any], signature: str, request_id: str) -> None:
    """Carry out what a person pressed; done once that is stored. Whoever is refused is told so in Slack.

    ``signature`` names what was sent: it has its effect once, however often it comes.

    Raises:
        StoreUnavailableError: it can't be stored now. What was not stored yet never will be.
    """
    for place, click in enumerate(clicks(payload)):
        outcome = await _press(runtime, click, signature if place == 0 else f"{signature}:{place}")
        _log.info("slack_click", outcome=outcome, incident=click.incident_id, request_id=request_id)
    for place, sweep in enumerate(sweeps(payload)):
        acknowledge_all(runtime, sweep, f"{signature}:s{place}")
        _log.info("slack_click", outcome="begun", digest=sweep.digest, request_id=request_id)


async def command(runtime: Runtime) -> Mapping[str, Any]:
    """What ``/incident`` is answered with: the open incidents, shown to who asks.

    Raises:
        StoreError: the database can't be read now.
    """
    overview = await run_in_threadpool(runtime.store.read, lambda tx: _overview(tx, runtime.settings.base_url))
    return {"response_type": "ephemeral", "text": overview}


def clicks(payload: Mapping[str, Any]) -> list[Click]:
    """The clicks on our buttons; everything else that Slack may send is left alone."""
    if payload.get("type") != "block_actions" or not isinstance(payload.get("actions"), list):
        return []
    who, name = person(payload.get("user"))
    channel = text(mapping(payload.get("channel")).get("id"))
    found = (_click(mapping(action), channel, who, name) for action in payload["actions"])
    return [click for click in found if click] if name else []


def _click(action: Mapping[str, Any], channel: str, who: str, name: str) -> Click | None:
    action_id = text(action.get("action_id"))
    try:
        value = mapping(json.loads(text(action.get("value"))))
    except (ValueError, RecursionError):
        value = {}
    incident, episode = text(value.get("incident")), value.get("episode")
    if not _INCIDENT_ID.fullmatch(incident) or not isinstance(episode, int):
        return None
    if action_id == STILL_ON:
        return Click(incident, Note(name, "Still on."), channel, who)
    kind = _COMMANDS.get(action_id)
    return Click(incident, kind(name, via=_VIA, episode=episode), channel, who) if kind else None


async def _press(runtime: Runtime, click: Click, signature: str) -> str:
    """Carry the click out; what came of it in a word."""
    try:
        future = runtime.submit_action(Action(click.incident_id, click.command, signature))
        result = await stored(future, STORE_SECONDS, withdraw=True)
    except RefusedError as error:
        runtime.whisper(click.channel, click.user, _refusal(error, click.incident_id, runtime.settings.base_url))
        return error.reason
    except NotFoundError:
        runtime.whisper(click.channel, click.user, "incidentd knows no such incident any more.")
        return "not_found"
    return "done" if result.changed else "unchanged"


def _refusal(error: RefusedError, incident_id: str, base_url: str) -> str:
    why = line(error.detail, _LONGEST_LINE)
    return f"Not done: {why}. <{base_url}/incidents/{incident_id}|See the incident as it is now>."


def _overview(tx: Connection, base_url: str) -> str:
    unresolved = frozenset(State) - {State.RESOLVED}
    found = query.by_urgency(tx, Filter(states=unresolved), MOST_LISTED + 1)
    if not found:
        return "No incident is open."
    lines = [_overview_line(each, base_url) for each in found[:MOST_LISTED]]
    if len(found) > MOST_LISTED:
        lines.append(f"and more: <{base_url}/|see all>")
    return "\n".join(lines)


def _overview_line(listed: Listed, base_url: str) -> str:
    incident = listed.incident
    answer = incident.acknowledgement
    state = f"acknowledged by {line(answer.by, LONGEST_NAME)}" if answer else incident.state.value
    title = line(incident.title, _LONGEST_LINE)
    return f"*{incident.tier}* <{base_url}/incidents/{incident.id}|#{listed.number}> {title} ({state})"
