"""Proof that alerts are covered: what Prometheus's rule files can fire, against the rules table."""

from incidentd.coverage.alert_rule import AlertRule, RuleFiles
from incidentd.coverage.finding import Finding, Kind
from incidentd.coverage.objective_query import query_faults
from incidentd.coverage.prove import Covered, Proof, prove
from incidentd.coverage.rule_file import load_rule_files, parse_rule_files

__all__ = [
    "AlertRule",
    "Covered",
    "Finding",
    "Kind",
    "Proof",
    "RuleFiles",
    "load_rule_files",
    "parse_rule_files",
    "prove",
    "query_faults",
]
