"""What this process does, counted and timed for Prometheus."""

from incidentd.meter.meter import Meter

__all__ = ["Meter"]
