"""Why a text is no YAML, in words that say what was expected; the parser's own speak of its tokens."""

import re
from collections.abc import Mapping
from typing import Protocol

import yaml

_HERE: Mapping[str, str] = {
    "mapping values are not allowed in this context": (
        "a ': ' where no field can begin: put a text that holds one in quotes, and mind the indentation"
    ),
    "found character that cannot start any token": "no text begins with this character: put it in quotes",
    "found unknown escape character": "a backslash that escapes nothing: in double quotes write two",
    "did not find expected hexdecimal number": r"\x, \u and \U want hexadecimal digits: for a backslash write two",
    "did not find expected alphabetic or numeric character": "& and * name nothing here: put the text in quotes",
    "did not find expected node content": "a value was expected: put a text that begins with , ] or } in quotes",
    "did not find expected comment or line break": "nothing may follow | or > on its line: mind the quotes",
    "found incompatible YAML document": "directives are not allowed",
    "found unknown directive name": "directives are not allowed",
    "did not find expected <document start>": "a file holds one document",
}
_FROM: Mapping[str, str] = {
    "did not find expected key": (
        "this belongs neither to what begins in line {} nor after it: mind the indentation and the quotes"
    ),
    "did not find expected '-' indicator": "the list that begins in line {} goes on without '- ': mind the indentation",
}
"""What names where it began."""

_BEGUN: Mapping[str, str] = {
    "found unexpected end of stream": "the quote that opens here is not closed",
    "did not find expected ',' or ']'": "the [ that opens here is not closed, or has no comma between two items",
    "did not find expected ',' or '}'": "the { that opens here is not closed, or has no comma between two fields",
    "could not find expected ':'": "'name: value' was expected",
}
"""What is told of where it began: it is noticed only later."""


_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""https://yaml.org/spec/1.1/#c-printable"""


class _Mark(Protocol):
    line: int


def yaml_fault(text: str, error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """The line, from 1, and what is wrong there."""
    problem = str(error.problem or error.context)
    at = _line(error.problem_mark or error.context_mark)
    begun = _line(error.context_mark or error.problem_mark)
    if _is_tab(text, at):
        return at, "a tab; indent with spaces"
    if problem in _BEGUN:
        return begun, _BEGUN[problem]
    if at > _lines(text):
        return _lines(text), "the file ends where a value, or the end of a [ or {, was expected"
    return at, _FROM[problem].format(begun) if problem in _FROM else _HERE.get(problem, problem)


def forbidden_line(text: str) -> int:
    """The line, from 1, of the first character that YAML doesn't allow."""
    found = _FORBIDDEN.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _lines(text: str) -> int:
    return text.rstrip("\n").count("\n") + 1


def _line(mark: _Mark | None) -> int:
    return mark.line + 1 if mark else 1


def _is_tab(text: str, line: int) -> bool:
    """No eye sees it, and the parser says only that it can't start a token."""
    return any("\t" in each[: len(each) - len(each.lstrip())] for each in text.split("\n")[line - 1 : line])
