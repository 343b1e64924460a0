"""`python -m slo`: write what is made of each system's source."""

from pathlib import Path
from typing import Any

import yaml

from slo.alerting import alert_groups
from slo.recording import recording_groups
from slo.source import ROOT, SYSTEMS, read
from slo.testing import tests_of

_HEAD = "# Made of objectives.yaml and alerts.yaml by `python -m slo`: change those.\n"


def generated(system: str) -> dict[Path, str]:
    """The files of a system as its source has them."""
    source = read(system)
    folder = ROOT / system
    tests = {"rule_files": ["alerts.rules.yml"], "evaluation_interval": "1m", "tests": tests_of(source)}
    return {
        folder / "indicators.rules.yml": _written({"groups": recording_groups(source)}),
        folder / "alerts.rules.yml": _written({"groups": alert_groups(source)}),
        folder / "alerts.test.yml": _written(tests),
    }


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _written(content: dict[str, Any]) -> str:
    return _HEAD + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def write() -> None:
    """Write them all."""
    for system in SYSTEMS:
        for path, text in generated(system).items():
            path.write_text(text, "utf-8")


if __name__ == "__main__":
    write()
