"""Examples as JUnit's XML, which CI shows: a suite for each file, a test case for each example.

https://github.com/testmoapp/junitxml, which describes what its readers take.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from xml.etree import ElementTree as ET

from incidentd.classify.example import ExampleResult

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(results: Iterable[ExampleResult]) -> str:
    """The whole document. What XML can't hold is replaced."""
    results = list(results)
    root = ET.Element("testsuites", {"name": "incidentd rules test", **_counts(results)})
    for file, group in groupby(results, key=lambda each: each.example.file):
        found = list(group)
        suite = ET.SubElement(root, "testsuite", {"name": file, **_counts(found)})
        for each in found:
            _case(suite, each)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _case(suite: ET.Element, result: ExampleResult) -> None:
    example = result.example
    name = f"{_alert(result)} is {example.tier} by {example.row}"
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "name": _fit(name),
            "classname": _fit(example.row),
            "file": example.file,
            "line": str(example.line),
            "time": "0",
        },
    )
    if not result.holds:
        got = f"got {result.verdict.tier} by {result.verdict.row}"
        failure = ET.SubElement(case, "failure", {"message": _fit(got), "type": "example"})
        failure.text = _fit(f"{example.file}:{example.line}: {got}: {result.verdict.reason}")


def _alert(result: ExampleResult) -> str:
    example = result.example
    labels = ", ".join(f"{name}={text}" for name, text in example.labels.items() if name != "alertname")
    value = f", value {example.annotations['value']}" if "value" in example.annotations else ""
    return f"{example.labels.get('alertname', 'an alert')} ({labels}{value})"


def _counts(results: list[ExampleResult]) -> dict[str, str]:
    failed = sum(not each.holds for each in results)
    return {"tests": str(len(results)), "failures": str(failed), "errors": "0", "skipped": "0", "time": "0"}


def _fit(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
