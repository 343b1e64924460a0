"""The settings: ``INCIDENTD_*`` variables, read once, each also as ``…_FILE``.

A wrong or misspelt one stops the start and is named; no value is ever printed. The environment is an argument, because
a misspelt variable has to be found too, and rules may name further ones that hold secrets.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from incidentd.errors import SettingsError
from incidentd.secret import SHORTEST_SECRET, several, weakness
from incidentd.source import ONLY_SOURCE, Source, parse_sources

PREFIX = "INCIDENTD_"
_FILE = "_FILE"
_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD")
_RESERVED = "reserved: "
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting's value may be, in words: stands beside the validator that asks for it."""

    words: str


def _strong(secret: SecretStr) -> SecretStr:
    fault = weakness(secret.get_secret_value())
    if fault:
        raise ValueError(fault)
    return secret


def _strong_each(secret: SecretStr) -> SecretStr:
    several(secret.get_secret_value())
    return secret


def _sources(secret: SecretStr) -> SecretStr:
    parse_sources(secret.get_secret_value())
    return secret


def _named(folder: str) -> str:
    if not folder:
        raise ValueError("is empty; unset it, or name a folder")
    return folder


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is not an http:// or https:// address")
    return url.rstrip("/")


def _ping_address(secret: SecretStr) -> SecretStr:
    """Whoever can read or change a ping on its way can keep the outsider quiet: in plain text on this machine alone."""
    parts = urlsplit(secret.get_secret_value())
    if not parts.hostname or parts.username is not None or parts.fragment or not parts.geturl().isprintable():
        raise ValueError("is not an https:// address")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("is not an https:// address")
    return secret


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _redis_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path:
        return url
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("is not a redis://, rediss:// or unix:// address")
    return url


def _database_address(url: str) -> str:
    scheme = urlsplit(url).scheme
    if scheme in ("postgres", "postgresql"):
        return "postgresql+psycopg" + url[len(scheme) :]
    if scheme not in ("sqlite", "postgresql+psycopg"):
        raise ValueError("is not a sqlite:/// or postgresql:// address")
    return url


