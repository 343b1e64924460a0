"""Open incidents that are there before anything is measured, made by incidentd itself and told already."""

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from bench.notification import distinct, fresh, notification
from incidentd.clock import ManualClock, SystemClock
from incidentd.incident.slot import PAGE
from incidentd.intake import parse
from incidentd.lifecycle.work import Webhook
from incidentd.runtime import Runtime
from incidentd.settings import load_settings
from incidentd.store.engine import Store, open_engine
from incidentd.store.migrate import migrate
from incidentd.store.tables import CURSORS, INCIDENTS

RULES = Path(__file__).parents[1] / "rules"
_TOGETHER = 500


def fill(url: str, how_many: int, since: datetime | None = None) -> None:
    """So many open P2 incidents, opened now or ``since`` then, whose time comes an hour after that."""
    open_at(url, [since or SystemClock().now()] * how_many, "warning")


def open_at(url: str, instants: Sequence[datetime], severity: str) -> list[int]:
    """One incident opened at each of the instants, in their order; returns the numbers of their alerts."""
    engine = open_engine(url)
    migrate(engine)
    environ = {"INCIDENTD_DATABASE_URL": url, "INCIDENTD_RULES": str(RULES)}
    clock = ManualClock(instants[0])
    runtime = Runtime(load_settings(environ, None), environ, clock)
    numbers = fresh(len(instants))
    try:
        for start in range(0, len(instants), _TOGETHER):
            chunk = list(zip(numbers, instants, strict=True))[start : start + _TOGETHER]
            _open(runtime, clock, chunk, severity)
    finally:
        runtime.close()
    level(Store(engine))
    _tidy(engine)
    engine.dispose()
    return numbers


def level(store: Store) -> None:
    """All that is to be told counts as told and accepted, at once."""
    paged = {"sent": '"trigger"', "tier": '"P1"'}
    posted = {"channel": '"C0000001"', "ts": '"1760000000.000100"', "posted": '"1"', "replied": '"1"'}
    news = sa.select(INCIDENTS.c.news).where(INCIDENTS.c.id == CURSORS.c.incident_id).scalar_subquery()
    now = SystemClock().now()
    for is_page, reference in ((True, paged), (False, posted)):
        text = "{" + ",".join(f'"{name}":{value}' for name, value in reference.items()) + "}"
        which = CURSORS.c.queue == PAGE if is_page else CURSORS.c.queue != PAGE
        told = sa.update(CURSORS).where(which, CURSORS.c.due_at.is_not(None))
        values = {"due_at": None, "behind_since": None, "token": "", "told": news, "accepted_at": now}
        with store.engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL statement_timeout = 0")) if _is_postgres(store) else None
            connection.execute(told.values(reference=text, **values))


def _tidy(engine: sa.Engine) -> None:
    """What PostgreSQL does by itself within minutes of so many changes is not to happen in the middle of a round."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")


def _is_postgres(store: Store) -> bool:
    return store.engine.dialect.name == "postgresql"


def _open(runtime: Runtime, clock: ManualClock, chunk: Sequence[tuple[int, datetime]], severity: str) -> None:
    """Those of one instant together."""
    by_instant: dict[datetime, list[int]] = {}
    for number, at in chunk:
        by_instant.setdefault(at, []).append(number)
    for at, numbers in by_instant.items():
        clock.jump(at - clock.now() if at != clock.now() else timedelta())
        alerts, _ = parse(notification(distinct(numbers, severity)), at)
        stored: Future[bool] = runtime.submit_webhook(Webhook(alerts, "bench"))
        stored.result(60)
