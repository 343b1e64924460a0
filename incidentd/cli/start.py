"""From an environment to settings and logs, the same way for every command."""

from collections.abc import Callable, Collection, Mapping
from functools import partial

from incidentd.classify import load
from incidentd.errors import RulesError, SettingsError
from incidentd.process.log import configure
from incidentd.settings import Settings, hidden_values, load_settings, rules_folder, shadow_folder


def strict_settings(environ: Mapping[str, str]) -> Settings:
    """The settings, with every unknown variable refused; rules may name further ones.

    Raises:
        RulesError: the rules table is unsound.
        SettingsError: names each variable that is wrong, the rules' own among them.
    """
    names = load(rules_folder(environ)).secret_names | _shadow_names(environ)
    faults = _faults(partial(Settings.secrets, environ, names)) + _faults(partial(load_settings, environ, names))
    if faults:
        raise SettingsError("\n".join(dict.fromkeys(faults)))
    return load_settings(environ, names)


def _shadow_names(environ: Mapping[str, str]) -> frozenset[str]:
    """The variables that the shadow table names: they may be set before it is in force. An unsound one has none."""
    try:
        folder = shadow_folder(environ)
        return load(folder).secret_names if folder else frozenset()
    except (RulesError, SettingsError):
        return frozenset()


def inherited_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of a part whose parent has looked for unknown variables already.

    Raises:
        SettingsError: names each variable that is wrong.
    """
    return load_settings(environ, None)


def configure_logs(settings: Settings, environ: Mapping[str, str]) -> None:
    """Logs as the settings ask; no secret of the environment is ever shown."""
    hidden = hidden_values(settings, environ, _named(settings))
    configure(settings.log_level, hidden, console=settings.log_format == "console")


def _faults(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except SettingsError as error:
        return str(error).splitlines()
    return []


def _named(settings: Settings) -> Collection[str]:
    """The variables that the rules directory names; none while it is unsound."""
    try:
        return load(settings.rules).secret_names
    except RulesError:
        return ()
