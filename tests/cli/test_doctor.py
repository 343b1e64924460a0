"""`incidentd doctor`: each thing that is wrong is found and named, with how to mend it; nothing is changed or told."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

from incidentd.classify import load
from incidentd.cli.doctor.dependency import clock_of, watched
from incidentd.cli.doctor.finding import Check, Finding, Grade, ok
from incidentd.cli.doctor.patient import patient
from incidentd.cli.doctor.run import checks, examine, show, to_json
from incidentd.cli.doctor.trying import note
from incidentd.cli.sandbox_set_up import remember
from incidentd.cli.stand_in import stand_ins
from incidentd.cli.state import held
from incidentd.clock import ManualClock
from incidentd.process.spool import Spool
from incidentd.sandbox.fault import FaultKind, InjectedFault
from incidentd.sandbox.server import SandboxServer
from incidentd.store import heartbeats
from incidentd.store.engine import Store, open_engine
from incidentd.store.heartbeats import Heartbeat
from tests import canary
from tests.channels.receiver import Receiver, Request, answer
from tests.e2e.up import command
from tests.lifecycle.bench import KEYS, RULES, environment
from tests.lifecycle.table import copy_rules
from tests.servers import PostgresServer, RedisServer, free_port
from tests.store.database import sqlite_blueprint
from tests.store.test_migrate import damage

__all__ = ["sqlite_blueprint"]

SECONDS = 60.0
REAL = ("INCIDENTD_SLACK", "INCIDENTD_PAGERDUTY")
OK, WARNING, FAULT = Grade.OK, Grade.WARNING, Grade.FAULT


@dataclass
class Ward:
    """A sound installation on SQLite and a sandbox, that a test makes ill."""

    state: Path
    sandbox: SandboxServer
    environ: dict[str, str]
    found: list[Finding] = field(default_factory=list)

    def examine(self, **changes: str | None) -> list[Finding]:
        """What is found with these settings changed; None: unset."""
        changed = self.environ | changes
        environ = {name: value for name, value in changed.items() if value is not None}
        self.found = examine(checks(patient(environ, self.state)), SECONDS)
        return self.found

    def expect(self, about: str, grade: Grade, says: str) -> None:
        """There is such a finding; what is wrong says how to mend it. ``says`` may be a pattern."""
        found = [each for each in self.found if (each.about, each.grade) == (about, grade)]
        same = [each for each in found if says in each.says or re.search(says, each.says)]
        assert same, "\n".join(f"{each.grade} {each.about}: {each.says}" for each in self.found)
        assert grade is OK or all(each.mend for each in same)

    @property
    def database(self) -> Path:
        return self.state / "incidentd.db"


@pytest.fixture
def ward(tmp_path: Path, sqlite_blueprint: Path) -> Iterator[Ward]:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    shutil.copy(sqlite_blueprint, state / "incidentd.db")
    with SandboxServer() as sandbox:
        environ = environment(f"sqlite:///{state}/incidentd.db", sandbox)
        del environ["INCIDENTD_PUBLIC_URL"]
        environ["INCIDENTD_LISTEN"] = f"127.0.0.1:{free_port()}"
        yield Ward(state, sandbox, environ)


def faults(found: list[Finding]) -> list[str]:
    return [f"{each.about}: {each.says}" for each in found if each.grade is FAULT]


def test_what_is_sound_has_no_fault_and_says_what_was_looked_at(ward: Ward) -> None:
    assert faults(ward.examine()) == []
    about = {each.about for each in ward.found}
    assert about == {
        "settings", "rules", "disk", "database", "schema", "clock", "Redis", "public address", "instance",
        "destinations", "levels", "Slack", "PagerDuty", "Alertmanager", "sources", "spool", "pruning", "backup",
    }  # fmt: skip
    ward.expect("levels", OK, "P0 (default, astudio, internal): somebody is reached by level 1, level 2 and level 3")
    ward.expect("Slack", OK, "the token is of incidentd in Sandbox")


def test_nobody_is_told_and_nothing_is_written(ward: Ward) -> None:
    before = ward.database.read_bytes()
    ward.examine()
    assert ward.sandbox.pagerduty.events == ()
    assert ward.sandbox.slack.messages() == []
    assert {each.method for each in ward.sandbox.slack.requests} == {"auth.test", "conversations.list"}
    assert ward.database.read_bytes() == before
    assert {each.name for each in ward.state.iterdir()} <= {"incidentd.db", "incidentd.db-wal", "incidentd.db-shm"}


def test_an_empty_folder_stays_empty(ward: Ward, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    ward.state = empty
    ward.examine(INCIDENTD_DATABASE_URL=None, INCIDENTD_WEBHOOK_TOKEN=None)
    ward.expect("database", WARNING, "doesn't exist yet")
    ward.expect("settings", FAULT, "neither INCIDENTD_WEBHOOK_TOKEN nor INCIDENTD_WEBHOOK_TOKENS is set")
    assert not empty.exists()


ILL: dict[str, tuple[Mapping[str, str | None], str, Grade, str]] = {
    "misspelt": ({"INCIDENTD_REDIS_ULR": "x"}, "settings", FAULT, "did you mean INCIDENTD_REDIS_URL?"),
    "weak": ({"INCIDENTD_API_TOKEN": "short"}, "settings", FAULT, "INCIDENTD_API_TOKEN is shorter than"),
    "no signing secret": ({"INCIDENTD_SLACK_SIGNING_SECRET": None}, "settings", FAULT, "no button in Slack"),
    "unreadable": ({"INCIDENTD_API_TOKEN": None, "INCIDENTD_API_TOKEN_FILE": "/n/a"}, "settings", FAULT, "can't be"),
    "no rules": ({"INCIDENTD_RULES": "/nowhere"}, "rules", FAULT, ""),
    "own address": ({"INCIDENTD_PUBLIC_URL": "http://localhost:8080"}, "public address", FAULT, "their own machine"),
    "no name": ({"INCIDENTD_PUBLIC_URL": "https://nowhere.invalid"}, "public address", FAULT, "no such name"),
    "no address": ({}, "public address", WARNING, "which only this machine can open"),
    "database away": (
        {"INCIDENTD_DATABASE_URL": f"postgresql://u:hidden-hidden-hidden@127.0.0.1:{free_port()}/x"},
        "database", FAULT, "can't be used now.*: the connection was refused: nothing listens there",
    ),
    "database unknown": (
        {"INCIDENTD_DATABASE_URL": "postgresql://nowhere.invalid/x"},
        "database", FAULT, "can't be used now.*: no such name is known here",
    ),
    "Redis away": (
        {"INCIDENTD_REDIS_URL": f"redis://127.0.0.1:{free_port()}"},
        "Redis", FAULT, "can't be reached: the connection was refused",
    ),
    "Redis unknown": (
        {"INCIDENTD_REDIS_URL": "redis://nowhere.invalid"}, "Redis", FAULT, "can't be reached: no such name is known",
    ),
    "PagerDuty away": (
        {"INCIDENTD_PAGERDUTY_EVENTS_URL": f"https://127.0.0.1:{free_port()}"},
        "PagerDuty", FAULT, "can't be reached",
    ),
    "Slack away": ({"INCIDENTD_SLACK_API_URL": f"http://127.0.0.1:{free_port()}"}, "Slack", FAULT, "was refused"),
    "no key": (
        {"INCIDENTD_PAGERDUTY_ROUTING_KEY": None, "INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER": None},
        "levels", FAULT, "P1 (default, astudio, internal): nobody is woken by level 1 and level 2, only told",
    ),
    "no Slack": (
        {"INCIDENTD_SLACK_BOT_TOKEN": None},
        "levels", FAULT, "P2 (default, chat-backend, astudio, internal): nobody is reached by",
    ),
    "PagerDuty unheard": (
        {"INCIDENTD_PAGERDUTY_WEBHOOK_SECRET": None}, "PagerDuty", WARNING, "who answers there is not heard",
    ),
    "PagerDuty mute": (
        {"INCIDENTD_PAGERDUTY_API_TOKEN": "a-token-of-the-test", "INCIDENTD_PAGERDUTY_API_URL": "http://127.0.0.1:9"},
        "PagerDuty", WARNING, "it doesn't tell who answers",
    ),
    "malformed key": (
        {"INCIDENTD_PAGERDUTY_ROUTING_KEY": "u+this-is-an-api-key-0"}, "destinations", FAULT, "has not the form of one",
    ),
    "shared key": (
        {"INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER": None}, "rules", WARNING, "with one routing key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ILL)
def test_what_is_wrong_is_named_with_how_to_mend_it(ward: Ward, name: str) -> None:
    changes, about, grade, says = ILL[name]
    ward.examine(**changes)
    ward.expect(about, grade, says)
    if about != "settings":
        assert not [each for each in ward.found if each.about == "settings" and each.grade is FAULT]


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("missing_scope", "connections:write"),
        ("not_allowed_token_type", "xapp-"),
        ("invalid_auth", "xapp-"),
        ("access_denied", "docs/troubleshooting.md"),
    ],
)
def test_an_app_token_that_slack_refuses_is_named_with_how_to_mend_it(ward: Ward, error: str, mend: str) -> None:
    fault = InjectedFault("slack", FaultKind.ERROR, method="apps.connections.open", error=error)
    ward.sandbox.faults.inject(fault)
    ward.examine(INCIDENTD_SLACK_APP_TOKEN=canary.of("INCIDENTD_SLACK_APP_TOKEN"))
    ward.expect("Slack's Socket Mode", FAULT, f"Slack refused: {error}")
    assert [mend in each.mend for each in ward.found if each.about == "Slack's Socket Mode"] == [True]


def test_a_sound_app_token_stands_in_for_the_signing_secret_and_opens_no_connection(ward: Ward) -> None:
    ward.examine(INCIDENTD_SLACK_APP_TOKEN=canary.of("INCIDENTD_SLACK_APP_TOKEN"), INCIDENTD_SLACK_SIGNING_SECRET=None)
    ward.expect("Slack's Socket Mode", OK, "Slack takes the app-level token")
    assert faults(ward.found) == []
    assert ward.sandbox.slack.sockets.opened == 0


@pytest.mark.parametrize(("mode", "grade"), [(0o600, OK), (0o640, OK), (0o644, WARNING), (0o666, FAULT)])
def test_a_secret_that_other_users_may_read_or_change_is_named(ward: Ward, mode: int, grade: Grade) -> None:
    path = ward.state / "api-token"
    path.write_text("api-clients-own-0123456789\n", "utf-8")
    path.chmod(mode)
    ward.examine(INCIDENTD_API_TOKEN=None)
    ward.expect("files", grade, "1 file that holds a secret is closed" if grade is OK else str(path))


def test_a_folder_that_everybody_may_write_in_is_a_fault(ward: Ward) -> None:
    ward.state.chmod(0o777)
    ward.examine()
    ward.expect("disk", FAULT, "every user of this machine may write in")


@pytest.mark.parametrize(("mode", "grade"), [(0o600, OK), (0o640, OK), (0o644, WARNING), (0o666, FAULT)])
def test_a_database_that_other_users_may_read_or_change_is_named(ward: Ward, mode: int, grade: Grade) -> None:
    ward.database.chmod(mode)
    ward.state.chmod(0o755)
    ward.examine()
    said = [each.grade for each in ward.found if each.about == "files" and "the database" in each.says]
    assert said == ([] if grade is OK else [grade])
    ward.state.chmod(0o700)
    ward.examine()
    assert not any("the database" in each.says for each in ward.found if each.about == "files")


@pytest.mark.parametrize("place", [".", "destinations.yaml"])
def test_rules_that_everybody_may_change_are_a_fault(ward: Ward, tmp_path: Path, place: str) -> None:
    folder = copy_rules(tmp_path)
    folder.chmod(0o755)
    (folder / "destinations.yaml").chmod(0o644)
    ward.examine(INCIDENTD_RULES=str(folder))
    assert not any("may change" in each.says for each in ward.found)
    (folder / place).chmod(0o777)
    ward.examine(INCIDENTD_RULES=str(folder))
    ward.expect("rules", FAULT, "every user of this machine may change .*, and so who is paged")


@pytest.mark.parametrize(("name", "about"), [("INCIDENTD_REDIS_URL", "Redis"), ("INCIDENTD_DATABASE_URL", "database")])
def test_an_address_that_is_none_is_said_once(ward: Ward, name: str, about: str) -> None:
    ward.examine(**{name: "junk://x"})
    ward.expect("settings", FAULT, f"{name} is not a")
    assert not any(each.about == about for each in ward.found)


def test_of_an_address_that_is_none_no_other_database_is_looked_at(
    ward: Ward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default is a file in the folder where the command is given."""
    (tmp_path / "var").mkdir()
    shutil.copy(ward.database, tmp_path / "var" / "incidentd.db")
    monkeypatch.chdir(tmp_path)
    ward.environ["INCIDENTD_RULES"] = str(RULES)
    ward.examine(INCIDENTD_DATABASE_URL=None)
    assert {"pruning", "backup", "database"} <= {each.about for each in ward.found}
    ward.examine(INCIDENTD_DATABASE_URL="junk://x")
    assert not {"pruning", "backup", "database"} & {each.about for each in ward.found}
    assert [str(ward.state) in each.says for each in ward.found if each.about == "disk"] == [True]


