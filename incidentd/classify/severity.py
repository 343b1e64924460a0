"""The tier that a severity asks for: where no row matches, and as a floor where a number can't be read (model 8, 9)."""

from collections.abc import Mapping
from dataclasses import dataclass

from incidentd.classify.line import one_line
from incidentd.tier import Tier

LABEL = "severity"
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Severities:
    """Tier by the label ``severity``; ``otherwise`` for any other severity, and for none."""

    tiers: Mapping[str, Tier]
    otherwise: Tier

    def tier(self, labels: Mapping[str, str]) -> Tier:
        """The tier for these labels."""
        return self.tiers.get(labels.get(LABEL, ""), self.otherwise)

    def reason(self, labels: Mapping[str, str]) -> str:
        """What decided, in words."""
        severity = labels.get(LABEL, "")
        if not severity:
            return "no severity"
        known = "" if severity in self.tiers else "unknown "
        return f"{known}severity {one_line(severity, _LONGEST)}"
