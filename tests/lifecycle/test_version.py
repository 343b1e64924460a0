"""Tables that were in force: listed, told apart, and found by what people call them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic_core import from_json
from typer.testing import CliRunner

from incidentd.cli.rules import app
from incidentd.errors import NotFoundError
from incidentd.lifecycle.version import kept_table
from incidentd.store import prune, rules
from tests.lifecycle.bench import BEGIN, MINUTE, Bench, open_bench
from tests.lifecycle.table import copy_rules, replace_in

FASTER = ("{lasts: 5m, tell: [page-oncall, incidents]}", "{lasts: 2m, tell: [page-oncall, incidents]}")
ROOM = ('"#incidents"', '"#war-room"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_rules(tmp_path)


@pytest.fixture
def bench(database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench that had three tables in force, a minute each."""
    with open_bench(database_url, folder) as opened:
        for file, change in (("escalation.yaml", FASTER), ("destinations.yaml", ROOM)):
            opened.clock.advance(MINUTE)
            replace_in(folder, file, change)
            opened.runtime.reload()
        for name, value in opened.environ.items():
            monkeypatch.setenv(name, value)
        yield opened


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.output


def versions(bench: Bench) -> list[str]:
    return [each.version for each in bench.store.read(lambda tx: rules.history(tx, 10))]


def test_history_lists_each_table_with_its_time_and_what_it_changed(bench: Bench) -> None:
    found = from_json(run("history", "--json"))
    assert [each["version"] for each in found] == versions(bench)
    assert [each["change"] for each in found] == [
        "destinations: 1 changed",
        "policies: 1 changed",
        "the first that is known",
    ]
    spans = [(BEGIN + each * MINUTE).isoformat().replace("+00:00", "Z") for each in range(3)]
    assert [(each["since"], each["until"]) for each in found] == [
        (spans[2], None),
        (spans[1], spans[2]),
        (spans[0], spans[1]),
    ]
    assert "in force" in run("history").splitlines()[0]
    assert len(from_json(run("history", "--json", "--limit", "1"))) == 1


def test_a_table_that_comes_back_stands_there_again_and_its_text_once(bench: Bench, folder: Path) -> None:
    bench.clock.advance(MINUTE)
    replace_in(folder, "destinations.yaml", (ROOM[1], ROOM[0]))
    bench.runtime.reload()
    newest, _, same, _ = versions(bench)
    assert newest == same


def test_diff_tells_two_tables_apart_whatever_they_are_called(bench: Bench, folder: Path) -> None:
    newest, second, first = versions(bench)
    expected = f"{second} → {newest}\n\nDestinations\n  ~ incidents\n      channel: #incidents → #war-room\n"
    for names in (("previous",), (second[:6], newest[:6]), (second, "in-force"), (second, str(folder))):
        assert run("diff", *names) == expected
    found = from_json(run("diff", first, second, "--json"))
    (change,) = found["changes"]
    assert (found["from"], found["to"], change["kind"], change["how"]) == (first, second, "policy", "changed")
    assert {"name": "tiers P0 levels 1 lasts", "before": "5m", "after": "2m"} in change["fields"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("f%", "begins with"), ("", "begins with"), ("ffffffffffff", "begins with"), ("zzz", "incidentd rules history")],
)
def test_a_name_that_is_none_is_refused_in_words(bench: Bench, name: str, said: str) -> None:
    with pytest.raises(NotFoundError, match=said):
        bench.store.read(lambda tx: kept_table(tx, name))
    result = CliRunner().invoke(app, ["diff", name])
    assert result.exit_code == 2
    assert said in result.output


def test_a_table_whose_text_was_pruned_is_listed_and_said_to_be_gone(bench: Bench) -> None:
    first = versions(bench)[2]
    bench.store.write(lambda tx: prune.tables(tx, BEGIN + timedelta(days=500), set(), remove=True))
    assert versions(bench) == versions(bench)[:1]
    with pytest.raises(NotFoundError):
        bench.store.read(lambda tx: kept_table(tx, first))
    with pytest.raises(NotFoundError, match="no other table"):
        bench.store.read(lambda tx: kept_table(tx, "previous"))


def test_a_folder_that_is_unsound_is_refused_with_its_faults(bench: Bench, folder: Path) -> None:
    replace_in(folder, "destinations.yaml", ("kind: slack", "kind: smoke"))
    result = CliRunner().invoke(app, ["diff", "in-force", str(folder)])
    assert (result.exit_code, "destinations.yaml:" in result.output) == (2, True)
    assert bench.runtime.rules.version == versions(bench)[0]
