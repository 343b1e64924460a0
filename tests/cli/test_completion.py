"""A shell completes commands and options, once it was told to."""

import pytest
from typer.testing import CliRunner

from incidentd.cli.main import app


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ("incidentd si", ["simulate"]),
        ("incidentd rules ex", ["explain", "export"]),
        ("incidentd drill --ti", ["--tier"]),
    ],
)
def test_bash_completes_commands_and_options(typed: str, proposed: list[str]) -> None:
    environ = {"_INCIDENTD_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    found = CliRunner().invoke(app, prog_name="incidentd", env=environ)
    assert found.stdout.split() == proposed


def test_a_shell_can_be_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    found = CliRunner().invoke(app, ["--show-completion"], prog_name="incidentd")
    assert found.exit_code == 0
    assert "complete -o default -F _incidentd_completion incidentd" in found.stdout
