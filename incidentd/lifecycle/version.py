"""A table that people name: by the beginning of its hash, as the one in force, or as the one before it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from incidentd.errors import NotFoundError
from incidentd.store import rules as stored

IN_FORCE, PREVIOUS = "in-force", "previous"


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A version and its texts by file name."""

    version: str
    files: Mapping[str, str]


def kept_table(tx: Connection, name: str) -> KeptTable:
    """The table of this name.

    Raises:
        NotFoundError: there is none, its text is not kept any more, or the name fits several.
    """
    version = _version(tx, name)
    files = stored.files(tx, version)
    if files is None:
        raise NotFoundError(f"the text of version {version} is not kept any more")
    return KeptTable(version, files)


def _version(tx: Connection, name: str) -> str:
    if name in (IN_FORCE, PREVIOUS):
        place = (IN_FORCE, PREVIOUS).index(name)
        last = stored.history(tx, place + 1)
        if len(last) <= place:
            raise NotFoundError("there was no other table in force before")
        return last[place].version
    found = stored.matching(tx, name) if name else []
    if not found:
        raise NotFoundError(f"no version is kept that begins with {name[:40]!r}; see `incidentd rules history`")
    if len(found) > 1 and name not in found:
        raise NotFoundError(f"several versions begin with {name[:40]!r}; give more of it")
    return name if name in found else found[0]
