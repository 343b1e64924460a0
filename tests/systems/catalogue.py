"""What the five documents ask, written down by hand: which number of which indicator is which tier, after how long.

The rules tables, the alert rules and their tests are all held to this list; it is made from none of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from incidentd.tier import Tier

_SPAN = {"m": 60, "h": 3600}
_STEPS = {"<": -1, "<=": -1, ">": 1, ">=": 1}


@dataclass(frozen=True)
class Line:
    """One threshold of a document: the alert of its own that it has, and the tier that this means."""

    alert: str
    system: str
    slo: str
    sli: str
    operator: str
    limit: float
    labels: Mapping[str, str]
    lasts: int
    tier: Tier

    @cached_property
    def step(self) -> float:
        """The smallest difference that is tested: one where the indicator is counted or timed, else a hundredth."""
        return 1 if self.sli in _WHOLE else 0.01

    @cached_property
    def at(self) -> str:
        """The threshold itself, as a plain decimal."""
        return plain(self.limit)

    @cached_property
    def beyond(self) -> str:
        """The nearest value on the side that fires."""
        return plain(self.limit + _STEPS[self.operator] * self.step)

    @cached_property
    def within(self) -> str:
        """The nearest value on the side that does not."""
        return plain(self.limit - _STEPS[self.operator] * self.step)

    @cached_property
    def fires(self) -> tuple[str, ...]:
        """Those of the two values at and beyond the threshold that fire."""
        return (self.at, self.beyond) if self.operator.endswith("=") else (self.beyond,)

    @cached_property
    def rests(self) -> tuple[str, ...]:
        """Those of the two values within and at the threshold that don't."""
        return (self.within,) if self.operator.endswith("=") else (self.within, self.at)


def plain(number: float) -> str:
    """A number as the alert rules print it."""
    return f"{number:.4f}".rstrip("0").rstrip(".")


_WHOLE = {
    "latency_p95", "latency_p99", "failures", "outage", "activations", "incidents", "bundle_size", "bundle_total",
    "age_days", "review_time",
}  # fmt: skip

