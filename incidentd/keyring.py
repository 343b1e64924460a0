"""How a destination gets its secret: from the variables that its rules name, else the default of its kind."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from incidentd.channels.channel import Destination
from incidentd.classify import DestinationSpec
from incidentd.settings import Settings


@dataclass(frozen=True, slots=True)
class Keyring:
    """Looks at the environment when asked: a reloaded table may name variables that the one before did not."""

    settings: Settings
    environ: Mapping[str, str]

    def destination(self, spec: DestinationSpec) -> Destination | None:
        """The destination, ready for use; None while no variable that could hold its secret is set."""
        secret = self._secret(spec)
        if secret is None:
            return None
        value = secret.get_secret_value()
        bucket = spec.options.get("channel") or hashlib.sha256(value.encode()).hexdigest()[:16]
        return Destination(
            name=spec.name,
            kind=spec.kind,
            secret=value,
            options=spec.options,
            fallback=spec.fallback,
            bucket=f"{spec.kind}:{bucket}",
            per_minute=spec.per_minute,
            burst=spec.burst,
        )

    def _secret(self, spec: DestinationSpec) -> SecretStr | None:
        named = Settings.secrets(self.environ, spec.secret_names)
        for name in spec.secret_names:
            if name in named:
                return named[name]
        defaults = {"slack": self.settings.slack_bot_token, "pagerduty": self.settings.pagerduty_routing_key}
        return defaults.get(spec.kind)
