"""Since when sample alerts fire: as Prometheus would know it, kept between two calls.

So an alert that is fired again is a repeat of the same episode, until it is resolved; the next one is a new episode.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from incidentd.errors import IncidentdError

FILE = "fired.json"


class FiringError(IncidentdError):
    """What was fired can't be read or kept."""


class Firing:
    """Alerts that fire at one address, by fingerprint."""

    def __init__(self, starts: dict[str, str]) -> None:
        self._starts = starts

    def since(self, fingerprint: str) -> datetime | None:
        """When it began; None while it doesn't fire."""
        text = self._starts.get(fingerprint)
        return datetime.fromisoformat(text) if text else None

    def begin(self, fingerprints: Iterable[str], now: datetime) -> None:
        """They fire from now on; those that do already since when they did."""
        for each in fingerprints:
            self._starts.setdefault(each, now.isoformat())

    def end(self, fingerprints: Iterable[str]) -> None:
        """They fire no more."""
        for each in fingerprints:
            self._starts.pop(each, None)


@contextmanager
def remembered(folder: Path, url: str) -> Iterator[Firing]:
    """What fires at this address, kept in the folder when the block ends well.

    Raises:
        FiringError: the file is none of ours, or can't be written.
    """
    file = folder / FILE
    everywhere = _read(file)
    firing = everywhere.setdefault(url, {})
    yield Firing(firing)
    if not firing:
        del everywhere[url]
    _write(file, everywhere)


def _read(file: Path) -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(file.read_text("utf-8"))
        for each in found.values():
            for start in each.values():
                datetime.fromisoformat(start)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError):
        raise FiringError(f"{file} can't be read; delete it to begin anew") from None
    return found


def _write(file: Path, everywhere: dict[str, dict[str, str]]) -> None:
    if not everywhere and not file.exists():
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps(everywhere), "utf-8")
        new.replace(file)
    except OSError as error:
        raise FiringError(f"--state: {file.parent} can't be written: {error.strerror}") from None