def test_a_redis_that_was_not_reached_is_not_said_to_ask_for_no_password(ward: Ward) -> None:
    ward.examine(INCIDENTD_REDIS_URL="redis://nowhere.invalid")
    assert [each.grade for each in ward.found if each.about == "Redis"] == [FAULT]


def test_before_the_first_start_it_says_that_nothing_was_started(ward: Ward, tmp_path: Path) -> None:
    def said() -> str:
        found = ward.examine(INCIDENTD_DATABASE_URL=None)
        without = {name: value for name, value in ward.environ.items() if name != "INCIDENTD_DATABASE_URL"}
        return note(patient(without, ward.state), found)

    ward.state = tmp_path / "none"
    assert said().startswith(f"Nothing was started on {ward.state} yet.")
    ward.state.mkdir()
    assert said() == ""


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "older schema"),
        ("UPDATE alembic_version SET version_num = '9999'; DELETE FROM compatibility", "newer version"),
        ("DROP TABLE alembic_version", "not incidentd's"),
        ("DELETE FROM alembic_version", "the database is empty"),
    ],
)
def test_a_schema_that_is_not_this_versions_is_a_fault(ward: Ward, statement: str, says: str) -> None:
    engine = open_engine(ward.environ["INCIDENTD_DATABASE_URL"])
    with engine.begin() as connection:
        for each in statement.split("; "):
            connection.execute(sa.text(each))
    engine.dispose()
    ward.examine()
    ward.expect("schema", FAULT, says)


