"""``incidentd rules export``, ``rules backtest`` and ``simulate``, as they are typed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.backtest import recorded
from incidentd.classify import load
from incidentd.cli.main import app
from incidentd.clock import ManualClock, SystemClock
from incidentd.incident.command import Acknowledge
from incidentd.replay import Hearing, RecordedAlert, Recording, write_export
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate
from tests.lifecycle.bench import MINUTE, RULES, alert, open_bench
from tests.lifecycle.table import copy_rules, replace_in

SYSTEM = "astudio"


def typed(*arguments: str | Path, **environ: str) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], env=environ)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Recorded alerts, in a file."""
    path = tmp_path / "alerts.jsonl"
    path.write_text("".join(f"{line}\n" for line in write_export(recorded(300, load(RULES)))), "utf-8")
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A folder of rules in which astudio's P2 are P1, and nobody gets tickets."""
    folder = copy_rules(tmp_path)
    text = (folder / "astudio.yaml").read_text("utf-8").replace("tier: P2", "tier: P1")
    (folder / "astudio.yaml").write_text(text, "utf-8")
    replace_in(folder, "escalation.yaml", ("opening: [tickets, ticket-queue]", "opening: []"))
    return folder


def test_a_pull_request_hears_what_it_would_change_from_a_file_alone(export: Path, other: Path) -> None:
    found = typed("rules", "backtest", other, "--from", export)
    assert found.exit_code == 0, found.output
    assert "from P2 to P1." in found.stdout
    assert "At night (22:00 to 07:00) in UTC: " in found.stdout
    assert "Alerts that nobody would be told of" in found.stdout
    assert "\x1b" not in found.stdout
    assert found.stderr == "", "no progress bar where there is no terminal"


def test_json_has_every_incident_and_the_same_sums(export: Path, other: Path) -> None:
    found = json.loads(typed("rules", "backtest", other, "--from", export, "--json").stdout)
    moved = [each for each in found["changes"] if each["before"]["tier"] != each["after"]["tier"]]
    assert moved
    assert {each["system"] for each in moved} == {SYSTEM}
    assert found["tiers"] == [{"before": "P2", "after": "P1", "incidents": len(moved)}]
    assert found["more_pages"] == found["pages"][1]["all"] - found["pages"][0]["all"]
    assert found["changed"] is True


def test_the_table_in_force_against_itself_changes_nothing(export: Path) -> None:
    found = typed("rules", "backtest", RULES, "--from", export, "--max-new-pages", "0")
    assert found.exit_code == 0
    assert "Nothing changes: the same incidents, the same tiers, the same people told." in found.stdout


def test_more_new_pages_than_allowed_fail_a_pull_request(export: Path, other: Path) -> None:
    more = json.loads(typed("rules", "backtest", other, "--from", export, "--json").stdout)["more_pages"]
    assert more > 0
    allowed = typed("rules", "backtest", other, "--from", export, "--max-new-pages", str(more))
    refused = typed("rules", "backtest", other, "--from", export, "--max-new-pages", str(more - 1))
    assert (allowed.exit_code, refused.exit_code) == (0, 1)
    assert refused.stderr == f"{more} new pages are more than the {more - 1} allowed\n"


def test_against_compares_with_another_folder(export: Path, other: Path) -> None:
    found = typed("rules", "backtest", other, "--from", export, "--against", other)
    assert "Nothing changes" in found.stdout


