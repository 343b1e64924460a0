"""A migrated, empty database for each test that asks, on SQLite and on PostgreSQL: the same promises on both."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import migrate
from tests.servers import PostgresServer

SQLITE, POSTGRESQL = "sqlite", "postgresql"


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database of this test's own, as a SQLAlchemy URL; the test runs once on each kind."""
    if request.param == SQLITE:
        blueprint: Path = request.getfixturevalue("sqlite_blueprint")
        path: Path = request.getfixturevalue("tmp_path") / "incidentd.db"
        shutil.copy(blueprint, path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"store_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgres_blueprint')}")
    yield _address(server, name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table, once on each kind."""
    if request.param == SQLITE:
        return f"sqlite:///{tmp_path}/empty.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """The store on that database."""
    with closing(Store(open_engine(database_url))) as opened:
        yield opened


@pytest.fixture
def open_store(database_url: str) -> Iterator[Callable[[], Store]]:
    """Further stores on the same database, as other processes would have them."""
    opened: list[Store] = []

    def another() -> Store:
        opened.append(Store(open_engine(database_url)))
        return opened[-1]

    yield another
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def sqlite_blueprint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied: migrating anew takes longer than most tests."""
    path = tmp_path_factory.mktemp("blueprint") / "incidentd.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    with engine.connect() as connection:
        connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_blueprint(postgres_server: PostgresServer) -> str:
    """The name of a migrated PostgreSQL database, to be copied."""
    name = f"blueprint_{uuid.uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    engine = open_engine(_address(postgres_server, name))
    migrate(engine)
    engine.dispose()
    return name


def _address(server: PostgresServer, name: str) -> str:
    return f"postgresql+psycopg://postgres@127.0.0.1:{server.port}/{name}"