def test_a_file_that_is_no_database_is_a_fault(ward: Ward) -> None:
    ward.database.write_bytes(b"this is no database" * 500)
    ward.examine()
    ward.expect("database", FAULT, "damaged or is no database")
    assert [each.grade for each in ward.found if each.about in ("database", "schema")] == [FAULT]


def test_a_file_that_is_damaged_is_a_fault_and_nothing_else_is_said_of_it(ward: Ward) -> None:
    damage(ward.database, "torn page")
    ward.examine()
    ward.expect("database", FAULT, "damaged")
    assert [each.grade for each in ward.found if each.about in ("database", "schema")] == [FAULT]


def test_a_postgresql_that_forgets_at_a_power_loss_is_a_fault(ward: Ward, postgres_url: str) -> None:
    ward.examine(INCIDENTD_DATABASE_URL=postgres_url)
    ward.expect("database", FAULT, "fsync is off")
    durable = PostgresServer(durable=True)
    try:
        with durable.create().database() as url:
            ward.examine(INCIDENTD_DATABASE_URL=url)
    finally:
        durable.remove()
    assert not any("fsync" in each.says for each in ward.found)


def test_a_role_that_may_not_write_is_a_fault_and_the_servers_clock_is_compared(
    ward: Ward, postgres_server: PostgresServer, postgres_url: str
) -> None:
    assert (
        command("migrate", cwd=ward.state, **(ward.environ | {"INCIDENTD_DATABASE_URL": postgres_url})).returncode == 0
    )
    ward.examine(INCIDENTD_DATABASE_URL=postgres_url)
    ward.expect("database", OK, "can be read and written")
    ward.expect("clock", OK, r"the database's is 0\.\d s")
    engine = open_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE ROLE reader LOGIN"))
        connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
    try:
        ward.examine(INCIDENTD_DATABASE_URL=postgres_url.replace("postgres@", "reader@"))
        ward.expect("database", FAULT, "this user may not write the table")
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP OWNED BY reader; DROP ROLE reader"))
        engine.dispose()


