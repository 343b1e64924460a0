"""What the rules say of a drill's alert."""

from incidentd.alert import Alert
from incidentd.classify.rules import Rules
from incidentd.classify.table import DEFAULT_POLICY
from incidentd.classify.verdict import Verdict
from incidentd.drill import DRILL_SYSTEM, DrillMark, mark_of, whose

ROW = "drill"


def drilled(alert: Alert, rules: Rules) -> Verdict | None:
    """The verdict on a drill's alert: the policy and the followers of the system that is drilled; None for others."""
    mark = mark_of(alert)
    return None if mark is None else _verdict(mark, rules)


def _verdict(mark: DrillMark, rules: Rules) -> Verdict:
    table = rules.table_for({"system": mark.system})
    return Verdict(
        tier=mark.tier,
        key=mark.key,
        system=DRILL_SYSTEM,
        slo=whose(mark.tier, mark.system),
        row=ROW,
        reason=f"a drill of {whose(mark.tier, mark.system)}",
        title=mark.title.replace("{", "{{").replace("}", "}}"),
        policy=table.policy if table else DEFAULT_POLICY,
        version=rules.version,
        destinations=table.destinations if table else (),
    )
