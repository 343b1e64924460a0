"""``incidentd …``: commands, their options, and how faults are told."""

import os
from pathlib import Path
from typing import Annotated

import typer

from incidentd import __version__
from incidentd.cli import backup, demo, destination, doctor, drill, fire, link, part, prune, rules, sandbox, up
from incidentd.cli.instance import instance_at
from incidentd.cli.reference import reference
from incidentd.cli.simulate import simulate_command
from incidentd.cli.start import configure_logs, strict_settings
from incidentd.cli.state import close_to_others
from incidentd.cli.told import told
from incidentd.clock import SystemClock
from incidentd.process import hang_up
from incidentd.store.engine import open_engine
from incidentd.store.migrate import migrate as migrate_database

RELOADED = ("up", "serve", "worker")
"""What goes on at a SIGHUP: each of them lets it through once it can act on it."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="SLO breaches in, people awake.")
app.add_typer(rules.app, name="rules")
app.add_typer(destination.app, name="destination")


def main() -> None:
    """The entry point."""
    app()


def show_version(asked: bool) -> None:
    """Print it and end, before a command is asked for."""
    if asked:
        typer.echo(f"incidentd {__version__}")
        raise typer.Exit


@app.callback()
def callback(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its own callback is what it does
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=show_version)
    ] = False,
) -> None:
    """Settings come from the environment; `incidentd settings` lists them."""
    if context.invoked_subcommand not in RELOADED:
        hang_up.release()


@app.command("up")
def up_command(
    state: Annotated[Path, typer.Option(help="Folder for the database, tokens and the private Redis.")] = Path("var"),
) -> None:
    """Run everything on this machine: web, workers, timekeeper, private Redis, SQLite, and the sandbox."""
    close_to_others()
    with told():
        raise typer.Exit(up.run(dict(os.environ), state))


@app.command()
def serve() -> None:
    """Run the web part: webhook, API, Slack and pages. For many machines, with PostgreSQL and Redis."""
    close_to_others()
    with told():
        raise typer.Exit(part.serve(dict(os.environ)))


@app.command()
def worker() -> None:
    """Run a worker group: workers for each queue and a timekeeper."""
    close_to_others()
    with told():
        raise typer.Exit(part.worker_group(dict(os.environ)))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    close_to_others()
    with told():
        settings = strict_settings(dict(os.environ))
        configure_logs(settings, os.environ)
        oldest = migrate_database(open_engine(settings.database_url))
        typer.echo(f"the database is up to date; versions from revision {oldest} of the schema on may go on working")


@app.command("backup")
def backup_command(
    file: Annotated[Path, typer.Argument(help="A new file: nothing is overwritten.", show_default=False)],
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its database in.")] = Path("var"),
) -> None:
    """Copy the whole database into one file, while it is used."""
    with told("no backup was made"):
        backup.backup(os.environ, state, file)


@app.command("restore")
def restore_command(
    file: Annotated[Path, typer.Argument(help="What `incidentd backup` wrote.", show_default=False)],
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its database in.")] = Path("var"),
) -> None:
    """Fill a new, empty database from a backup. What is there already is never overwritten."""
    with told("nothing was restored"):
        backup.restore(os.environ, state, file)


@app.command("prune")
def prune_command(
    older_than: Annotated[
        str | None, typer.Option(help="Such as 400d; by default INCIDENTD_RETENTION_DAYS.", show_default=False)
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Count what would be removed, and remove nothing.")] = False,
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its database in.")] = Path("var"),
) -> None:
    """Remove incidents that were over long ago, while everything runs; reports keep a line of each."""
    with told("nothing more was removed"):
        prune.run(os.environ, state, older_than, dry=dry)


@app.command("doctor")
def doctor_command(
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its data and tokens in.")] = Path("var"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at everything that incidentd needs, say how to mend what is wrong; changes nothing, tells nobody."""
    with told():
        raise typer.Exit(doctor.run(os.environ, state, as_json=as_json))


@app.command("settings")
def settings_command() -> None:
    """Print every setting, its default and what it may be, in Markdown."""
    typer.echo(reference(), nl=False)


