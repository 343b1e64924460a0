"""``python -m tests.fault.launcher <fault> <module> <arguments>``: a part with a fault that a failpoint can't show.

``freeze``: at its failpoint it stops, as by SIGSTOP, instead of dying. ``hang``: there it waits for ever, in that one
thread. ``crash``: the group's page workers end as soon as they are started.
"""

import os
import runpy
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from incidentd.cli import part
from incidentd.process import failpoint
from incidentd.process.supervisor import Child
from incidentd.settings import Settings

_kill = os.kill
_group = part.group


def _freeze(pid: int, what: int) -> None:
    if what == signal.SIGKILL:
        failpoint.arm(None)
        _kill(pid, signal.SIGSTOP)
    else:
        _kill(pid, what)


def _hang(pid: int, what: int) -> None:
    if what == signal.SIGKILL:
        threading.Event().wait()
    else:
        _kill(pid, what)


def _crashing(settings: Settings, environ: Mapping[str, str]) -> list[Child]:
    ending = [sys.executable, "-c", "raise SystemExit(3)"]
    return [replace(each, argv=ending) if each.name == "page" else each for each in _group(settings, environ)]


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "freeze": (os, "kill", _freeze),
    "hang": (os, "kill", _hang),
    "crash": (part, "group", _crashing),
}

if __name__ == "__main__":
    setattr(*FAULTS[sys.argv[1]])
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