def test_redis_that_throws_wake_ups_away_is_a_warning_and_one_that_takes_no_writes_a_fault(
    ward: Ward, redis_server: RedisServer
) -> None:
    ward.examine(INCIDENTD_REDIS_URL=redis_server.url)
    ward.expect("Redis", OK, "may lose its data, which is found again")
    with redis_server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.replicaof("127.0.0.1", str(free_port()))
    ward.examine(INCIDENTD_REDIS_URL=redis_server.url)
    ward.expect("Redis", WARNING, "maxmemory-policy is allkeys-lru")
    ward.expect("Redis", FAULT, "it is a replica")


def test_a_token_that_slack_refuses_is_a_fault(ward: Ward) -> None:
    ward.sandbox.faults.inject(InjectedFault("slack", FaultKind.ERROR, error="invalid_auth"))
    ward.examine()
    ward.expect("Slack", FAULT, "Slack refused: invalid_auth")


def test_a_rest_token_that_pagerduty_takes_is_said_to_be_taken(ward: Ward) -> None:
    url = ward.sandbox.pagerduty_api_url
    ward.examine(INCIDENTD_PAGERDUTY_API_TOKEN="a-token-of-the-test", INCIDENTD_PAGERDUTY_API_URL=url)
    ward.expect("PagerDuty", OK, "its REST API tells who answers")


