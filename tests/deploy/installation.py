"""incidentd as the image has it: installed by the Dockerfile's own commands, outside the checkout."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT, copied, stages, texts

_TARGET = "/opt/incidentd"


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of that installation; made once for all test processes of a run."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, finished = shared / "installation", shared / "installation.finished"
    with (shared / "installation.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            _install(shared / "source", folder)
            finished.touch()
    return folder / "bin"


def _install(source: Path, target: Path) -> None:
    """Copy and run what the stage named build does."""
    shutil.rmtree(target, ignore_errors=True)
    (build,) = [stage for stage in stages() if stage[0].text.endswith(" AS build")]
    for name, to in copied(build):
        _copy(ROOT / name, source / to / ("" if (ROOT / name).is_dir() else name))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in texts(build, "RUN"):
        here = command.replace(_TARGET, str(target))
        done = subprocess.run(
            ["/bin/sh", "-c", here],
            cwd=source,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
