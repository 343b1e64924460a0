"""Service level objectives, written as OpenSLO v1: read, checked, and their error budgets computed."""

from incidentd.objective.budget import Difference, compare, show_objectives
from incidentd.objective.load import load_objectives, parse_objectives
from incidentd.objective.objective import Objective

__all__ = ["Difference", "Objective", "compare", "load_objectives", "parse_objectives", "show_objectives"]