def test_an_export_of_a_database_replays_as_the_database_itself(tmp_path: Path, other: Path) -> None:
    url = f"sqlite:///{tmp_path}/it.db"
    migrate(open_engine(url))
    with open_bench(url, clock=ManualClock(SystemClock().now() - 60 * MINUTE)) as bench:
        bench.hear(
            alert(
                labels={"system": SYSTEM, "slo": "mcp-availability", "sli": "availability"},
                annotations={"value": "99.6"},
            )
        )
        bench.forward(2 * MINUTE)
        bench.act(Acknowledge("Anna Berg"))
    environ = {"INCIDENTD_DATABASE_URL": url}
    file = tmp_path / "out.jsonl"
    written = typed("rules", "export", file, **environ)
    assert written.exit_code == 0, written.output
    assert written.stdout.startswith(f"{file}: 1 alerts, 1 answers, ")
    here = typed("rules", "backtest", other, "--json", **environ)
    there = typed("rules", "backtest", other, "--json", "--from", file)
    ours, theirs = json.loads(here.stdout), json.loads(there.stdout)
    assert [(each["before"]["tier"], each["after"]["tier"]) for each in ours["changes"]] == [("P2", "P1")]
    assert {k: v for k, v in ours.items() if k not in ("since", "until")} == {
        k: v for k, v in theirs.items() if k not in ("since", "until")
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "nowhere.jsonl"], "nowhere.jsonl: No such file or directory"),
        (["--since", "soon"], "--since 'soon' is no time such as 30d or 12h, 36500d at most"),
    ],
)
def test_a_backtest_that_has_nothing_to_go_by_says_why(arguments: list[str], said: str, tmp_path: Path) -> None:
    found = typed("rules", "backtest", RULES, *arguments, INCIDENTD_DATABASE_URL=f"sqlite:///{tmp_path}/it.db")
    assert (found.exit_code, found.stderr) == (2, f"{said}\n")


def test_a_broken_line_is_named_with_its_file(export: Path) -> None:
    lines = export.read_text("utf-8").splitlines()
    export.write_text("\n".join([*lines[:4], "oops", *lines[5:]]), "utf-8")
    found = typed("rules", "backtest", RULES, "--from", export)
    assert found.exit_code == 2
    assert found.stderr.startswith(f"{export}:5: Invalid JSON: ")


def test_an_unsound_table_is_told_fault_by_fault(export: Path, other: Path) -> None:
    replace_in(other, "escalation.yaml", ("tell: [page-oncall, incidents]", "tell: [nobody-knows]"))
    found = typed("rules", "backtest", other, "--from", export)
    assert found.exit_code == 2
    assert "names 'nobody-knows', which is no destination" in found.stderr


def simulated(*arguments: str) -> Result:
    return typed("simulate", "--rules", RULES, *arguments)


def test_a_plan_goes_through_the_night_in_which_clocks_go_back() -> None:
    found = simulated(
        "--tier", "P0", "--system", "agentmesh", "--at", "2026-10-25T02:30 Europe/Berlin", "--acknowledge-after", "12m"
    )
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert "Note: 02:30 comes twice there that day: the first one was taken, CEST" in found.stdout
    assert "Every 15 min while it is open: an update in Slack's threads." in lines
    assert "Answer due by 2026-10-25 02:35:00 CEST (2026-10-25 00:35:00 UTC)." in lines
    assert "2026-10-25 02:42:00 CEST (2026-10-25 00:42:00 UTC)   +0:12:00" in lines
    assert "2026-10-25 02:12:00 CET (2026-10-25 01:12:00 UTC)   +0:42:00" in lines
    assert "      pages engineering manager through PagerDuty (page-manager)" in lines
    assert "Nobody answered within the response time, due 00:35:00 UTC." in found.stdout


def test_outside_business_hours_the_clock_of_astudio_stands_still() -> None:
    found = json.loads(simulated("--tier", "P1", "--system", "astudio", "--at", "2026-11-21T12:00Z", "--json").stdout)
    assert found["opens_at"]["utc"] == "2026-11-23T09:00:00+00:00"
    assert found["respond_by"]["utc"] == "2026-11-23T09:15:00+00:00"
    first, second = found["moments"][:2]
    assert [each["how"] for each in first["told"]] == ["first message"]
    assert second["at"]["utc"] == "2026-11-23T09:00:00+00:00"
    assert ("page", "on-call engineer") in [(each["how"], each["who"]) for each in second["told"]]


