"""``python -m incidentd.cli``: how a process starts its own parts."""

from incidentd.cli.main import main

main()
