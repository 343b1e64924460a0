"""Before real people are told somebody has to agree; the sandbox needs no such thing."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from incidentd.cli import drill
from incidentd.cli.drill import DrillError, Order
from incidentd.cli.instance import Instance
from incidentd.store.drills import Step
from incidentd.tier import Tier
from incidentd.web.drill_schema import DrillJson, PlanJson, ToldJson

NOW = datetime(2026, 1, 7, 9, 0, tzinfo=UTC)
ORDER = Order("P1", None, None, None, None, acknowledge=False, yes=False, as_json=False)


class Remembered(Instance):
    """An instance that answers by heart, and says what it was asked for."""

    def __init__(self, *, real: bool) -> None:
        super().__init__("http://127.0.0.1:1", "", "token")
        self.begun: list[dict[str, Any]] = []
        self._told = [ToldJson(destination="page-oncall", kind="pagerduty", level=1, pages=True, real=real)]

    def drill_plan(self, **wanted: str | int) -> PlanJson:
        return PlanJson(tier=Tier.P1, system=None, within=60, answer=300, told=self._told)

    def begin_drill(self, **wanted: str | int) -> DrillJson:
        self.begun.append(wanted)
        return DrillJson(
            id="d", name=None, by_hand=True, tier=Tier.P1, system=None, due_at=NOW, started_at=NOW, ended_at=NOW,
            outcome="accepted", failed=None, why="", look_at="", incident=None, within=60, answer=300, waits_for=None,
            steps=[],
        )  # fmt: skip


def test_real_people_are_told_only_after_somebody_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    instance = Remembered(real=True)
    with pytest.raises(DrillError, match="this tells real people: say --yes"):
        drill.run(ORDER, instance)
    assert instance.begun == []
    assert drill.run(Order("P1", None, None, 30, None, acknowledge=False, yes=True, as_json=False), instance) == 0
    assert instance.begun == [{"tier": "P1", "answer": 30}]


def test_who_says_no_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    instance = Remembered(real=True)
    with pytest.raises(DrillError, match="nothing was begun"):
        drill.run(ORDER, instance)
    assert instance.begun == []


def test_the_sandbox_is_told_without_asking(capsys: pytest.CaptureFixture[str]) -> None:
    assert drill.run(ORDER, Remembered(real=False)) == 0
    assert "pages page-oncall (pagerduty, the sandbox), at once" in capsys.readouterr().out


def test_without_the_api_token_nothing_is_begun() -> None:
    with pytest.raises(DrillError, match="INCIDENTD_API_TOKEN"):
        drill.run(ORDER, Instance("http://127.0.0.1:1", ""))


def test_a_drill_that_was_not_accepted_ends_with_1_and_its_step(capsys: pytest.CaptureFixture[str]) -> None:
    class Failing(Remembered):
        def begin_drill(self, **wanted: str | int) -> DrillJson:
            found = super().begin_drill(**wanted)
            return found.model_copy(
                update={"outcome": "failed", "failed": Step.PAGE, "why": "refused", "look_at": "it"}
            )

    assert drill.run(ORDER, Failing(real=False)) == 1
    said = capsys.readouterr().out
    assert "✗ the page was accepted" in said
    assert "look at: it" in said
