"""What can be set."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from incidentd.errors import SettingsError
from incidentd.secret import several, weakness
from incidentd.settings.environment import read
from incidentd.settings.kind import (
    AlertmanagerAddresses,
    Allowed,
    DatabaseAddress,
    Folder,
    ReceiverNames,
    RedisAddress,
    Secret,
    SecretAddress,
    Secrets,
    SocketAddress,
    SourceTokens,
    WebAddress,
    parse_addresses,
    parse_receivers,
    socket_address_or_none,
)
from incidentd.source import ONLY_SOURCE, Source, parse_sources

_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


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
    shadow_rules: Folder | None = Field(
        None, description="folder of a second rules table, tried beside the first on each alert; it never acts"
    )
    spool: Folder = Field(
        Path("var/spool"), description="where `serve` keeps the pages that it sent while the database was away"
    )
    listen: SocketAddress = Field("127.0.0.1:8080", description="address and port of the web server")
    public_url: WebAddress | None = Field(None, description="address under which people reach the pages")
    metrics_listen: Annotated[str, AfterValidator(socket_address_or_none), Allowed("host:port, or empty")] = Field(
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
    slack_app_token: Secret | None = Field(
        None, description="Slack app-level token, `xapp-…`: clicks come over Socket Mode, and Slack needn't reach us"
    )
    slack_api_url: WebAddress | None = Field(None, description="Slack's Web API, when it isn't Slack's own")
    pagerduty_routing_key: Secret | None = Field(None, description="routing key of the default PagerDuty service")
    pagerduty_events_url: WebAddress | None = Field(None, description="PagerDuty's Events API, e.g. the EU's")
    pagerduty_webhook_secret: Secrets | None = Field(
        None, description="proves that a webhook comes from PagerDuty; unset: none is believed"
    )
    pagerduty_api_token: Secret | None = Field(
        None, description="PagerDuty REST token, read-only: finds who answered, and which alerts an incident has"
    )
    pagerduty_api_url: WebAddress | None = Field(None, description="PagerDuty's REST API, e.g. the EU's")

    alertmanager_url: AlertmanagerAddresses | None = Field(
        None,
        description="all Alertmanagers, to compare with and to send drills by; a password may stand in each address",
    )
    alertmanager_token: Secret | None = Field(None, description="bearer token for addresses without a password")
    alertmanager_receiver: ReceiverNames = Field(
        "incidentd", description="receivers in Alertmanager that post to incidentd"
    )
    reconcile_seconds: float = Field(30, ge=0.2, le=600, description="seconds from one comparison to the next")
    reconcile_settle_seconds: float = Field(
        300, ge=1, le=3600, description="how long an Alertmanager is up before its silence about an alert counts"
    )
    reconcile_untold_seconds: float = Field(
        420, ge=1, le=86_400, description="how long a firing alert may go untold; above `group_interval`"
    )
    stale_seconds: int = Field(
        32_400, ge=60, le=2_592_000, description="after how long without a repeat people are asked about an alert"
    )

    heartbeat_url: SecretAddress | None = Field(
        None, description="address to ping while pages get out; whoever is there alarms when the pings stay away"
    )
    heartbeat_seconds: int = Field(60, ge=1, le=3600, description="seconds from one such ping to the next")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least urgent log line kept")
    log_format: Literal["json", "console"] = Field("json", description="console: for people's eyes")

    retention_days: int = Field(400, ge=1, le=36_500, description="how long what is over is kept")
    prune: Literal["daily", "off"] = Field(
        "daily",
        description="whether a timekeeper removes once a day what is over for longer, as `incidentd prune` does",
    )

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
    def local_url(self) -> str:
        """Where a process on the same machine reaches the web part."""
        host, port = _parted(self.listen)
        return f"http://127.0.0.1:{port}" if host in _ANY else f"http://{self.listen}"

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

    def pagerduty_secrets(self) -> tuple[str, ...]:
        """What PagerDuty may sign with now, as ``signing_secrets``."""
        return several(self.pagerduty_webhook_secret.get_secret_value()) if self.pagerduty_webhook_secret else ()

    def sources(self) -> tuple[Source, ...]:
        """Who may send webhooks."""
        only, named = self.webhook_token, self.webhook_tokens
        first = (Source(ONLY_SOURCE, (only.get_secret_value(),), any_user=True),) if only else ()
        return first + (parse_sources(named.get_secret_value()) if named else ())

    def alertmanagers(self) -> tuple[str, ...]:
        """The addresses of Alertmanagers, credentials included."""
        return parse_addresses(self.alertmanager_url.get_secret_value()) if self.alertmanager_url else ()

    def receivers(self) -> tuple[str, ...]:
        """The names of receivers that post to us."""
        return parse_receivers(self.alertmanager_receiver)

    def secret_values(self) -> list[str]:
        """Every value that no log line may show, passwords inside addresses included."""
        given = {name: value.get_secret_value() for name, value in dict(self).items() if isinstance(value, SecretStr)}
        given.pop("webhook_tokens", None)
        given.pop("alertmanager_url", None)
        secrets = [part for value in given.values() for part in value.split()]
        secrets += [token for source in self.sources() for token in source.tokens]
        return secrets + [
            password
            for url in (self.database_url, self.redis_url, *self.alertmanagers())
            for password in _passwords(url)
        ]

    @classmethod
    def secrets(cls, environ: Mapping[str, str], names: Collection[str]) -> dict[str, SecretStr]:
        """The secrets that rules name, by variable; those that are not set are absent.

        Raises:
            SettingsError: a secret is set twice, unreadable, empty, a placeholder or too short.
        """
        found = {name: read(environ, name) for name in names}
        given = {name: value for name, value in found.items() if value is not None}
        faults = [f"{name} {weakness(value)}" for name, value in given.items() if weakness(value)]
        if faults:
            raise SettingsError("\n".join(sorted(faults)))
        return {name: SecretStr(value) for name, value in given.items()}


def _parted(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _passwords(url: str | None) -> list[str]:
    password = urlsplit(url).password if url else None
    return [] if not password else sorted({password, unquote(password)})
