"""Recorded alerts once more, through any table: the product's own functions, and time as an argument."""

from incidentd.replay.difference import Difference, compare
from incidentd.replay.export import read_export, write_export
from incidentd.replay.extract import extract
from incidentd.replay.outcome import Outcome, outcome_of
from incidentd.replay.play import Step, play
from incidentd.replay.recording import Answer, Did, Hearing, RecordedAlert, Recording
from incidentd.replay.side_by_side import side_by_side

__all__ = [
    "Answer",
    "Did",
    "Difference",
    "Hearing",
    "Outcome",
    "RecordedAlert",
    "Recording",
    "Step",
    "compare",
    "extract",
    "outcome_of",
    "play",
    "read_export",
    "side_by_side",
    "write_export",
]
