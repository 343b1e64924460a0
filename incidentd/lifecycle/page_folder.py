"""What is kept on disk of each page that is sent without the database.

Several processes may share the folder, and each may die or freeze at any point. So no note is ever changed, and each
holds the whole page: ``<name>`` is the page itself, ``<name>~<try>`` a try that is under way, ``<name>~uncertain`` and
``<name>~accepted`` say what came of one, and ``<name>~stored`` that its alerts are in the database. ``<name>`` is the
first to come and the first to go: what is there without it was settled already, and its alerts are stored.
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
_UNCERTAIN = f"{_MARK}uncertain"
_STORED = f"{_MARK}stored"
_OUTCOMES = (_ACCEPTED, _UNCERTAIN, _STORED)

log = structlog.get_logger("incidentd.direct")


@dataclass(frozen=True, slots=True)
class Kept:
    """One page. ``uncertain_at``: the last try of which no answer came; ``under_way_since``: the last without an end.

    ``notes`` are all that were read.
    """

    page: DirectPage
    accepted_at: datetime | None
    uncertain_at: datetime | None
    under_way_since: datetime | None
    stored: bool
    notes: tuple[str, ...]

    @property
    def paged_at(self) -> datetime | None:
        """When its receiver accepted it, as far as anybody can know; None where each try was refused for certain."""
        return self.accepted_at or self.uncertain_at or self.under_way_since


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
        # Others may have made some since the notes were listed.
        wanted = sorted({*notes, name, *(f"{name}{outcome}" for outcome in _OUTCOMES)})
        pages = {note: page for note in wanted if (page := self._readable(note))}
        if not pages:
            return None
        return Kept(
            page=next(iter(pages.values())),
            accepted_at=max((page.paged_at for page in pages.values() if page.paged_at), default=None),
            uncertain_at=_tried_at(page for note, page in pages.items() if note.endswith(_UNCERTAIN)),
            under_way_since=_tried_at(page for note, page in pages.items() if _is_try(note)),
            stored=name not in pages or f"{name}{_STORED}" in pages,
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
        """Its receiver may have it: no answer came."""
        if self._put(f"{page.name}{_UNCERTAIN}", replace(page, tried_at=now)):
            self._spool.remove(attempt)

    def note_accepted(self, page: DirectPage, attempt: str, now: datetime) -> None:
        """Its receiver has it."""
        if self._put(f"{page.name}{_ACCEPTED}", replace(page, paged_at=now)):
            self._spool.remove(attempt)

    def note_stored(self, page: DirectPage) -> None:
        """Its alerts are taken in, once: they must not come again after what has happened to them since."""
        self._put(f"{page.name}{_STORED}", page)

    def forget(self, kept: Kept) -> None:
        """It has come to its end. What others note from now on is looked after anew."""
        for note in (*kept.notes, f"{kept.page.name}{_STORED}"):
            self._spool.remove(note)

    def _put(self, note: str, page: DirectPage) -> bool:
        """Whether it is kept; if not, what was kept before stays true."""
        try:
            self._spool.put(note, dump(page))
        except OSError as error:
            log.error("direct_page_not_kept", cause=type(error).__name__, destination=page.destination)  # noqa: TRY400
            return False
        return True

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
    return _MARK in note and not note.endswith(_OUTCOMES)


def _tried_at(pages: Iterable[DirectPage]) -> datetime | None:
    return max((page.tried_at for page in pages if page.tried_at), default=None)
