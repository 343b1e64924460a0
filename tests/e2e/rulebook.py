"""The shipped rules with a policy that is measured in seconds."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

LEVELS = (4, 2, 60)
HOLD_DOWN = 2
SHIPPED = Path(__file__).parents[2] / "rules"


def in_seconds(folder: Path, levels: Sequence[int] = LEVELS, hold_down: int = HOLD_DOWN) -> Path:
    """A copy of ``rules/`` in ``folder`` whose P0 has levels of so many seconds each."""
    shutil.copytree(SHIPPED, folder)
    file = folder / "escalation.yaml"
    content = yaml.safe_load(file.read_text())
    policy = content["policies"]["default"]
    policy |= {"closest": "1s", "hold_down": f"{hold_down}s"}
    for level, seconds in zip(policy["tiers"]["P0"]["levels"], levels, strict=True):
        level["lasts"] = f"{seconds}s"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return folder
