"""JSON Schemas of the rules files, for editors: made of the same kinds, tiers and patterns that the loader reads by.

They say what a file may hold by itself. What depends on other files, such as whether a destination is there, the loader
says. Draft 7, which is what editors know: https://json-schema.org/draft-07.
"""

from collections.abc import Mapping
from typing import Any

from incidentd.classify.destination import NAME, VARIABLE
from incidentd.classify.drill import NAME as DRILL_NAME
from incidentd.classify.heartbeat import NAME as HEARTBEAT_NAME
from incidentd.classify.kind import KINDS, Kind, Option
from incidentd.classify.opening_hours import TIME, WEEKDAYS
from incidentd.classify.span import BUSINESS, WHOLE
from incidentd.tier import Tier

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_TEXTS: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "uniqueItems": True}]}
_NAMES: Schema = {"type": "object", "additionalProperties": _SCALAR}
_TRUTH: Schema = {"enum": [True, False, "true", "false"]}
_TIER: Schema = {"enum": [str(tier) for tier in Tier]}
_NUMBER = r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?"


def _whole(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def _span(*words: str, some: bool = False) -> Schema:
    """A duration; ``some``: longer than none."""
    return _whole("|".join((f"(?=.*[{1 if some else 0}-9]){WHOLE.pattern}", *words)))


def _number(least: int, most: int = 1_000_000) -> Schema:
    return {"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, _whole("[0-9]{1,9}")]}


def _list(item: Schema, least: int = 0) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item, **({"minItems": least} if least else {})}]}


