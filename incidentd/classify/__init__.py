"""The rules table: load, check, classify."""

from incidentd.classify.check import Check, check
from incidentd.classify.classifier import Classifier
from incidentd.classify.classify import classify
from incidentd.classify.destination import DestinationSpec
from incidentd.classify.drill import DrillSpec
from incidentd.classify.escalation import PersonSpec
from incidentd.classify.example import ExampleResult, run_examples
from incidentd.classify.explanation import Explanation, explain
from incidentd.classify.heartbeat import HeartbeatSpec, taken_by
from incidentd.classify.kind import KINDS, Kind
from incidentd.classify.load import load, parse
from incidentd.classify.row import title_of
from incidentd.classify.rules import Rules
from incidentd.classify.table import DEFAULT_POLICY
from incidentd.classify.verdict import Verdict

__all__ = [
    "DEFAULT_POLICY",
    "KINDS",
    "Check",
    "Classifier",
    "DestinationSpec",
    "DrillSpec",
    "ExampleResult",
    "Explanation",
    "HeartbeatSpec",
    "Kind",
    "PersonSpec",
    "Rules",
    "Verdict",
    "check",
    "classify",
    "explain",
    "load",
    "parse",
    "run_examples",
    "taken_by",
    "title_of",
]