@app.command("link")
def link_command(
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its tokens in.")] = Path("var"),
) -> None:
    """Print a link that signs a browser in."""
    with told():
        typer.echo(link.sign_in(dict(os.environ), state))


@app.command("sandbox")
def sandbox_command(
    listen: Annotated[str, typer.Option(help="Address and port.")] = "127.0.0.1:8090",
    product: Annotated[str, typer.Option(help="Where incidentd listens: button presses go there.")] = (
        "http://127.0.0.1:8080"
    ),
    journal: Annotated[Path | None, typer.Option(help="File that keeps what was received; by default none.")] = None,
    mail: Annotated[str, typer.Option(help="Address and port that takes mail; empty: none does.")] = "127.0.0.1:8025",
) -> None:
    """Run the stand-ins for PagerDuty, Slack, mail and webhooks alone.

    They sign with INCIDENTD_SLACK_SIGNING_SECRET.
    """
    with told():
        raise typer.Exit(sandbox.run(dict(os.environ), listen, product, journal, mail))


@app.command("fire")
def fire_command(
    objective: Annotated[str, typer.Argument(help="<system>/<slo>, such as avalo/core-api.", show_default=False)],
    value: Annotated[str | None, typer.Option(help="What was measured; by default as in the table.")] = None,
    region: Annotated[list[str] | None, typer.Option(help="A region; one alert for each.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="A further or other label, as name=value.")] = None,
    annotation: Annotated[list[str] | None, typer.Option(help="A further or other annotation, as name=value.")] = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="End what was fired, instead.")] = False,
    storm: Annotated[int, typer.Option(help="So many alerts, each of an incident of its own.")] = 0,
    shown: Annotated[bool, typer.Option("--print", help="Print the body, and post nothing.")] = False,
    url: Annotated[str | None, typer.Option(help="Where incidentd runs; by default as the settings say.")] = None,
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its tokens in.")] = Path("var"),
) -> None:
    """Fire a sample alert, as Alertmanager would. It is a real one to incidentd: people are told as it is set up."""
    order = fire.Order(
        objective, value, tuple(region or ()), tuple(label or ()), tuple(annotation or ()), resolve, storm, url, shown
    )
    with told():
        raise typer.Exit(fire.run(order, dict(os.environ), state, SystemClock()))


@app.command("drill")
def drill_command(
    tier: Annotated[
        str | None, typer.Option(help="P0 to P3: whose people are to be drilled.", show_default=False)
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="A system with a table of its own, such as avalo.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="A drill of rules/drills.yaml, now, in place of --tier.", show_default=False)
    ] = None,
    wait: Annotated[
        int | None,
        typer.Option(help="Seconds to wait for somebody to acknowledge; by default 300.", show_default=False),
    ] = None,
    within: Annotated[
        int | None, typer.Option(help="Seconds that page and messages may take; by default 60.", show_default=False)
    ] = None,
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="The drill acknowledges itself, by the API, and says so.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before real people are told.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the finished drill as JSON.")] = False,
    url: Annotated[str | None, typer.Option(help="Where incidentd runs; by default as the settings say.")] = None,
    state: Annotated[Path, typer.Option(help="The folder that `up` keeps its tokens in.")] = Path("var"),
) -> None:
    """Send a marked alert the whole way and measure each step.

    It tells, and pages, the very same people and places that a real incident of that tier and system would: warn
    whoever is on call. Asks before it does, unless it is all the sandbox.
    """
    order = drill.Order(tier, system, name, wait, within, acknowledge, yes, as_json)
    with told():
        raise typer.Exit(drill.run(order, instance_at(url, dict(os.environ), state, posts=False)))


@app.command("demo")
def demo_command(
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running at the end, to look around.")] = False,
    record: Annotated[Path | None, typer.Option(help="File for a picture of the end, in SVG.")] = None,
) -> None:
    """Play a story in about a minute, with the sandbox, and measure what it promises. Touches nothing of yours."""
    with told():
        raise typer.Exit(demo.run(dict(os.environ), SystemClock(), keep=keep, record=record))


app.command("simulate")(simulate_command)
