"""Who may send webhooks now: the sources of the environment, and of the file that may be written at any time."""

from collections.abc import Mapping
from pathlib import Path

from incidentd.errors import SettingsError
from incidentd.settings import Settings, read_sources, sources_file
from incidentd.source import Source, SourceTable

_Stamp = tuple[int, int, int] | None


class Admission:
    """Safe for use by several threads: a new table replaces the old one whole."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lasting = tuple(source for source in settings.sources() if source.any_user)
        self._path = sources_file(environ)
        self._stamp = _stamp(self._path)
        self.sources = settings.sources()
        self._table = SourceTable(self.sources)

    @property
    def names(self) -> tuple[str, ...]:
        """The sources that may send now."""
        return self._table.names

    def source_of(self, token: bytes, user: bytes = b"") -> str | None:
        """Whose token this is, as ``SourceTable`` says."""
        return self._table.source_of(token, user)

    def refresh(self) -> tuple[Source, ...] | None:
        """Read the file anew where it was written since; the sources that count from now on, None without news.

        Raises:
            SettingsError: the file is gone or unsound: once for each time that it changes. What was read before stays.
        """
        stamp = _stamp(self._path)
        if self._path is None or stamp == self._stamp:
            return None
        # Taken before reading: what is written meanwhile is read the next time.
        self._stamp = stamp
        if stamp is None:
            raise SettingsError("INCIDENTD_WEBHOOK_TOKENS_FILE is gone")
        self.sources = self._lasting + read_sources(self._environ)
        self._table = SourceTable(self.sources)
        return self.sources


def _stamp(path: Path | None) -> _Stamp:
    try:
        found = path.stat() if path else None
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
