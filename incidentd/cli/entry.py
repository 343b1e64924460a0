"""Where every command begins. A SIGHUP that comes while the rest is imported, which takes seconds, has to wait.

Commands that don't act on it let it through when they are known: see ``main.callback``.
"""

from incidentd.process import hang_up

hang_up.hold()

from incidentd.cli.main import main  # noqa: E402 - that is what has to wait

__all__ = ["main"]
