"""What is kept of a page that is sent without the database, by processes of which each may die at any point."""

import errno
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from structlog.testing import capture_logs

from incidentd.lifecycle.direct_page import DirectPage
from incidentd.lifecycle.page_folder import Kept, PageFolder
from incidentd.process.spool import Spool
from tests.incident import build

BEGIN, SECOND = build.MONDAY_NOON, build.SECOND


def later(seconds: float) -> timedelta:
    return seconds * SECOND


@pytest.fixture
def page() -> DirectPage:
    lived = build.Story(build.policy())
    lived.fire()
    return DirectPage("page-oncall", "e1.r1.l1", "a key", "10.0.0.1", lived.incident, ())


@pytest.fixture
def folder(tmp_path: Path) -> PageFolder:
    return PageFolder(Spool(tmp_path))


def _kept(folder: PageFolder) -> Kept | None:
    """The only page there is."""
    found = [folder.read(name, notes) for name, notes in folder.notes().items()]
    assert len(found) <= 1
    return found[0] if found else None


def test_a_page_may_be_there_from_before_it_is_sent_until_it_was_refused(folder: PageFolder, page: DirectPage) -> None:
    attempt = folder.put(page, BEGIN)
    assert attempt
    kept = _kept(folder)
    assert kept
    assert (kept.page.name, kept.accepted_at, kept.paged_at, kept.stored) == (page.name, None, BEGIN, False)
    folder.note_refused(attempt)
    kept = _kept(folder)
    assert kept
    assert kept.paged_at is None


def test_whoever_comes_second_knows_that_it_is_sent(folder: PageFolder, page: DirectPage) -> None:
    assert folder.put(page, BEGIN)
    assert folder.put(page, BEGIN) is None


def test_a_refusal_takes_nothing_back_of_what_came_of_another_try(folder: PageFolder, page: DirectPage) -> None:
    first = folder.put(page, BEGIN)
    folder.note_uncertain(page, folder.note_try(page, BEGIN + later(1)), BEGIN + later(2))
    assert first
    folder.note_refused(first)
    kept = _kept(folder)
    assert kept
    assert (kept.accepted_at, kept.under_way_since, kept.paged_at) == (None, None, BEGIN + later(2))
    folder.note_accepted(page, folder.note_try(page, BEGIN + later(3)), BEGIN + later(4))
    folder.note_refused(folder.note_try(page, BEGIN + later(5)))
    kept = _kept(folder)
    assert kept
    assert kept.accepted_at == kept.paged_at == BEGIN + later(4)


@pytest.mark.parametrize("accepted", [True, False])
def test_what_comes_of_a_try_after_its_page_was_settled_is_looked_after_and_not_taken_in_again(
    folder: PageFolder, page: DirectPage, accepted: bool
) -> None:
    attempt = folder.put(page, BEGIN)
    kept = _kept(folder)
    assert attempt
    assert kept
    folder.note_stored(page)
    folder.forget(kept)
    assert _kept(folder) is None
    (folder.note_accepted if accepted else folder.note_uncertain)(page, attempt, BEGIN + later(9))
    kept = _kept(folder)
    assert kept
    assert (kept.page.name, kept.paged_at, kept.stored) == (page.name, BEGIN + later(9), True)
    assert (kept.accepted_at is not None) is accepted
    folder.forget(kept)
    assert folder.notes() == {}


def test_what_others_note_while_a_page_is_settled_stays(folder: PageFolder, page: DirectPage) -> None:
    folder.put(page, BEGIN)
    kept = _kept(folder)
    assert kept
    folder.note_try(page, BEGIN + later(1))
    folder.forget(kept)
    kept = _kept(folder)
    assert kept
    assert (kept.paged_at, kept.stored) == (BEGIN + later(1), True)


@pytest.mark.parametrize("outcome", ["note_accepted", "note_uncertain"])
def test_where_what_came_of_a_try_can_not_be_kept_it_may_be_accepted(
    folder: PageFolder, page: DirectPage, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = folder.put(page, BEGIN)
    assert attempt

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(folder._spool, "put", full)
        getattr(folder, outcome)(page, attempt, BEGIN + later(1))
    assert [line["event"] for line in logs] == ["direct_page_not_kept"]
    kept = _kept(folder)
    assert kept
    assert (kept.accepted_at, kept.paged_at) == (None, BEGIN)


def test_what_was_accepted_since_the_notes_were_listed_counts(folder: PageFolder, page: DirectPage) -> None:
    attempt = folder.put(page, BEGIN)
    listed = folder.notes()[page.name]
    assert attempt
    folder.note_accepted(page, attempt, BEGIN + later(1))
    folder.note_stored(page)
    kept = folder.read(page.name, listed)
    assert kept
    assert (kept.accepted_at, kept.stored) == (BEGIN + later(1), True)


def test_a_note_of_another_version_goes_and_one_that_can_not_be_read_stays(
    folder: PageFolder, page: DirectPage, tmp_path: Path
) -> None:
    folder.put(page, BEGIN)
    (tmp_path / "old.json").write_text("{}")
    (tmp_path / "shut.json").mkdir()
    with capture_logs() as logs:
        read = [folder.read(name, notes) for name, notes in folder.notes().items()]
    assert sum(kept is not None for kept in read) == 1
    assert [line["event"] for line in logs] == ["direct_page_unreadable"] * 2
    assert set(folder.notes()) == {page.name, "shut"}
