"""What is examined: the settings and rules of this environment, as far as they can be read at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from incidentd.classify import Rules, load
from incidentd.cli.start import strict_settings
from incidentd.cli.state import with_database, with_tokens
from incidentd.errors import RulesError, SettingsError
from incidentd.settings import Settings, load_settings, rules_folder


@dataclass(frozen=True, slots=True)
class Patient:
    """``settings`` leave out what is wrong in the environment; ``wrong`` says that, a line each.

    ``rules`` is None where the table is unsound or can't be read; ``unsound`` says why.
    """

    environ: Mapping[str, str]
    state: Path
    settings: Settings
    rules: Rules | None
    wrong: tuple[str, ...] = ()
    unsound: tuple[str, ...] = ()

    @property
    def database_url(self) -> str | None:
        """None where what is set can't be used: the default would be another database than the one that is meant."""
        return None if self.is_wrong("INCIDENTD_DATABASE_URL") else self.settings.database_url

    def is_wrong(self, name: str) -> bool:
        """Whether this variable is set, and can't be used: there is nothing more to be said of it."""
        return any(line.partition(" ")[0].removesuffix("_FILE") == name for line in self.wrong)


def patient(environ: Mapping[str, str], state: Path) -> Patient:
    """This environment with what `up` would add to it from the state folder; nothing is made there."""
    whole = with_database(with_tokens(environ, state, create=False), state)
    rules, unsound = _rules(whole)
    wrong = _wrong(whole, rules)
    settings = load_settings(_without(whole, wrong), None)
    return Patient(whole, state, settings, rules, tuple(wrong), tuple(unsound))


def _rules(environ: Mapping[str, str]) -> tuple[Rules | None, list[str]]:
    try:
        return load(rules_folder(environ)), []
    except RulesError as error:
        return None, [str(each) for each in error.faults]
    except (SettingsError, OSError) as error:
        return None, [str(error)]


def _wrong(environ: Mapping[str, str], rules: Rules | None) -> list[str]:
    """Without rules nobody knows which further variables they name, so unknown ones are let pass."""
    try:
        if rules is None:
            load_settings(environ, None)
        else:
            strict_settings(environ)
    except SettingsError as error:
        return str(error).splitlines()
    return []


def _without(environ: Mapping[str, str], wrong: list[str]) -> dict[str, str]:
    """The environment without the variables that these lines begin with."""
    named = {line.partition(" ")[0].removesuffix("_FILE") for line in wrong}
    return {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in named}