def slack(scopes: str, channels: list[dict[str, Any]], date: str = "") -> Receiver:
    """A Slack that says this of itself."""

    def behave(receiver: Receiver, request: Request, sock: Any) -> bool:
        if request.path == "/auth.test":
            heads = {"x-oauth-scopes": scopes, **({"Date": date} if date else {})}
            return answer(200, {"ok": True, "user": "bot", "team": "Team"}, heads)(receiver, request, sock)
        return answer(200, {"ok": True, "channels": channels})(receiver, request, sock)

    return Receiver(behave)


def channel(name: str, **facts: bool) -> dict[str, Any]:
    return {"name": name, "is_member": True, "is_archived": False} | facts


def test_scopes_and_channels_are_compared_with_what_is_needed(ward: Ward) -> None:
    channels = [channel("incidents", is_member=False), channel("management", is_archived=True)]
    with slack("commands,channels:read", channels) as receiver:
        ward.examine(INCIDENTD_SLACK_API_URL=receiver.url)
    ward.expect("Slack", FAULT, "the scope chat:write is missing")
    ward.expect("Slack", WARNING, "the scope channels:history is missing")
    ward.expect("Slack", FAULT, "incidents posts to #incidents, where the bot is no member")
    ward.expect("Slack", FAULT, "management posts to #management, which is archived")
    ward.expect("Slack", WARNING, "tickets posts to #tickets, which the bot doesn't see")


def test_a_public_channel_needs_no_member_where_the_bot_may_post_anywhere(ward: Ward) -> None:
    scopes = "chat:write,chat:write.public,channels:read,channels:history"
    with slack(scopes, [channel(name, is_member=False) for name in ("incidents", "management", "tickets")]) as receiver:
        assert faults(ward.examine(INCIDENTD_SLACK_API_URL=receiver.url)) == []
    ward.expect("Slack", OK, "incidents posts to #incidents, by chat:write.public")


def test_a_clock_that_a_receiver_contradicts_is_told(ward: Ward) -> None:
    with slack("chat:write", [], date="Mon, 02 Jan 2006 15:04:05 GMT") as receiver:
        ward.examine(INCIDENTD_SLACK_API_URL=receiver.url)
    ward.expect("clock", FAULT, "Slack's is")


@pytest.mark.parametrize(("seconds", "grade"), [(0.2, OK), (-3, WARNING), (90, FAULT)])
def test_how_far_another_clock_is_off_decides_how_bad_it_is(seconds: float, grade: Grade) -> None:
    assert clock_of("the database's", timedelta(seconds=seconds)).grade is grade


class _Clock(ManualClock):
    """Goes on by a second at each look; the wall clock by ``wall`` seconds."""

    wall: float = 1.0

    def monotonic(self) -> float:
        self.advance(timedelta(seconds=1))
        self.jump(timedelta(seconds=self.wall - 1))
        return super().monotonic()


