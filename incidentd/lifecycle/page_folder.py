"""What is kept on disk of each page that is sent without the database.

Several processes may share the folder, and each may die or freeze at any point. So no note is ever changed, and each
holds the whole page: ``<name>`` is the page itself, ``<name>~<try>`` a try of which nobody knows yet what came,
``<name>~accepted`` says that one was accepted, and ``<name>~stored`` that its alerts are in the database.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from incidentd.lifecycle.direct_page import DirectPage, dump, load
from incidentd.process.spool import Spool

_MARK = "~"
_ACCEPTED = f"{_MARK}accepted"
_STORED = f"{_MARK}stored"

log = structlog.get_logger("incidentd.direct")


@dataclass(frozen=True, slots=True)
class Kept:
    """One page. ``tried_at``: the last try of which nobody knows what came; ``notes`` are all that were read."""

    page: DirectPage
    accepted_at: datetime | None
    tried_at: datetime | None
    stored: bool
    notes: tuple[str, ...]

    @property
    def paged_at(self) -> datetime | None:
        """When its receiver accepted it, as far as anybody can know; None where each try was refused for certain."""
        return self.accepted_at or self.tried_at


class PageFolder:
    """Safe for use by several threads and processes."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def notes(self) -> dict[str, list[str]]:
        """The names of all pages, each with its notes."""
        found: dict[str, list[str]] = defaultdict(list)
        for note in self._spool.names():
            found[note.partition(_MARK)[0]].append(note)
        return found

    def read(self, name: str, notes: Iterable[str]) -> Kept | None:
        """What these notes of one page say; None where none is left, or none can be read."""
        # Others may have made these since the notes were listed.
        wanted = sorted({*notes, f"{name}{_ACCEPTED}", f"{name}{_STORED}"})
        pages = {note: page for note in wanted if (page := self._readable(note))}
        if not pages:
            return None
        tries = [page.tried_at for note, page in pages.items() if _is_try(note) and page.tried_at]
        return Kept(
            page=next(iter(pages.values())),
            accepted_at=max((page.paged_at for page in pages.values() if page.paged_at), default=None),
            tried_at=max(tries, default=None),
            stored=any(note.endswith(_STORED) for note in pages),
            notes=tuple(pages),
        )

    def put(self, page: DirectPage, now: datetime) -> str | None:
        """Keep a page and its first try, of which the name is returned; None where the page is kept already.

        Raises:
            OSError: it can't be kept.
        """
        attempt = _new_try(page)
        return attempt if self._spool.put(page.name, dump(replace(page, tried_at=now)), attempt) else None

    def note_try(self, page: DirectPage, now: datetime) -> str:
        """Before it is sent again, as nobody knows what becomes of its sender. Returns the name of the try."""
        attempt = _new_try(page)
        self._put(attempt, replace(page, tried_at=now))
        return attempt

    def note_refused(self, attempt: str) -> None:
        """This try woke nobody, for certain."""
        self._spool.remove(attempt)

    def note_uncertain(self, page: DirectPage, attempt: str, now: datetime) -> None:
        """Its receiver may have it."""
        self._note_forgotten(page, attempt)
        self._put(attempt, replace(page, tried_at=now))

    def note_accepted(self, page: DirectPage, attempt: str, now: datetime) -> None:
        """Its receiver has it."""
        self._note_forgotten(page, attempt)
        self._put(f"{page.name}{_ACCEPTED}", replace(page, paged_at=now))
        self._spool.remove(attempt)

    def note_stored(self, page: DirectPage) -> None:
        """Its alerts are taken in, once: they must not come again after what has happened to them since."""
        self._put(f"{page.name}{_STORED}", page)

    def forget(self, kept: Kept) -> None:
        """It has come to its end. What others note from now on is looked after anew."""
        for note in kept.notes:
            self._spool.remove(note)
        # The last, so that nothing is taken in again if this is cut short.
        self._spool.remove(f"{kept.page.name}{_STORED}")

    def _note_forgotten(self, page: DirectPage, attempt: str) -> None:
        """Whoever forgot this try has stored the alerts."""
        if self._spool.note(page.name) is None and self._spool.note(attempt) is None:
            self.note_stored(page)

    def _put(self, note: str, page: DirectPage) -> None:
        try:
            self._spool.put(note, dump(page))
        except OSError as error:
            log.error("direct_page_not_kept", cause=type(error).__name__, destination=page.destination)  # noqa: TRY400

    def _readable(self, note: str) -> DirectPage | None:
        """One that can't be understood is of an older version: it was sent when it was made."""
        try:
            text = self._spool.note(note)
            return None if text is None else load(text)
        except ValueError:
            log.error("direct_page_unreadable", note=note)  # noqa: TRY400 - the text may hold what nobody may read
            self._spool.remove(note)
        except OSError as error:
            log.error("direct_page_unreadable", note=note, cause=type(error).__name__)  # noqa: TRY400
        return None


def _new_try(page: DirectPage) -> str:
    return f"{page.name}{_MARK}{uuid.uuid4().hex}"


def _is_try(note: str) -> bool:
    return _MARK in note and not note.endswith((_ACCEPTED, _STORED))
