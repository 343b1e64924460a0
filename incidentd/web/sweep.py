"""One click for all incidents of a digest: each is acknowledged by itself, and the sum is told in one answer."""

import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.engine import Connection

from incidentd.channels.mrkdwn import line
from incidentd.channels.slack_digest import ACKNOWLEDGE_ALL
from incidentd.errors import IncidentdError, NotFoundError, RefusedError, StoreUnavailableError
from incidentd.incident.command import Acknowledge
from incidentd.lifecycle.work import Action, ActionResult
from incidentd.store import digests, intake
from incidentd.web.click import mapping, person, text
from incidentd.web.contract import Runtime

STORE_SECONDS = 30.0
_AT_ONCE = 100
_DIGEST_ID = re.compile(r"[0-9a-f-]{36}")
_VIA = "slack"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sweep:
    """A click on a digest's button."""

    digest: str
    name: str
    channel: str
    user: str


def sweeps(payload: Mapping[str, Any]) -> list[Sweep]:
    """The clicks on digests' buttons."""
    if payload.get("type") != "block_actions" or not isinstance(payload.get("actions"), list):
        return []
    who, name = person(payload.get("user"))
    channel = text(mapping(payload.get("channel")).get("id"))
    found = (_digest(mapping(action)) for action in payload["actions"])
    return [Sweep(digest, name, channel, who) for digest in found if digest] if name else []


def acknowledge_all(runtime: Runtime, sweep: Sweep, signature: str) -> threading.Thread:
    """Acknowledge each that is triggered, as this person, and tell them what came of it. Returns at once.

    ``signature`` names the click, up to 80 characters: once it is carried out, its repetitions change nothing.

    Slack waits 3 s for an answer, and thousands take longer. Should this process end meanwhile, the digest still shows
    who is unanswered, and the button does the rest.
    """
    thread = threading.Thread(target=_acknowledge_all, args=(runtime, sweep, signature), name="sweep", daemon=True)
    thread.start()
    return thread


def _acknowledge_all(runtime: Runtime, sweep: Sweep, signature: str) -> None:
    try:
        if runtime.store.read(lambda tx: intake.is_seen(tx, signature)):
            _log.info("sweep repeated", digest=sweep.digest)
            return
        outcomes = _sum(runtime, sweep)
        # Not before: one that is cut off is carried on by its repetition.
        runtime.store.write(lambda tx: _remember(tx, signature, runtime.clock.now()))
    except IncidentdError:
        _log.exception("sweep failed", digest=sweep.digest)
        said = "Not all could be acknowledged: incidentd can't store it now. Press the button again."
    else:
        said = _said(outcomes)
        _log.info("sweep", digest=sweep.digest, done=outcomes["done"], incidents=outcomes.total())
    runtime.whisper(sweep.channel, sweep.user, said)


def _remember(tx: Connection, signature: str, now: datetime) -> None:
    if not intake.is_seen(tx, signature):
        intake.remember(tx, signature, now)


def _sum(runtime: Runtime, sweep: Sweep) -> Counter[str]:
    """What the acknowledgements came to, counted: done, or why not."""
    outcomes: Counter[str] = Counter()
    ids = runtime.store.read(lambda tx: digests.waiting_for_answer(tx, sweep.digest))
    for start in range(0, len(ids), _AT_ONCE):
        commands = [Action(each, Acknowledge(sweep.name, via=_VIA)) for each in ids[start : start + _AT_ONCE]]
        futures = [runtime.submit_action(command) for command in commands]
        outcomes.update(_outcome(future) for future in futures)
    return outcomes


def _outcome(future: "Future[ActionResult]") -> str:
    try:
        return "done" if future.result(STORE_SECONDS).changed else "done before"
    except RefusedError as error:
        return error.detail
    except NotFoundError:
        return "incidentd knows no such incident any more"
    except (StoreUnavailableError, TimeoutError):
        return "it could not be stored: press the button again"


def _said(outcomes: Counter[str]) -> str:
    refused = {why: count for why, count in outcomes.items() if why not in ("done", "done before")}
    if not outcomes:
        return "Nothing to acknowledge: none of these incidents is unanswered."
    lines = [f"Acknowledged {outcomes['done']:,} of {outcomes.total():,} incidents."]
    return "\n".join([*lines, *(f"Not done for {count:,}: {line(why, 200)}." for why, count in refused.items())])


def _digest(action: Mapping[str, Any]) -> str | None:
    if text(action.get("action_id")) != ACKNOWLEDGE_ALL:
        return None
    try:
        value = mapping(json.loads(text(action.get("value"))))
    except (ValueError, RecursionError):
        return None
    digest = text(value.get("digest"))
    return digest if _DIGEST_ID.fullmatch(digest) else None
