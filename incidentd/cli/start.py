"""From an environment to settings and logs, the same way for every command."""

from collections.abc import Mapping

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
    return load_settings(environ, None)


def configure_logs(settings: Settings, environ: Mapping[str, str]) -> None:
    """Logs as the settings ask; no secret of the environment is ever shown."""
    hidden = [value for name, value in environ.items() if name.startswith("INCIDENTD_") and _may_be_secret(name)]
    configure(settings.log_level, [*settings.secret_values(), *hidden], console=settings.log_format == "console")


def _may_be_secret(name: str) -> bool:
    return any(word in name for word in ("KEY", "TOKEN", "SECRET", "PASSWORD"))
