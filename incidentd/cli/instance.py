"""A running incidentd, as its callers see it: the webhook, and the API where its token is known."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests
from pydantic import BaseModel, ValidationError

from incidentd.cli.state import with_tokens
from incidentd.errors import IncidentdError, UsageError
from incidentd.settings import Settings, load_settings
from incidentd.web.drill_schema import DrillJson, PlanJson
from incidentd.web.schema import EntryJson, IncidentJson, IncidentsJson, TimelineJson

WEBHOOK = "/api/v1/alertmanager"
DRILLS = "/api/v1/drills"
_SECONDS = 10.0
_Shape = TypeVar("_Shape", bound=BaseModel)


class InstanceError(IncidentdError):
    """It can't be reached, or doesn't answer as incidentd does. Says what to look at."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the webhook answered, and after how long. ``problem`` is empty where all was stored."""

    status: int
    seconds: float
    stored: int
    problem: str


class Instance:
    """One running incidentd. Safe for use by several threads."""

    def __init__(self, url: str, webhook_token: str, api_token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.has_api = api_token is not None
        self._webhook_token = webhook_token
        self._api_token = api_token or ""
        self._mine = threading.local()

    def post(self, body: Mapping[str, Any]) -> Answer:
        """Post a notification as Alertmanager would.

        Raises:
            InstanceError: nothing listens there, it is no incidentd, or it refused the token.
        """
        began = time.monotonic()
        answer = self._send("POST", WEBHOOK, self._webhook_token, json=body)
        seconds = time.monotonic() - began
        if answer.status_code == 401:
            raise InstanceError(
                f"{self.url} refused the token (401): INCIDENTD_WEBHOOK_TOKEN is not the one it runs with;"
                " where `up` made it, --state names its folder"
            )
        if answer.status_code in (404, 405):
            raise InstanceError(f"{self.url} takes no alerts ({answer.status_code}): is this incidentd?")
        content = _json(answer)
        return Answer(answer.status_code, seconds, _number(content.get("alerts")), _problem(answer, content))

    def open_incident(self, key: str, system: str) -> IncidentJson | None:
        """The incident that holds this key; None where none is open."""
        found = self._get(f"/api/v1/incidents?limit=200&system={quote(system)}", IncidentsJson).incidents
        return next((each for each in found if each.key == key and each.state != "resolved"), None)

    def incidents(self) -> list[IncidentJson]:
        """Its incidents, the most urgent first; at most 200."""
        return self._get("/api/v1/incidents?limit=200", IncidentsJson).incidents

    def timeline(self, incident: str) -> list[EntryJson]:
        """Everything that happened to one."""
        return self._get(f"/api/v1/incidents/{incident}/timeline", TimelineJson).entries

    def drill_plan(self, **wanted: str | int) -> PlanJson:
        """Who would be told of such a drill.

        Raises:
            UsageError: something in it can't be used, or there isn't.
            InstanceError: it is refused, with the reason.
        """
        return self._ask("GET", f"{DRILLS}/plan?{urlencode(wanted)}", PlanJson)

    def begin_drill(self, **wanted: str | int) -> DrillJson:
        """Begin a drill.

        Raises:
            UsageError: something in it can't be used, or there isn't.
            InstanceError: it is refused, with the reason.
        """
        return self._ask("POST", DRILLS, DrillJson, json=wanted)

    def drill(self, drill_id: str) -> DrillJson:
        """How a drill stands."""
        return self._ask("GET", f"{DRILLS}/{drill_id}", DrillJson)

    def act(self, incident: str, action: str, **body: str) -> int:
        """Do something about one. Returns the HTTP status."""
        return self._send("POST", f"/api/v1/incidents/{incident}/{action}", self._api_token, json=body).status_code

    def _ask(self, method: str, path: str, shape: type[_Shape], **more: Any) -> _Shape:
        answer = self._send(method, path, self._api_token, **more)
        if answer.status_code // 100 == 4 and answer.status_code != 401:
            content = _json(answer)
            faults = [str(each.get("message")) for each in content.get("errors", []) if isinstance(each, dict)]
            said = "; ".join([_problem(answer, content), *faults])
            if faults:  # It names a field: what was typed is at fault.
                raise UsageError(said)
            raise InstanceError(f"{self.url} answered {answer.status_code}: {said}")
        return self._read(answer, shape)

    def _get(self, path: str, shape: type[_Shape]) -> _Shape:
        return self._read(self._send("GET", path, self._api_token), shape)

    def _read(self, answer: requests.Response, shape: type[_Shape]) -> _Shape:
        if answer.status_code == 401:
            raise InstanceError(f"{self.url} refused INCIDENTD_API_TOKEN (401)")
        try:
            return shape.model_validate_json(answer.content)
        except ValidationError:
            raise InstanceError(f"{self.url} answered {answer.status_code}, nothing that this version knows") from None

    def _send(self, method: str, path: str, token: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "Alertmanager/0.28.0 (incidentd fire)"}
        try:
            return self._session().request(
                method, self.url + path, headers=headers, timeout=_SECONDS, allow_redirects=False, **more
            )
        except requests.ConnectionError:
            raise InstanceError(
                f"nothing listens at {self.url}: start incidentd (`make run`), or name its address with --url"
            ) from None
        except requests.RequestException as error:
            raise InstanceError(f"{self.url} gave no answer ({type(error).__name__})") from None

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._mine, "session", None)
        if session is None:
            session = self._mine.session = requests.Session()
            # A proxy of the environment has no part in talking to this machine.
            session.trust_env = not _is_loopback(self.url)
        return session


def instance_at(url: str | None, environ: Mapping[str, str], state: Path, *, posts: bool = True) -> Instance:
    """The instance that these settings are of; its tokens from the environment, or the folder of `up`.

    ``posts`` False: it is asked by the API alone, and no webhook's token is needed.

    Raises:
        SettingsError: a setting is malformed.
        InstanceError: there is no token to post with.
    """
    settings = load_settings(with_tokens(environ, state, create=False), None)
    sources = settings.sources()
    if posts and not sources:
        raise InstanceError(
            "no token to post with: start incidentd (`make run`), name the folder of its `up` with --state,"
            " or set INCIDENTD_WEBHOOK_TOKEN"
        )
    api_token = settings.api_token.get_secret_value() if settings.api_token else None
    return Instance(url or _address(settings, environ), sources[0].tokens[-1] if sources else "", api_token)


def _address(settings: Settings, environ: Mapping[str, str]) -> str:
    """Where it listens counts before where people reach it: a proxy may keep webhooks out."""
    listens = {"INCIDENTD_LISTEN", "INCIDENTD_LISTEN_FILE"} & environ.keys()
    if settings.public_url and not listens:
        return settings.public_url
    return settings.local_url


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except requests.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _problem(answer: requests.Response, content: Mapping[str, Any]) -> str:
    if answer.status_code == 200 and content.get("status") == "stored":
        return "" if not content.get("set_aside") else "set aside: something in it could not be understood"
    said = content.get("detail") or content.get("title")
    return str(said) if said else "no answer of incidentd's"
