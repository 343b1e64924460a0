"""incidentd: SLO breaches in, the right person awake, the whole story kept."""

__version__ = "0.1.0"
