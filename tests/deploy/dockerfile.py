"""The Dockerfile, read: its stages, and what each of them does."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continuation lines joined: ``name`` in upper case, ``text`` as it stands."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments, whether they stand as JSON or as a shell would read them."""
        return list(json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)


Stage = Sequence[Instruction]


def stages() -> list[Stage]:
    """The instructions of each stage, its FROM first."""
    found: list[list[Instruction]] = []
    for instruction in _instructions((ROOT / "Dockerfile").read_text("utf-8")):
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return list(found)


def texts(stage: Stage, name: str) -> list[str]:
    """What this stage's instructions of one name say."""
    return [each.text for each in stage if each.name == name]


def copied(stage: Stage) -> list[tuple[str, str]]:
    """What this stage copies from the checkout: (source, target)."""
    copies = [each.words for each in stage if each.name == "COPY"]
    return [(source, words[-1]) for words in copies if not words[0].startswith("--from") for source in words[:-1]]


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        yield Instruction(name.upper(), " ".join(rest.split()))
