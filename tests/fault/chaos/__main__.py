"""``make chaos``: random faults against real processes; says what came of it, exit status 1 where anything was lost."""

import argparse
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from random import SystemRandom

from incidentd.clock import SystemClock
from tests.fault import mark
from tests.fault.chaos.pace import DEFAULT, PACES
from tests.fault.chaos.plan import POSTGRESQL, SQLITE
from tests.fault.chaos.run import Say, run
from tests.fault.chaos.summary import Summary, markdown, report, to_json, together

_DATABASES = (SQLITE, POSTGRESQL)


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    asked = _parse(arguments)
    first = asked.seed if asked.seed is not None else SystemRandom().randrange(10**6)
    databases = [asked.database] if asked.database else _DATABASES
    totals = mark.each(partial(_total, first=first, asked=asked), databases, asked.at_once)
    if asked.json:
        asked.json.write_text(to_json(totals))
    if asked.write:
        mark.write(_page(totals, asked, first), "single" if asked.single else "chaos")
    return int(not all(total.is_good for total in totals))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("chaos", description="random faults against incidentd, and what came of them")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each run, the quiet end included (5)")
    parser.add_argument("--runs", type=int, default=1, help="on each database, each with a seed of its own (1)")
    parser.add_argument("--seed", type=int, help="of the first run; it decides faults and alerts (random)")
    parser.add_argument("--database", choices=_DATABASES, help="one of the two (both, one after the other)")
    parser.add_argument(
        "--at-once", action="store_true", help="both databases at the same time, not one after the other"
    )
    parser.add_argument("--pace", choices=PACES, default=DEFAULT.name, help="the product's times, or short ones")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--keep", action="store_true", help="keep logs and timelines, also of a run that was good")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--single", action="store_true", help="deaths and Redis only, one at a time, to time each")
    asked = parser.parse_args(arguments)
    if asked.write and asked.database:
        parser.error("--write is for both databases: their results stand side by side")
    return asked


def _total(database: str, first: int, asked: argparse.Namespace) -> Summary:
    total = together([_run(database, first + number, asked) for number in range(asked.runs)])
    print(f"\n{report(total)}", flush=True)
    return total


def _run(database: str, seed: int, asked: argparse.Namespace) -> Summary:
    print(f"{database}: seed {seed}, {asked.minutes:g} minutes", flush=True)
    folder = Path(tempfile.mkdtemp(prefix=f"incidentd-chaos-{database}-{seed}-"))
    say: Say = lambda text: print(f"  {text}", flush=True)  # noqa: E731
    summary = run(database, seed, asked.minutes, PACES[asked.pace], folder, say, single=asked.single)
    if summary.is_good and not asked.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"  logs: {folder}", flush=True)
    return summary


def _page(totals: list[Summary], asked: argparse.Namespace, first: int) -> str:
    more = " --single" * asked.single + " --at-once" * asked.at_once
    command = f'make chaos CHAOS="--minutes {asked.minutes:g} --runs {asked.runs} --seed {first}{more}"'
    today = SystemClock().now().date().isoformat()
    return f"`{command}` on {today}, {mark.machine()}.\n\n{markdown(totals)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
