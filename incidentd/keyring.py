"""How a destination gets its secret: from the variables that its rules name, else the default of its kind."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import SecretStr

from incidentd.channels.channel import Destination
from incidentd.classify import DestinationSpec
from incidentd.classify.destination import filled_in, in_header
from incidentd.errors import SettingsError
from incidentd.settings import Settings

log = structlog.get_logger("incidentd.keyring")

_Source = tuple[str, str | None, str | None, int]
"""A variable, its value, the file that holds it instead, and when that was written (ns)."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Looks at the environment when asked: a reloaded table may name variables that the one before did not.

    A secret's file is read once for each time that it was written.
    """

    settings: Settings
    environ: Mapping[str, str]
    _known: dict[_Source, SecretStr | SettingsError | None] = field(default_factory=dict, init=False, repr=False)

    def destination(self, spec: DestinationSpec) -> Destination | None:
        """The destination, ready for use; None while no variable that could hold its secret is set, or that is unfit.

        One that is unfit is not passed over for another: a page would go to somebody else.
        """
        secret, further, headers = self._secret(spec), self._further(spec), self._headers(spec)
        if secret is None or further is None or headers is None:
            return None
        bucket = spec.options.get("channel") or hashlib.sha256(secret.encode()).hexdigest()[:16]
        return Destination(
            name=spec.name,
            kind=spec.kind,
            secret=secret,
            options=spec.options,
            fallback=spec.fallback,
            bucket=f"{spec.kind}:{bucket}",
            per_minute=spec.per_minute,
            burst=spec.burst,
            one_by_one=spec.one_by_one,
            further=further,
            headers=headers,
        )

    def _secret(self, spec: DestinationSpec) -> str | None:
        if spec.address:
            return spec.address
        defaults = {"slack": self.settings.slack_bot_token, "pagerduty": self.settings.pagerduty_routing_key}
        return self._first(spec.secret_names, defaults.get(spec.kind))

    def _further(self, spec: DestinationSpec) -> dict[str, str] | None:
        """None where one is missing: what is to be signed never goes out unsigned."""
        found = {name: self._first(names) for name, names in spec.further.items()}
        return None if None in found.values() else {name: value for name, value in found.items() if value is not None}

    def _headers(self, spec: DestinationSpec) -> dict[str, str] | None:
        names = {name for value in spec.headers.values() for name in in_header(value)}
        found = {name: self._first((name,)) for name in names}
        secrets = {name: value for name, value in found.items() if value is not None}
        if len(secrets) < len(names):
            return None
        return {name: filled_in(value, secrets) for name, value in spec.headers.items()}

    def _first(self, names: Iterable[str], default: SecretStr | None = None) -> str | None:
        """The value of the first of these variables that is set; None where none is, or that one is unfit."""
        found = next((each for name in names if (each := self._named(name)) is not None), default)
        return found.get_secret_value() if isinstance(found, SecretStr) else None

    def _named(self, name: str) -> SecretStr | SettingsError | None:
        path = self.environ.get(f"{name}_FILE")
        source = (name, self.environ.get(name), path, _written(path))
        if source not in self._known:
            self._known[source] = self._read(name)
        return self._known[source]

    def _read(self, name: str) -> SecretStr | SettingsError | None:
        try:
            return Settings.secrets(self.environ, [name]).get(name)
        except SettingsError as error:
            log.error("secret_unfit", cause=str(error))  # noqa: TRY400 - names the variable, and that says it all
            return error


def _written(path: str | None) -> int:
    try:
        return Path(path).stat().st_mtime_ns if path else 0
    except (OSError, ValueError):
        return 0