def test_labels_and_a_file_are_simulated_as_the_table_classifies_them(tmp_path: Path) -> None:
    labels = {"slo": "mcp-availability", "sli": "availability"}
    file = tmp_path / "alert.json"
    file.write_text(json.dumps({"labels": {"system": "astudio", **labels}, "annotations": {"value": "99.1"}}))
    asked = [item for name, value in labels.items() for item in ("--label", f"{name}={value}")]
    by_label = simulated("--system", "astudio", *asked, "--label", "value=99.1", "--at", "2026-11-23T12:00Z", "--json")
    by_file = simulated("--alert", str(file), "--at", "2026-11-23T12:00Z", "--json")
    assert by_label.stdout == by_file.stdout
    assert json.loads(by_file.stdout)["row"] == "astudio/mcp-below-99.5"


def test_incidents_that_join_or_split_are_listed_with_what_they_become(export: Path, tmp_path: Path) -> None:
    folder = copy_rules(tmp_path)
    replace_in(folder, "tiers.yaml", ("also: [environment]", "also: [stage]"))
    joined = "rules", "backtest", folder, "--from", export
    split = "rules", "backtest", RULES, "--from", export, "--against", folder
    joins, splits = (json.loads(typed(*asked, "--json").stdout) for asked in (joined, split))
    assert joins["merged"] == sum(len(each["before"]) - 1 for each in joins["joins"]) > 0
    assert splits["split"] == sum(len(each["off"]) for each in splits["splits"]) > 0
    for asked, what, one in (
        (joined, "join", joins["joins"][0]["after"]),
        (split, "split", splits["splits"][0]["before"]),
    ):
        listed = typed(*asked).stdout.partition("Incidents that join, split or are new")[2].splitlines()
        assert any(line.startswith(what) for line in listed)
        assert any(f"{one['tier']} {one['key']}" in line for line in listed)


MAIL = {"INCIDENTD_SMTP_URL": "smtp://mail.example.com:587"}
TICKETS = {"INCIDENTD_TICKETS_URL": "https://tickets.example.com/issue", "INCIDENTD_TICKETS_LOGIN": "bG9naW4="}


def test_an_optional_destination_is_told_if_it_is_set_up_and_for_certain_where_it_is() -> None:
    asked = ("simulate", "--rules", RULES, "--tier", "P0", "--system", "avalo", "--at", "2026-01-05T12:00Z")
    by_the_table, set_up = typed(*asked).stdout, typed(*asked, **MAIL).stdout
    assert "      tells Mail (management-mail), if set up\n" in by_the_table
    assert "and told only where they are set up: management-mail.\n" in by_the_table
    assert "      tells Mail (management-mail)\n" in set_up
    assert "if set up" not in set_up
    told = json.loads(typed(*asked, "--json").stdout)["moments"][0]["told"]
    assert {each["destination"] for each in told if each["if_set_up"]} == {"management-mail"}


def test_of_what_only_an_optional_destination_is_told_nobody_hears_unless_it_is_set_up(
    export: Path, tmp_path: Path
) -> None:
    """In a pull request nothing is set, so the table alone decides."""
    folder = copy_rules(tmp_path)
    replace_in(folder, "escalation.yaml", ("opening: [tickets, ticket-queue]", "opening: [ticket-queue]"))
    asked = ("rules", "backtest", folder, "--from", export)
    by_the_table, set_up = typed(*asked), typed(*asked, **TICKETS)
    assert "Alerts that nobody would be told of" in by_the_table.stdout
    assert "Optional, and without their variables here: " in by_the_table.stdout
    assert "Alerts that nobody would be told of" not in set_up.stdout
    assert "ticket-queue" in json.loads(typed(*asked, "--json").stdout)["if_set_up"]
    assert "ticket-queue" not in json.loads(typed(*asked, "--json", **TICKETS).stdout)["if_set_up"]


