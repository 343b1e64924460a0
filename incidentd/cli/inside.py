"""``python -m incidentd.cli.inside``: the web part of `up`. It starts soon: it loads no other command."""

import os
import sys

import typer

from incidentd.cli import part
from incidentd.cli.told import told

if __name__ == "__main__":
    try:
        with told():
            sys.exit(part.serve_inside(dict(os.environ)))
    except typer.Exit as refused:
        sys.exit(refused.exit_code)
