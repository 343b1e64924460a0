"""From an environment to settings and logs, the same way for every command."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from incidentd.classify import load
from incidentd.log import configure
from incidentd.settings import Settings, load_settings, rules_folder


def strict_settings(environ: Mapping[str, str]) -> Settings:
    """The settings, with every unknown variable refused; rules may name further ones.

    Raises:
        RulesError: the rules table is unsound.
        SettingsError: names each variable that is wrong.
    """
    names = load(rules_folder(environ)).secret_names
    Settings.secrets(environ, names)
    return load_settings(environ, names)


def inherited_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of a part whose parent has looked for unknown variables already.

    Raises:
        SettingsError: names each variable that is wrong.
    """
    return load_settings(environ, environ.keys())


@contextmanager
def configured(settings: Settings, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Logs as the settings ask; secrets of the environment are never shown."""
    hidden = [v for name, v in (environ or {}).items() if name.startswith("INCIDENTD_") and _may_be_secret(name)]
    console = settings.log_format == "console" or (settings.log_format == "json" and sys.stderr.isatty())
    configure(settings.log_level, [*settings.secret_values(), *hidden], console=console)
    yield


def _may_be_secret(name: str) -> bool:
    return any(word in name for word in ("KEY", "TOKEN", "SECRET", "PASSWORD"))
