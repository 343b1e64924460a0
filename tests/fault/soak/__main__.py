"""``make soak``: a steady load for an hour; exit status 1 where anything grows."""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from incidentd.clock import SystemClock
from tests.fault import mark
from tests.fault.soak.run import Soaked, soak
from tests.fault.soak.summary import markdown

_DATABASES = ("sqlite", "postgresql")


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    asked = _parse(arguments)
    databases = [asked.database] if asked.database else _DATABASES
    found = mark.each(partial(_run, asked=asked), databases, asked.at_once)
    table = markdown(found)
    print(table)
    if asked.write:
        mark.write(_page(table, asked), "soak")
    return int(not all(each.is_good for each in found))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("soak", description="a steady load, and whether memory, files or connections grow")
    parser.add_argument("--minutes", type=float, default=60.0, help="on each database (60)")
    parser.add_argument("--alerts", type=float, default=20.0, help="a second (20)")
    parser.add_argument("--database", choices=_DATABASES, help="one of the two (both, one after the other)")
    parser.add_argument(
        "--at-once", action="store_true", help="both databases at the same time, not one after the other"
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    return parser.parse_args(arguments)


def _run(database: str, asked: argparse.Namespace) -> Soaked:
    print(f"{database}: {asked.minutes:g} minutes, {asked.alerts:g} alerts a second", flush=True)
    with tempfile.TemporaryDirectory(prefix=f"incidentd-soak-{database}-") as folder:
        return soak(database, asked.minutes, asked.alerts, Path(folder), lambda text: print(f"  {text}", flush=True))


def _page(table: str, asked: argparse.Namespace) -> str:
    command = f'make soak SOAK="--minutes {asked.minutes:g} --alerts {asked.alerts:g}{" --at-once" * asked.at_once}"'
    today = SystemClock().now().date().isoformat()
    return f"`{command}` on {today}, {mark.machine()}.\n\n{table}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