def _object(fields: Mapping[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    found: Schema = {"type": "object", "properties": dict(fields), "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _told(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text}


_MATCHERS = _told(
    _list({"type": "string", "pattern": r"^[^{].*(=|!~)|^[^{=]*="}),
    'Label matchers as Alertmanager writes them, such as slo="checkout" or \'region=~"eu|us"\'; all must hold.',
)
_CONDITIONS = _told(
    _list(_whole(rf'\s*("[^"\\]+"|[^\s<>=!"]+)\s*(<=|>=|<|>|=)\s*{_NUMBER}\s*')),
    "Numbers, such as value < 99.5, of the annotation value or of a label; all must hold.",
)
_DESTINATIONS = _told(_TEXTS, "Who follows as well, where people read: names of destinations.yaml.")
_POLICY = _told(_TEXT, "A policy of escalation.yaml.")
_RESPONSE = _told(
    _span(BUSINESS.pattern, "none"), "Until when somebody must have answered: 15m, 1 business day or none."
)
_ACKNOWLEDGEMENT = _told(_span("never"), "How long an answer lasts without a sign of work, or never.")
_HOLIDAYS = _object({"country": _TEXT, "subdivision": _TEXT, "dates": _list(_whole("[0-9]{4}-[0-9]{2}-[0-9]{2}"))})
_WEEKDAY: Schema = {"enum": list(WEEKDAYS)}
_SCOPE: Schema = {"minimum": _TIER, "regions": _number(2, 1000), "tier": _TIER}
_WHEN = {
    "weekdays": {"anyOf": [_WEEKDAY, {"type": "array", "items": _WEEKDAY, "minItems": 1, "uniqueItems": True}]},
    "zone": _told(_TEXT, "Such as Europe/Berlin."),
}

_ROW = _object(
    {
        "name": _told(_TEXT, "Shown as <file>/<name>."),
        "match": _MATCHERS,
        "when": _CONDITIONS,
        "any_objective": _told(_TRUTH, "Only objectives that the table lists."),
        "tier": _told(_TIER, "How urgent."),
        "key": _told(_TEXTS, "Labels that name the incident, in place of the table's."),
        "scope": _told(_object(_SCOPE, tuple(_SCOPE)), "In place of the table's."),
        "policy": _POLICY,
        "destinations": _DESTINATIONS,
        "title": _told(_TEXT, "{…} is a label or an annotation; left out, the alert's summary."),
        "runbook": _told(_TEXT, "Where the alert names none."),
    },
    ("name", "tier"),
)
_EXAMPLE = _object(
    {
        "row": _told(_TEXT, "A row of this file, or severity for none."),
        "tier": _TIER,
        "labels": _NAMES,
        "annotations": _NAMES,
    },
    ("row", "tier"),
)
_KEY = {"system": _TEXTS, "slo": _TEXTS, "also": _TEXTS}


def _table() -> Schema:
    return _object(
        {
            "system": _told(_TEXT, "The rows are for alerts with this label system; left out, for any."),
            "observe": _told(_TRUTH, "true: its incidents are recorded, and nobody is told."),
            "observe_until": _told(_whole("[0-9]{4}-[0-9]{2}-[0-9]{2}(T.+)?"), "A day, or an instant with its zone."),
            "key": _told(_object(_KEY), "What names an incident."),
            "policy": _POLICY,
            "destinations": _DESTINATIONS,
            "objectives": _told(_NAMES, "What is promised, by slo."),
            "scopes": {"type": "array", "items": _object({"slos": _TEXTS, **_SCOPE}, ("slos", *_SCOPE))},
            "regions": _told(_TEXTS, "The regions that count for scopes; left out, all."),
            "rows": _told({"type": "array", "items": _ROW, "minItems": 1}, "The first row that fits takes an alert."),
            "examples": _told({"type": "array", "items": _EXAMPLE}, "What `incidentd rules test` holds the rows to."),
        },
        ("rows",),
    )


def _tiers() -> Schema:
    spec = _object(
        {"description": _TEXT, "response": _RESPONSE, "acknowledgement": _ACKNOWLEDGEMENT},
        ("description", "response", "acknowledgement"),
    )
    severity = {"type": "object", "additionalProperties": _TIER, "required": ["otherwise"]}
    some: Schema = {"anyOf": [_TEXT, {**_TEXTS["anyOf"][1], "minItems": 1}]}
    return _object(
        {
            "tables": _told(some, "The table files without .yaml, in the order in which they are asked."),
            "tiers": _object({str(tier): spec for tier in Tier}, tuple(str(tier) for tier in Tier)),
            "severity": _told(severity, "The tier by the label severity, where no row fits."),
            "key": _object({**_KEY, "system": some, "slo": some, "generic": _TEXTS}, ("system", "slo")),
        },
        ("tables", "tiers", "severity", "key"),
    )


def _escalation(kinds: Mapping[str, Kind]) -> Schema:
    level = _object({"lasts": _span(some=True), "tell": _told(_TEXTS, "Names of destinations.yaml.")}, ("lasts",))
    tier = _object(
        {
            "response": _RESPONSE,
            "acknowledgement": _ACKNOWLEDGEMENT,
            "opening": _told(_TEXTS, "Told at once, where people read."),
            "levels": _told({"type": "array", "items": level}, "Told in turn while nobody answers."),
            "calendar": _told(_TEXT, "The hours in which the clocks run; by default always."),
            "updates": _told(_span("never", some=True), "How often what holds is said again, from 1m; or never."),
        }
    )
    tiers = {str(each): tier for each in Tier}
    clocks = ("reminder", "hold_down", "reopen_window", "grace", "late_copy", "closest")
    policy = _object(
        {
            "extends": _told(_TEXT, "Another policy, of which this one changes some fields."),
            "tiers": _object(tiers),
            "rounds": _number(1, 100),
            **{name: _span() for name in clocks},
        }
    )
    whole = {"required": ["tiers"], "properties": {"tiers": {"required": list(tiers)}}}
    policy |= {"if": {"not": {"required": ["extends"]}}, "then": whole}
    mention = {name: _option(kind.mention) for name, kind in kinds.items() if kind.mention}
    zone = _told(_TEXT, "Whose night counts in a backtest, such as Europe/Berlin.")
    people = _object({"name": _TEXT, "zone": zone, **mention}, ("name",))
    return _object(
        {
            "people": {"type": "object", "patternProperties": {"^[1-9][0-9]*$": people}, "additionalProperties": False},
            "policies": {"type": "object", "additionalProperties": policy, "required": ["default", "internal"]},
        },
        ("people", "policies"),
    )


_VARIABLES = _list(_whole(VARIABLE.pattern))
_HELD = _told(_VARIABLES, "The variable that holds the secret, never the secret itself.")


def _destinations(kinds: Mapping[str, Kind]) -> Schema:
    named = {"type": "object", "propertyNames": _whole(NAME.pattern), "minProperties": 1}
    return {**named, "additionalProperties": {"oneOf": [_destination(name, kind) for name, kind in kinds.items()]}}


def _destination(name: str, kind: Kind) -> Schema:
    required = [option for option, each in kind.options.items() if each.required]
    fields = {
        "kind": {"const": name},
        "fallback": _told(_TEXT, "Where a page goes too after its second failure."),
        "optional": _told(_TRUTH, "As long as none of its variables is set, nobody misses it."),
        "per_minute": _told(_number(0), "How fast it may be told; 0: no limit."),
        "burst": _told(_number(0), "So many at once before that."),
        "one_by_one": _told(
            _number(0, 100 if kind.one_by_one else 0), "So many new incidents a minute are told each by itself."
        ),
        **({kind.held_by: _held(kind)} if kind.held_by else {}),
        **{option: _option(each) for option, each in kind.options.items()},
        **dict.fromkeys(kind.further, _HELD),
        **dict.fromkeys(kind.templates, _told(_TEXT, "A file of templates/.")),
        **({"headers": _told(_NAMES, "${INCIDENTD_…} in a value is a variable's.")} if kind.headers else {}),
    }
    held = [kind.held_by] if kind.held_by and not kind.secret_names else []
    return {**_object(fields, ("kind", *held, *required)), "title": name}


def _held(kind: Kind) -> Schema:
    if kind.address is None:
        return _HELD
    return _told({"anyOf": [_VARIABLES, _whole(kind.address.pattern.pattern)]}, kind.address.hint)


def _option(option: Option) -> Schema:
    text = _whole(option.pattern.pattern)
    return _told(_list(text, 1) if option.several else text, option.hint)


def _calendars() -> Schema:
    day = _told(_whole(f"{TIME.pattern}|24:00"), 'A time of day, such as "09:00"; the end of the day is "24:00".')
    fields = {**_WHEN, "opens": day, "closes": day, "holidays": _HOLIDAYS}
    others = {"propertyNames": {"not": {"const": "always"}}}
    return {"type": "object", **others, "additionalProperties": _object(fields, ("zone", "weekdays"))}


def _heartbeats() -> Schema:
    fields = {
        "match": _MATCHERS,
        "every": _told(_span(some=True), "How long silence may last."),
        "tier": _TIER,
        "title": _TEXT,
        "runbook": _TEXT,
        "policy": _POLICY,
        "destinations": _DESTINATIONS,
    }
    return _named(HEARTBEAT_NAME.pattern, _object(fields, ("every", "tier")))


def _drills() -> Schema:
    fields = {
        "tier": _TIER,
        "system": _told(_TEXT, "One with a table of its own."),
        **_WHEN,
        "at": _told(_whole(TIME.pattern), 'By the local clock, such as "10:00".'),
        "holidays": _HOLIDAYS,
        "within": _told(_span(some=True), "Until when page and messages must be accepted."),
        "answer": _told(_span(some=True), "Until when somebody must acknowledge the page."),
    }
    return _named(DRILL_NAME.pattern, _object(fields, ("tier", "weekdays", "at", "zone")))


def _named(name: str, item: Schema) -> Schema:
    """A file that may hold comments alone."""
    return {"type": ["object", "null"], "propertyNames": _whole(name), "additionalProperties": item}


def schemas(kinds: Mapping[str, Kind] = KINDS) -> dict[str, Schema]:
    """The schema of each kind of rules file: by the name of the file, and ``table`` for all others."""
    found = {
        "table": _table(),
        "tiers": _tiers(),
        "escalation": _escalation(kinds),
        "destinations": _destinations(kinds),
        "calendars": _calendars(),
        "heartbeats": _heartbeats(),
        "drills": _drills(),
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return {name: {**head, "title": f"incidentd: {_title(name)}", **schema} for name, schema in found.items()}


def _title(name: str) -> str:
    return "a table of rules" if name == "table" else f"{name}.yaml"
