"""Statements and commits are timed, each as what it is."""

from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from incidentd.errors import StoreUnavailableError
from incidentd.store.engine import Store, open_engine
from incidentd.store.stopwatch import time_statements
from incidentd.store.tables import SEEN
from tests.store.database import POSTGRESQL
from tests.store.row import NOW


class Watched:
    """A store, and the verbs and seconds that were noted."""

    def __init__(self, database_url: str) -> None:
        self.noted: list[tuple[float, str]] = []
        engine = open_engine(database_url)
        time_statements(engine, lambda seconds, verb: self.noted.append((seconds, verb)))
        self.store = Store(engine)

    def verbs(self) -> Counter[str]:
        """How often each was noted; what SQLite needs to begin left out."""
        return Counter(verb for _, verb in self.noted if verb != "other")


@pytest.fixture
def watched(database_url: str) -> Iterator[Watched]:
    made = Watched(database_url)
    yield made
    made.store.close()


def test_each_statement_counts_as_its_verb_and_the_commit_too(watched: Watched) -> None:
    def work(tx: sa.Connection) -> None:
        tx.execute(sa.insert(SEEN).values(signature="a", at=NOW))
        tx.execute(sa.update(SEEN).values(at=NOW))
        tx.execute(sa.select(SEEN)).all()
        tx.execute(sa.delete(SEEN))

    watched.store.write(work)
    assert watched.verbs() == dict.fromkeys(["insert", "update", "select", "delete", "commit"], 1)
    assert all(0 <= seconds < 60 for seconds, _ in watched.noted)


def test_one_statement_with_many_rows_counts_once(watched: Watched) -> None:
    rows = [{"signature": str(number), "at": NOW} for number in range(50)]
    watched.store.write(lambda tx: tx.execute(sa.insert(SEEN), rows))
    assert watched.verbs() == {"insert": 1, "commit": 1}


def test_only_transactions_that_write_have_a_commit(watched: Watched) -> None:
    watched.store.read(lambda tx: tx.execute(sa.select(SEEN)).all())
    assert watched.verbs() == {"select": 1}


def test_what_is_rolled_back_is_no_commit(watched: Watched) -> None:
    def work(tx: sa.Connection) -> None:
        tx.execute(sa.select(SEEN)).all()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        watched.store.write(work)
    watched.store.write(lambda tx: tx.execute(sa.select(SEEN)).all())
    assert watched.verbs() == {"select": 2, "commit": 1}


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_a_statement_that_was_cut_off_counts_with_the_time_it_took(watched: Watched) -> None:
    def work(tx: sa.Connection) -> None:
        tx.execute(sa.text("SET LOCAL statement_timeout = '100ms'"))
        tx.execute(sa.text("SELECT pg_sleep(60)"))

    with pytest.raises(StoreUnavailableError):
        watched.store.read(work)
    assert [seconds >= 0.09 for seconds, verb in watched.noted if verb == "select"] == [True]