def _socket_address(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LARGEST_PORT:
        raise ValueError("is not host:port")
    return listen


def _socket_address_or_none(listen: str) -> str:
    return listen and _socket_address(listen)


Secret = Annotated[
    SecretStr,
    AfterValidator(_strong),
    Allowed(f"{SHORTEST_SECRET} characters or more: ASCII, no spaces, no placeholder"),
]
Secrets = Annotated[
    SecretStr,
    AfterValidator(_strong_each),
    Allowed(f"{SHORTEST_SECRET} characters or more: ASCII, no placeholder; several apart by white space"),
]
SourceTokens = Annotated[SecretStr, AfterValidator(_sources), Allowed("lines of `name: token`")]
WebAddress = Annotated[str, AfterValidator(_web_address), Allowed("an http:// or https:// address")]
DatabaseAddress = Annotated[
    str, AfterValidator(_database_address), Allowed("a sqlite:/// or postgresql:// address (postgres:// too)")
]
RedisAddress = Annotated[str, AfterValidator(_redis_address), Allowed("a redis://, rediss:// or unix:// address")]
Folder = Annotated[Path, BeforeValidator(_named), Allowed("a folder")]
SecretAddress = Annotated[
    SecretStr, AfterValidator(_ping_address), Allowed("an https:// address (http:// on this machine alone)")
]
SocketAddress = Annotated[str, AfterValidator(_socket_address), Allowed("host:port")]


class Settings(BaseModel):
    """What the environment says. Every field is the variable of the same name in upper case after ``INCIDENTD_``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: DatabaseAddress = Field(
        "sqlite:///var/incidentd.db", repr=False, description="SQLite file or PostgreSQL database"
    )
    redis_url: RedisAddress | None = Field(
        None, repr=False, description="Redis 6.2 or newer; unset: `up` starts a private one, other parts do without"
    )
    rules: Folder = Field(Path("rules"), description="folder of the rules table")
    spool: Folder = Field(
        Path("var/spool"), description="where `serve` keeps the pages that it sent while the database was away"
    )
    listen: SocketAddress = Field("127.0.0.1:8080", description="address and port of the web server")
    public_url: WebAddress | None = Field(None, description="address under which people reach the pages")
    metrics_listen: Annotated[str, AfterValidator(_socket_address_or_none), Allowed("host:port, or empty")] = Field(
        "", description="address and port where `incidentd worker` answers `GET /metrics`; empty: nowhere"
    )

    webhook_token: Secret | None = Field(None, description="what Alertmanager authenticates with")
    webhook_tokens: SourceTokens | None = Field(
        None, description="further senders by name, each with tokens of its own; as a file, read anew when written"
    )
    api_token: Secret | None = Field(None, description="what API clients authenticate with")
    heartbeat_token: Secret | None = Field(None, description="what jobs report their heartbeats with, and nothing else")
    slack_bot_token: Secret | None = Field(None, description="Slack bot token")
    slack_signing_secret: Secrets | None = Field(None, description="proves that an interaction comes from Slack")
    slack_app_token: Secret | None = Field(None, description="reserved: Slack app token, for Socket Mode")
    slack_api_url: WebAddress | None = Field(None, description="Slack's Web API, when it isn't Slack's own")
    pagerduty_routing_key: Secret | None = Field(None, description="routing key of the default PagerDuty service")
    pagerduty_events_url: WebAddress | None = Field(None, description="PagerDuty's Events API, e.g. the EU's")
    pagerduty_webhook_secret: Secrets | None = Field(
        None, description="reserved: proves that a webhook comes from PagerDuty"
    )
    pagerduty_api_token: Secret | None = Field(None, description="reserved: PagerDuty REST token")
    pagerduty_api_url: WebAddress | None = Field(None, description="reserved: PagerDuty's REST API")

    heartbeat_url: SecretAddress | None = Field(
        None, description="address to ping while pages get out; whoever is there alarms when the pings stay away"
    )
    heartbeat_seconds: int = Field(60, ge=1, le=3600, description="seconds from one such ping to the next")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least urgent log line kept")
    log_format: Literal["json", "console"] = Field("json", description="console: for people's eyes")

    retention_days: int = Field(400, ge=1, le=36_500, description="how long `incidentd prune` keeps what is over")

    workers_page: int = Field(2, ge=0, le=64, description="worker processes for pages")
    workers_escalate: int = Field(2, ge=0, le=64, description="worker processes for escalations")
    workers_tell: int = Field(1, ge=0, le=64, description="worker processes for everything else")
    tick_seconds: float = Field(0.1, gt=0, le=0.5, description="pause between two looks at what is due")
    lease_seconds: float = Field(30, gt=0, le=300, description="how long a sender holds a delivery")
    http_seconds: float = Field(
        10, gt=0, le=60, validate_default=True, description="total deadline of a request; at most half of the lease"
    )
    mark_escalate_seconds: float = Field(1, gt=0, le=10, description="how long an enqueued escalation is left alone")
    mark_deliver_seconds: float = Field(3, gt=0, le=10, description="how long an enqueued delivery is left alone")
    failpoint: str | None = Field(None, description="tests only: where the process ends itself")

    @field_validator("http_seconds")
    @classmethod
    def _within_lease(cls, seconds: float, others: ValidationInfo) -> float:
        """A request that outlasts its lease is sent once more by whoever takes the lease next."""
        lease = others.data.get("lease_seconds")
        if lease is not None and lease < 2 * seconds:
            raise ValueError("is more than half of INCIDENTD_LEASE_SECONDS")
        return seconds

    @property
    def listen_host(self) -> str:
        """The host part of ``listen``, without an IPv6 address's brackets."""
        return _parted(self.listen)[0]

    @property
    def listen_port(self) -> int:
        """The port part of ``listen``; 0 lets the system choose."""
        return _parted(self.listen)[1]

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of ``metrics_listen``, as ``listen_host`` and ``listen_port``; None where it is empty."""
        return _parted(self.metrics_listen) if self.metrics_listen else None

    @property
    def base_url(self) -> str:
        """Where people reach the pages, without a slash at the end."""
        return self.public_url or f"http://{self.listen}"

    def workers(self) -> dict[str, int]:
        """Worker processes by queue name."""
        return {"page": self.workers_page, "escalate": self.workers_escalate, "tell": self.workers_tell}

    def signing_secrets(self) -> tuple[str, ...]:
        """What Slack may sign with now; the first one is the one in use, others are on their way in or out."""
        return several(self.slack_signing_secret.get_secret_value()) if self.slack_signing_secret else ()

    def sources(self) -> tuple[Source, ...]:
        """Who may send webhooks."""
        only, named = self.webhook_token, self.webhook_tokens
        first = (Source(ONLY_SOURCE, (only.get_secret_value(),), any_user=True),) if only else ()
        return first + (parse_sources(named.get_secret_value()) if named else ())

    def secret_values(self) -> list[str]:
        """Every value that no log line may show, passwords inside addresses included."""
        given = {name: value.get_secret_value() for name, value in dict(self).items() if isinstance(value, SecretStr)}
        given.pop("webhook_tokens", None)
        secrets = [part for value in given.values() for part in value.split()]
        secrets += [token for source in self.sources() for token in source.tokens]
        return secrets + [password for url in (self.database_url, self.redis_url) for password in _passwords(url)]

    @classmethod
    def secrets(cls, environ: Mapping[str, str], names: Collection[str]) -> dict[str, SecretStr]:
        """The secrets that rules name, by variable; those that are not set are absent.

        Raises:
            SettingsError: a secret is set twice, unreadable, empty, a placeholder or too short.
        """
        read = {name: _read(environ, name) for name in names}
        faults = [fault for name, value in read.items() if value is not None for fault in _weakness(name, value)]
        if faults:
            raise SettingsError("\n".join(sorted(faults)))
        return {name: SecretStr(value) for name, value in read.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the settings' documentation. ``default`` is empty where there is none, ``allowed`` is in words."""

    name: str
    default: str
    secret: bool
    text: str
    allowed: str


def describe() -> list[Setting]:
    """All settings, in the order in which people read them."""
    return [_setting(name, field) for name, field in Settings.model_fields.items()]


def reserved(environ: Mapping[str, str]) -> list[str]:
    """The variables of this environment that are settings and do nothing yet."""
    names = [_variable(name) for name, field in Settings.model_fields.items() if _is_reserved(field)]
    return [name for name in names if name in environ or name + _FILE in environ]


def hidden_values(settings: Settings, environ: Mapping[str, str], names: Collection[str]) -> list[str]:
    """Every value that no log line may show: the settings' own, and those of the secrets that rules name.

    ``names`` are the variables that the rules name now. Of ours each counts whose name sounds like a secret: a reload
    may name it.
    """
    given = {name.removesuffix(_FILE) for name in environ if name.startswith(PREFIX) and _SECRET.search(name)}
    return [*settings.secret_values(), *_found(environ, {*given, *names} - {_variable("webhook_tokens")})]


def read_sources(environ: Mapping[str, str]) -> tuple[Source, ...]:
    """The sources of ``INCIDENTD_WEBHOOK_TOKENS`` as they stand now; a file may have been written since the start.

    Raises:
        SettingsError: names the variable and the line; shows no value.
    """
    name = _variable("webhook_tokens")
    value = _read(environ, name)
    try:
        return parse_sources(value) if value is not None else ()
    except ValueError as error:
        raise SettingsError(f"{name} {error}") from None


def sources_file(environ: Mapping[str, str]) -> Path | None:
    """The file that holds ``INCIDENTD_WEBHOOK_TOKENS``; None where the environment itself does."""
    path = environ.get(_variable("webhook_tokens") + _FILE)
    return Path(path) if path else None


def rules_folder(environ: Mapping[str, str]) -> Path:
    """Where the rules are: needed before the other settings, as rules may name further variables.

    Raises:
        SettingsError: the variable is empty, or its file can't be read.
    """
    value = _read(environ, _variable("rules"))
    values = {} if value is None else {"rules": value}
    faults = list(_malformed(values))
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings.model_validate(values).rules


def load_settings(environ: Mapping[str, str], extra_names: Collection[str] | None = ()) -> Settings:
    """The settings of this environment. ``extra_names`` are the variables that the rules name.

    None: names are not checked. For a child process: its parent has, and the rules may have changed since.

    Raises:
        SettingsError: names every variable that is unknown, malformed, weak, or set twice.
    """
    faults = [] if extra_names is None else list(_unknown(environ, extra_names))
    values: dict[str, Any] = {}
    for name in Settings.model_fields:
        try:
            value = _read(environ, _variable(name))
        except SettingsError as error:
            faults.append(str(error))
        else:
            values |= {} if value is None else {name: value}
    faults += _malformed(values)
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings.model_validate(values)


def _malformed(values: Mapping[str, Any]) -> Iterator[str]:
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            name = str(fault["loc"][0])
            yield f"{_variable(name)} {_cause(name, fault)}"


def _cause(name: str, fault: Mapping[str, Any]) -> str:
    """A refusal of ours in its own words; of pydantic's, what the documentation says is allowed."""
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    field = Settings.model_fields[name]
    allowed = _allowed(field)
    return f"is none of {allowed}" if get_origin(field.annotation) is Literal else f"is not {allowed}"


def _weakness(name: str, value: str) -> Iterator[str]:
    fault = weakness(value)
    if fault:
        yield f"{name} {fault}"


def _read(environ: Mapping[str, str], name: str) -> str | None:
    value, path = environ.get(name), environ.get(name + _FILE)
    if value is not None and path is not None:
        raise SettingsError(f"{name} and {name}{_FILE} are both set")
    if path is None:
        return value
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise SettingsError(f"{name}{_FILE} can't be read: {cause}") from None


def _found(environ: Mapping[str, str], names: Collection[str]) -> Iterator[str]:
    """The values of those that can be read."""
    for name in names:
        with suppress(SettingsError):
            value = _read(environ, name)
            if value:
                yield value


def _unknown(environ: Mapping[str, str], extra_names: Collection[str]) -> Iterator[str]:
    known = {_variable(name) for name in Settings.model_fields} | set(extra_names)
    known |= {name + _FILE for name in known}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            closest = get_close_matches(name, sorted(known), n=1)
            yield f"{name} is no setting" + (f"; did you mean {closest[0]}?" if closest else "")


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _setting(name: str, field: FieldInfo) -> Setting:
    secret = "Secret" in str(field.annotation)
    default = "" if field.default is None else str(field.default)
    return Setting(_variable(name), default, secret, field.description or "", _allowed(field))


def _allowed(field: FieldInfo) -> str:
    """Words that stand at the type, its choices, or its bounds; empty where any text will do."""
    kinds = [field.annotation, *get_args(field.annotation)]
    marks = [*field.metadata, *(mark for kind in kinds for mark in getattr(kind, "__metadata__", ()))]
    words = next((mark.words for mark in marks if isinstance(mark, Allowed)), "")
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(str, get_args(field.annotation)))
    kind = "a whole number" if field.annotation is int else "a number" if field.annotation is float else ""
    bounds = [
        f"{said} {getattr(mark, name)}" for mark in marks for name, said in _BOUNDS.items() if hasattr(mark, name)
    ]
    return words or " ".join([kind, *bounds]).strip()


_BOUNDS = {"ge": "from", "gt": "above", "le": "up to", "lt": "below"}


def _parted(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _is_reserved(field: FieldInfo) -> bool:
    return (field.description or "").startswith(_RESERVED)


def _passwords(url: str | None) -> list[str]:
    password = urlsplit(url).password if url else None
    return [] if not password else sorted({password, unquote(password)})