def test_a_change_of_who_is_told_names_what_is_told_only_if_it_is_set_up(export: Path, tmp_path: Path) -> None:
    folder = copy_rules(tmp_path)
    replace_in(folder, "escalation.yaml", ("opening: [tickets, ticket-queue]", "opening: [tickets]"))
    asked = ("rules", "backtest", folder, "--from", export)
    assert "-ticket-queue (if set up)" in typed(*asked).stdout
    assert "-ticket-queue (if set up)" not in typed(*asked, **TICKETS).stdout
    assert "-ticket-queue" in typed(*asked, **TICKETS).stdout


@pytest.mark.parametrize("asked", [["--tier", "P0"], ["--label", "slo=core-api", "--label", "sli=outage"]])
def test_a_plan_tells_nobody_while_the_system_is_observed_and_not_longer(tmp_path: Path, asked: list[str]) -> None:
    folder = copy_rules(tmp_path)
    replace_in(folder, "avalo.yaml", ("system: avalo\n", "system: avalo\nobserve: true\nobserve_until: 2026-12-08\n"))
    long_before, just_before, after = (
        typed("simulate", "--rules", folder, "--system", "avalo", *asked, "--at", at).stdout
        for at in ("2026-09-01T12:00Z", "2026-12-07T23:59Z", "2026-12-08T00:00Z")
    )
    assert "Only observed: nobody is told." in long_before
    assert "through PagerDuty" not in long_before
    observed, _, told = just_before.partition("2026-12-08 00:00")
    assert "Only observed: nobody is told." in observed
    assert "through PagerDuty" not in observed
    assert "through PagerDuty" in told
    assert "Only observed" not in after
    assert "through PagerDuty" in after


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tier", "P4"], "--tier 'P4' is none of P0, P1, P2, P3"),
        (["--tier", "P1", "--system", "agentmes"], "--system 'agentmes' has no table: did you mean 'agentmesh'?"),
        (["--system", "avalo"], "give one of --tier, --label and --alert"),
        (["--tier", "P1", "--label", "a=b"], "give one of --tier, --label and --alert"),
        (["--label", "slo"], "--label 'slo' is not name=value"),
        (["--alert", "nowhere.json"], "nowhere.json: No such file or directory"),
        (["--tier", "P1", "--at", "noon"], "'noon' is no time such as"),
        (
            ["--tier", "P1", "--at", "2026-03-29T02:30 Europe/Berlin"],
            "2026-03-29 02:30 does not exist in Europe/Berlin",
        ),
        (["--tier", "P1", "--at", "9999-12-31T23:59Z"], "'9999-12-31T23:59Z' is not in the years 1970 to 2999"),
        (["--tier", "P1", "--acknowledge-after", "soon"], "--acknowledge-after 'soon' is no time such as 12m"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_one_line(arguments: list[str], said: str) -> None:
    found = simulated(*arguments)
    assert found.exit_code == 2
    assert found.stderr.startswith(said)
    assert found.stderr.count("\n") == 1


def test_a_sign_of_life_is_no_incident_to_be_simulated(tmp_path: Path) -> None:
    folder = copy_rules(tmp_path)
    (folder / "heartbeats.yaml").write_text('dog: {match: [alertname="Watchdog"], every: 10m, tier: P1}\n', "utf-8")
    found = typed("simulate", "--rules", folder, "--label", "alertname=Watchdog")
    assert found.exit_code == 2
    assert found.stderr == "a sign of life of dog in heartbeats.yaml: never an incident of its own\n"


def test_brackets_in_what_alerts_hold_are_shown_as_they_are(other: Path, tmp_path: Path) -> None:
    """They are no markup: neither is anything left out, nor does it end the command."""
    name = "disk [/dev/sda] [red]full"
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    heard = RecordedAlert("1" * 16, at, {"alertname": name, "severity": "info"}, "was", (Hearing(at, True, None),))
    recording = Recording(at, at + timedelta(days=1), (heard,), (), load(RULES).files)
    file = tmp_path / "brackets.jsonl"
    file.write_text("".join(f"{line}\n" for line in write_export(recording)), "utf-8")
    said = typed("rules", "backtest", other, "--from", file)
    assert said.exit_code == 0, said.output
    assert name in said.output