# alert | objective | indicator and condition | further labels | lasts | tier
_LINES = {
    "avalo": """
AvaloSecurityBreach | security | outage >= 1 | | 0 | P0
AvaloCoreApiOutage | core-api | outage >= 1 | region=eu | 0 | P0
AvaloMoneyFlowOutage | money-flow-latency | outage >= 1 | region=eu | 0 | P0
AvaloDatabaseUnreachable | firestore-latency | outage >= 1 | region=eu | 0 | P0
AvaloOutageInRegion | secondary-api | outage >= 1 | region=eu | 0 | P1
AvaloOutageInRegion | chat-delivery | outage >= 1 | region=eu | 0 | P1
AvaloOutageInRegion | call-connection | outage >= 1 | region=eu | 0 | P1
AvaloOutageEverywhere | core-api | outage >= 1 | | 0 | P0
AvaloOutageEverywhere | secondary-api | outage >= 1 | | 0 | P0
AvaloOutageEverywhere | chat-delivery | outage >= 1 | | 0 | P0
AvaloOutageEverywhere | call-connection | outage >= 1 | | 0 | P0
AvaloCoreApiBelow995 | core-api | availability < 99.5 | region=eu | 0 | P0
AvaloCoreApiBelow998 | core-api | availability < 99.8 | region=eu | 0 | P1
AvaloSecondaryApiBelow995 | secondary-api | availability < 99.5 | region=eu | 0 | P1
AvaloApiLatencyOver1500 | api-latency | latency_p95 > 1500 | region=eu endpoint=auth window=10m | 10m | P1
AvaloApiLatencyOver750 | api-latency | latency_p95 > 750 | region=eu endpoint=auth window=15m | 15m | P2
AvaloApiLatencyAuthOverTarget | api-latency | latency_p95 > 300 | region=eu endpoint=auth window=1h | 1h | P2
AvaloApiLatencyWalletBalanceOverTarget | api-latency | latency_p95 > 200 | endpoint=wallet-balance window=1h | 1h | P2
AvaloApiLatencyChatSendOverTarget | api-latency | latency_p95 > 400 | region=eu endpoint=chat-send window=1h | 1h | P2
AvaloApiLatencyOverTarget | api-latency | latency_p95 > 500 | region=eu endpoint=profile window=1h | 1h | P2
AvaloApiLatencyTwiceNormal | api-latency | latency_ratio > 2 | region=eu endpoint=auth | 0 | P2
AvaloMoneyFlowOver2000 | money-flow-latency | latency_p95 > 2000 | region=eu | 0 | P0
AvaloMoneyFlowOver800 | money-flow-latency | latency_p95 > 800 | region=eu window=10m | 10m | P1
AvaloMoneyFlowOverTarget | money-flow-latency | latency_p95 > 400 | region=eu window=1h | 1h | P2
AvaloRealtimeOver1200 | realtime-latency | latency_p95 > 1200 | region=eu window=10m | 10m | P1
AvaloRealtimeOverTarget | realtime-latency | latency_p95 > 600 | region=eu window=1h | 1h | P2
AvaloFirestoreOver2000 | firestore-latency | latency_p95 > 2000 | region=eu operation=read window=10m | 10m | P1
AvaloFirestoreOver500 | firestore-latency | latency_p95 > 500 | region=eu operation=read window=15m | 15m | P2
AvaloFirestoreReadOverTarget | firestore-latency | latency_p95 > 100 | region=eu operation=read window=1h | 1h | P2
AvaloFirestoreWriteOverTarget | firestore-latency | latency_p95 > 300 | region=eu operation=write window=1h | 1h | P2
AvaloWalletFailures10m | wallet-success | failures > 10 | region=eu window=10m | 0 | P0
AvaloWalletFailures1h | wallet-success | failures > 20 | region=eu window=1h | 0 | P1
AvaloWalletErrorRate | wallet-success | error_rate > 1 | region=eu | 0 | P1
AvaloChatFailures15m | chat-delivery | failures > 20 | region=eu window=15m | 0 | P1
AvaloCallFailuresOver30 | call-connection | failures > 30 | region=eu window=10m | 0 | P0
AvaloCallFailuresOver15 | call-connection | failures > 15 | region=eu window=10m | 0 | P1
AvaloAiResponseOver5000 | ai-response | latency_p95 > 5000 | window=30m | 30m | P2
AvaloAiResponseOverTarget | ai-response | latency_p95 > 3000 | window=1h | 1h | P2
AvaloAiModelErrors | ai-response | failures > 10 | window=30m | 0 | P2
AvaloAiErrorRate | ai-response | error_rate >= 1 | | 0 | P2
AvaloPanicButton | safety-response | activations >= 1 | | 0 | P1
AvaloSafetyIncidents1h | safety-response | incidents > 20 | window=1h | 0 | P1
AvaloSafetyReviewP0Over15 | safety-response | review_time > 15 | incident_tier=P0 | 0 | P1
AvaloSafetyReviewP1Over60 | safety-response | review_time > 60 | incident_tier=P1 | 0 | P1
AvaloDataExportLate | data-export | error_rate > 10 | | 0 | P2
AvaloDataExportOver45Days | data-export | age_days > 45 | | 0 | P1
AvaloBudgetOver50 | core-api | budget_consumed > 50 | region=eu | 0 | P1
AvaloBudgetOver50 | data-export | budget_consumed > 50 | | 0 | P1
AvaloBudgetFrom25 | core-api | budget_consumed >= 25 | region=eu | 0 | P2
AvaloDailyBudgetFrom100 | chat-delivery | daily_budget_consumed >= 100 | region=eu | 0 | P0
AvaloDailyBudgetFrom25 | chat-delivery | daily_budget_consumed >= 25 | region=eu | 0 | P1
AvaloDailyBudgetFrom10 | chat-delivery | daily_budget_consumed >= 10 | region=eu | 0 | P2
AvaloBurnRateOver2 | call-connection | burn_rate > 2 | region=eu | 0 | P2
AvaloBreachWithin24h | wallet-success | breach_eta <= 24 | region=eu | 0 | P2
""",
    "chat-backend": """
ChatBackendHandshakeBelow999 | handshake-success | availability < 99.9 | | 0 | P2
ChatBackendSendOver300 | message-send-latency | latency_p95 > 300 | | 0 | P1
ChatBackendSendOver250 | message-send-latency | latency_p95 > 250 | | 0 | P2
ChatBackendHistoryOver400 | history-fetch-latency | latency_p95 > 400 | | 0 | P1
ChatBackendHistoryOver350 | history-fetch-latency | latency_p95 > 350 | | 0 | P2
ChatBackendMessageErrorsOver01 | message-errors | error_rate > 0.1 | | 0 | P1
ChatBackendMessageErrorsFrom008 | message-errors | error_rate >= 0.08 | | 0 | P3
ChatBackendBurnRateFrom5 | handshake-success | burn_rate >= 5 | window=10m | 10m | P1
ChatBackendBurnRateFrom5 | message-errors | burn_rate >= 5 | window=10m | 10m | P1
ChatBackendBurnRateFrom2 | handshake-success | burn_rate >= 2 | window=30m | 30m | P2
ChatBackendBurnRateFrom2 | message-send-latency | burn_rate >= 2 | window=30m | 30m | P2
""",
    "agentmesh": """
AgentmeshBudgetFrom100 | api-success | budget_consumed >= 100 | environment=production | 0 | P0
AgentmeshBudgetFrom100 | api-latency | budget_consumed >= 100 | environment=production | 0 | P0
AgentmeshBudgetFrom100 | db-errors | budget_consumed >= 100 | environment=production | 0 | P0
AgentmeshBudgetFrom100 | availability | budget_consumed >= 100 | environment=production | 0 | P0
AgentmeshBudgetFrom100 | api-success | budget_consumed >= 100 | environment=preview | 0 | P3
AgentmeshBudgetFrom80 | api-success | budget_consumed >= 80 | environment=production | 0 | P1
AgentmeshBudgetFrom80 | api-success | budget_consumed >= 80 | environment=preview | 0 | P3
AgentmeshBudgetFrom50 | api-success | budget_consumed >= 50 | environment=production | 0 | P2
AgentmeshBudgetFrom50 | api-success | budget_consumed >= 50 | environment=preview | 0 | P3
AgentmeshApiLatencyOver300 | api-latency | latency_p95 > 300 | environment=production | 0 | P2
AgentmeshPreviewApiLatencyOver400 | api-latency | latency_p95 > 400 | environment=preview | 0 | P3
AgentmeshDbErrorsFrom01 | db-errors | error_rate >= 0.1 | environment=production | 0 | P2
AgentmeshDbErrorsFrom01 | db-errors | error_rate >= 0.1 | environment=preview | 0 | P3
AgentmeshOutage | availability | outage >= 1 | environment=production | 0 | P0
AgentmeshOutage | availability | outage >= 1 | environment=preview | 0 | P3
""",
    "astudio": """
AstudioMcpBelow995 | mcp-availability | availability < 99.5 | | 0 | P1
AstudioMcpBelow998 | mcp-availability | availability < 99.8 | | 0 | P2
AstudioMcpLocalOver500 | mcp-latency-local | latency_p95 > 500 | | 0 | P1
AstudioMcpLocalOver400 | mcp-latency-local | latency_p95 > 400 | | 0 | P2
AstudioMcpRemoteOver1500 | mcp-latency-remote | latency_p95 > 1500 | | 0 | P1
AstudioMcpRemoteOver1200 | mcp-latency-remote | latency_p95 > 1200 | | 0 | P2
AstudioBuildOver5 | widget-build-time | build_time_p95 > 5 | | 0 | P1
AstudioBuildOver4 | widget-build-time | build_time_p95 > 4 | | 0 | P2
AstudioBundleOver250 | widget-bundle-size | bundle_size > 250 | widget=chart | 0 | P1
AstudioBundleOver240 | widget-bundle-size | bundle_size > 240 | widget=chart | 0 | P2
AstudioBundleTotalOver1024 | widget-bundle-size | bundle_total > 1024 | | 0 | P1
AstudioCiBelow95 | ci-pass-rate | pass_rate < 95 | | 0 | P1
AstudioCiBelow97 | ci-pass-rate | pass_rate < 97 | | 0 | P2
AstudioVisualBelow95 | visual-pass-rate | pass_rate < 95 | | 0 | P1
AstudioVisualBelow97 | visual-pass-rate | pass_rate < 97 | | 0 | P2
AstudioBudgetFrom50 | mcp-availability | budget_consumed >= 50 | window=7d | 0 | P2
AstudioBudgetFrom50 | ci-pass-rate | budget_consumed >= 50 | window=7d | 0 | P2
AstudioOverTarget | mcp-latency-local | over_target > 10 | window=1h | 0 | P2
AstudioOverTarget | mcp-latency-remote | over_target > 10 | window=1h | 0 | P2
""",
    "user-metadata": """
UserMetadataFastBurn | availability | budget_consumed >= 2 | window=1h | 0 | P1
UserMetadataSlowBurn | availability | budget_consumed >= 5 | window=24h | 0 | P3
UserMetadataOutage | availability | outage >= 1 | | 0 | P0
UserMetadataLatencyP99Over500 | latency | latency_p99 > 500 | window=5m | 5m | P2
UserMetadataLatencyP95From200 | latency | latency_p95 >= 200 | | 0 | P3
UserMetadataTrafficDrop | traffic | traffic_change <= -50 | | 0 | P3
UserMetadataTrafficRise | traffic | traffic_change >= 200 | | 0 | P3
""",
}


def _line(system: str, text: str) -> Line:
    alert, slo, asked, labels, lasts, tier = (cell.strip() for cell in text.split("|"))
    sli, operator, limit = asked.split()
    further = dict(pair.split("=") for pair in labels.split())
    return Line(alert, system, slo, sli, operator, float(limit), further, seconds(lasts), Tier(tier))


def seconds(lasts: str) -> int:
    """A time such as ``10m`` in seconds."""
    found = re.fullmatch(r"(\d+)([mh])", lasts)
    return int(found[1]) * _SPAN[found[2]] if found else int(lasts)


CATALOGUE = [
    _line(system, text) for system, block in _LINES.items() for text in block.strip().splitlines()
]  # fmt: skip
SYSTEMS = tuple(_LINES)
