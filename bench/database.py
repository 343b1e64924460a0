"""Databases for benchmarks: new, empty, and durable as in use."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import sqlalchemy as sa

from tests.servers import PostgresServer

Fresh = Callable[[], AbstractContextManager[str]]
"""Makes a new empty database and yields its URL."""


@contextmanager
def sqlite() -> Iterator[Fresh]:
    """SQLite files in a folder of their own."""
    folder = Path(tempfile.mkdtemp(prefix="incidentd-bench-"))

    @contextmanager
    def fresh() -> Iterator[str]:
        place = Path(tempfile.mkdtemp(dir=folder))
        yield f"sqlite:///{place / 'incidentd.db'}"
        shutil.rmtree(place)

    try:
        yield fresh
    finally:
        shutil.rmtree(folder)


@contextmanager
def postgresql() -> Iterator[Fresh]:
    """Databases of one cluster, with fsync. None pays for what the one before it left to be written to disk."""
    server = PostgresServer(durable=True)

    @contextmanager
    def fresh() -> Iterator[str]:
        with server.database() as url:
            engine = sa.create_engine(url)
            with engine.connect() as connection:
                connection.exec_driver_sql("CHECKPOINT")
            engine.dispose()
            yield url

    try:
        server.create()
        yield fresh
    finally:
        server.remove()


def size(url: str) -> int:
    """Bytes that the tables and indexes of a database take, the write-ahead log left out."""
    engine = sa.create_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return Path(str(sa.make_url(url).database)).stat().st_size
        with engine.connect() as connection:
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    finally:
        engine.dispose()
