"""Whatever bytes come, parsers answer as they promise. ``make fuzz`` looks for longer."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz.target import TARGETS
from tests.servers import leashed

ROOT = Path(__file__).parents[2]
SEEDS = Path(__file__).parent / "seeds"
SHORT = "-runs=400"
"""How long without ``FUZZ_SECONDS``: as many tries, so that it ends the same way on a busy machine."""

KEPT = sorted(path for path in SEEDS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_tried_once_still_holds(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_each_parser_has_seeds() -> None:
    assert {path.parent.name for path in KEPT} == TARGETS.keys()


@pytest.mark.skipif(not find_spec("atheris"), reason="atheris has no wheel for this system")
@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_break_a_parser(target: str, tmp_path: Path) -> None:
    corpus = shutil.copytree(SEEDS / target, tmp_path / "corpus")
    seconds = os.environ.get("FUZZ_SECONDS")
    options = [
        f"-max_total_time={seconds}" if seconds else SHORT,
        *([] if seconds else ["-seed=1"]),
        f"-artifact_prefix={tmp_path}/broke-",
        "-max_len=4096",
        "-timeout=20",
        "-rss_limit_mb=1024",
    ]
    argv = [sys.executable, "-m", "tests.fuzz", target, *options, str(corpus)]
    done = subprocess.run(leashed(argv), cwd=ROOT, capture_output=True, text=True, check=False)
    broke = [path.read_bytes() for path in tmp_path.glob("broke-*")]
    assert done.returncode == 0, f"keep these bytes under {SEEDS / target}: {broke}\n{done.stdout}{done.stderr}"