@pytest.mark.parametrize(("wall", "grade"), [(1.0, OK), (5.0, WARNING), (-2.0, WARNING)])
def test_a_clock_that_is_set_while_it_is_watched_is_told(wall: float, grade: Grade) -> None:
    clock = _Clock(datetime(2026, 1, 5, tzinfo=UTC))
    clock.wall = wall
    assert watched(clock, 0.0).grade is grade


def test_a_monotonic_clock_that_stands_still_is_a_fault() -> None:
    assert watched(ManualClock(), 0.0).grade is FAULT


def test_a_running_instance_tells_how_it_is(ward: Ward) -> None:
    def behave(receiver: Receiver, request: Request, sock: Any) -> bool:
        ill = {"status": "not delivering", "detail": "3 overdue: 3 were tried in vain at page-oncall"}
        status, body = (503, ill) if request.path == "/-/delivering" else (200, {})
        return answer(status, body)(receiver, request, sock)

    with Receiver(behave) as receiver:
        ward.examine(INCIDENTD_LISTEN=f"127.0.0.1:{receiver.port}")
    ward.expect("instance", OK, "/-/ready is well")
    ward.expect("instance", FAULT, "/-/delivering answers with 503: 3 overdue: 3 were tried in vain at page-oncall")
    (found,) = (each for each in ward.found if each.about == "instance" and each.grade is FAULT)
    assert found.mend.startswith("that receiver refuses, or can't be reached")


def test_what_only_the_sandbox_explains_is_said_to_be_expected_while_it_stands_in(ward: Ward) -> None:
    bare = {name: value for name, value in ward.environ.items() if not name.startswith(REAL)}
    remember(ward.state, bare, stand_ins(bare, load(RULES), bare["INCIDENTD_LISTEN"], ward.state)[0])
    ward.environ = bare
    assert note(patient(bare, ward.state), ward.examine()) == "", "no `up` runs"
    with held(ward.state):
        found = ward.examine()
        said = note(patient(bare, ward.state), found)
    deaf = [each for each in found if each.about == "levels" and each.grade is FAULT]
    assert said.startswith(f"{len(deaf)} faults and 2 warnings of these are to be expected: the sandbox stands in")
    assert said.endswith("run this until no fault is left.")
    assert json.loads(to_json(found, said))["note"] == said
    console = Console(file=StringIO(), soft_wrap=True)
    show(found, console, said)
    assert console.file.getvalue().endswith(f"\n{said}\n")  # type: ignore[attr-defined]


def test_what_the_sandbox_does_not_explain_is_not_called_expected(ward: Ward) -> None:
    """Real receivers are set: what is wrong with those is for somebody to mend."""
    remember(ward.state, {}, {})
    with held(ward.state):
        found = ward.examine(INCIDENTD_PAGERDUTY_ROUTING_KEY=None, INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER=None)
        assert any(each.grade is FAULT for each in found)
        assert note(patient(ward.environ, ward.state), found) == ""


def test_a_check_that_never_ends_and_one_that_breaks_are_faults_and_the_others_are_told() -> None:
    never = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield ok("slow", "began")
        never.wait(SECONDS)

    def breaks() -> Iterator[Finding]:
        raise ZeroDivisionError

    found = examine([Check("slow", hangs), Check("broken", breaks), Check("fine", lambda: [ok("fine", "is")])], 0.5)
    never.set()
    assert [(each.about, each.grade) for each in found] == [
        ("slow", OK),
        ("slow", FAULT),
        ("broken", FAULT),
        ("fine", OK),
    ]


