"""Named points at which a test can have the process die, to show that nothing is lost there.

Off unless ``arm`` is called with the setting ``INCIDENTD_FAILPOINT``: ``name``, or ``name:n`` for the n-th passing.
"""

import os
import signal

NAMES = frozenset(
    {
        "web.before_commit",
        "web.after_commit",
        "web.before_answer",
        "web.after_answer",
        "mark.before_commit",
        "mark.after_commit",
        "tick.before_commit",
        "tick.after_commit",
        "claim.before_commit",
        "claim.after_commit",
        "send.before",
        "send.after",
        "cursor.before_commit",
        "cursor.after_commit",
    }
)

_armed: dict[str, int] = {}


def arm(setting: str | None) -> None:
    """Arm one point.

    Raises:
        ValueError: there is no such point.
    """
    _armed.clear()
    if not setting:
        return
    name, _, passing = setting.partition(":")
    if name not in NAMES:
        raise ValueError(f"there is no failpoint {name}")
    _armed[name] = int(passing or "1")


def failpoint(name: str) -> None:
    """Die here, as by kill -9, when this point is armed and passed often enough."""
    if name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
