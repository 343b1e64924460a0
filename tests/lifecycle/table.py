"""Rules folders of a test's own: the real ones, with some text replaced."""

import shutil
from pathlib import Path

from tests.lifecycle.bench import RULES


def copy_rules(folder: Path) -> Path:
    """A copy of the real rules, to be changed."""
    copy = folder / "rules"
    shutil.copytree(RULES, copy)
    return copy


def replace_in(rules: Path, file: str, *changes: tuple[str, str]) -> None:
    """Replace text that must be there, everywhere in one file."""
    path = rules / file
    text = path.read_text()
    for old, new in changes:
        assert old in text, f"{file} has no {old!r}"
        text = text.replace(old, new)
    path.write_text(text)