def doctor(ward: Ward, *options: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return command("doctor", "--state", str(ward.state), *options, cwd=ward.state, **(ward.environ | changes))


def test_the_command_ends_with_0_where_there_is_no_fault_and_prints_a_line_each(ward: Ward) -> None:
    ended = doctor(ward)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ok       rules" in ended.stdout
    assert ended.stdout.rstrip().endswith("0 faults")
    assert ended.stderr == ""


def test_the_command_ends_with_1_where_there_is_one_and_json_says_all(ward: Ward) -> None:
    ended = doctor(ward, "--json", INCIDENTD_REDIS_URL=f"redis://:canary-canary-canary@127.0.0.1:{free_port()}")
    assert ended.returncode == 1
    said = json.loads(ended.stdout)
    assert said["grade"] == "fault"
    assert [each["about"] for each in said["findings"] if each["grade"] == "fault"] == ["Redis"]
    assert "canary" not in ended.stdout + ended.stderr


def test_no_secret_is_ever_printed(ward: Ward) -> None:
    ward.sandbox.faults.inject(InjectedFault("slack", FaultKind.ERROR, error="invalid_auth"))
    ended = doctor(ward, INCIDENTD_API_TOKEN_FILE="/canary", INCIDENTD_SLACK_APP_TOKEN="xapp-canary-canary")
    secrets = [*KEYS.values(), "canary-canary", *(ward.environ[f"INCIDENTD_{name}"] for name in (
        "WEBHOOK_TOKEN", "API_TOKEN", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET",
    ))]  # fmt: skip
    assert ended.returncode == 1
    assert [secret for secret in secrets if secret in ended.stdout + ended.stderr] == []


def test_named_sources_are_listed_and_a_file_that_can_not_be_used_is_a_fault(ward: Ward) -> None:
    file = ward.state / "tokens"
    file.write_text(f"team-a: {canary.of('team a')} {canary.of('team a, new')}\n", "utf-8")
    file.chmod(0o600)
    ward.examine(INCIDENTD_WEBHOOK_TOKEN=None, INCIDENTD_WEBHOOK_TOKENS_FILE=str(file))
    ward.expect("sources", OK, "may send webhooks: team-a (2 tokens)")
    assert faults(ward.found) == []
    file.write_text("team-a\n", "utf-8")
    ward.examine(INCIDENTD_WEBHOOK_TOKEN=None, INCIDENTD_WEBHOOK_TOKENS_FILE=str(file))
    ward.expect("sources", FAULT, "INCIDENTD_WEBHOOK_TOKENS can't be used")
    ward.expect("settings", FAULT, "INCIDENTD_WEBHOOK_TOKENS")


def test_pages_that_wait_for_the_database_are_counted_and_a_folder_in_the_way_is_a_fault(ward: Ward) -> None:
    Spool(ward.state / "spool").put("one", "{}")
    ward.examine()
    ward.expect("spool", WARNING, "1 page waits in")
    (ward.state / "file").write_text("no folder")
    ward.examine(INCIDENTD_SPOOL=str(ward.state / "file" / "spool"))
    ward.expect("spool", FAULT, "can keep no pages there")


def test_heartbeats_that_are_silent_are_named(ward: Ward) -> None:
    rules = copy_rules(ward.state)
    (rules / "heartbeats.yaml").write_text("backup: {every: 1h, tier: P1}\nsync: {every: 1h, tier: P1}\n")
    ward.examine(INCIDENTD_RULES=str(rules))
    ward.expect("heartbeats", WARNING, "backup is in the rules folder, and no timekeeper expects it yet")
    hour, now = timedelta(hours=1), datetime.now(UTC)
    lost = Heartbeat("backup", hour, now - 3 * hour, now - 3 * hour, now, missing_since=now - 2 * hour)
    with closing(Store(open_engine(ward.environ["INCIDENTD_DATABASE_URL"]))) as store:
        store.write(lambda tx: heartbeats.insert(tx, [lost, Heartbeat.expected("sync", hour, now)]))
    ward.examine(INCIDENTD_RULES=str(rules))
    ward.expect("heartbeats", WARNING, "backup was heard last 3 hours ago")
    ward.expect("heartbeats", WARNING, "sync was never heard")


def test_the_age_of_the_last_pruning_and_backup_is_told(ward: Ward) -> None:
    ward.examine()
    ward.expect("pruning", WARNING, "it never had a turn yet")
    ward.examine(INCIDENTD_PRUNE="off")
    ward.expect("pruning", OK, "INCIDENTD_PRUNE is off")
    for arguments in (("prune",), ("backup", str(ward.state / "copy"))):
        done = command(*arguments, cwd=ward.state, **ward.environ)
        assert done.returncode == 0, done.stderr
    ward.examine()
    ward.expect("pruning", OK, r"its last turn was [0-3] minutes ago")
    ward.expect("backup", OK, r"was made [0-3] minutes ago")
