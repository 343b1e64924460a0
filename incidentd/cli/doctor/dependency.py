"""The database, its schema and its clock, and Redis."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import redis

from incidentd.cli.doctor.configuration import is_loopback
from incidentd.cli.doctor.finding import Finding, fault, ok, warning
from incidentd.cli.doctor.patient import Patient
from incidentd.cli.doctor.unreachable import why
from incidentd.clock import Clock, SystemClock
from incidentd.errors import SchemaError, StoreError
from incidentd.process.private_redis import find_redis_server
from incidentd.store.engine import Store
from incidentd.store.migrate import check, refuse_damaged
from incidentd.store.survey import open_reader, sqlite_file, survey

_SECONDS = 3.0
_OLDEST_REDIS = (6, 2)
_A_LITTLE = timedelta(seconds=1)
_TOO_MUCH = timedelta(seconds=30)
_WATCHED_SECONDS = 0.5
_ERRING = timedelta(milliseconds=100)


def database(patient: Patient) -> Iterator[Finding]:
    """Whether the database is there, is ours, could be written, and goes by the same clock."""
    url = patient.database_url
    if url is None:
        return
    file = sqlite_file(url)
    if file and not file.exists():
        yield warning("database", f"{file} doesn't exist yet", "start `incidentd up`, or `incidentd migrate`")
        return
    with closing(Store(open_reader(url))) as store:
        try:
            refuse_damaged(store.engine)
        except SchemaError as error:
            yield fault("database", str(error), "stop everything and restore a backup: docs/operating.md")
            return
        except StoreError:
            pass  # said below, with what can be done about it
        try:
            found = survey(store.engine, SystemClock())
            if found.refusal:
                yield fault("database", f"{found.product}: {found.refusal}", _writable(file is not None))
            else:
                yield ok("database", f"{found.product}, can be read and written")
            if found.forgets:
                yield fault("database", found.forgets, "set fsync = on in postgresql.conf, and restart the server")
            if found.ahead is not None:
                yield clock_of("the database's", found.ahead)
            yield from _schema(store)
        except (StoreError, SchemaError) as error:
            known = why(error)
            yield fault("database", f"{error}{f': {known}' if known else ''}", _reachable(file is not None))


def _schema(store: Store) -> Iterator[Finding]:
    try:
        check(store.engine)
        yield ok("schema", "this version works on it")
    except SchemaError as error:
        mend = "run `incidentd migrate` with the newest version that is installed anywhere; look at the address too"
        yield fault("schema", str(error), mend)


def _writable(is_file: bool) -> str:
    if is_file:
        return "run as the user that incidentd runs as, or give that user the file and its folder (chown)"
    return "point INCIDENTD_DATABASE_URL at the primary server, and at a role that owns the tables"


def _reachable(is_file: bool) -> str:
    if is_file:
        return "look at the file and its folder: path, owner, disk; a damaged one is replaced by a backup"
    return "look at INCIDENTD_DATABASE_URL: host, port, password, and whether the server runs and lets this machine in"


def clock_of(whose: str, ahead: timedelta) -> Finding:
    """How far another clock is before this machine's."""
    says = f"{whose} is {abs(ahead).total_seconds():.1f} s {'ahead of' if ahead > timedelta(0) else 'behind'} ours"
    mend = "run NTP (chrony, systemd-timesyncd) on both machines"
    if abs(ahead) > _TOO_MUCH:
        return fault("clock", says, mend)
    return warning("clock", says, mend) if abs(ahead) > _A_LITTLE else ok("clock", says)


def clock(_patient: Patient) -> Iterator[Finding]:
    """Whether this machine's clocks go on together."""
    yield watched(SystemClock(), _WATCHED_SECONDS)


def watched(own: Clock, seconds: float) -> Finding:
    """Whether the wall clock keeps step with the monotonic one for so long."""
    wall, steady = own.now(), own.monotonic()
    time.sleep(seconds)
    passed, truly = own.now() - wall, timedelta(seconds=own.monotonic() - steady)
    if truly <= timedelta(0):
        return fault("clock", "this machine's monotonic clock stands still or goes back", "look at its kernel, or VM")
    if abs(passed - truly) > _ERRING:
        says = f"this machine's clock was set by {(passed - truly).total_seconds():+.2f} s just now"
        return warning("clock", says, "let one NTP program alone set it, and slew rather than step")
    return ok("clock", "this machine's goes on evenly")


def redis_server(patient: Patient) -> Iterator[Finding]:
    """Whether Redis answers, takes writes, and throws nothing away."""
    if patient.is_wrong("INCIDENTD_REDIS_URL"):
        return
    url = patient.settings.redis_url or _private(patient)
    if url is None:
        yield _without()
        return
    try:
        with redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS) as client:
            yield from _redis(client.info())
        yield from _open(url)
    except redis.AuthenticationError:
        yield fault("Redis", "it refuses the password", "correct the password in INCIDENTD_REDIS_URL")
    except (redis.RedisError, OSError, ValueError) as error:
        mend = "look at INCIDENTD_REDIS_URL, and whether the server runs; meanwhile the timekeeper does the work itself"
        yield fault("Redis", f"it can't be reached: {why(error) or type(error).__name__}", mend)


def _open(url: str) -> Iterator[Finding]:
    host = urlsplit(url).hostname
    if host and not is_loopback(host) and not urlsplit(url).password:
        mend = "set a password (requirepass, ACL), or close the network: who can write to Redis can hold wake-ups back"
        yield warning("Redis", "it asks for no password", mend)


def _private(patient: Patient) -> str | None:
    """The socket of the server that `up` runs, while it does."""
    path = patient.state / "redis" / "redis.sock"
    return f"unix://{path.resolve()}?db=0" if path.is_socket() else None


def _without() -> Finding:
    if find_redis_server():
        return ok("Redis", "INCIDENTD_REDIS_URL is not set: `incidentd up` runs a server of its own")
    says = "INCIDENTD_REDIS_URL is not set, and no redis-server is installed: the timekeeper does the work, more slowly"
    return warning("Redis", says, "install redis-server 6.2 or newer, or set INCIDENTD_REDIS_URL")


def _redis(info: dict[str, Any]) -> Iterator[Finding]:
    version = str(info.get("redis_version", ""))
    faults = list(_redis_faults(info, version))
    yield from faults
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        says = f"its maxmemory-policy is {policy}: short of memory it throws wake-ups away, and they come seconds late"
        yield warning("Redis", says, "set maxmemory-policy noeviction")
    if not faults:
        kept = "keeps its data" if info.get("aof_enabled") else "may lose its data, which is found again"
        yield ok("Redis", f"version {version}, {kept}")


def _redis_faults(info: dict[str, Any], version: str) -> Iterator[Finding]:
    parts = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    if tuple(parts) < _OLDEST_REDIS:
        yield fault("Redis", f"version {version or 'unknown'} is too old", "run Redis 6.2 or newer")
    if info.get("role", "master") != "master":
        yield fault("Redis", "it is a replica, which takes no writes", "point INCIDENTD_REDIS_URL at the primary")
    if info.get("cluster_enabled"):
        yield fault("Redis", "it is a Redis Cluster", "use a single server, or a managed one without cluster mode")
    if info.get("rdb_last_bgsave_status", "ok") != "ok" or info.get("aof_last_write_status", "ok") != "ok":
        mend = 'look at its disk and its log; incidentd needs no persistence: `save ""` and appendonly no will do'
        yield fault("Redis", "it could not save its data, and may refuse writes until it can", mend)
