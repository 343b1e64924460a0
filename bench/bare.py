"""The yardstick: one ``async def`` FastAPI endpoint that parses a notification and commits one row.

``python -m bench.bare <port> <database url>``. The same server with the same settings, the same body, checked by
pydantic, and the same engine, so the same durability.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import AwareDatetime, BaseModel

from bench.notification import PATH
from incidentd.process.heap import settle
from incidentd.store.engine import open_engine
from incidentd.web import server

Insert = Callable[[dict[str, Any]], object]

METADATA = sa.MetaData()
BARE = sa.Table(
    "bare",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("received_at", sa.Text),
    sa.Column("receiver", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("group_key", sa.Text),
    sa.Column("alerts", sa.Integer),
)


class Alert(BaseModel):
    """An alert of a notification."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: AwareDatetime  # noqa: N815 (as Alertmanager calls it)
    endsAt: AwareDatetime  # noqa: N815
    generatorURL: str  # noqa: N815
    fingerprint: str


class Notification(BaseModel):
    """Alertmanager's body."""

    receiver: str
    status: str
    groupKey: str  # noqa: N815
    truncatedAlerts: int  # noqa: N815
    groupLabels: dict[str, str]  # noqa: N815
    commonLabels: dict[str, str]  # noqa: N815
    alerts: list[Alert]


def create_app(insert: Insert) -> FastAPI:
    """The endpoint, and nothing else."""
    app = FastAPI()

    @app.post(PATH)
    async def take(notification: Notification) -> dict[str, str]:
        row = {
            "received_at": datetime.now(UTC).isoformat(),
            "receiver": notification.receiver,
            "status": notification.status,
            "group_key": notification.groupKey,
            "alerts": len(notification.alerts),
        }
        insert(row)
        return {"status": "stored"}

    return app


def open_table(url: str) -> Insert:
    """A function that commits one row."""
    engine = open_engine(url)
    METADATA.create_all(engine)
    statement = sa.insert(BARE)

    def insert(row: dict[str, Any]) -> None:
        with engine.begin() as connection:
            connection.execute(statement, row)

    return insert


if __name__ == "__main__":
    settle()
    server.serve(create_app(open_table(sys.argv[2])), server.bind("127.0.0.1", int(sys.argv[1])))
