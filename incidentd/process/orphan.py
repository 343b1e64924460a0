"""No process of ours outlives its parent, not even when the parent is killed with SIGKILL.

An orphaned worker would run beside the one that the next start brings; an orphaned redis-server would hold its port.
"""

import os
import sys
import threading
from collections.abc import Sequence

_LINUX = sys.platform == "linux"
_POLL_SECONDS = 1.0
_ORPHANED = 75

# PR_SET_PDEATHSIG (prctl(2)) survives exec. The parent may have died before the call: hence the look at getppid.
_LEASH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.getppid() == int(sys.argv[1]) or os._exit(75)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def leashed(argv: Sequence[str]) -> list[str]:
    """The command that runs ``argv`` in its own place and dies with the thread that starts it.

    Start it from a thread that lives as long as the child is to live. Where the kernel can't do it, ``argv`` itself.
    """
    if not _LINUX:
        return list(argv)
    return [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid()), *argv]


def watch_parent() -> None:
    """End this process when its parent dies: for systems whose kernel doesn't (``leashed`` then does nothing)."""
    if not _LINUX:
        threading.Thread(target=_poll, args=(os.getppid(),), name="parent", daemon=True).start()


def _poll(parent: int) -> None:
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(_POLL_SECONDS)
    os._exit(_ORPHANED)
