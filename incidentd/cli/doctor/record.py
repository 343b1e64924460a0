"""What the database knows of heartbeats, and of when it was last pruned and backed up."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

from incidentd.cli.doctor.finding import Finding, ok, warning
from incidentd.cli.doctor.patient import Patient
from incidentd.clock import SystemClock
from incidentd.errors import SchemaError, StoreError
from incidentd.store import heartbeats, pings
from incidentd.store.engine import Store
from incidentd.store.heartbeats import Heartbeat
from incidentd.store.migrate import check
from incidentd.store.survey import open_reader, sqlite_file

_LATE = timedelta(days=2)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


def records(patient: Patient) -> Iterator[Finding]:
    """Nothing where the database can't be asked: another check says why."""
    url = patient.database_url
    file = url and sqlite_file(url)
    if url is None or (file and not file.exists()):
        return
    with closing(Store(open_reader(url))) as store:
        try:
            check(store.engine)
            rows = store.read(heartbeats.all_of_them)
            pruned, backed_up = store.read(lambda tx: (pings.last(tx, pings.PRUNING), pings.last(tx, pings.BACKUP)))
        except (StoreError, SchemaError):
            return
    now = SystemClock().now()
    yield from _heartbeats(patient, {row.name: row for row in rows}, now)
    yield _pruning(patient, pruned, now)
    yield _backup(backed_up, now)


def _heartbeats(patient: Patient, rows: dict[str, Heartbeat], now: datetime) -> Iterator[Finding]:
    expected = patient.rules.heartbeats if patient.rules else {}
    silent = [_silent(name, rows.get(name), now) for name in expected]
    yield from filter(None, silent)
    if expected and not any(silent):
        yield ok("heartbeats", f"all {len(expected)} that are expected are heard: {', '.join(expected)}")


def _silent(name: str, row: Heartbeat | None, now: datetime) -> Finding | None:
    mend = f"see that {name} reports, and to this incidentd: docs/rules.md, under Heartbeats"
    if row is None:
        return warning(
            "heartbeats", f"{name} is in the rules folder, and no timekeeper expects it yet", "reload the rules"
        )
    if row.heard_at is None:
        return warning("heartbeats", f"{name} was never heard", mend)
    if row.missing_since:
        return warning("heartbeats", f"{name} was heard last {_age(now - row.heard_at)} ago", mend)
    return None


def _pruning(patient: Patient, at: datetime | None, now: datetime) -> Finding:
    is_daily = patient.settings.prune == "daily"
    if at and now - at < _LATE:
        return ok("pruning", f"its last turn was {_age(now - at)} ago")
    if not is_daily:
        return ok("pruning", "INCIDENTD_PRUNE is off: what is over stays until `incidentd prune`")
    says = f"its last turn was {_age(now - at)} ago" if at else "it never had a turn yet"
    return warning(
        "pruning", says, "a timekeeper takes it within a minute of its start: see that `incidentd worker` runs"
    )


def _backup(at: datetime | None, now: datetime) -> Finding:
    if at is None:
        mend = "run `incidentd backup FILE` each night; other ways of copying, such as the database's own, are not seen"
        return ok("backup", f"none was made with `incidentd backup`; {mend}")
    return ok("backup", f"the last one with `incidentd backup` was made {_age(now - at)} ago")


def _age(passed: timedelta) -> str:
    if passed >= 2 * _DAY:
        return f"{passed // _DAY} days"
    if passed >= 2 * _HOUR:
        return f"{passed // _HOUR} hours"
    return f"{max(0, passed // timedelta(minutes=1))} minutes"
