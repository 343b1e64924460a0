"""``incidentd doctor``: looks at everything that incidentd needs, and changes nothing."""

from incidentd.cli.doctor.run import run

__all__ = ["run"]
