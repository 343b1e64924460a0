"""The command line. Thin: every command is a few lines around what stands elsewhere."""

from incidentd.cli.main import main

__all__ = ["main"]
