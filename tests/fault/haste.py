"""The real rules, with a policy that is measured in seconds."""

import shutil
from pathlib import Path

from tests.lifecycle.bench import RULES
from tests.lifecycle.table import replace_in


def hasty_rules(folder: Path, seconds: int) -> Path:
    """A copy whose P0 gives each level so many seconds, in one round only."""
    shutil.copytree(RULES, folder)
    replace_in(
        folder,
        "escalation.yaml",
        ("rounds: 3", "rounds: 1"),
        ("closest: 60s", "closest: 1s"),
        ("{lasts: 5m, tell: [page-oncall, incidents]}", f"{{lasts: {seconds}s, tell: [page-oncall, incidents]}}"),
        ("{lasts: 10m, tell: [page-manager, incidents]}", f"{{lasts: {seconds}s, tell: [page-manager, incidents]}}"),
    )
    # A crowd is posted at once: the limits are another test's matter, and waiting for them would be this one's time.
    replace_in(
        folder,
        "destinations.yaml",
        ("per_minute: 60", "per_minute: 6000\n  one_by_one: 0"),
        ("burst: 10", "burst: 100"),
    )
    return folder
