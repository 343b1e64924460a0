"""Settings from an environment; a wrong or misspelt variable is named, no value is ever printed."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_origin
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from incidentd.errors import SettingsError
from incidentd.secret import SHORTEST_SECRET
from incidentd.settings.description import allowed
from incidentd.settings.environment import FILE, PREFIX, read, variable
from incidentd.settings.settings import Settings
from incidentd.source import Source, parse_sources

_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD")


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
            value = read(environ, variable(name))
        except SettingsError as error:
            faults.append(str(error))
        else:
            values |= {} if value is None else {name: value}
    faults += _malformed(values)
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings.model_validate(values)


def rules_folder(environ: Mapping[str, str]) -> Path:
    """Where the rules are: needed before the other settings, as rules may name further variables.

    Raises:
        SettingsError: the variable is empty, or its file can't be read.
    """
    return _only(environ, "rules").rules


def shadow_folder(environ: Mapping[str, str]) -> Path | None:
    """Where the second table is; None without one.

    Raises:
        SettingsError: as ``rules_folder``.
    """
    return _only(environ, "shadow_rules").shadow_rules


def _only(environ: Mapping[str, str], name: str) -> Settings:
    value = read(environ, variable(name))
    values = {} if value is None else {name: value}
    faults = list(_malformed(values))
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings.model_validate(values)


def read_sources(environ: Mapping[str, str]) -> tuple[Source, ...]:
    """The sources of ``INCIDENTD_WEBHOOK_TOKENS`` as they stand now; a file may have been written since the start.

    Raises:
        SettingsError: names the variable and the line; shows no value.
    """
    name = variable("webhook_tokens")
    value = read(environ, name)
    try:
        return parse_sources(value) if value is not None else ()
    except ValueError as error:
        raise SettingsError(f"{name} {error}") from None


def sources_file(environ: Mapping[str, str]) -> Path | None:
    """The file that holds ``INCIDENTD_WEBHOOK_TOKENS``; None where the environment itself does."""
    path = environ.get(variable("webhook_tokens") + FILE)
    return Path(path) if path else None


def hidden_values(settings: Settings, environ: Mapping[str, str], names: Collection[str]) -> list[str]:
    """Every value that no log line may show: the settings' own, and those of the secrets that rules name.

    ``names`` are the variables that the rules name now. Of ours each counts whose name sounds like a secret, and each
    that is no setting: a reload may name it.
    """
    ours = {name.removesuffix(FILE) for name in environ if name.startswith(PREFIX)}
    known = {variable(name) for name in Settings.model_fields}
    given = {name for name in ours if _SECRET.search(name) or name not in known}
    return [*settings.secret_values(), *_found(environ, {*given, *names} - {variable("webhook_tokens")})]


def _malformed(values: Mapping[str, Any]) -> Iterator[str]:
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            name = str(fault["loc"][0])
            yield f"{variable(name)} {_cause(name, fault)}"


def _cause(name: str, fault: Mapping[str, Any]) -> str:
    """A refusal of ours in its own words; of pydantic's, what the documentation says is allowed."""
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    field = Settings.model_fields[name]
    words = allowed(field)
    return f"is none of {words}" if get_origin(field.annotation) is Literal else f"is not {words}"


def _found(environ: Mapping[str, str], names: Collection[str]) -> Iterator[str]:
    """The values of those that can be read."""
    for name in names:
        with suppress(SettingsError):
            value = read(environ, name)
            if value:
                yield value
                yield from _inside(value)


def _inside(value: str) -> Iterator[str]:
    """What of an address is secret by itself: its password, and its path where that is long enough to be one."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return
    if parts.netloc:
        yield from filter(None, {parts.password, unquote(parts.password or "")})
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if len(path) > SHORTEST_SECRET:
            yield path


def _unknown(environ: Mapping[str, str], extra_names: Collection[str]) -> Iterator[str]:
    known = {variable(name) for name in Settings.model_fields} | set(extra_names)
    known |= {name + FILE for name in known}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            closest = get_close_matches(name, sorted(known), n=1)
            yield f"{name} is no setting" + (f"; did you mean {closest[0]}?" if closest else "")
