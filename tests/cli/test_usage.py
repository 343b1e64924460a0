"""Whatever is typed wrongly ends with 2, before anything is done, and with a line that says what there is."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from incidentd.cli.drill import Order, run
from incidentd.cli.instance import Instance, InstanceError
from incidentd.cli.main import app
from incidentd.errors import UsageError
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from tests.channels.receiver import Receiver, answer
from tests.lifecycle.bench import RULES

UNKNOWN_NAME = {
    "detail": "the rules have no drill of this name",
    "errors": [{"field": "name", "message": "known are: weekly"}],
}
OTHER_ONE = {"detail": "a drill goes on already"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("drill --tier P7", "--tier 'P7' is none of P0, P1, P2, P3"),
        ("drill", "give --tier, such as --tier P1, or the --name of a drill in rules/drills.yaml"),
        ("drill --name weekly --system avalo", "--system goes with --tier"),
        ("fire avalo", "give <system>/<slo>, such as avalo/core-api"),
        ("fire nowhere/core-api", "the rules know no system 'nowhere'; known: "),
        ("fire avalo/nothing", "avalo has no objective 'nothing'; known: "),
        ("fire avalo/core-api --value many", "--value 'many' is no number"),
        ("fire avalo/core-api --label nonsense", "--label 'nonsense' is not name=value"),
        ("fire avalo/core-api --storm -1", "--storm is a number of alerts, 1 or more"),
        ("simulate --tier P7", "--tier 'P7' is none of P0, P1, P2, P3"),
        ("simulate --tier P1 --system nowhere", "--system 'nowhere' has no table; known: "),
        ("destination test nowhere", "'nowhere' is no destination of these rules"),
        ("rules explain 4711", "4711: there is no such file, and no such incident"),
        ("rules diff abcdef", "no version is kept that begins with 'abcdef'; see `incidentd rules history`"),
        ("rules backtest rules --since ever", "--since 'ever' is no time such as 30d or 12h"),
        ("rules backtest rules --since 999999d", "--since '999999d' is no time such as 30d or 12h, 36500d at most"),
        ("rules export recorded.jsonl --since=", "--since '' is no time such as 30d or 12h"),
        ("prune --older-than ever", "--older-than 'ever' is no time of a day or more, such as 400d or 36h"),
        ("prune --older-than 23h", "--older-than '23h' is no time of a day or more, such as 400d or 36h"),
        ("prune --older-than=", "--older-than '' is no time of a day or more, such as 400d or 36h"),
        ("prune --older-than 999999d", "is no time of a day or more, such as 400d or 36h, and 36500d at most"),
    ],
)
def test_a_wrong_argument_ends_with_2_and_says_what_there_is(typed: str, said: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'incidentd.db'}"
    migrate(open_engine(url))
    environ = {"INCIDENTD_RULES": str(RULES), "INCIDENTD_DATABASE_URL": url}
    environ |= {"INCIDENTD_WEBHOOK_TOKEN": "a-token-of-the-test-4711", "INCIDENTD_LISTEN": "127.0.0.1:1"}
    found = CliRunner().invoke(app, typed.split(), env=environ)
    assert said in found.stderr
    assert found.exit_code == 2
    assert "Traceback" not in found.output
    assert "nothing more was removed" not in found.output


def drilled(receiver: Receiver) -> None:
    order = Order(None, None, "monthly", None, None, acknowledge=False, yes=True, as_json=False)
    run(order, Instance(receiver.url, "", "token"))


def test_a_drill_that_the_rules_do_not_have_is_a_wrong_argument() -> None:
    with Receiver(answer(404, UNKNOWN_NAME)) as receiver, pytest.raises(UsageError) as refused:
        drilled(receiver)
    assert str(refused.value) == "the rules have no drill of this name; known are: weekly"


def test_a_drill_that_is_refused_as_things_stand_is_no_wrong_argument() -> None:
    with Receiver(answer(409, OTHER_ONE)) as receiver, pytest.raises(InstanceError, match="answered 409: a drill goes"):
        drilled(receiver)
