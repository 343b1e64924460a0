"""``python -m bench``: measures, prints the table, and with ``--write`` puts it into the README."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from bench import accept, backtest, classify, deadline, page, table
from bench.database import Fresh, postgresql, sqlite
from bench.result import Result

DATABASES: Mapping[str, Callable[[], AbstractContextManager[Fresh]]] = {"SQLite": sqlite, "PostgreSQL": postgresql}
PARTS: Mapping[str, Callable[[Fresh], list[Result]]] = {
    "abc": accept.measure,
    "dh": page.measure,
    "ef": deadline.measure,
    "g": accept.measure_open,
    "i": deadline.measure_at_once,
    "j": classify.measure,
    "k": backtest.measure,
}


def main(arguments: list[str]) -> int:
    """Returns the exit status: 1 when a target was missed."""
    asked = _parse(arguments)
    measured = {name: list(_measured(name, asked.only)) for name in DATABASES if asked.database in ("", name.lower())}
    text = table.markdown(measured)
    print(f"\n{text}")
    if asked.write:
        table.write(text)
    return int(not all(result.met for results in measured.values() for result in results))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench", description="incidentd against a bare endpoint, side by side in one run")
    parser.add_argument("--only", default="", help="letters of the measurements wanted, such as ah; all by default")
    parser.add_argument("--database", default="", choices=["", *(name.lower() for name in DATABASES)])
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    asked = parser.parse_args(arguments)
    if asked.write and (asked.only or asked.database):
        parser.error("--write is for a whole run: its table shows what belongs together")
    return asked


def _measured(database: str, only: str) -> Iterator[Result]:
    with DATABASES[database]() as fresh:
        for letters, measure in PARTS.items():
            if not only or set(only) & set(letters):
                for result in measure(fresh):
                    mark = "met" if result.met else "MISSED"
                    print(f"{database}  ({result.letter}) {result.what}: {result.measured}  {result.target}  {mark}")
                    yield result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
