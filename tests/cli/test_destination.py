"""`incidentd destination test`: what came back is shown, with how to mend it, and never a secret."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from incidentd.sandbox.server import SandboxServer
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from incidentd.store.tables import CURSORS
from tests import canary
from tests.channels.mail import Post
from tests.channels.receiver import Receiver, answer
from tests.e2e.up import command
from tests.lifecycle.bench import alert, open_bench
from tests.servers import free_port

RULES = Path(__file__).parents[2] / "rules"
KEY = canary.of("routing key")
TOKEN = canary.of("slack token")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


def attempt(name: str, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    done = command("destination", "test", name, "--rules", str(RULES), cwd=folder, **settings)
    assert canary.leaks(done.stdout + done.stderr) == []
    return done


def test_a_page_is_triggered_and_resolved(sandbox: SandboxServer, tmp_path: Path) -> None:
    done = attempt(
        "page-oncall",
        tmp_path,
        INCIDENTD_PAGERDUTY_ROUTING_KEY=KEY,
        INCIDENTD_PAGERDUTY_EVENTS_URL=sandbox.pagerduty_url,
    )
    assert done.returncode == 0, done.stderr
    (alert,) = sandbox.pagerduty.alerts
    assert [event.action for event in alert.events] == ["trigger", "resolve"]
    assert "test of incidentd" in alert.latest.payload["summary"]
    assert "triggered: accepted" in done.stdout
    assert "resolved: accepted" in done.stdout
    assert f"dedup_key {alert.dedup_key}" in done.stdout


def test_slack_has_one_card_that_is_marked_and_has_no_buttons(sandbox: SandboxServer, tmp_path: Path) -> None:
    done = attempt("incidents", tmp_path, INCIDENTD_SLACK_BOT_TOKEN=TOKEN, INCIDENTD_SLACK_API_URL=sandbox.slack_url)
    assert done.returncode == 0, done.stderr
    (card,) = sandbox.slack.cards("#incidents")
    assert "Nothing is wrong, and nothing is to be done." in str(card.blocks)
    assert "actions" not in {block["type"] for block in card.blocks}
    assert f"ts {card.ts}" in done.stdout


def test_what_was_given_up_for_it_is_sent_again_once_it_works_and_nothing_else(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/var/incidentd.db"
    (tmp_path / "var").mkdir()
    migrate(open_engine(url))
    given_up = sa.update(CURSORS).values(due_at=None, behind_since=None, token="", given_up="invalid_auth")
    with open_bench(url, RULES) as bench:
        bench.hear(alert())
        bench.runtime.store.write(lambda tx: tx.execute(given_up))
    settings = {"INCIDENTD_SLACK_BOT_TOKEN": TOKEN, "INCIDENTD_SLACK_API_URL": sandbox.slack_url}
    first, second = (attempt("incidents", tmp_path, **settings) for _ in range(2))
    assert "1 message given up before: sent again now, where incidentd runs" in first.stdout
    assert "nothing of an open incident had been given up there" in second.stdout
    with open_engine(url).connect() as tx:
        due = tx.execute(sa.select(CURSORS.c.destination).where(CURSORS.c.due_at.is_not(None))).scalars().all()
    assert due == ["incidents"]


def test_mail_is_sent_once(tmp_path: Path) -> None:
    with Post() as post:
        done = attempt("management-mail", tmp_path, INCIDENTD_SMTP_URL=post.url())
    assert done.returncode == 0, done.stderr
    (got,) = post.mails
    assert "Nothing is wrong, and nothing is to be done." in got.text
    assert "mail to 1" in done.stdout


def test_a_ticket_is_made_and_commented_on(tmp_path: Path) -> None:
    login = canary.of("ticket login")
    with Receiver(answer(201, {"key": "OPS-1"})) as receiver:
        settings = {"INCIDENTD_TICKETS_URL": f"{receiver.url}/rest/api/3/issue", "INCIDENTD_TICKETS_LOGIN": login}
        done = attempt("ticket-queue", tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    assert [sent.path for sent in receiver.requests] == ["/rest/api/3/issue", "/rest/api/3/issue/OPS-1/comment"]
    assert {sent.headers["authorization"] for sent in receiver.requests} == {f"Basic {login}"}
    assert "(201, OPS-1)" in done.stdout


REFUSALS = [
    (
        "management-mail",
        {"INCIDENTD_SMTP_URL": f"smtp://user:{canary.of('pw')}@127.0.0.1:{free_port()}"},
        "the network",
    ),
    ("page-oncall", {"INCIDENTD_PAGERDUTY_ROUTING_KEY": "short-of-a-key-1"}, "Events API v2"),
]


@pytest.mark.parametrize(("name", "settings", "mend"), REFUSALS)
def test_what_is_refused_says_how_to_mend_it(
    name: str, settings: dict[str, str], mend: str, sandbox: SandboxServer, tmp_path: Path
) -> None:
    done = attempt(name, tmp_path, INCIDENTD_PAGERDUTY_EVENTS_URL=sandbox.pagerduty_url, **settings)
    assert done.returncode == 1, done.stderr
    assert "not accepted" in done.stdout
    assert mend in done.stdout.partition("→ ")[2]


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("incidnts", {}, "'incidnts' is no destination of these rules: did you mean 'incidents'?"),
        ("scaling-hook", {}, "is not set up: set INCIDENTD_SCALING_HOOK_URL, INCIDENTD_SCALING_HOOK_SECRET"),
        ("incidents", {"INCIDENTD_SLAK_BOT_TOKEN": "x"}, "INCIDENTD_SLAK_BOT_TOKEN is no setting"),
    ],
)
def test_where_nothing_can_be_sent_the_status_is_2(
    name: str, settings: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = attempt(name, tmp_path, **settings)
    assert (done.returncode, said in done.stderr, done.stdout) == (2, True, "")
