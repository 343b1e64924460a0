"""Texts that operators' templates make of an incident: Jinja2 in its sandbox, tried out before a table takes effect.

https://jinja.palletsprojects.com/en/stable/sandbox/
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, Template, TemplateError, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from incidentd.errors import IncidentdError

LONGEST = 256 * 1024
"""Characters of what a template makes: what it is sent to takes no more."""

_FILE = "<template>"
_FAILURES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What a template's expressions raise."""

_IN_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ZeroDivisionError, "a division by zero"),
    (RecursionError, "it calls itself without end"),
    (OverflowError, "a number that is too large"),
    (LookupError, "an item that isn't there"),
    (TypeError, "a value of a kind that this can't be done with"),
    (Exception, "a value that this can't be done with"),
)
_NO_ATTRIBUTE = re.compile(r"'?\w+ object'? has no (?:attribute|element) (.*)", re.DOTALL)

_NASTY = 'it\'s "quoted" \\ <b> {{ 1 }}\n\tnext line \u2028'
"""Labels hold anything: what is not put through ``tojson`` shows at once that it breaks the JSON around it."""


class RenderError(IncidentdError):
    """The template can't be used. ``line`` is where, 0 where that isn't known."""

    def __init__(self, line: int, cause: str) -> None:
        super().__init__(cause)
        self.line = line


@dataclass(frozen=True, slots=True)
class Trial:
    """What is wrong with a template, and in which line."""

    line: int
    cause: str


def render(text: str, picture: Mapping[str, Any]) -> str:
    """What the template makes of a picture of an incident.

    Raises:
        RenderError: nothing, or too much. The text shows nothing of the picture.
    """
    try:
        made = _compiled(text).render(picture)
    except TemplateSyntaxError as error:
        raise RenderError(error.lineno, f"is no Jinja2: {_as_clause(error.message)}") from None
    except _FAILURES as error:
        raise RenderError(_line(error.__traceback__), f"can't be filled in: {_failure(error)}") from None
    if len(made) > LONGEST:
        raise RenderError(0, f"makes more than {LONGEST:,} characters")
    return made


def trial(text: str, *, as_json: bool) -> Trial | None:
    """What is wrong with a template, tried with an incident that has everything and with one that has next to nothing.

    ``as_json``: it has to make a JSON text, whatever stands in labels.
    """
    for picture in (FULL, BARE):
        try:
            made = render(text, picture)
        except RenderError as error:
            return Trial(max(1, error.line), str(error))
        if as_json and not _is_json(made):
            return Trial(1, "makes no JSON where a text holds quotes or line breaks: put each value through | tojson")
    return None


def _failure(error: Exception) -> str:
    """Why an expression failed, without what it was about."""
    if isinstance(error, TemplateNotFound):
        return "a template can't include or import another"
    if isinstance(error, TemplateError):
        return _as_clause(error.message)
    return next(words for kind, words in _IN_WORDS if isinstance(error, kind))


def _as_clause(message: str | None) -> str:
    said = (message or "").removesuffix(".")
    if found := _NO_ATTRIBUTE.fullmatch(said):
        return f"there is no {found[1]} where it is looked for"
    return said[:1].lower() + said[1:]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@lru_cache(maxsize=64)
def _compiled(text: str) -> Template:
    return _environment().from_string(text)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    """Nothing is escaped by itself: what is made is JSON or plain text, never HTML."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, loader=FunctionLoader(lambda _name: None)
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": True, "sort_keys": False, "default": _refuse}
    return environment


def _refuse(value: object) -> str:
    """What JSON doesn't know. A name that is none says which one it is as soon as it is asked for its text."""
    text = str(value)
    raise TypeError(f"{len(text)} characters of what is no JSON")


def _line(trace: TracebackType | None) -> int:
    line = 0
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == _FILE else line
        trace = trace.tb_next
    return line


_INSTANT = "2026-03-02T12:00:00+00:00"

FULL: Mapping[str, Any] = {
    "event": {"id": "msg_1", "type": "changed", "number": 2, "at": _INSTANT},
    "incident": {
        "id": "0193-1", "number": 42, "key": _NASTY, "title": _NASTY, "system": _NASTY, "slo": _NASTY, "tier": "P0",
        "state": "triggered", "level": 1, "scope": [_NASTY], "row": _NASTY, "reason": _NASTY, "opened_at": _INSTANT,
        "respond_by": _INSTANT, "next_at": _INSTANT, "next": _NASTY, "acknowledged_by": _NASTY,
        "acknowledged_at": _INSTANT, "resolved_by": _NASTY, "resolved_at": _INSTANT,
    },
    "news": [{"number": 1, "at": _INSTANT, "kind": "opened", "actor": _NASTY, "sentence": _NASTY}],
    "alerts": [{
        "fingerprint": "a1b2c3d4e5f60718", "starts_at": _INSTANT, "firing": True, "labels": {"alertname": _NASTY},
        "annotations": {"summary": _NASTY, "value": "99.4"}, "generator_url": _NASTY,
    }],
    "headline": _NASTY, "summary": _NASTY, "text": _NASTY, "url": _NASTY, "runbook": _NASTY, "dashboard": _NASTY,
    "objective": _NASTY, "notice": _NASTY, "reference": "OPS-1",
}  # fmt: skip
"""An incident with everything: these are the names that a template may use."""

BARE: Mapping[str, Any] = {
    **FULL,
    "incident": FULL["incident"]
    | {"scope": [], "respond_by": None, "next_at": None, "next": None}
    | dict.fromkeys(("acknowledged_by", "acknowledged_at", "resolved_by", "resolved_at")),
    "news": [],
    "alerts": [],
    **dict.fromkeys(("summary", "text", "runbook", "dashboard", "objective", "notice", "reference"), ""),
}
"""One of which nothing more is known."""
