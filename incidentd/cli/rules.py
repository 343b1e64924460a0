"""``incidentd rules …``."""

import typer

from incidentd.cli.rules_backtest import backtest_command
from incidentd.cli.rules_check import check_command
from incidentd.cli.rules_diff import diff_command
from incidentd.cli.rules_explain import explain_command
from incidentd.cli.rules_export import export_command
from incidentd.cli.rules_history import history_command
from incidentd.cli.rules_schema import schema_command
from incidentd.cli.rules_shadow import shadow_command
from incidentd.cli.rules_test import test_command

app = typer.Typer(no_args_is_help=True, help="Is the table sound; do its examples hold; which row takes this alert.")

app.command("check")(check_command)
app.command("test")(test_command)
app.command("explain")(explain_command)
app.command("schema")(schema_command)
app.command("history")(history_command)
app.command("diff")(diff_command)
app.command("shadow")(shadow_command)
app.command("backtest")(backtest_command)
app.command("export")(export_command)
