"""The folders that worker groups count in."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from incidentd.cli.measured import counted
from tests.servers import free_port

# What a supervisor does, until it is killed.
GROUP = """
import sys
from pathlib import Path
from incidentd.cli.measured import counted
with counted(("127.0.0.1", int(sys.argv[1]))) as folder:
    (folder / "counter_page-1.db").touch()
    print(folder, flush=True)
    sys.stdin.readline()
"""


def test_a_start_clears_the_folders_of_the_killed_and_spares_those_of_the_living(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "incidentd-metrics-elsewhere").symlink_to(Path.cwd())
    argv = [sys.executable, "-c", GROUP, str(free_port())]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as group:
        assert group.stdout is not None
        theirs = Path(group.stdout.readline().strip())
        with counted(("127.0.0.1", free_port())) as ours:
            assert ours is not None
            assert ours.is_dir()
            assert theirs.is_dir()
        group.kill()
    assert theirs.is_dir()
    with counted(("127.0.0.1", free_port())):
        assert not theirs.exists()
    assert Path.cwd().is_dir()
    assert [each.name for each in tmp_path.iterdir()] == ["incidentd-metrics-elsewhere"]
