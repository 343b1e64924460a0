"""``python -m tests.fault.racing <instant> <gate>``: one of several processes that tick all incidents, once each.

Settings come from the environment. It says ``ready``, and begins when the file ``gate`` is there.
"""

import os
import sys
import time
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from incidentd.clock import ManualClock
from incidentd.runtime import Runtime
from incidentd.settings import load_settings
from incidentd.store import engine
from incidentd.store.tables import INCIDENTS


def main(instant: str, gate: str) -> None:
    """Tick whatever there is."""
    environ = dict(os.environ)
    # Each has hundreds of incidents in one transaction, and four take turns: on a busy machine that takes its time.
    engine.STATEMENT_SECONDS *= 10
    engine.BUSY_SECONDS *= 10
    runtime = Runtime(load_settings(environ, None), environ, ManualClock(datetime.fromisoformat(instant)))
    ids = runtime.store.read(lambda tx: list(tx.scalars(sa.select(INCIDENTS.c.id))))
    print("ready", flush=True)  # noqa: T201
    while not Path(gate).exists():
        time.sleep(0.001)
    runtime.tick(ids)
    runtime.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
