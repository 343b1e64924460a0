"""``incidentd demo``: a story on a policy of seconds, told as it happens, and what it proves."""

from incidentd.cli.demo.play import run

__all__ = ["run"]
