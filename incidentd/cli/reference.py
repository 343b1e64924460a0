"""``incidentd settings``: all of them as Markdown, of which ``docs/configuration.md`` is made."""

from collections.abc import Iterator
from dataclasses import dataclass

from incidentd.settings import Setting, describe

_BEGINNING = """\
# Configuration

Made from the code by `make docs`; `incidentd settings` prints the same. What is decided about alerts, tiers and people
is not here but in the rules: see [rules.md](rules.md).

## How settings are given

Settings are environment variables whose names begin with `INCIDENTD_`. There is no settings file: under systemd use
`EnvironmentFile=`, in a shell `export`, in a container its environment.

- **From a file.** Each variable can be given as `<name>_FILE` instead: the name of a file that holds the value, such as
  `INCIDENTD_WEBHOOK_TOKEN_FILE=/run/secrets/webhook_token`. Spaces and line breaks around the value are cut off. Both
  at once are refused.
- **Misspelt ones stop the start.** A variable that begins with `INCIDENTD_` and is no setting is named, with the
  closest one; so is each value that can't be used. The exit status is 2, and no value is ever printed.
- **Read once, at the start.** A changed setting wants a restart. Two exceptions are read anew when their file has been
  written: a secret that the rules name and that is given as a file, and `INCIDENTD_WEBHOOK_TOKENS_FILE`.
- **Two values while one replaces the other.** `INCIDENTD_SLACK_SIGNING_SECRET`, `INCIDENTD_PAGERDUTY_WEBHOOK_SECRET`
  and each source in `INCIDENTD_WEBHOOK_TOKENS` take up to 4 values, apart by spaces or line breaks. All of them count.
  How to replace a secret: see [security.md](security.md#replacing-a-secret).
- **An empty value is a value**, and mostly a refused one. Unset a variable that you don't want.

Rules name further variables that hold secrets, such as `INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER` in
`rules/destinations.yaml`. The same holds for those: `_FILE`, at least 16 characters, refused when empty.

`up`, `serve`, `worker` and `migrate` check all variables, also those that they don't need.

## Settings

"""


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together. ``commands`` read them; ``needed`` says who doesn't start without them."""

    heading: str
    names: tuple[str, ...]
    commands: str
    needed: str = ""


GROUPS = (
    Group(
        "Where data is",
        ("database_url", "redis_url", "rules", "spool"),
        "`up`, `serve`, `worker`; `migrate` the database and the rules; `rules` and `fire` the rules",
    ),
    Group(
        "Trying another table",
        ("shadow_rules",),
        "`up`, `serve`",
        "It tells nobody, and an unsound one stops nothing. See [rules.md](rules.md#a-shadow-table).",
    ),
    Group(
        "Where it listens",
        ("listen", "public_url"),
        "`up`, `serve`; `worker` and `link` for the links that they make; `fire` to find incidentd",
        "Without a public address links lead to `INCIDENTD_LISTEN`: on many machines set it, the same everywhere.",
    ),
    Group("Where a worker group shows its metrics", ("metrics_listen",), "`worker`"),
    Group(
        "Who may come in",
        ("webhook_token", "webhook_tokens", "api_token", "heartbeat_token"),
        "`up`, `serve`; `link` and `fire` to reach them",
        "`serve` needs one of the first two, and the third. `up` makes the first and the third by itself, in the folder"
        " of `--state`.",
    ),
    Group(
        "Slack",
        ("slack_bot_token", "slack_signing_secret", "slack_api_url", "slack_app_token"),
        "`up`, `serve`, `worker`; `sandbox` the tokens and the signing secret",
        "With a bot token `serve` and `up` need the signing secret too, or the app-level token, or both. Without a bot"
        " token `up` puts the sandbox in Slack's place.",
    ),
    Group(
        "PagerDuty",
        (
            "pagerduty_routing_key",
            "pagerduty_events_url",
            "pagerduty_webhook_secret",
            "pagerduty_api_token",
            "pagerduty_api_url",
        ),
        "`up`, `worker`; `serve` and `sandbox` the last three",
        "Without any routing key `up` puts the sandbox in PagerDuty's place; elsewhere a page that has no key is given"
        " up, and an incident says so.",
    ),
    Group(
        "Comparing with Alertmanager",
        (
            "alertmanager_url",
            "alertmanager_token",
            "alertmanager_receiver",
            "reconcile_seconds",
            "reconcile_settle_seconds",
            "reconcile_untold_seconds",
            "stale_seconds",
        ),
        "`up`, `worker`: timekeepers compare; `serve` notes what it hears",
        "Without an address nothing is compared, what nothing is heard of is only asked about, and a drill's alert"
        " goes straight to the webhook. See"
        " [operating.md](operating.md#comparing-with-alertmanager).",
    ),
    Group(
        "Who watches incidentd",
        ("heartbeat_url", "heartbeat_seconds"),
        "`up`, `worker`: timekeepers ping",
        "The address is a secret: whoever knows it can keep the outsider quiet.",
    ),
    Group("Logs", ("log_level", "log_format"), "all that run", "`up` in a terminal takes `console` by itself."),
    Group("How long data is kept", ("retention_days", "prune"), "`up`, `worker`; `prune` the first"),
    Group("Worker processes", ("workers_page", "workers_escalate", "workers_tell"), "`up`, `worker`"),
    Group(
        "Clocks of the machinery",
        ("tick_seconds", "lease_seconds", "http_seconds", "mark_escalate_seconds", "mark_deliver_seconds"),
        "`up`, `worker`; `serve` the marks",
        "Leave them alone unless you know why: promises are measured with these defaults.",
    ),
    Group("For tests", ("failpoint",), "all that run"),
)


def reference() -> str:
    """The whole page in Markdown: how settings are given, and a table for each group. Ends with a line break."""
    known = {setting.name: setting for setting in describe()}
    return _BEGINNING + "\n".join(line for group in GROUPS for line in _section(group, known))


def _section(group: Group, known: dict[str, Setting]) -> Iterator[str]:
    yield from (f"### {group.heading}", "", f"Read by {group.commands}.")
    if group.needed:
        yield from ("", group.needed)
    yield from ("", "| variable | default | meaning | allowed |", "|---|---|---|---|")
    for name in group.names:
        setting = known[f"INCIDENTD_{name.upper()}"]
        default = f"`{setting.default}`" if setting.default else ""
        yield f"| `{setting.name}` | {default} | {_meaning(setting)} | {setting.allowed} |"
    yield ""


def _meaning(setting: Setting) -> str:
    return f"{setting.text} (secret)" if setting.secret else setting.text
