"""Who is there: somebody at every level of every policy that an alert comes under."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from incidentd.classify.row import Row
from incidentd.classify.rules import Rules
from incidentd.coverage.finding import Finding, Kind
from incidentd.errors import Fault
from incidentd.tier import Tier

FILE = "escalation.yaml"


def unreached(taken: Iterable[tuple[str, Row]], rules: Rules) -> Iterator[Finding]:
    """Levels that tell nobody, and tiers without a level that tell nobody at once, with the alerts that come there."""
    gaps: dict[tuple[str, Tier, str], dict[str, None]] = defaultdict(dict)
    for alert, row in taken:
        for tier in _tiers(row, rules):
            for cause in _gaps(row, tier, rules):
                gaps[row.policy, tier, cause][alert] = None
    for (policy, tier, cause), alerts in gaps.items():
        names = list(alerts)
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        said = f"{cause}, for {', '.join(names[:2])}{more}"
        yield Finding(Kind.NOBODY, Fault(FILE, 0, f"{policy} {tier}", said))


def _tiers(row: Row, rules: Rules) -> Iterator[Tier]:
    """Its own, and the one that several regions at once may raise it to."""
    yield row.tier
    scopes = [rule.scope for rule in rules.table_of(row).scopes] if row.scope is None else [row.scope]
    yield from {scope.tier for scope in scopes if row.tier <= scope.minimum and scope.tier < row.tier}


def _gaps(row: Row, tier: Tier, rules: Rules) -> Iterator[str]:
    policy = rules.policies[row.policy].tiers[tier]
    for number, level in enumerate(policy.levels, 1):
        if not level.tell:
            yield f"level {number} ({level.name}) reaches nobody"
        elif _may_be_missing(level.tell, rules):
            yield f"level {number} ({level.name}) reaches nobody but what is optional"
    at_once = (*policy.opening, *row.destinations)
    if not (policy.levels or at_once):
        yield "there is no level, and nobody is told at once"
    elif not policy.levels and _may_be_missing(at_once, rules):
        yield "there is no level, and nobody is told at once but what is optional"


def _may_be_missing(names: Iterable[str], rules: Rules) -> bool:
    """Whether nobody would be told as long as no variable is set, and nothing would say so."""
    return all(rules.destinations[name].optional for name in names)
