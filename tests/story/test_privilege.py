"""What docs/security.md grants is enough to serve and to work, and too little to change the schema."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from incidentd.incident.command import Acknowledge
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from tests.lifecycle.bench import MINUTE, alert, open_bench

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
ROLE = "incidentd_run"


@pytest.fixture
def restricted_url(postgres_url: str) -> Iterator[str]:
    """The database of a role that has only what the page grants."""
    (block,) = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    owner = open_engine(postgres_url)
    migrate(owner)
    with owner.begin() as connection:
        connection.exec_driver_sql(block)
    try:
        yield postgres_url.replace("//postgres@", f"//{ROLE}@")
    finally:
        with owner.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")
        owner.dispose()


def test_the_role_of_the_page_takes_alerts_pages_climbs_and_answers(restricted_url: str) -> None:
    with open_bench(restricted_url) as bench:
        bench.hear(alert())
        bench.settle()
        bench.clock.advance(6 * MINUTE)
        bench.settle()
        assert bench.incident().level == 2
        assert bench.act(Acknowledge("ann")).changed
        bench.settle()
        assert bench.sandbox.pagerduty.alerts
        bench.runtime.beat()
        assert bench.runtime.is_storing()


def test_the_role_of_the_page_can_not_change_the_schema(restricted_url: str) -> None:
    engine = open_engine(restricted_url)
    for statement in ("CREATE TABLE theirs (x int)", "DROP TABLE entries", "TRUNCATE entries"):
        with pytest.raises(sa.exc.ProgrammingError), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()
