"""``python -m incidentd.cli``: how a process starts its own parts."""

from incidentd.cli.entry import main

main()
