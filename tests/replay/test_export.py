"""A file of recorded alerts: what is broken in it is named by line and cause."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.backtest import recorded
from incidentd.classify import load
from incidentd.errors import ExportError
from incidentd.replay import read_export, write_export

RULES = load(Path(__file__).parents[2] / "rules")
SOUND = list(write_export(recorded(3, RULES, seed=3)))
HEADER, FIRST = json.loads(SOUND[0]), json.loads(SOUND[1])
ANSWER = {"kind": "answer", "at": "2026-09-02T00:00:00Z", "incident": "1", "did": "acknowledged", "by": "person 1"}


def line(**changes: object) -> str:
    return json.dumps({**FIRST, **changes})


def header(**changes: object) -> str:
    return json.dumps({**HEADER, **changes})


def without(name: str) -> str:
    return json.dumps({key: value for key, value in FIRST.items() if key != name})


BROKEN = {
    "nothing at all": ([], 1, "is no header: this is no file of `incidentd rules export`"),
    "a webhook body": (['{"alerts": []}'], 1, "is no header: this is no file of `incidentd rules export`"),
    "of a newer version": ([header(version=2), *SOUND[1:]], 1, "version: Input should be 1"),
    "a header that was cut": ([SOUND[0][:-9], *SOUND[1:]], 1, "Invalid JSON: EOF while parsing"),
    "cut in the middle": (SOUND[:-1], len(SOUND) - 1, "the file ends here with"),
    "cut within a line": ([*SOUND[:2], SOUND[2][:40]], 3, "Invalid JSON: EOF while parsing"),
    "no JSON": ([SOUND[0], SOUND[1], "alert"], 3, "Invalid JSON: expected value"),
    "an empty line": ([SOUND[0], "", *SOUND[1:]], 2, "Invalid JSON: EOF while parsing"),
    "a label that is no text": ([SOUND[0], line(labels={"slo": 7})], 2, "labels.slo: Input should be a valid string"),
    "labels missing": ([SOUND[0], without("labels")], 2, "labels: Field required"),
    "never heard": ([SOUND[0], line(heard=[])], 2, "heard: List should have at least 1 item"),
    "an instant without a zone": (
        [SOUND[0], line(starts_at="2026-09-01T00:00:00")],
        2,
        "starts_at: Input should have timezone info",
    ),
    "neither firing nor resolved": (
        [SOUND[0], line(heard=[["2026-09-01T00:00:00Z", "pending", None]])],
        2,
        "heard.0.1: Input should be 'firing' or 'resolved'",
    ),
    "a field too many": ([SOUND[0], line(annotations={})], 2, "annotations: Extra inputs are not permitted"),
    "an answer of an unknown kind": ([SOUND[0], json.dumps({**ANSWER, "did": "slept"})], 2, "did: Input should be"),
    "another kind of line": (
        [SOUND[0], json.dumps({"kind": "note"})],
        2,
        "Input tag 'note' found using 'kind' does not match any of the expected tags: 'alert', 'answer'",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_broken_is_named_by_line_and_cause(fault: str) -> None:
    lines, number, cause = BROKEN[fault]
    with pytest.raises(ExportError) as raised:
        read_export(f"{each}\n".encode() for each in lines)
    assert raised.value.line == number
    assert raised.value.cause.startswith(cause)


def test_a_line_may_be_written_by_other_hands_with_blanks_and_in_any_zone() -> None:
    spaced = json.dumps({**FIRST, "starts_at": "2026-09-01T02:00:00+02:00"}, indent=None, separators=(", ", " : "))
    alone = read_export(f"{each}\n".encode() for each in [header(alerts=1, answers=0), spaced])
    assert alone.alerts[0].starts_at == datetime(2026, 9, 1, tzinfo=UTC)
