"""Objectives from a folder: every OpenSLO document in it, checked against the schema, or every fault at once."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from incidentd.classify.condition import parse_number
from incidentd.classify.document import MAX_BYTES
from incidentd.classify.section import Ledger
from incidentd.errors import Fault, RulesError
from incidentd.objective.objective import Objective, Query
from incidentd.objective.plain import Document, documents
from incidentd.objective.wording import refusals

NAME = "objectives.yaml"
_STATED = "budget-minutes."
_SCHEMA = "openslo.schema.json"
_LONGEST_NAME = 63
_PROMETHEUS = "prometheus"
_PARTS = ("good", "bad", "total", "raw")
_PERIOD = re.compile("[1-9][0-9]{0,4}[mhdwMQY]")
_UNITS = {
    "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1),
    "M": timedelta(days=30), "Q": timedelta(days=90), "Y": timedelta(days=365),
}  # fmt: skip
"""Months, quarters and years are counted as 30, 90 and 365 days."""


def load_objectives(folder: Path) -> tuple[Objective, ...]:
    """The objectives in every ``objectives.yaml`` in the folder, or in those directly in it.

    Raises:
        RulesError: with each fault found.
    """
    paths = sorted({*folder.glob(NAME), *folder.glob(f"*/{NAME}")})
    if not paths:
        raise RulesError([Fault(str(folder), 0, "", f"there is no {NAME} in it, nor in a folder directly in it")])
    return parse_objectives({str(path.relative_to(folder)): _text(path) for path in paths})


def parse_objectives(texts: Mapping[str, str]) -> tuple[Objective, ...]:
    """The objectives in these texts, by file name.

    Raises:
        RulesError: with each fault found.
    """
    found: list[Objective] = []
    faults: list[Fault] = []
    for name, text in texts.items():
        ledger = Ledger(name)
        found += _read(text, ledger)
        faults += ledger.faults
    faults += _twice(found)
    if faults:
        raise RulesError(faults)
    return tuple(found)


def _text(path: Path) -> str:
    """What stands there; what is too long is left for the reader to refuse, which names the limit."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RulesError([Fault(str(path), 1, "", "is not UTF-8")]) from None


def _read(text: str, ledger: Ledger) -> Iterator[Objective]:
    before = len(ledger.faults)
    for document in documents(text, ledger.add):
        row = _named(document.value)
        for path, cause in refusals(_validator().iter_errors(document.value)):
            ledger.add(document.line(path), cause, row)
        if len(ledger.faults) == before:
            yield _objective(document, ledger, row)


def _named(value: object) -> str:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name[:_LONGEST_NAME] if isinstance(name, str) and name.isprintable() else ""


def _objective(document: Document, ledger: Ledger, row: str) -> Objective:
    value: Any = document.value
    spec, metadata = value["spec"], value["metadata"]
    first = spec["objectives"][0]
    ratio = spec.get("indicator", {}).get("spec", {}).get("ratioMetric", {})
    percent = "targetPercent" in first
    return Objective(
        name=metadata["name"],
        service=spec["service"],
        target=round(first["targetPercent"] / 100, 12) if percent else first["target"],
        window=_span(spec["timeWindow"][0]["duration"]),
        written=spec["timeWindow"][0]["duration"],
        good=_query(ratio, "good"),
        bad=_query(ratio, "bad"),
        total=_query(ratio, "total"),
        stated=_stated(metadata.get("annotations", {}), document, ledger, row),
        queries=tuple(_queries(spec.get("indicator", {}).get("spec", {}), document)),
        file=ledger.file,
        line=document.line(("spec", "objectives", 0)),
    )


def _query(ratio: Mapping[str, Any], part: str) -> str:
    return str(ratio.get(part, {}).get("metricSource", {}).get("spec", {}).get("query", ""))


def _queries(indicator: Mapping[str, Any], document: Document) -> Iterator[Query]:
    """What Prometheus is asked; of other sources the languages are their own."""
    ratio = indicator.get("ratioMetric", {})
    metrics: dict[tuple[str, ...], Any] = {("ratioMetric", part): ratio.get(part) for part in _PARTS}
    metrics["thresholdMetric",] = indicator.get("thresholdMetric")
    for path, metric in metrics.items():
        source = metric["metricSource"] if metric else {}
        query = source.get("spec", {}).get("query")
        if query is not None and source.get("type", _PROMETHEUS).lower() == _PROMETHEUS:
            where = ("spec", "indicator", "spec", *path, "metricSource", "spec", "query")
            yield Query(path[-1], query, document.line(where))


def _stated(annotations: Mapping[str, str], document: Document, ledger: Ledger, row: str) -> dict[timedelta, float]:
    found: dict[timedelta, float] = {}
    for name, text in annotations.items():
        period = name.removeprefix(_STATED)
        if period == name:
            continue
        line = document.line(("metadata", "annotations", name))
        minutes = parse_number(text)
        if not _PERIOD.fullmatch(period):
            ledger.add(line, f"{name}: what follows {_STATED} must be a period such as 30d", row)
        elif minutes is None or minutes < 0:
            ledger.add(line, f"{name}: {text[:40]!r} is no number of minutes", row)
        else:
            found[_span(period)] = minutes
    return found


def _span(text: str) -> timedelta:
    return int(text[:-1]) * _UNITS[text[-1]]


def _twice(found: list[Objective]) -> Iterator[Fault]:
    seen: dict[tuple[str, str], Objective] = {}
    for each in found:
        first = seen.setdefault((each.service, each.name), each)
        if first is not each:
            cause = f"another objective of {each.service} has this name, in {first.file}:{first.line}"
            yield Fault(each.file, each.line, each.name, cause)


@cache
def _validator() -> Draft7Validator:
    return Draft7Validator(json.loads(files("incidentd.objective").joinpath(_SCHEMA).read_text("utf-8")))
