"""Reading the environment: one variable, or the file that its ``…_FILE`` names."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from incidentd.errors import SettingsError

PREFIX = "INCIDENTD_"
FILE = "_FILE"


def variable(field: str) -> str:
    """The variable of a field of ``Settings``."""
    return PREFIX + field.upper()


def names_set(environ: Iterable[str]) -> frozenset[str]:
    """The variables that are set, by themselves or by a file."""
    return frozenset(name.removesuffix(FILE) for name in environ)


def read(environ: Mapping[str, str], name: str) -> str | None:
    """What a variable or its file says; None where neither is set.

    Raises:
        SettingsError: both are set, or the file can't be read.
    """
    value, path = environ.get(name), environ.get(name + FILE)
    if value is not None and path is not None:
        raise SettingsError(f"{name} and {name}{FILE} are both set")
    if path is None:
        return value
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise SettingsError(f"{name}{FILE} can't be read: {cause}") from None
